//! Requests of the words that keep a live copy of a database by logical replication, and prove it.
//!
//! `schema` is the control schema of the run that made the copy, after which everything is named. Without it that of this
//! run is meant, else the only one there is.

use serde::{Deserialize, Serialize};

use super::Request;
use crate::model::Value;

/// `logical::carries`: what logical replication can and cannot carry of a database. Answers lists of names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogicalCarries {
    /// The database.
    pub source: String,
}

impl Request for LogicalCarries {
    const WORD: &'static str = "logical::carries";
}

/// `logical::publish`: publication, slot and heartbeat on the source. Answers `{ publication, slot, tables, lsn }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogicalPublish {
    /// The database that is copied.
    pub source: String,
    /// The control schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// What is left out although nothing carries it, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<String>,
}

impl Request for LogicalPublish {
    const WORD: &'static str = "logical::publish";
}

/// `logical::subscribe`: the subscription on the target. Answers `{ subscription }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogicalSubscribe {
    /// The database that becomes the copy.
    pub target: String,
    /// The database that is copied.
    pub source: String,
    /// The control schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// Whether what is there already is copied first.
    pub copy: bool,
}

impl Request for LogicalSubscribe {
    const WORD: &'static str = "logical::subscribe";
}

/// `logical::progress`: how far the copy has come. Answers `{ ready, tables, lag_bytes, lag_seconds, slot, … }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogicalProgress {
    /// The copy.
    pub target: String,
    /// What is copied.
    pub source: String,
    /// The control schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// Whether the stream back is meant; it is found without, where there is only one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub back: bool,
}

impl Request for LogicalProgress {
    const WORD: &'static str = "logical::progress";
}

/// `logical::beat`: a heartbeat of the source. Answers `{ beat, lsn }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogicalBeat {
    /// The database that beats.
    pub source: String,
    /// The control schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// Whether the stream back is meant; it is found without, where there is only one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub back: bool,
}

impl Request for LogicalBeat {
    const WORD: &'static str = "logical::beat";
}

/// `logical::arrived`: whether a heartbeat has been applied. Answers true or false.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogicalArrived {
    /// The copy.
    pub target: String,
    /// The number of the heartbeat; in a preview perhaps what is known later.
    pub beat: Value,
    /// The control schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// Whether the stream back is meant; it is found without, where there is only one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub back: bool,
}

impl Request for LogicalArrived {
    const WORD: &'static str = "logical::arrived";
}

/// `logical::drain`: waits until everything written so far is applied. Answers `{ lsn, took }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogicalDrain {
    /// What is copied.
    pub source: String,
    /// The copy.
    pub target: String,
    /// The control schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// Whether the stream back is meant; it is found without, where there is only one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub back: bool,
    /// The longest it may take, in seconds.
    pub limit: f64,
}

impl Request for LogicalDrain {
    const WORD: &'static str = "logical::drain";
}

/// `logical::sequences`: sequences of the copy set ahead of those of the source. Answers `{ sequences, without_gap }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogicalSequences {
    /// What is copied.
    pub source: String,
    /// The copy.
    pub target: String,
    /// How far ahead.
    pub gap: u64,
}

impl Request for LogicalSequences {
    const WORD: &'static str = "logical::sequences";
}

/// `logical::stop`: the subscription disabled. Answers `{ stopped }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogicalStop {
    /// The copy.
    pub target: String,
    /// The control schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// Whether the stream back is meant; it is found without, where there is only one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub back: bool,
}

impl Request for LogicalStop {
    const WORD: &'static str = "logical::stop";
}

/// `logical::remove`: everything that a live copy made, on both sides. Answers `{ removed }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogicalRemove {
    /// The copy.
    pub target: String,
    /// What was copied.
    pub source: String,
    /// The control schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
}

impl Request for LogicalRemove {
    const WORD: &'static str = "logical::remove";
}

/// `logical::sweep`: what live copies of finished runs left in a database. Answers `{ removed, kept }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogicalSweep {
    /// The database.
    pub target: String,
}

impl Request for LogicalSweep {
    const WORD: &'static str = "logical::sweep";
}

/// `logical::watch`: a slot that remembers which rows change. Answers `{ slot, lsn, schema_digest }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogicalWatch {
    /// The database whose changes are read.
    pub source: String,
    /// The control schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// Whether the stream back is meant; it is found without, where there is only one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub back: bool,
}

impl Request for LogicalWatch {
    const WORD: &'static str = "logical::watch";
}

/// `logical::gather`: what it remembers is read so far. Answers `{ lsn, changed, tables }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogicalGather {
    /// The database whose changes are read.
    pub source: String,
    /// The control schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// Whether the stream back is meant; it is found without, where there is only one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub back: bool,
}

impl Request for LogicalGather {
    const WORD: &'static str = "logical::gather";
}

/// `logical::changed_since`: who wrote since. Answers `{ changes, tables, ddl }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogicalChangedSince {
    /// The database whose changes are read.
    pub source: String,
    /// The control schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// Whether the stream back is meant; it is found without, where there is only one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub back: bool,
    /// Behind which changes count; all that were watched without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lsn: Option<String>,
}

impl Request for LogicalChangedSince {
    const WORD: &'static str = "logical::changed_since";
}

/// `logical::compare`: both sides while somebody writes. Answers `{ equal, differing, left_out, rows, changed, lsn }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogicalCompare {
    /// What is copied.
    pub source: String,
    /// The copy.
    pub target: String,
    /// The control schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// Whether the stream back is meant; it is found without, where there is only one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub back: bool,
    /// Sessions on each side.
    pub connections: usize,
}

impl Request for LogicalCompare {
    const WORD: &'static str = "logical::compare";
}

/// `logical::compare_changed`: what changed meanwhile, while nobody writes. Answers as `logical::compare`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogicalCompareChanged {
    /// What is copied.
    pub source: String,
    /// The copy.
    pub target: String,
    /// The control schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// Whether the stream back is meant; it is found without, where there is only one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub back: bool,
    /// Whether all tables are counted too.
    pub counts: bool,
    /// The longest it may take, in seconds.
    pub limit: f64,
    /// Sessions on each side.
    pub connections: usize,
}

impl Request for LogicalCompareChanged {
    const WORD: &'static str = "logical::compare_changed";
}

/// `logical::reverse`: the old database follows the new one. Answers `{ publication, slot, subscription, lsn, took }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogicalReverse {
    /// The new database.
    pub target: String,
    /// The old one.
    pub source: String,
    /// The control schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// What is left out although nothing carries it, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<String>,
    /// Whether everything but the following is made, while the new database still follows the old one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub prepare: bool,
}

impl Request for LogicalReverse {
    const WORD: &'static str = "logical::reverse";
}

/// `logical::forward`: the new database follows the old one again. Answers `{ subscription }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogicalForward {
    /// The new database.
    pub target: String,
    /// The old one.
    pub source: String,
    /// The control schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
}

impl Request for LogicalForward {
    const WORD: &'static str = "logical::forward";
}

/// `logical::retire`: the forward stream ends for good, the way back stays. Answers `{ removed }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogicalRetire {
    /// The new database.
    pub target: String,
    /// The old one.
    pub source: String,
    /// The control schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
}

impl Request for LogicalRetire {
    const WORD: &'static str = "logical::retire";
}
