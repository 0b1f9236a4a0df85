//! `.env` files, read strictly: a line that sets nothing is refused. Our own reader, since the crates for it substitute
//! variables from the process on their own and set them there.

use std::path::Path;

use super::error::ConfigError;
use crate::model::dotenv;

pub use crate::model::dotenv::is_name;

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
    let wrong = |line: usize, why: &str| ConfigError::Malformed {
        path: path.to_owned(),
        line,
        column: 1,
        why: why.to_owned(),
        hint: Some("a line reads `NAME=value`".into()),
    };
    let lines = dotenv::lines(text).map_err(|unclosed| wrong(unclosed.0, "a quote is not closed"))?;
    for line in lines {
        let name = line.name.ok_or_else(|| wrong(line.number, "there is no `=`"))?;
        if !is_name(&name) {
            return Err(wrong(line.number, "what stands before `=` is not a variable's name"));
        }
        let behind = text[line.rest].trim();
        if !(behind.is_empty() || behind.starts_with('#')) {
            return Err(wrong(line.number, "there is text behind the closing quote"));
        }
        if line.doubtful {
            parsed.doubtful.push(name.clone());
        }
        parsed.values.insert(name, line.value);
    }
    Ok(parsed)
}
