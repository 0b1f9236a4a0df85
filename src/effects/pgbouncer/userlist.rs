//! PgBouncer's user list as text: one user's line is changed, and not a byte beside it.
//!
//! It is read as PgBouncer reads it, since that forgives nothing: what it cannot read it calls a "broken auth file" in its log,
//! answers RELOAD as if all were well, and lets in nobody who stands behind that place.

use std::ops::Range;

use crate::model::fault::Fault;

/// From this length on a name breaks the list.
const NAME_TOO_LONG: usize = 128;

/// A user with what it is known by.
struct Entry {
    user: String,
    /// What stands between the quotes of its password.
    secret: Range<usize>,
    /// The lines that it lies on.
    lines: Range<usize>,
}

/// The text with every line of `user` holding `secret`, or with one more.
pub fn admitted(text: &str, user: &str, secret: &str) -> Result<String, Fault> {
    let mut new = String::with_capacity(text.len() + secret.len());
    let mut upto = 0;
    let mut found = false;
    for entry in entries(text)?.into_iter().filter(|entry| entry.user == user) {
        new.push_str(&text[upto..entry.secret.start]);
        new.push_str(&quoted(secret));
        upto = entry.secret.end;
        found = true;
    }
    new.push_str(&text[upto..]);
    if !found {
        let end = if text.contains("\r\n") { "\r\n" } else { "\n" };
        if !new.is_empty() && !new.ends_with('\n') {
            new.push_str(end);
        }
        new.push_str(&format!("\"{}\" \"{}\"{end}", quoted(user), quoted(secret)));
    }
    Ok(new)
}

/// The text without the lines of `user`.
pub fn dismissed(text: &str, user: &str) -> Result<String, Fault> {
    let mut new = String::with_capacity(text.len());
    let mut upto = 0;
    for entry in entries(text)?.into_iter().filter(|entry| entry.user == user) {
        new.push_str(&text[upto..entry.lines.start]);
        upto = entry.lines.end;
    }
    new.push_str(&text[upto..]);
    Ok(new)
}

/// What a user is known by. Of several lines the last one counts.
pub fn secret_of(text: &str, user: &str) -> Result<Option<String>, Fault> {
    let known = entries(text)?.into_iter().rfind(|entry| entry.user == user);
    Ok(known.map(|entry| unquoted(&text[entry.secret])))
}

/// Everybody in the list, in its order.
fn entries(text: &str) -> Result<Vec<Entry>, Fault> {
    let mut found = Vec::new();
    let mut at = 0;
    loop {
        let rest = &text[at..];
        at += rest.len() - rest.trim_start_matches([' ', '\t', '\n', '\r', '\u{b}', '\u{c}']).len();
        let rest = &text[at..];
        if rest.is_empty() {
            return Ok(found);
        }
        if rest.starts_with(';') {
            at = line_end(text, at);
            continue;
        }
        let broken = |why: &str| {
            let line = text[..at].matches('\n').count() + 1;
            Fault::fatal("pgbouncer.user-list", format!("line {line} of the user list {why}"))
                .hinted("PgBouncer reads nothing from there on, and lets in nobody who stands behind it; a line reads \"user\" \"password\", a comment begins with `;`")
        };
        if !rest.starts_with('"') {
            return Err(broken("does not begin with a quote"));
        }
        let user = quoted_from(text, at + 1).ok_or_else(|| broken("has a quote that is not closed"))?;
        if user.len() >= NAME_TOO_LONG {
            return Err(broken("names a user too long for PgBouncer"));
        }
        let secret = text[user.end + 1..].find('"').map(|opening| user.end + 1 + opening + 1);
        let secret = secret.ok_or_else(|| broken("has no password"))?;
        let secret = quoted_from(text, secret).ok_or_else(|| broken("has a quote that is not closed"))?;
        if text[at..secret.end].contains('\0') {
            return Err(broken("holds a NUL character"));
        }
        let start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
        let end = line_end(text, secret.end);
        found.push(Entry { user: unquoted(&text[user]), secret, lines: start..end });
        at = end;
    }
}

