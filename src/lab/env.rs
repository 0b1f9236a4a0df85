//! The files that tell an application where its database is, which runbooks write and the lab reads.

use std::path::Path;

use crate::model::dotenv;

/// What a file says of a variable; the last one counts. `None` where there is no such file, or it says nothing.
pub fn variable(file: &Path, name: &str) -> Option<String> {
    let lines = dotenv::lines(&std::fs::read_to_string(file).ok()?).ok()?;
    lines.into_iter().rfind(|line| line.name.as_deref() == Some(name)).map(|line| line.value)
}
