//! A store that ends with its process: the same contract without a file, for tests of what stands above it.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};

use super::chain;
use super::entry::{Actor, Entry, Record, RunStarted};
use super::store::{Durability, Journal, JournalError, Lease, RawEntry, RunSummary};
use crate::model::ids::{Phase, RunId};

/// A journal in memory.
#[derive(Default)]
pub struct MemoryJournal {
    runs: Mutex<Vec<Run>>,
}

struct Run {
    id: RunId,
    epoch: u64,
    holder: Actor,
    entries: Vec<(Entry, RawEntry)>,
}

impl MemoryJournal {
    fn runs(&self) -> MutexGuard<'_, Vec<Run>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(&self, run: &RunId, work: impl FnOnce(&mut Run) -> Result<T, JournalError>) -> Result<T, JournalError> {
        let mut runs = self.runs();
        let found = runs.iter_mut().find(|known| known.id == *run);
        work(found.ok_or_else(|| JournalError::NoSuchRun(run.clone()))?)
    }
}

impl Run {
    fn head(&self) -> String {
        self.entries.last().map(|(_, sealed)| sealed.hash.clone()).unwrap_or_default()
    }

    fn push(&mut self, previous: String, record: Record, at: DateTime<Utc>) -> Result<String, JournalError> {
        let n = self.entries.len() as u64 + 1;
        let entry = Entry { run: self.id.clone(), n, at, previous, record };
        let sealed = chain::seal(&entry)?;
        let hash = sealed.hash.clone();
        self.entries.push((entry, sealed));
        Ok(hash)
    }

    fn select(&self, after: u64, limit: usize, wanted: impl Fn(&Record) -> bool) -> Vec<Entry> {
        let entries = self.entries.iter().map(|(entry, _)| entry);
        entries.filter(|entry| entry.n > after && wanted(&entry.record)).take(limit).cloned().collect()
    }

    fn newest(&self, wanted: impl Fn(&Record) -> bool) -> Option<Entry> {
        self.entries.iter().rev().map(|(entry, _)| entry).find(|entry| wanted(&entry.record)).cloned()
    }
}

impl Journal for MemoryJournal {
    fn create(&self, first: RunStarted, at: DateTime<Utc>) -> Result<Lease, JournalError> {
        let mut runs = self.runs();
        let number =
            runs.iter().filter(|run| run.id == RunId::new(&first.runbook, number_of(&run.id))).count() as u64 + 1;
        let previous = runs.last().map(Run::head).unwrap_or_default();
        let id = RunId::new(&first.runbook, number);
        let mut run = Run { id: id.clone(), epoch: 1, holder: first.by.clone(), entries: Vec::new() };
        run.push(previous, Record::RunStarted(Box::new(first)), at)?;
        runs.push(run);
        Ok(Lease { run: id, epoch: 1 })
    }

    fn take(&self, run: &RunId, by: Actor, command: &str, at: DateTime<Utc>) -> Result<Lease, JournalError> {
        self.with(run, |found| {
            found.epoch += 1;
            found.holder = by.clone();
            found.push(found.head(), Record::RunResumed { by, command: command.to_owned() }, at)?;
            Ok(Lease { run: run.clone(), epoch: found.epoch })
        })
    }

    fn append_all(
        &self,
        lease: &Lease,
        records: Vec<(DateTime<Utc>, Record)>,
        _: Durability,
    ) -> Result<String, JournalError> {
        self.with(&lease.run, |run| {
            if run.epoch != lease.epoch {
                return Err(JournalError::Fenced { run: run.id.clone(), by: run.holder.to_string() });
            }
            let before = run.entries.len();
            let pushed = records.into_iter().try_for_each(|(at, record)| run.push(run.head(), record, at).map(drop));
            pushed.inspect_err(|_| run.entries.truncate(before))?;
            Ok(run.head())
        })
    }

    fn sync(&self) -> Result<(), JournalError> {
        Ok(())
    }

    fn decide(&self, run: &RunId, record: Record, at: DateTime<Utc>) -> Result<String, JournalError> {
        self.with(run, |run| run.push(run.head(), record, at))
    }

    fn runs(&self) -> Result<Vec<RunSummary>, JournalError> {
        let ids: Vec<RunId> = self.runs().iter().map(|run| run.id.clone()).collect();
        ids.iter().map(|run| self.summary(run)).collect()
    }

    fn summary(&self, run: &RunId) -> Result<RunSummary, JournalError> {
        self.with(run, |run| {
            let damaged = || JournalError::Damaged { place: format!("run {}", run.id), why: "it is empty".into() };
            let first = run.entries.first().map(|(entry, _)| entry.clone()).ok_or_else(damaged)?;
            let last_at = run.entries.last().map(|(entry, _)| entry.at).ok_or_else(damaged)?;
            let taken = run.newest(|record| matches!(record, Record::RunResumed { .. }));
            chain::summarise(first, taken, run.newest(chain::is_of_life), last_at, run.head())
        })
    }

    fn story(&self, run: &RunId) -> Result<Vec<Entry>, JournalError> {
        self.with(run, |run| Ok(run.select(0, usize::MAX, |record| !record.is_of_action())))
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
        self.with(run, |run| {
            Ok(run.select(after, limit, |record| {
                record.is_of_action()
                    && record.key().is_some_and(|key| key.step == step && key.phase == phase && key.lane == lane)
            }))
        })
    }

    fn lanes(
        &self,
        run: &RunId,
        step: &str,
        phase: Phase,
        prefix: &str,
        after: u64,
    ) -> Result<Vec<String>, JournalError> {
        let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
        let below =
            |lane: &str| prefix.is_empty() || lane.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('/'));
        self.with(run, |run| {
            let found: BTreeSet<String> = run
                .select(after, usize::MAX, Record::is_of_action)
                .into_iter()
                .filter_map(|entry| entry.record.key().cloned())
                .filter(|key| key.step == step && key.phase == phase && below(&key.lane))
                .map(|key| key.lane)
                .collect();
            Ok(found.into_iter().collect())
        })
    }

    fn raw(&self, run: &RunId, after: u64, limit: usize) -> Result<Vec<RawEntry>, JournalError> {
        self.with(run, |run| {
            let sealed = run.entries.iter().map(|(_, sealed)| sealed);
            Ok(sealed.filter(|entry| entry.n > after).take(limit).cloned().collect())
        })
    }
}

/// The number at the end of a run's id.
fn number_of(run: &RunId) -> u64 {
    run.as_str().rsplit_once('-').and_then(|(_, number)| number.parse().ok()).unwrap_or(0)
}
