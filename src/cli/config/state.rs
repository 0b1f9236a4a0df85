//! The state folder: where the journal lies, closed to everyone else, invisible to git.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use super::error::ConfigError;
use crate::model::clock::Clock;
use crate::model::digest;

/// Bytes of the key that fingerprints of secrets are made with.
const KEY_LENGTH: usize = 32;

/// Makes the state folder if there is none, and answers the key for fingerprints (32 bytes).
pub fn open(state: &Path, clock: &dyn Clock) -> Result<Vec<u8>, ConfigError> {
    let failed = |path: &Path, error: &std::io::Error| ConfigError::File {
        path: path.to_owned(),
        verb: "written",
        why: error.to_string(),
        hint: Some("the state folder must be writable; `--state DIR` moves it".into()),
    };
    DirBuilder::new().recursive(true).mode(0o700).create(state).map_err(|error| failed(state, &error))?;
    let folder = std::fs::metadata(state).map_err(|error| ConfigError::unreadable(state, &error))?;
    if folder.mode() & 0o077 != 0 {
        return Err(exposed(state, "700"));
    }
    let ignore = state.join(".gitignore");
    if !ignore.exists() {
        std::fs::write(&ignore, "*\n").map_err(|error| failed(&ignore, &error))?;
    }
    let path = state.join("key");
    if !path.exists() {
        // Linked into place when complete, so that two processes starting at once agree on one key.
        let mut bytes = [0u8; KEY_LENGTH];
        let mut name = [0u8; 8];
        clock.random(&mut bytes);
        clock.random(&mut name);
        let draft = state.join(format!("key.{}", digest::hex(&name)));
        let written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft).and_then(|mut file| {
            file.write_all(&bytes)?;
            file.sync_all()?;
            std::fs::hard_link(&draft, &path).or_else(|error| match error.kind() {
                ErrorKind::AlreadyExists => Ok(()),
                _ => Err(error),
            })
        });
        let _ = std::fs::remove_file(&draft);
        written.map_err(|error| failed(&path, &error))?;
    }
    let key = std::fs::read(&path).map_err(|error| ConfigError::unreadable(&path, &error))?;
    let mode = std::fs::metadata(&path).map_err(|error| ConfigError::unreadable(&path, &error))?.mode();
    if mode & 0o077 != 0 {
        return Err(exposed(&path, "600"));
    }
    if key.len() != KEY_LENGTH {
        return Err(ConfigError::File {
            path,
            verb: "read",
            why: format!("it must be {KEY_LENGTH} bytes long, and is {}", key.len()),
            hint: Some("restore it from a backup; without it, fingerprints of earlier runs cannot be compared".into()),
        });
    }
    Ok(key)
}

fn exposed(path: &Path, mode: &str) -> ConfigError {
    ConfigError::File {
        path: path.to_owned(),
        verb: "read",
        why: "other users of this machine can get at it".into(),
        hint: Some(format!("`chmod {mode} {}`", path.display())),
    }
}
