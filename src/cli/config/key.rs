//! The key with which secrets are sealed in the journal: `RUNSHEET_KEY` is the key itself, `RUNSHEET_KEY_FILE` the path of its file.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::Config;
use super::error::ConfigError;
use crate::effects::sealing::Key;

/// The variable that holds a key.
pub const KEY: &str = "RUNSHEET_KEY";
/// The variable that says where a key lies.
pub const KEY_FILE: &str = "RUNSHEET_KEY_FILE";

/// Reads the key, if there is one.
pub fn read(config: &Config) -> Result<Option<Key>, ConfigError> {
    let set = |name: &str| config.variables.get(name).filter(|value| !value.trim().is_empty());
    match (set(KEY), set(KEY_FILE)) {
        (None, None) => Ok(None),
        (Some(_), Some(_)) => Err(ConfigError::key(format!("`{KEY}` and `{KEY_FILE}`"), "are both set")
            .hinted("unset one of them: two keys cannot both be meant")),
        (Some(text), None) => Key::read(text).map(Some).map_err(|why| {
            ConfigError::key(format!("`{KEY}`"), format!("is no key: {why}"))
                .hinted(format!("`runsheet key new` makes one; a path goes into {KEY_FILE}"))
        }),
        (None, Some(path)) => file(&config.project.join(path)).map(Some),
    }
}

fn file(path: &Path) -> Result<Key, ConfigError> {
    let broken =
        |why: String, hint: String| ConfigError::File { path: path.to_owned(), verb: "read", why, hint: Some(hint) };
    let text = std::fs::read_to_string(path).map_err(|error| {
        broken(error.to_string(), format!("{KEY_FILE} says so; put the key there, or say where it is"))
    })?;
    let mode = std::fs::metadata(path).map_err(|error| ConfigError::unreadable(path, &error))?.mode();
    if mode & 0o077 != 0 {
        let why = "other users of this machine can get at it, and it opens what the journal has sealed".into();
        return Err(broken(why, format!("`chmod 600 {}`", path.display())));
    }
    Key::read(&text).map_err(|why| broken(why, "`runsheet key new` makes a key file".into()))
}
