//! The requests of the core words: what stands in [`crate::model::action::Action::request`].
//!
//! Vocabulary builds them, effects read them; `WORD` ties the two together.

pub mod control;
pub mod copying;
pub mod files;
pub mod freeze;
pub mod github;
pub mod http;
pub mod logical;
pub mod login;
pub mod needed;
pub mod neon;
pub mod pgbouncer;
pub mod proving;
pub mod recovery;
pub mod scan;
pub mod secrets;
pub mod table;

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::model::Value;
use crate::model::action::Action;
use crate::model::fault::Fault;
use crate::model::verdict::CheckVerdict;

/// A request that a word puts into an action.
pub trait Request: Serialize + DeserializeOwned {
    /// The word, as authors write it.
    const WORD: &'static str;

    /// The request inside an action of this word.
    fn of(action: &Action) -> Result<Self, Fault> {
        serde_json::from_value(action.request.clone()).map_err(|error| {
            Fault::fatal("action.shape", format!("the request of `{}` cannot be read: {error}", action.word))
        })
    }
}

/// How many rows a statement must touch: `1..=1`, `1..=500`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowContract {
    /// At least.
    pub least: u64,
    /// At most.
    pub most: u64,
}

impl RowContract {
    /// Whether `rows` keeps the contract.
    pub fn allows(&self, rows: u64) -> bool {
        (self.least..=self.most).contains(&rows)
    }
}

impl std::fmt::Display for RowContract {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.least == self.most { write!(f, "{}", self.least) } else { write!(f, "{}..{}", self.least, self.most) }
    }
}

/// `sql::query`: one statement, its rows as maps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SqlQuery {
    /// Name of the target.
    pub target: String,
    /// Rendered SQL.
    pub sql: String,
    /// Whether exactly one row with one column is wanted, and that value is the answer (`sql::value`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub single: bool,
    /// Why text was let through that is neither a literal nor a template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw: Option<String>,
    /// Whether it goes by the URL that may be pooled.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub pooled: bool,
}

impl Request for SqlQuery {
    const WORD: &'static str = "sql::query";
}

/// `sql::exec`: statements in one transaction, exactly once. Answers `{ rows, returned }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SqlExec {
    /// Name of the target.
    pub target: String,
    /// Rendered SQL, one statement an element.
    pub statements: Vec<String>,
    /// Row contract a statement; empty where none was given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rows: Vec<RowContract>,
    /// Why text was let through that is neither a literal nor a template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw: Option<String>,
}

impl Request for SqlExec {
    const WORD: &'static str = "sql::exec";
}

/// `sql::admin`: one statement outside a transaction. Answers `{ rows, returned }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SqlAdmin {
    /// Name of the target.
    pub target: String,
    /// Rendered SQL.
    pub sql: String,
    /// Why text was let through that is neither a literal nor a template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw: Option<String>,
}

impl Request for SqlAdmin {
    const WORD: &'static str = "sql::admin";
}

/// `command::run`: a child process. Answers `{ code, stdout, stderr }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CommandRun {
    /// Program and arguments; no shell reads them.
    pub run: Vec<String>,
    /// Working directory, relative to the project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
    /// Variables added to a minimal environment; values may be secrets.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Host to run it on, as `user@host` or `ssh://user@host:port`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssh: Option<String>,
    /// Exit codes that count as success; `[0]` when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ok: Vec<i64>,
}

impl Request for CommandRun {
    const WORD: &'static str = "command::run";
}

/// `check::…` and `gate::…`: a verdict to record. Answers whether it passed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecordCheck {
    /// What was checked.
    pub name: String,
    /// How it came out.
    pub verdict: CheckVerdict,
    /// The figures behind it.
    pub detail: String,
    /// Whether the run stops when it does not pass.
    pub gate: bool,
    /// Gaps tolerated by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accept: Vec<String>,
}

impl Request for RecordCheck {
    const WORD: &'static str = "check::record";
}

/// `flow::approve` and `flow::manual`: a person must act.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AskPerson {
    /// The question or the instruction.
    pub question: String,
    /// Whether it is work to be done by hand.
    pub manual: bool,
}

impl Request for AskPerson {
    const WORD: &'static str = "flow::approve";
}

/// Waiting between two looks of `flow::wait_until`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sleep {
    /// For how long.
    pub seconds: f64,
}

impl Request for Sleep {
    const WORD: &'static str = "flow::sleep";
}

/// `now()`: the time, journaled. Answers RFC 3339 text in UTC.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Now {}

impl Request for Now {
    const WORD: &'static str = "now";
}

/// `time::read()`: the time as a number of seconds since 1970, which a preview reads too.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ReadClock {}

impl Request for ReadClock {
    const WORD: &'static str = "time::read";
}

/// `time::told`: a time as people in several places read it. Answers text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TimeTold {
    /// RFC 3339.
    pub at: String,
}

impl Request for TimeTold {
    const WORD: &'static str = "time::told";
}

/// `random::password(n)`: a secret that the run makes. Answers its handle.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RandomPassword {
    /// Characters, from a URL-safe alphabet.
    pub length: u64,
}

impl Request for RandomPassword {
    const WORD: &'static str = "random::password";
}

/// `env("X")`: a variable, always a secret. Answers its handle.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EnvVar {
    /// Name of the variable.
    pub name: String,
}

impl Request for EnvVar {
    const WORD: &'static str = "env";
}

/// `log::info`: a line in the journal and at the terminal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogLine {
    /// The line.
    pub text: String,
}

impl Request for LogLine {
    const WORD: &'static str = "log::info";
}

/// What a change of rows came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Changed {
    /// Rows touched, all statements together.
    pub rows: u64,
    /// Rows of the last statement that returned any.
    pub returned: Vec<Value>,
}
