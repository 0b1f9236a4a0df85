//! Requests of the words that freeze the writes of a database, and let them go again.

use serde::{Deserialize, Serialize};

use super::Request;

/// `freeze::able`: whether the role of a target may freeze it. Answers `{ able, missing, notes }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FreezeAble {
    /// The target.
    pub source: String,
}

impl Request for FreezeAble {
    const WORD: &'static str = "freeze::able";
}

/// `freeze::guard`: a watchdog that releases everything by itself. Answers `{ deadline }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FreezeGuard {
    /// The target that is going to be frozen.
    pub source: String,
    /// The control schema; the run's own without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// Seconds from now on after which everything is released, unless it was committed.
    pub deadline: f64,
    /// The database at the pooler whose clients are let go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pooler: Option<String>,
    /// The command that starts the application again; empty for none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resume: Vec<String>,
    /// The host it runs on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssh: Option<String>,
}

impl Request for FreezeGuard {
    const WORD: &'static str = "freeze::guard";
}

/// `freeze::arm`: nobody but the run writes from now on. Answers `{ lsn, at, deadline, ended, roles }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FreezeArm {
    /// The guarded target.
    pub source: String,
    /// The control schema; the run's own without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// Application names whose sessions are not ended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<String>,
    /// Seconds that sessions may take to go.
    pub settle: f64,
}

impl Request for FreezeArm {
    const WORD: &'static str = "freeze::arm";
}

/// `freeze::holds`: whether the freeze is unbroken. Answers true, or in words why not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FreezeHolds {
    /// The target.
    pub source: String,
    /// The control schema; the run's own without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
}

impl Request for FreezeHolds {
    const WORD: &'static str = "freeze::holds";
}

/// `freeze::last`: how the newest freeze of a run stands. Answers `{ state, at, why, … }` or nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FreezeLast {
    /// The target.
    pub source: String,
    /// The control schema; the run's own without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
}

impl Request for FreezeLast {
    const WORD: &'static str = "freeze::last";
}

/// `freeze::prove`: a write that must fail. Answers `{ refused, said }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FreezeProve {
    /// The frozen target.
    pub source: String,
    /// The target through which it is tried, such as the application's own.
    #[serde(default, rename = "as", skip_serializing_if = "Option::is_none")]
    pub through: Option<String>,
}

impl Request for FreezeProve {
    const WORD: &'static str = "freeze::prove";
}

/// `freeze::commit`: the freeze is proved unbroken and released no more. Answers `{ at, lsn }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FreezeCommit {
    /// The target.
    pub source: String,
    /// The control schema; the run's own without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
}

impl Request for FreezeCommit {
    const WORD: &'static str = "freeze::commit";
}

/// `freeze::lift`: writes, the pooler's clients and the application go on. Answers `{ state, at, by }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FreezeLift {
    /// The target.
    pub source: String,
    /// The control schema; the run's own without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
}

impl Request for FreezeLift {
    const WORD: &'static str = "freeze::lift";
}

/// `freeze::open`: a side whose freeze was committed takes writes again. Answers `{ opened }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FreezeOpen {
    /// The target.
    pub source: String,
    /// The control schema; the run's own without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
}

impl Request for FreezeOpen {
    const WORD: &'static str = "freeze::open";
}
