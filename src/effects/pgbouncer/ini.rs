//! PgBouncer's configuration as text: one database's line is changed, and not a byte beside it.

use crate::model::fault::Fault;

/// What a database's line is to say.
pub struct Server<'a> {
    /// Host or address.
    pub host: &'a str,
    /// Port.
    pub port: u16,
    /// Database there.
    pub dbname: &'a str,
    /// Role there, for a line that names one.
    pub user: &'a str,
    /// Its password, for a line that has one.
    pub password: Option<&'a str>,
}

/// The text with the line of `database` leading to `server`.
pub fn pointed(text: &str, database: &str, server: &Server<'_>) -> Result<String, Fault> {
    let mut section = String::new();
    let mut found = Vec::new();
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let trimmed = line.trim();
        if trimmed.starts_with('[') {
            section = trimmed.trim_matches(['[', ']']).trim().to_lowercase();
        } else if section == "databases"
            && !trimmed.starts_with([';', '#'])
            && let Some((name, _)) = line.split_once('=')
            && unquoted(name.trim()) == database
        {
            found.push(at..at + line.len());
        }
        at += line.len();
    }
    let [range] = found.as_slice() else {
        let why = if found.is_empty() { "has no line" } else { "has more than one line" };
        return Err(Fault::fatal(
            "pgbouncer.line",
            format!("the configuration {why} for `{database}` below [databases]"),
        )
        .hinted("write one of its own for it: `*` and %include are not followed"));
    };
    let line = &text[range.clone()];
    let changed = rewritten(line, server).ok_or_else(|| {
        Fault::fatal("pgbouncer.line", format!("the line of `{database}` cannot be read"))
            .hinted("it looks like: app = host=127.0.0.1 port=5432 dbname=app")
    })?;
    Ok(format!("{}{changed}{}", &text[..range.start], &text[range.end..]))
}

/// A name as PgBouncer reads it: in double quotes, or bare.
fn unquoted(name: &str) -> String {
    match name.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(inner) => inner.replace("\"\"", "\""),
        None => name.to_owned(),
    }
}

/// A line whose keys lead elsewhere; every other key, blank and line end stays.
fn rewritten(line: &str, server: &Server<'_>) -> Option<String> {
    let equals = line.find('=')? + 1;
    let (head, rest) = line.split_at(equals);
    let body = rest.trim_end();
    let end = &rest[body.len()..];
    let mut out = head.to_owned();
    let mut seen = Vec::new();
    let mut left = body;
    loop {
        let blank = left.len() - left.trim_start().len();
        out.push_str(&left[..blank]);
        left = &left[blank..];
        if left.is_empty() {
            break;
        }
        let (key, after) = left.split_once('=')?;
        let key_name = key.trim().to_lowercase();
        let lead = after.len() - after.trim_start().len();
        let length = lead + value_length(&after[lead..])?;
        let new = match key_name.as_str() {
            "host" => Some(server.host.to_owned()),
            "port" => Some(server.port.to_string()),
            "dbname" => Some(server.dbname.to_owned()),
            "user" => Some(server.user.to_owned()),
            "password" => Some(server.password.unwrap_or_default().to_owned()),
            _ => None,
        };
        out.push_str(key);
        out.push('=');
        match new {
            Some(value) => out.push_str(&quoted(&value)),
            None => out.push_str(&after[..length]),
        }
        seen.push(key_name);
        left = &after[length..];
    }
    let missing =
        [("host", server.host.to_owned()), ("port", server.port.to_string()), ("dbname", server.dbname.to_owned())];
    for (key, value) in missing {
        if !seen.iter().any(|known| known == key) {
            if !out.ends_with(char::is_whitespace) {
                out.push(' ');
            }
            out.push_str(&format!("{key}={}", quoted(&value)));
        }
    }
    out.push_str(end);
    Some(out)
}

/// Bytes of the value at the beginning of a text: bare, or in single quotes of which a doubled one is a quote.
fn value_length(text: &str) -> Option<usize> {
    if !text.starts_with('\'') {
        return Some(text.find(char::is_whitespace).unwrap_or(text.len()));
    }
    let mut from = 1;
    loop {
        let quote = from + text.get(from..)?.find('\'')?;
        if text[quote + 1..].starts_with('\'') {
            from = quote + 2;
        } else {
            return Some(quote + 1);
        }
    }
}

fn quoted(value: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-.:/".contains(c);
    if !value.is_empty() && value.chars().all(plain) {
        value.to_owned()
    } else {
        format!("'{}'", value.replace('\'', "''"))
    }
}

#[cfg(test)]
mod tests {
    use super::{Server, pointed};

    const TEXT: &str = "; the pooler\r\n[pgbouncer]\napp = 1\n[Databases]\n# app = host=no\n\tapp =  host=10.0.0.1   pool_size=7 dbname = 'a''b' \r\nother = host=x\n\n[users]\napp = pool_mode=session";

    fn server(password: Option<&str>) -> Server<'_> {
        Server { host: "db.example.com", port: 5433, dbname: "new db", user: "it's", password }
    }

    #[test]
    fn one_line_is_changed_and_not_a_byte_beside_it() {
        let changed = pointed(TEXT, "app", &server(None)).unwrap();
        let line = "\tapp =  host=db.example.com   pool_size=7 dbname='new db' port=5433 \r\n";
        assert_eq!(
            changed,
            TEXT.replace("\tapp =  host=10.0.0.1   pool_size=7 dbname = 'a''b' \r\n", line)
                .replace("dbname='new db'", "dbname ='new db'")
        );
        assert_eq!(pointed(&changed, "app", &server(None)).unwrap(), changed, "done again it comes to the same");
    }

    #[test]
    fn a_role_and_a_password_are_replaced_where_the_line_has_them() {
        let text = "[databases]\n\"my app\" = host=a user=old password='p w' port=1\n";
        let changed = pointed(text, "my app", &server(Some("s'p"))).unwrap();
        assert_eq!(
            changed,
            "[databases]\n\"my app\" = host=db.example.com user='it''s' password='s''p' port=5433 dbname='new db'\n"
        );
    }

    #[test]
    fn what_cannot_be_told_is_refused() {
        for text in
            ["[databases]\n* = host=a\n", "", "[databases]\napp = host=a\napp = host=b\n", "[databases]\napp = host\n"]
        {
            assert_eq!(pointed(text, "app", &server(None)).unwrap_err().code, "pgbouncer.line", "{text}");
        }
    }
}
