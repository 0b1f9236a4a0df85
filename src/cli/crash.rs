//! Named places to die at, for the tests of what a kill leaves behind. Not part of a release build.
//!
//! `RUNSHEET_CRASH=before:N` or `after:N` kills this process with SIGKILL right before or after its Nth write to the
//! journal: after an intent is before its change, before an outcome is after it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{DateTime, Utc};

use crate::journal::entry::{Actor, Entry, Record, RunStarted};
use crate::journal::store::{Durability, Journal, JournalError, Lease, RawEntry, RunSummary};
use crate::model::environment::Environment;
use crate::model::ids::{Phase, RunId};

/// The journal itself, or one that dies where the environment says.
pub fn point(journal: Arc<dyn Journal>, environment: &Environment) -> Arc<dyn Journal> {
    let Some((when, number)) = environment.get("RUNSHEET_CRASH").and_then(|text| text.split_once(':')) else {
        return journal;
    };
    let Ok(number) = number.parse() else { return journal };
    Arc::new(Crashing { inner: journal, before: when == "before", at: number, writes: AtomicU64::new(0) })
}

struct Crashing {
    inner: Arc<dyn Journal>,
    before: bool,
    at: u64,
    writes: AtomicU64,
}

impl Crashing {
    fn around<T>(&self, write: impl FnOnce() -> T) -> T {
        let number = self.writes.fetch_add(1, Ordering::SeqCst) + 1;
        if self.before && number == self.at {
            die();
        }
        let written = write();
        if !self.before && number == self.at {
            die();
        }
        written
    }
}

fn die() {
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
}

impl Journal for Crashing {
    fn create(&self, first: RunStarted, at: DateTime<Utc>) -> Result<Lease, JournalError> {
        self.around(|| self.inner.create(first, at))
    }

    fn take(&self, run: &RunId, by: Actor, command: &str, at: DateTime<Utc>) -> Result<Lease, JournalError> {
        self.around(|| self.inner.take(run, by, command, at))
    }

    fn append_all(
        &self,
        lease: &Lease,
        records: Vec<(DateTime<Utc>, Record)>,
        durability: Durability,
    ) -> Result<String, JournalError> {
        self.around(|| self.inner.append_all(lease, records, durability))
    }

    fn sync(&self) -> Result<(), JournalError> {
        self.inner.sync()
    }

    fn decide(&self, run: &RunId, record: Record, at: DateTime<Utc>) -> Result<String, JournalError> {
        self.around(|| self.inner.decide(run, record, at))
    }

    fn runs(&self) -> Result<Vec<RunSummary>, JournalError> {
        self.inner.runs()
    }

    fn run_ids(&self) -> Result<Vec<RunId>, JournalError> {
        self.inner.run_ids()
    }

    fn summary(&self, run: &RunId) -> Result<RunSummary, JournalError> {
        self.inner.summary(run)
    }

    fn story(&self, run: &RunId) -> Result<Vec<Entry>, JournalError> {
        self.inner.story(run)
    }

    fn lane(
        &self,
        run: &RunId,
        step: &str,
        phase: Phase,
        lane: &str,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Entry>, JournalError> {
        self.inner.lane(run, step, phase, lane, after, limit)
    }

    fn lanes(
        &self,
        run: &RunId,
        step: &str,
        phase: Phase,
        prefix: &str,
        after: u64,
    ) -> Result<Vec<String>, JournalError> {
        self.inner.lanes(run, step, phase, prefix, after)
    }

    fn raw(&self, run: &RunId, after: u64, limit: usize) -> Result<Vec<RawEntry>, JournalError> {
        self.inner.raw(run, after, limit)
    }
}
