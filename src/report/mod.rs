//! What a run did, told from its journal alone, for somebody who was not there and does not know Runsheet.
//!
//! [`Report`] is plain data; [`markdown`] and [`text`] show it. A run of any length gives a short report: long lists show
//! their beginning and everything that did not go well, and say how many they are.

mod earlier;
mod gather;
mod markdown;
mod text;
mod wording;

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::journal::entry::{Actor, RunState};
use crate::journal::store::{Journal, JournalError};
use crate::model::Value;
use crate::model::identity::BranchIdentity;
use crate::model::ids::RunId;
use crate::model::param::ParamKind;
use crate::model::request::proving::TablePair;
use crate::model::verdict::{CheckVerdict, Verdict};

pub use earlier::EarlierLine;
pub use markdown::markdown;
pub use text::text;

/// What a run did.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Its id.
    pub run: RunId,
    /// Its state. `Running` when the journal holds no end: whether its process lives is not in the journal.
    pub state: RunState,
    /// Its verdict, once it has one.
    pub verdict: Option<Verdict>,
    /// Why it is not a pass, in one sentence.
    pub why: String,
    /// Name of the runbook.
    pub runbook: String,
    /// Its version.
    pub version: String,
    /// Digest of all its text.
    pub digest: String,
    /// Revision of the project's git checkout, with `+` behind it if it was dirty.
    pub git: Option<String>,
    /// Version of the program.
    pub program: String,
    /// Name of the environment.
    pub environment: Option<String>,
    /// Digest of the plan it was started from.
    pub plan: Option<String>,
    /// When it started.
    pub started_at: DateTime<Utc>,
    /// When it ended, if it did.
    pub ended_at: Option<DateTime<Utc>>,
    /// From start to end, or to its newest entry, in milliseconds.
    pub took_ms: u64,
    /// Who started it and who went on with it, in order.
    pub operators: Vec<Operator>,
    /// Its parameters.
    pub params: Vec<Param>,
    /// The databases it was started with.
    pub targets: Vec<TargetLine>,
    /// Its steps, in the order they began.
    pub steps: Vec<StepLine>,
    /// What was proved.
    pub checks: Listing<CheckLine>,
    /// How the checks came out, all of them.
    pub tally: Tally,
    /// Databases whose rows were compared, table by table.
    pub comparisons: Vec<ComparisonLine>,
    /// What checks of whole databases found, one line a table or object.
    pub findings: Listing<FindingLine>,
    /// What the runbook told in tables.
    pub tables: Vec<TableLine>,
    /// What was changed, one line an attempt.
    pub changes: Listing<ChangeLine>,
    /// Rows changed, all changes together.
    pub rows_changed: u64,
    /// Reads that were recorded.
    pub reads: u64,
    /// What people decided.
    pub decisions: Vec<DecisionLine>,
    /// Actions of which nobody knows whether they were done, or that had no outcome when the journal ends.
    pub doubts: Listing<DoubtLine>,
    /// Warnings and lines of the runbook's log.
    pub notes: Listing<NoteLine>,
    /// Earlier runs of the same runbook, newest first.
    pub earlier: Vec<EarlierLine>,
    /// Entries in the journal.
    pub entries: u64,
    /// Digest of the newest.
    pub head: String,
}

/// The part of a list that is shown, and how long the list is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Listing<T> {
    /// What is shown.
    pub shown: Vec<T>,
    /// How many there are.
    pub total: u64,
}

/// How many checks came out how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Proved.
    pub passed: u64,
    /// Disproved.
    pub failed: u64,
    /// Neither.
    pub unverified: u64,
}

/// A person who started a run or went on with it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Operator {
    /// When.
    pub at: DateTime<Utc>,
    /// `run`, `resume`, `undo`, `abandon`.
    pub command: String,
    /// Who and where.
    pub by: Actor,
}

/// A parameter.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Param {
    /// Its name.
    pub name: String,
    /// Its value; of a secret, `(secret name)`.
    pub value: Value,
    /// What it is.
    pub kind: Option<ParamKind>,
    /// Where a secret came from: `env:VAR`, `file:PATH`, `asked`.
    pub from: Option<String>,
    /// Keyed fingerprint of a secret.
    pub fingerprint: Option<String>,
}

/// A database as it was when the run started.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TargetLine {
    /// What the runbook calls it.
    pub name: String,
    /// What people call it.
    pub label: String,
    /// Name of the database.
    pub database: String,
    /// Host and port.
    pub address: String,
    /// System identifier of the server's data.
    pub system: String,
    /// The branch it lies on, where a provider has branches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub branch: Option<BranchIdentity>,
    /// OID of the database.
    pub database_oid: u32,
    /// Timeline of its history.
    pub timeline: u32,
}

