//! Requests of the words that copy databases: dump, scratch, restore, artefacts.

use serde::{Deserialize, Serialize};

use super::Request;

/// `pg::scratch`: a new database on a server. Answers its name, `SERVER:DATABASE`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PgScratch {
    /// The target on whose server it is made.
    pub server: String,
    /// Target whose encoding and locale it gets; the server's own without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub like: Option<String>,
    /// Targets that must lie on other servers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub apart: Vec<String>,
    /// Whether they may lie on the same one all the same.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub same_server: bool,
}

impl Request for PgScratch {
    const WORD: &'static str = "pg::scratch";
}

/// `pg::drop_scratch`: drops a database that this run made. Answers `{ dropped }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PgDropScratch {
    /// `SERVER:DATABASE`.
    pub made: String,
}

impl Request for PgDropScratch {
    const WORD: &'static str = "pg::drop_scratch";
}

/// `pg::sweep`: drops what finished runs left on a server. Answers `{ dropped, kept }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PgSweep {
    /// The target whose server is swept.
    pub server: String,
}

impl Request for PgSweep {
    const WORD: &'static str = "pg::sweep";
}

/// `pg::url`: the URL of a target, as a secret. Answers its handle.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PgUrl {
    /// The target.
    pub target: String,
}

impl Request for PgUrl {
    const WORD: &'static str = "pg::url";
}
