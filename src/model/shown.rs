//! Text of strangers on a screen: names of branches, messages of services, rows. None of it may move a cursor, rename a
//! window, hide what follows or turn the direction of reading, wherever it is printed.

/// Characters that turn the direction of reading, so that a line says something else than it shows.
fn turns(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Text on one line: what would be obeyed rather than shown is written out.
pub fn in_a_line(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() || turns(c) {
            shown.extend(c.escape_unicode());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// Text of several lines, and of colours where those are allowed.
pub fn on_a_screen(text: &str, colors: bool) -> String {
    if !text.chars().any(|c| c.is_control() && c != '\n' || turns(c)) {
        return text.to_owned();
    }
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let taken = match style(rest) {
            Some(style) if colors => {
                shown.push_str(style);
                style.len()
            }
            _ if c == '\r' && rest.starts_with("\r\n") => c.len_utf8(),
            _ => {
                match c {
                    '\n' | '\t' => shown.push(c),
                    _ => shown.push_str(&in_a_line(c.encode_utf8(&mut [0; 4]))),
                }
                c.len_utf8()
            }
        };
        rest = &rest[taken..];
    }
    shown
}

/// A colour or weight at the beginning of a text, as our own messages have them; nothing that conceals.
fn style(text: &str) -> Option<&str> {
    let inside = text.strip_prefix("\u{1b}[")?;
    let end = inside.find(|c: char| !c.is_ascii_digit() && c != ';')?;
    let codes = &inside[..end];
    let colored = codes.contains("38;") || codes.contains("48;");
    let conceals = !colored && codes.split(';').any(|code| code == "8" || code == "08");
    (inside[end..].starts_with('m') && !conceals).then(|| &text[..end + 3])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_written_out() {
        let name = "pr\u{1b}[2J\u{1b}]0;t\u{7}\u{202e}txt\r\u{9b}1A";
        let shown = r"pr\u{1b}[2J\u{1b}]0;t\u{7}\u{202e}txt\u{d}\u{9b}1A";
        assert_eq!(on_a_screen(name, true), shown);
        assert_eq!(in_a_line(name), shown);
    }

    #[test]
    fn lines_stay_and_so_do_our_colours_where_they_are_allowed() {
        let text = "\u{1b}[1;31merror:\u{1b}[0m a\n\tb\r\nc \u{1b}[38;5;8mgrey\u{1b}[8mgone";
        assert_eq!(on_a_screen(text, true), "\u{1b}[1;31merror:\u{1b}[0m a\n\tb\nc \u{1b}[38;5;8mgrey\\u{1b}[8mgone");
        assert_eq!(on_a_screen("\u{1b}[1mfat", false), r"\u{1b}[1mfat");
    }
}
