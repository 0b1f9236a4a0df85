//! Lines that a person could type at a shell, with each secret as the variable that it could come from.

use crate::model::secret::{CLOSE, OPEN};

/// One word for a POSIX shell.
pub fn word(text: &str) -> String {
    let quoted = |part: &str| shlex::try_quote(part).map(std::borrow::Cow::into_owned).unwrap_or_default();
    let mut line = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(OPEN)
        && let Some((name, tail)) = after.split_once(CLOSE)
    {
        if !before.is_empty() {
            line.push_str(&quoted(before));
        }
        line.extend(["\"$", &variable(name), "\""]);
        rest = tail;
    }
    if !rest.is_empty() || line.is_empty() {
        line.push_str(&quoted(rest));
    }
    line
}

/// The variable that stands for a secret.
fn variable(name: &str) -> String {
    let letter = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    name.strip_prefix("env:").map_or_else(|| name.chars().map(letter).collect(), str::to_owned)
}
