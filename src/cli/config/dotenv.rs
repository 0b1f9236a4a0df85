//! `.env` files. Our own reader, since the crates for it substitute variables from the process on their own and set them there.
//!
//! `NAME=value`, with `export` before it or not; a value may stand in `'…'`, `"…"` or `` `…` `` and then run over
//! several lines; inside `"…"` the escapes `\n`, `\r`, `\t`, `\"` and `\\` count. Outside quotes ` #` begins a comment.

use std::path::Path;

use super::error::ConfigError;

/// What a file holds.
#[derive(Debug, Default)]
pub struct Parsed {
    /// Names and values, in order; the last one of a name counts.
    pub values: std::collections::BTreeMap<String, String>,
    /// Names whose value different readers of such files understand differently.
    pub doubtful: Vec<String>,
}

/// Reads the text of the file at `path`.
pub fn parse(path: &Path, text: &str) -> Result<Parsed, ConfigError> {
    let mut parsed = Parsed::default();
    let mut rest = text.strip_prefix('\u{FEFF}').unwrap_or(text);
    let whole = rest;
    while !rest.is_empty() {
        let wrong = |why: &str| ConfigError::Malformed {
            path: path.to_owned(),
            line: whole[..whole.len() - rest.len()].matches('\n').count() + 1,
            column: 1,
            why: why.to_owned(),
            hint: Some("a line reads `NAME=value`".into()),
        };
        let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with('#') {
            rest = after;
            continue;
        }
        let (name, value) = line.split_once('=').ok_or_else(|| wrong("there is no `=`"))?;
        let name = name.trim();
        let name = name.strip_prefix("export ").unwrap_or(name).trim();
        if !is_name(name) {
            return Err(wrong("what stands before `=` is not a variable's name"));
        }
        let value = value.trim();
        let value = match value.chars().next() {
            Some(quote @ ('\'' | '"' | '`')) => {
                let start = rest.len() - rest.split_once(quote).map_or(0, |(_, inner)| inner.len());
                let (value, used) = quoted(&rest[start..], quote).ok_or_else(|| wrong("a quote is not closed"))?;
                let tail = &rest[start + used..];
                let (end, after) = tail.split_once('\n').unwrap_or((tail, ""));
                if !(end.trim().is_empty() || end.trim().starts_with('#')) {
                    return Err(wrong("there is text behind the closing quote"));
                }
                rest = after;
                value
            }
            _ => {
                rest = after;
                let end = value.find(" #").or(value.find("\t#")).unwrap_or(value.len());
                let value = if value.starts_with('#') { "" } else { value[..end].trim_end() };
                if value.contains('#') {
                    parsed.doubtful.push(name.to_owned());
                }
                value.to_owned()
            }
        };
        parsed.values.insert(name.to_owned(), value);
    }
    Ok(parsed)
}

/// Whether text can name a variable.
pub fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c))
}

/// The value up to the closing quote, and how many bytes it took with the quote.
fn quoted(text: &str, quote: char) -> Option<(String, usize)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            _ if c == quote => return Some((value, at + c.len_utf8())),
            '\\' if quote == '"' => match chars.next()?.1 {
                'n' => value.push('\n'),
                'r' => value.push('\r'),
                't' => value.push('\t'),
                c @ ('"' | '\\') => value.push(c),
                c => value.extend(['\\', c]),
            },
            c => value.push(c),
        }
    }
    None
}
