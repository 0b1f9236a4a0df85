//! The lines of an env file, each with its place, for those who read one and those who edit one.
//!
//! `NAME=value`, with `export` before it or not; a value may stand in `'…'`, `"…"` or `` `…` `` and then run over
//! several lines; inside `"…"` the escapes `\n`, `\r`, `\t`, `\"` and `\\` count. Outside quotes ` #` begins a comment.

use std::ops::Range;

/// What a line, or several of one value, holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The name; `None` where the line sets nothing.
    pub name: Option<String>,
    /// The value.
    pub value: String,
    /// Where the value stands in the text, with its quotes.
    pub at: Range<usize>,
    /// What stands between the value and the end of the line.
    pub rest: Range<usize>,
    /// Counted from 1.
    pub number: usize,
    /// Whether different readers of such files understand the value differently.
    pub doubtful: bool,
}

/// A quote that is not closed: the number of its line, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unclosed(pub usize);

/// Reads a text. Blank lines and comments are left out.
pub fn lines(text: &str) -> Result<Vec<Line>, Unclosed> {
    let mut found = Vec::new();
    let mut from = if text.starts_with('\u{FEFF}') { '\u{FEFF}'.len_utf8() } else { 0 };
    let mut number = 1;
    while from < text.len() {
        let end = |at: usize| text[at..].find('\n').map_or(text.len(), |newline| at + newline);
        let mut last = end(from);
        let line = &text[from..last];
        let trimmed = line.trim();
        if !trimmed.is_empty() && !trimmed.starts_with('#') {
            let one = match line.split_once('=') {
                None => {
                    Line { name: None, value: String::new(), at: from..last, rest: last..last, number, doubtful: false }
                }
                Some((name, value)) => {
                    let name = name.trim();
                    let name = name.strip_prefix("export ").unwrap_or(name).trim();
                    let start = last - value.trim_start().len();
                    // A line of blanks only has its value at its end.
                    let start = start.min(last);
                    valued(text, start, last, name, number)?
                }
            };
            last = end(one.rest.end);
            found.push(one);
        }
        number += text[from..last].matches('\n').count() + 1;
        from = last + 1;
    }
    Ok(found)
}

/// The value that begins at `start` of a line that ends at `end`.
fn valued(text: &str, start: usize, end: usize, name: &str, number: usize) -> Result<Line, Unclosed> {
    let given = text[start..end].trim_end();
    let name = Some(name.to_owned());
    if let Some(quote @ ('\'' | '"' | '`')) = given.chars().next() {
        let (value, used) = quoted(&text[start + 1..], quote).ok_or(Unclosed(number))?;
        let close = start + 1 + used;
        let rest = text[close..].find('\n').map_or(text.len(), |newline| close + newline);
        return Ok(Line { name, value, at: start..close, rest: close..rest, number, doubtful: false });
    }
    let stop = given.find(" #").or(given.find("\t#")).unwrap_or(given.len());
    let value = if given.starts_with('#') { "" } else { given[..stop].trim_end() };
    let doubtful = value.contains('#');
    let close = start + value.len();
    Ok(Line { name, value: value.to_owned(), at: start..close, rest: close..end, number, doubtful })
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
