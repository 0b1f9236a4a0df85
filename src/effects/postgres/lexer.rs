//! Just enough of SQL's lexical structure to see words and calls without being fooled by strings and comments.

use std::iter::Peekable;
use std::str::CharIndices;

/// What matters of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token {
    /// A word, lower-cased as the server does, or the text of a quoted name.
    Name {
        /// The text.
        text: String,
        /// Whether it stood in double quotes.
        quoted: bool,
    },
    /// Any other character outside of strings and comments.
    Mark(char),
}

/// Names and marks of a statement, without strings, comments and numbers.
pub fn tokens(sql: &str) -> Vec<Token> {
    let mut found = Vec::new();
    let mut chars = sql.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            _ if c.is_whitespace() => {}
            '-' if sql[at + 1..].starts_with('-') => while chars.next().is_some_and(|(_, c)| c != '\n' && c != '\r') {},
            '/' if sql[at + 1..].starts_with('*') => skip_comment(&mut chars),
            '\'' => {
                skip_string(&mut chars, false);
                found.push(Token::Mark('\''));
            }
            '"' => found.push(Token::Name { text: quoted(&mut chars), quoted: true }),
            '$' => match dollar_tag(&sql[at..]) {
                Some(tag) => {
                    let body = at + tag.len();
                    let end = sql[body..].find(tag).map_or(sql.len(), |length| body + length + tag.len());
                    while chars.next_if(|(next, _)| *next < end).is_some() {}
                    found.push(Token::Mark('\''));
                }
                None => while chars.next_if(|(_, c)| c.is_ascii_digit()).is_some() {},
            },
            _ if c.is_ascii_digit() => {
                while chars.next_if(|(_, c)| c.is_ascii_alphanumeric() || *c == '_').is_some() {}
            }
            _ if c.is_alphabetic() || c == '_' || !c.is_ascii() => {
                let mut text = c.to_string();
                while let Some((_, c)) =
                    chars.next_if(|(_, c)| c.is_alphanumeric() || "_$".contains(*c) || !c.is_ascii())
                {
                    text.push(c);
                }
                if text.eq_ignore_ascii_case("e") && chars.next_if(|(_, c)| *c == '\'').is_some() {
                    skip_string(&mut chars, true);
                    found.push(Token::Mark('\''));
                } else {
                    found.push(Token::Name { text: text.to_ascii_lowercase(), quoted: false });
                }
            }
            _ => found.push(Token::Mark(c)),
        }
    }
    found
}

/// The first word of a statement, lower-cased; empty if it begins otherwise. Opening parentheses are passed over.
pub fn first_word(sql: &str) -> String {
    match tokens(sql).into_iter().find(|token| *token != Token::Mark('(')) {
        Some(Token::Name { text, quoted: false }) => text,
        _ => String::new(),
    }
}

/// Names that stand before an opening parenthesis, with the schema before them or an empty one.
pub fn calls(sql: &str) -> Vec<(String, String)> {
    let tokens = tokens(sql);
    let name = |at: Option<usize>| match at.and_then(|at| tokens.get(at)) {
        Some(Token::Name { text, .. }) => Some(text.clone()),
        _ => None,
    };
    let called = |at: usize| {
        let function = name(at.checked_sub(1))?;
        let dotted = at >= 3 && tokens[at - 2] == Token::Mark('.');
        let schema = if dotted { name(Some(at - 3)).unwrap_or_default() } else { String::new() };
        Some((schema, function))
    };
    (0..tokens.len()).filter(|at| tokens[*at] == Token::Mark('(')).filter_map(called).collect()
}

type Chars<'a> = Peekable<CharIndices<'a>>;

fn skip_comment(chars: &mut Chars<'_>) {
    let mut depth = 0;
    let mut last = '/';
    for (_, c) in chars.by_ref() {
        match (last, c) {
            ('/', '*') => depth += 1,
            ('*', '/') => depth -= 1,
            _ => {
                last = c;
                continue;
            }
        }
        if depth == 0 {
            return;
        }
        last = ' ';
    }
}

fn skip_string(chars: &mut Chars<'_>, escapes: bool) {
    while let Some((_, c)) = chars.next() {
        match c {
            '\\' if escapes => {
                chars.next();
            }
            '\'' if chars.next_if(|(_, c)| *c == '\'').is_none() => return,
            _ => {}
        }
    }
}

fn quoted(chars: &mut Chars<'_>) -> String {
    let mut text = String::new();
    while let Some((_, c)) = chars.next() {
        if c == '"' && chars.next_if(|(_, c)| *c == '"').is_none() {
            break;
        }
        text.push(c);
    }
    text
}

/// `$$` or `$tag$` at the beginning of text.
fn dollar_tag(text: &str) -> Option<&str> {
    let end = text[1..].find('$')? + 1;
    let tag = &text[1..end];
    let named = !tag.starts_with(|c: char| c.is_ascii_digit())
        && tag.chars().all(|c| c.is_alphanumeric() || c == '_' || !c.is_ascii());
    named.then_some(&text[..=end])
}
