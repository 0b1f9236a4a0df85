//! Requests of the words that make a schema for a run's own things in a database of source or target, and that say
//! whether everything else in that database is the run's too.

use serde::{Deserialize, Serialize};

use super::Request;

/// `pg::control`: the run's schema in a target. Answers `{ schema, empty, kept }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PgControl {
    /// The target.
    pub target: String,
    /// Whether nothing else may be in the database, so that all that comes into it is the run's.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub empty: bool,
    /// Extensions, schemas and event triggers that may be there all the same, and stay.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accept: Vec<String>,
}

impl Request for PgControl {
    const WORD: &'static str = "pg::control";
}

/// `pg::release`: what is in the database is no longer the run's. Answers `{ released }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PgRelease {
    /// The target.
    pub target: String,
}

impl Request for PgRelease {
    const WORD: &'static str = "pg::release";
}

/// `pg::drop_control`: drops the run's schema, and with it what came into a database that was empty. Answers
/// `{ dropped, objects }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PgDropControl {
    /// The target.
    pub target: String,
    /// Whether the database is emptied too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub contents: bool,
    /// The finished run whose schema it is; this one without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
}

impl Request for PgDropControl {
    const WORD: &'static str = "pg::drop_control";
}
