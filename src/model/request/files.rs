//! The requests of `files::…`: files that a run leaves for programs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Request;

/// `files::env`: an env file, whole or not at all, for its owner only.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FilesEnv {
    /// Where, relative to the project.
    pub path: String,
    /// Names and values; values may be secrets.
    pub variables: BTreeMap<String, String>,
    /// Whether what was there before is kept beside it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub previous: bool,
}

impl Request for FilesEnv {
    const WORD: &'static str = "files::env";
}

/// `files::remove`: removes a file that this very run wrote.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FilesRemove {
    /// Where, relative to the project.
    pub path: String,
}

impl Request for FilesRemove {
    const WORD: &'static str = "files::remove";
}

/// `files::variables`: variables inside an env file that others wrote.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FilesVariables {
    /// Where, relative to the project.
    pub path: String,
    /// Names and values; values may be secrets.
    pub variables: BTreeMap<String, String>,
    /// Host that it lies on, as `user@host` or `ssh://user@host:port`; this one without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssh: Option<String>,
    /// Whether what was there before is kept beside it.
    pub previous: bool,
}

impl Request for FilesVariables {
    const WORD: &'static str = "files::variables";
}

/// `files::has`: whether a file sets variables to these values. Answers a map of true and false.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FilesHas {
    /// Where, relative to the project.
    pub path: String,
    /// Host that it lies on; this one without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssh: Option<String>,
    /// Names and values; values may be secrets.
    pub variables: BTreeMap<String, String>,
}

impl Request for FilesHas {
    const WORD: &'static str = "files::has";
}
