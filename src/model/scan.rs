//! The check that outside data carries no handle characters.

use super::Value;
use super::fault::Fault;
use super::{secret, unknown};

/// Refuses text from outside that contains a handle character, naming where it came from.
pub fn refuse_handles(text: &str, origin: &str) -> Result<(), Fault> {
    if text.contains([secret::OPEN, secret::CLOSE, unknown::OPEN, unknown::CLOSE]) {
        return Err(Fault::fatal(
            "data.handle",
            format!("{origin} contains a character (U+F0000 to U+F0003) that Runsheet keeps for itself"),
        )
        .hinted(
            "these are private-use characters; remove them from the data, or select the columns that do not have them",
        ));
    }
    Ok(())
}

/// The same for every text inside a value, keys included.
pub fn refuse_handles_in(value: &Value, origin: &str) -> Result<(), Fault> {
    match value {
        Value::String(text) => refuse_handles(text, origin),
        Value::Array(items) => items.iter().try_for_each(|item| refuse_handles_in(item, origin)),
        Value::Object(map) => map.iter().try_for_each(|(key, item)| {
            refuse_handles(key, origin)?;
            refuse_handles_in(item, origin)
        }),
        _ => Ok(()),
    }
}
