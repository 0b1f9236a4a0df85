//! What every store of the journal does; the same tests run on each.

use chrono::{DateTime, Utc};

use super::chain::Index;
use super::entry::{Actor, Entry, Record, RunStarted, RunState};
use crate::model::ids::{Phase, RunId};
use crate::model::verdict::Verdict;

/// Whether an entry must survive a power loss before the call returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// On disk, together with everything appended before it.
    Synced,
    /// Handed to the operating system: survives the death of this process, not of the machine.
    Unsynced,
}

/// Why the journal could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Another process has taken the run over.
    #[error("run {run} was taken over by {by}")]
    Fenced {
        /// The run.
        run: RunId,
        /// Who has it now.
        by: String,
    },
    /// There is no such run.
    #[error("there is no run `{0}`")]
    NoSuchRun(RunId),
    /// The journal was written by a program whose format this one does not know.
    #[error(
        "the journal has format {found}, and this program reads format {known}; it was written by runsheet {written_by}, which can read it"
    )]
    Format {
        /// Format found.
        found: u32,
        /// Format known.
        known: u32,
        /// Version of the program that wrote it.
        written_by: String,
    },
    /// What lies in the journal is not what this program writes.
    #[error("the journal is damaged at {place}: {why}")]
    Damaged {
        /// Run and entry.
        place: String,
        /// What is wrong.
        why: String,
    },
    /// The file system or SQLite refused.
    #[error("the journal at {path} cannot be used: {why}")]
    Storage {
        /// The file.
        path: String,
        /// Why: `disk full`, `permission denied` …
        why: String,
    },
}

/// The right to append to a run. Whoever takes the run over makes every earlier lease worthless.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The run.
    pub run: RunId,
    /// Grows by one with each process that goes on with the run.
    pub epoch: u64,
}

/// A run in one line.
#[derive(Clone, Debug, PartialEq)]
pub struct RunSummary {
    /// Its id.
    pub run: RunId,
    /// Its first entry.
    pub started: Box<RunStarted>,
    /// When it started.
    pub started_at: DateTime<Utc>,
    /// When its newest entry was written.
    pub last_at: DateTime<Utc>,
    /// Who went on with it last.
    pub by: Actor,
    /// State by its entries: a run whose process died is still `Running` here; whether its process lives is the lock's to say.
    pub state: RunState,
    /// Verdict of its newest `run_ended`, if it has one and no process has gone on since.
    pub verdict: Option<Verdict>,
    /// What that entry gave as the reason.
    pub why: String,
    /// Digest of its newest entry.
    pub head: String,
}

/// A store of runs. All calls block; each is atomic.
pub trait Journal: Send + Sync {
    /// Starts a run: chooses the next number of `first.runbook`, links to the head of the project's newest run, and makes it durable.
    fn create(&self, first: RunStarted, at: DateTime<Utc>) -> Result<Lease, JournalError>;

    /// Goes on with a run in a new process: every earlier lease is refused from now on. Appends `run_resumed`, durably.
    fn take(&self, run: &RunId, by: Actor, command: &str, at: DateTime<Utc>) -> Result<Lease, JournalError>;

    /// Appends one entry under a lease and answers its digest.
    fn append(
        &self,
        lease: &Lease,
        record: Record,
        at: DateTime<Utc>,
        durability: Durability,
    ) -> Result<String, JournalError> {
        self.append_all(lease, vec![(at, record)], durability)
    }

    /// Appends entries under a lease, all or none, and answers the digest of the last.
    fn append_all(
        &self,
        lease: &Lease,
        records: Vec<(DateTime<Utc>, Record)>,
        durability: Durability,
    ) -> Result<String, JournalError>;

    /// Makes everything appended so far survive a power loss.
    fn sync(&self) -> Result<(), JournalError>;

    /// Appends a decision of a person to a run without going on with it, durably.
    fn decide(&self, run: &RunId, record: Record, at: DateTime<Utc>) -> Result<String, JournalError>;

    /// All runs, oldest first.
    fn runs(&self) -> Result<Vec<RunSummary>, JournalError>;

    /// Ids of all runs, oldest first, even of those whose entries cannot be read.
    fn run_ids(&self) -> Result<Vec<RunId>, JournalError> {
        Ok(self.runs()?.into_iter().map(|summary| summary.run).collect())
    }

    /// Runs that are not finished by their entries, oldest first.
    fn unfinished(&self) -> Result<Vec<RunSummary>, JournalError> {
        Ok(self.runs()?.into_iter().filter(|summary| !summary.state.finished()).collect())
    }

    /// One run in one line.
    fn summary(&self, run: &RunId) -> Result<RunSummary, JournalError>;

    /// Entries of a run that are not records of actions (see [`Record::is_of_action`]), oldest first.
    fn story(&self, run: &RunId) -> Result<Vec<Entry>, JournalError>;

    /// Records of the actions of one lane, after entry `after`, oldest first, `limit` at most.
    fn lane(
        &self,
        run: &RunId,
        step: &str,
        phase: Phase,
        lane: &str,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Entry>, JournalError>;

    /// Names of the lanes below `prefix` (empty: all) of one closure that have entries after entry `after`.
    fn lanes(
        &self,
        run: &RunId,
        step: &str,
        phase: Phase,
        prefix: &str,
        after: u64,
    ) -> Result<Vec<String>, JournalError>;

    /// Entries of a run with their exact text and stored digest, after entry `after`, `limit` at most.
    fn raw(&self, run: &RunId, after: u64, limit: usize) -> Result<Vec<RawEntry>, JournalError>;
}

/// An entry as it is stored and exported: what the chain is computed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawEntry {
    /// Place in the run, as stored beside the text.
    pub n: u64,
    /// The entry's exact canonical text.
    pub text: String,
    /// Digest of the text, as stored.
    pub hash: String,
    /// What the store keeps beside the text to find it again; absent in an export.
    pub index: Option<Index>,
}
