//! The hash chain: what the exact text of an entry is, and what its digest is computed over.
//!
//! The text is canonical JSON (keys sorted, no spaces) and contains the digest of the entry before it; its digest is
//! SHA-256 over those bytes. Anyone can recompute the chain with `sha256sum` and nothing of ours. A run's first entry
//! contains the digest that the project's newest run ended with at that moment, so that a deleted run shows.

use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::entry::{Entry, Record, RunState};
use super::one_pass;
use super::store::{JournalError, RawEntry, RunSummary};
use crate::model::digest;
use crate::model::ids::{ActionKey, RunId};

/// What a store keeps beside an entry's text to find it again. It follows from the text; the audit checks that it does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Index {
    /// The record's kind, as in the text.
    pub kind: String,
    /// The step it belongs to.
    pub step: Option<String>,
    /// The closure of that step.
    pub phase: Option<String>,
    /// The lane, of records of actions only: its absence is what tells the run's story apart.
    pub lane: Option<String>,
    /// The place in the lane, of records of actions only.
    pub seq: Option<u64>,
}

/// The part of an entry's text that holds the chain together. It can be read of entries whose kind is unknown.
#[derive(Clone, Debug, Deserialize)]
pub struct Link {
    /// The run it claims to belong to.
    pub run: RunId,
    /// The place it claims.
    pub n: u64,
    /// The digest it follows.
    pub previous: String,
    kind: String,
    step: Option<String>,
    phase: Option<String>,
    key: Option<ActionKey>,
}

impl Link {
    /// The link inside an entry's text.
    pub fn read(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }

    /// What a store must have kept beside the text.
    pub fn index(&self) -> Index {
        match &self.key {
            Some(key) if matches!(self.kind.as_str(), "started" | "intent" | "outcome") => Index {
                kind: self.kind.clone(),
                step: Some(key.step.clone()),
                phase: Some(key.phase.as_str().to_owned()),
                lane: Some(key.lane.clone()),
                seq: Some(key.seq),
            },
            Some(key) => Index {
                kind: self.kind.clone(),
                step: Some(key.step.clone()),
                phase: Some(key.phase.as_str().to_owned()),
                ..Index::default()
            },
            None => Index {
                kind: self.kind.clone(),
                step: self.step.clone(),
                phase: self.phase.clone(),
                ..Index::default()
            },
        }
    }
}

/// An entry as it is stored: its canonical text, the digest of it, and where a store files it.
pub fn seal(entry: &Entry) -> Result<RawEntry, JournalError> {
    let whole = serde_json::to_value(entry).map_err(|error| damaged(&entry.run, entry.n, &error))?;
    let link = Link::deserialize(&whole).map_err(|error| damaged(&entry.run, entry.n, &error))?;
    let text = digest::canonical_text(&whole);
    Ok(RawEntry { n: entry.n, hash: digest::of_bytes(text.as_bytes()), index: Some(link.index()), text })
}

/// An entry read back from its text.
pub fn open(run: &RunId, n: u64, text: &str) -> Result<Entry, JournalError> {
    match one_pass::read(text) {
        Some(entry) => Ok(entry),
        None => serde_json::from_str(text).map_err(|error| damaged(run, n, &error)),
    }
}

/// Text that is not an entry.
fn damaged(run: &RunId, n: u64, error: &serde_json::Error) -> JournalError {
    JournalError::Damaged { place: format!("run {run}, entry {n}"), why: format!("it cannot be read: {error}") }
}

/// Whether a record tells where the life of its run stands; the newest of them is the run's state.
pub fn is_of_life(record: &Record) -> bool {
    matches!(record, Record::RunStarted(_) | Record::RunResumed { .. } | Record::RunEnded { .. })
}

/// A run in one line, from its first entry, the entries in which a process took it up (newest last) and its newest entry
/// of life (see [`is_of_life`]).
pub fn summarise(
    first: Entry,
    taken: Option<Entry>,
    life: Option<Entry>,
    last_at: DateTime<Utc>,
    head: String,
) -> Result<RunSummary, JournalError> {
    let Record::RunStarted(started) = first.record else {
        let place = format!("run {}, entry 1", first.run);
        return Err(JournalError::Damaged { place, why: "a run's first entry must be `run_started`".into() });
    };
    let by = match taken.map(|entry| entry.record) {
        Some(Record::RunResumed { by, .. }) => by,
        _ => started.by.clone(),
    };
    let (state, verdict, why) = match life.map(|entry| entry.record) {
        Some(Record::RunEnded { state, verdict, why, .. }) => (state, Some(verdict), why),
        _ => (RunState::Running, None, String::new()),
    };
    Ok(RunSummary { run: first.run, started, started_at: first.at, last_at, by, state, verdict, why, head })
}