/// What stands from here to the quote that closes it; a doubled one is a quote.
fn quoted_from(text: &str, start: usize) -> Option<Range<usize>> {
    let mut from = start;
    loop {
        let quote = from + text.get(from..)?.find('"')?;
        if !text[quote + 1..].starts_with('"') {
            return Some(start..quote);
        }
        from = quote + 2;
    }
}

/// Where the next line begins.
fn line_end(text: &str, at: usize) -> usize {
    text[at..].find('\n').map_or(text.len(), |newline| at + newline + 1)
}

fn quoted(text: &str) -> String {
    text.replace('"', "\"\"")
}

fn unquoted(text: &str) -> String {
    text.replace("\"\"", "\"")
}

#[cfg(test)]
mod tests {
    use super::{admitted, dismissed, secret_of};

    const TEXT: &str = "; who may\r\n\r\n  \"ann\"\t\"clear \"\"text\" and more\n;\"bob\" \"no\"\n\"b\"\"b\" \"md5abc\"\n\"bob\"\n  \"two lines\"\n\"ann\" \"\"";

    #[test]
    fn one_user_is_changed_and_not_a_byte_beside_it() {
        let new = admitted(TEXT, "ann", "SCRAM-SHA-256$x").unwrap();
        assert_eq!(
            new,
            TEXT.replace("clear \"\"text", "SCRAM-SHA-256$x").replace("\"ann\" \"\"", "\"ann\" \"SCRAM-SHA-256$x\"")
        );
        assert_eq!(admitted(&new, "ann", "SCRAM-SHA-256$x").unwrap(), new, "done again it comes to the same");
        assert_eq!(admitted(TEXT, "b\"b", "v").unwrap(), TEXT.replace("md5abc", "v"));
        assert_eq!(admitted(TEXT, "bob", "v").unwrap(), TEXT.replace("two lines", "v"));
        assert_eq!(admitted(TEXT, "n\"w", "v").unwrap(), format!("{TEXT}\r\n\"n\"\"w\" \"v\"\r\n"));
        assert_eq!(admitted("", "new", "v").unwrap(), "\"new\" \"v\"\n");
    }

    #[test]
    fn who_is_dismissed_has_no_line_any_more() {
        let new = dismissed(TEXT, "bob").unwrap();
        assert_eq!(new, TEXT.replace("\"bob\"\n  \"two lines\"\n", ""));
        assert_eq!(dismissed(&new, "ann").unwrap(), "; who may\r\n\r\n;\"bob\" \"no\"\n\"b\"\"b\" \"md5abc\"\n");
        assert_eq!(dismissed(TEXT, "nobody").unwrap(), TEXT);
    }

    #[test]
    fn of_several_lines_the_last_one_counts() {
        assert_eq!(secret_of(TEXT, "ann").unwrap().as_deref(), Some(""));
        assert_eq!(secret_of(TEXT, "bob").unwrap().as_deref(), Some("two lines"));
        assert_eq!(secret_of("\"a\" \"x\"\"y\" \"b\" \"z\"", "a").unwrap().as_deref(), Some("x\"y"));
        assert_eq!(secret_of("\"a\" \"x\" \"b\" \"z\"", "b").unwrap(), None, "it skips the rest of the line");
    }

    #[test]
    fn what_pgbouncer_cannot_read_is_refused() {
        let long = format!("\"a\" \"b\"\n\"{}\" \"\"", "x".repeat(128));
        for text in [
            "# no\n",
            "\"a\" \"b\"\n# no\n",
            "\"a",
            "\"a\"",
            "\"a\" \"b",
            "\"a\" \"b\"\nbare bare",
            "\"a\0\" \"b\"",
            &long,
        ] {
            assert_eq!(admitted(text, "a", "v").unwrap_err().code, "pgbouncer.user-list", "{text}");
        }
        assert!(admitted("\"a\" \"b\"\n\n# no", "a", "v").unwrap_err().message.contains("line 3"));
    }
}
