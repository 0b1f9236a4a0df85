//! A measure as a file, closed to everyone else: names of tables and counts are nobody's business.

use std::path::Path;

use crate::effects::files;
use crate::model::digest;
use crate::model::fault::Fault;
use crate::model::measured::{FORMAT, Measured};

/// Writes a measure, whole or not at all; the folder is made when missing. Answers the SHA-256 of the file.
pub fn write(path: &Path, measured: &Measured) -> Result<String, Fault> {
    let failed = |error: &dyn std::fmt::Display| {
        Fault::fatal("measured.write", format!("{} cannot be written: {error}", path.display()))
    };
    let bytes = serde_json::to_vec(measured).map_err(|error| failed(&error))?;
    let made = path.parent().map_or(Ok(()), files::make_folder);
    made.and_then(|()| files::write_whole(path, &bytes)).map_err(|error| failed(&error))?;
    Ok(digest::of_bytes(&bytes))
}

/// Reads a measure whose file must have this SHA-256.
///
/// # Errors
/// When it is missing, was changed, or was written by a newer version.
pub fn read(path: &Path, expected: &str) -> Result<Measured, Fault> {
    let shown = path.display();
    let bytes = std::fs::read(path).map_err(|error| {
        Fault::fatal("measured.read", format!("{shown} cannot be read: {error}"))
            .hinted("what was measured lies beside the dump; measure again if it is gone")
    })?;
    if digest::of_bytes(&bytes) != expected {
        return Err(Fault::fatal(
            "measured.changed",
            format!("{shown} is not the file that was written: its digest differs"),
        )
        .hinted("measure again; nothing can be proved against a file that was changed"));
    }
    let unreadable = |why: String| Fault::fatal("measured.format", format!("{shown} cannot be understood: {why}"));
    let measured: Measured = serde_json::from_slice(&bytes).map_err(|error| unreadable(error.to_string()))?;
    if measured.format > FORMAT {
        return Err(unreadable(format!("its format is {}, this program knows {FORMAT}", measured.format))
            .hinted("it was written by a newer version; use that version"));
    }
    Ok(measured)
}
