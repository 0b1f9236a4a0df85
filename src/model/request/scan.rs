//! `secret::scan`: everything that was written for this project, looked through for secrets.

use serde::{Deserialize, Serialize};

use super::Request;

/// `secret::scan`. Answers `{ files, bytes, found, unread }`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SecretScan {
    /// Files and folders besides the state folder, relative to the project.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<String>,
}

impl Request for SecretScan {
    const WORD: &'static str = "secret::scan";
}
