//! Requests of the words that copy databases: dump, scratch, restore, artefacts.

use std::collections::BTreeMap;

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
    /// Whether it is to outlive the run.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keep: bool,
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
    /// Whether the URL that may be pooled is meant, instead of the direct one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub pooled: bool,
    /// Another database of the same server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// Parameters behind the question mark, set or, without a value, removed.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, Option<String>>,
}

impl Request for PgUrl {
    const WORD: &'static str = "pg::url";
}

/// `pg::address`: the parts of a target's URL. Answers `{ host, port, database, user, password, ssl_mode, ca_cert }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PgAddress {
    /// The target.
    pub target: String,
    /// Whether the URL that may be pooled is meant, instead of the direct one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub pooled: bool,
    /// Another database of the same server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
}

impl Request for PgAddress {
    const WORD: &'static str = "pg::address";
}

/// `pg::dump`: a dump in directory format on an exported snapshot. Answers where it lies and what it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PgDump {
    /// The target.
    pub target: String,
    /// Tables dumped at once.
    pub jobs: u64,
    /// Whether rows are counted and hashed at the dump's own snapshot.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub count: bool,
    /// `auto`, `none`, or a method with its level: `gzip:1`, `zstd`, `lz4`.
    pub compress: String,
}

impl Request for PgDump {
    const WORD: &'static str = "pg::dump";
}

/// What tells an archive from another one, and a whole one from a damaged one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Seal {
    /// SHA-256 of a file; of a folder, over its files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Digest over names and sizes of a folder's files and over its table of contents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<String>,
}

/// `pg::restore`: an archive into a database that the run made. Answers `{ database, tables, warnings, tool }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PgRestore {
    /// `SERVER:DATABASE`.
    pub database: String,
    /// File, or folder in directory format.
    pub archive: String,
    /// What it must still be.
    pub seal: Seal,
    /// Tables and indexes restored at once.
    pub jobs: u64,
    /// Event triggers that may be left out where the role may not make any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accept: Vec<String>,
    /// Whether tables are analyzed; those of a claimed target are without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub analyze: Option<bool>,
}

impl Request for PgRestore {
    const WORD: &'static str = "pg::restore";
}

/// `pg::copy_schema`: everything of a database but its rows. Answers `{ database, objects, warnings, left_out, tool }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PgCopySchema {
    /// The target it is read from.
    pub source: String,
    /// The target that it goes to, made or claimed by the run.
    pub target: String,
    /// Indexes made at once.
    pub jobs: u64,
    /// Event triggers that may be left out where the role may not make any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accept: Vec<String>,
}

impl Request for PgCopySchema {
    const WORD: &'static str = "pg::copy_schema";
}

/// `pg::analyze`: what the planner knows of every table, anew. Answers `{ tables }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PgAnalyze {
    /// The target.
    pub target: String,
    /// Tables at once.
    pub jobs: u64,
}

impl Request for PgAnalyze {
    const WORD: &'static str = "pg::analyze";
}

/// `pg::artefact`: what a dump that somebody made is. Answers like `pg::dump`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PgArtefact {
    /// A dump, or a folder of dumps of which the newest is meant; relative to the project.
    pub path: String,
    /// Whether it may hold no table.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub may_be_empty: bool,
}

impl Request for PgArtefact {
    const WORD: &'static str = "pg::artefact";
}

/// `pg::sabotage`: a copy of a dump with one row less. Answers like `pg::dump`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PgSabotage {
    /// What `pg::dump` or `pg::artefact` answered.
    pub dump: crate::model::Value,
}

impl Request for PgSabotage {
    const WORD: &'static str = "pg::sabotage";
}

/// `pg::drop_dump`: removes a dump that this run made. Answers `{ dropped }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PgDropDump {
    /// Its folder.
    pub path: String,
}

impl Request for PgDropDump {
    const WORD: &'static str = "pg::drop_dump";
}