/// One closure of a step.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StepLine {
    /// The step.
    pub step: String,
    /// `perform`, `undo`, `cleanup`, `when`.
    pub phase: String,
    /// `done`, `skipped`, `failed`, `started`.
    pub state: String,
    /// Why it failed.
    pub why: Option<String>,
    /// How long it took, in milliseconds, once it ended.
    pub took_ms: Option<u64>,
    /// Changes made in it, failed attempts included.
    pub changes: u64,
    /// Rows changed in it.
    pub rows: u64,
}

/// A check or a gate.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CheckLine {
    /// The step it stands in.
    pub step: String,
    /// What was checked.
    pub name: String,
    /// How it came out.
    pub verdict: CheckVerdict,
    /// The figures behind it.
    pub detail: String,
    /// Whether the run stops when it does not pass.
    pub gate: bool,
    /// Gaps tolerated by name.
    pub accepted: Vec<String>,
}

/// Rows of two databases, table by table.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ComparisonLine {
    /// The step it stands in.
    pub step: String,
    /// What was taken for right.
    pub left: String,
    /// What had to equal it.
    pub right: String,
    /// Rows on the left, all tables together.
    pub left_rows: u64,
    /// Rows on the right.
    pub right_rows: u64,
    /// The tables, worst first, then the biggest.
    pub tables: Listing<TablePair>,
}

impl ComparisonLine {
    /// What is above its table: `app and copy: 12 tables, 900 rows and 899 rows`.
    pub(super) fn heading(&self) -> String {
        format!(
            "{} and {}: {} tables, {} rows and {} rows",
            self.left, self.right, self.tables.total, self.left_rows, self.right_rows
        )
    }
}

/// One thing that a check of a whole database found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FindingLine {
    /// The check: `check::same_objects`.
    pub check: String,
    /// `differs`, `not compared`, `tolerated`.
    pub state: String,
    /// What it is about.
    pub name: String,
    /// What is wrong with it.
    pub what: String,
}

/// A table that the runbook told.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TableLine {
    /// The step it stands in.
    pub step: String,
    /// What it shows.
    pub title: String,
    /// Headings.
    pub columns: Vec<String>,
    /// A cell a column.
    pub rows: Listing<Vec<String>>,
}

/// One attempt to change something.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ChangeLine {
    /// When its outcome was written.
    pub at: DateTime<Utc>,
    /// The step, and the lane if there is one: `load`, `load[1/eu]`.
    pub place: String,
    /// What it was.
    pub title: String,
    /// Counted from 1.
    pub attempt: u32,
    /// `done`, `failed`, `unknown`.
    pub outcome: String,
    /// Why, when not done.
    pub why: Option<String>,
    /// Rows changed, where that means something.
    pub rows: Option<u64>,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

/// What a person decided.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DecisionLine {
    /// When.
    pub at: DateTime<Utc>,
    /// Who and where.
    pub by: Actor,
    /// On what.
    pub about: String,
    /// `approved`, `rejected`, `was done`, `was not done`.
    pub answer: String,
    /// Why, in that person's words.
    pub why: String,
}

/// An action without a known outcome.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DoubtLine {
    /// Where in the run, as `runsheet resolve` takes it.
    pub key: String,
    /// What it is.
    pub title: String,
    /// What is known of it.
    pub why: String,
}

/// A warning, or a line of the runbook's log.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NoteLine {
    /// When.
    pub at: DateTime<Utc>,
    /// What it says.
    pub text: String,
}

impl Report {
    /// The report of a run.
    ///
    /// # Errors
    /// When the run does not exist or its entries cannot be read; `runsheet audit verify` then says which.
    pub fn of(journal: &dyn Journal, run: &RunId) -> Result<Self, JournalError> {
        gather::gather(journal, run)
    }

    /// The command with which anyone checks that the log is what it was when this report was made.
    pub fn verify(&self) -> String {
        format!("runsheet audit verify {} --head {}", self.run, self.head)
    }
}

impl<T> Default for Listing<T> {
    fn default() -> Self {
        Self { shown: Vec::new(), total: 0 }
    }
}

impl<T> Listing<T> {
    /// Adds an item; it is shown while there is room, of which what matters has more.
    fn add(&mut self, item: T, matters: bool) {
        self.total += 1;
        let room = if matters { 400 } else { 200 };
        if self.shown.len() < room {
            self.shown.push(item);
        }
    }

    /// How many are not shown.
    pub fn hidden(&self) -> u64 {
        self.total - self.shown.len() as u64
    }
}
