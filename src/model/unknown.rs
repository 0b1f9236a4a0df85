//! Values that a preview cannot know yet.
//!
//! Inside text an unknown is a handle, `U+F0002 step U+F0003`, so that interpolation keeps it; a value that is
//! unknown as a whole is text that consists of one handle and nothing else.

use super::Value;

/// Opens an unknown's handle.
pub const OPEN: char = '\u{F0002}';
/// Closes an unknown's handle.
pub const CLOSE: char = '\u{F0003}';

/// The handle of what is known after `step`.
pub fn handle(step: &str) -> String {
    format!("{OPEN}{step}{CLOSE}")
}

/// The step after which text is known, if it contains something unknown.
pub fn first(text: &str) -> Option<&str> {
    let (_, after) = text.split_once(OPEN)?;
    Some(after.split_once(CLOSE).map_or(after, |(step, _)| step))
}

/// The step after which a value is known, if anything in it is unknown.
pub fn first_in(value: &Value) -> Option<&str> {
    match value {
        Value::String(text) => first(text),
        Value::Array(items) => items.iter().find_map(first_in),
        Value::Object(map) => map.iter().find_map(|(key, item)| first(key).or_else(|| first_in(item))),
        _ => None,
    }
}

/// The step, if the whole value is one unknown.
pub fn whole(value: &Value) -> Option<&str> {
    let inner = value.as_str()?.strip_prefix(OPEN)?.strip_suffix(CLOSE)?;
    (!inner.contains(OPEN)).then_some(inner)
}

/// Unknowns shown to people: ``(known after `step`)``.
pub fn readable(text: &str) -> String {
    text.replace(OPEN, "(known after `").replace(CLOSE, "`)")
}
