//! What one lane recorded, action by action, read from the journal in pages.

use std::collections::VecDeque;

use crate::journal::entry::{Entry, Outcome, Record};
use crate::journal::store::{Journal, JournalError};
use crate::model::Value;
use crate::model::action::{Action, Recovery};
use crate::model::ids::{Phase, RunId};
use crate::model::request::Request as _;
use crate::model::request::{AskPerson, RandomPassword};

/// Word of the record that `flow::each` leaves in the lane that it divides.
pub const EACH: &str = "flow::each";

const PAGE: usize = 512;

/// Everything recorded of one action: its newest attempt counts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recorded {
    /// Its place in the lane.
    pub seq: u64,
    /// Attempts begun.
    pub attempts: u32,
    /// One line for people; empty if only `started` was written.
    pub title: String,
    /// Digest of what was asked; empty if only `started` was written.
    pub fingerprint: String,
    /// What the newest attempt held.
    pub holds: Option<Value>,
    /// The newest attempt's intent, as an action, and its proof.
    pub intent: Option<(Action, Value)>,
    /// The entry of that intent; 0 without one.
    pub intended_at: u64,
    /// The newest attempt's outcome.
    pub outcome: Option<Outcome>,
    /// Its newest entry.
    pub n: u64,
    /// Whether it changed something, divided the lane, or holds a person's answer: what came before it stays as it is.
    pub settles: bool,
}

impl Recorded {
    fn absorb(&mut self, entry: Entry) {
        self.n = entry.n;
        match entry.record {
            Record::Started { attempt, holds, .. } => {
                if attempt > self.attempts {
                    self.begin(attempt);
                }
                self.holds = Some(holds);
            }
            Record::Intent { attempt, word, title, fingerprint, request, class, writes, probe, proof, .. } => {
                if attempt > self.attempts {
                    self.begin(attempt);
                }
                self.title.clone_from(&title);
                self.fingerprint = fingerprint;
                let reads = Vec::new();
                let action = Action { word, request, title, class, reads, writes, probe, timeout: None, at: None };
                self.intent = Some((action, proof));
                self.intended_at = entry.n;
            }
            Record::Outcome { attempt, word, title, fingerprint, outcome, .. } => {
                if attempt > self.attempts {
                    self.begin(attempt);
                }
                self.settles = matches!(outcome, Outcome::Done { .. })
                    && (self.intent.is_some()
                        || [EACH, AskPerson::WORD, RandomPassword::WORD].contains(&word.as_str()));
                self.title = title;
                self.fingerprint = fingerprint;
                self.outcome = Some(outcome);
            }
            _ => {}
        }
    }

    fn begin(&mut self, attempt: u32) {
        self.attempts = attempt;
        self.holds = None;
        self.intent = None;
        self.intended_at = 0;
        self.outcome = None;
    }

    /// Whether a change was begun of which nothing further is known.
    pub fn in_doubt(&self) -> bool {
        match &self.outcome {
            Some(Outcome::Unknown { .. }) => true,
            Some(_) => false,
            None => self.intent.is_some() || self.holds.is_some(),
        }
    }

    /// The class to recover by.
    pub fn class(&self) -> Option<Recovery> {
        self.intent.as_ref().map(|(action, _)| action.class)
    }
}

/// One lane of one closure.
#[derive(Clone, Debug)]
pub struct Lane<'a> {
    /// The run.
    pub run: &'a RunId,
    /// The step.
    pub step: &'a str,
    /// The closure.
    pub phase: Phase,
    /// The lane's name.
    pub lane: &'a str,
}

/// What follows a lane's last change before a failure is done anew: records at or behind a place are left out if
/// they are older than that failure.
#[derive(Clone, Copy, Debug)]
struct Cut {
    place: u64,
    failed_at: u64,
}

/// Walks through a lane's records in order.
#[derive(Debug)]
pub struct Cursor {
    entries: VecDeque<Entry>,
    /// The newest entry fetched; the next page begins after it.
    after: u64,
    exhausted: bool,
    /// One for each failure of the closure.
    anew: Vec<Cut>,
    last_seq: u64,
}

impl Cursor {
    /// A cursor over the records after entry `from`. For each entry in `failures`, at which the closure ended with a
    /// failure, what followed the lane's last change before it is left out, so that it is read, checked or tried anew.
    pub fn open(journal: &dyn Journal, lane: &Lane<'_>, from: u64, failures: &[u64]) -> Result<Self, JournalError> {
        let plain = || Self { entries: VecDeque::new(), after: from, exhausted: false, anew: Vec::new(), last_seq: 0 };
        let anew = if failures.is_empty() { Vec::new() } else { plain().cuts(journal, lane, failures)? };
        Ok(Self { anew, ..plain() })
    }

    /// Where each failure sends the lane back to.
    fn cuts(mut self, journal: &dyn Journal, lane: &Lane<'_>, failures: &[u64]) -> Result<Vec<Cut>, JournalError> {
        let mut cuts = Vec::with_capacity(failures.len());
        let mut failures = failures.iter().copied().peekable();
        let stays = |recorded: &Recorded| recorded.settles || recorded.in_doubt();
        // The last settled action of those that cannot change any more, and the action being read.
        let mut settled = 0;
        let mut current: Option<Recorded> = None;
        loop {
            let entry = self.fetch(journal, lane)?;
            let n = entry.as_ref().map_or(u64::MAX, |entry| entry.n);
            while let Some(failed_at) = failures.next_if(|failed_at| *failed_at < n) {
                let last = current.as_ref().filter(|recorded| stays(recorded)).map_or(settled, |recorded| recorded.seq);
                cuts.push(Cut { place: last + 1, failed_at });
                current = current.filter(|recorded| recorded.seq <= last);
            }
            let Some(entry) = entry else { return Ok(cuts) };
            let seq = place(&entry);
            if let Some(before) = current.take_if(|recorded| recorded.seq != seq).filter(stays) {
                settled = before.seq;
            }
            current.get_or_insert_with(|| Recorded { seq, ..Recorded::default() }).absorb(entry);
        }
    }

    /// The next entry that counts.
    fn fetch(&mut self, journal: &dyn Journal, lane: &Lane<'_>) -> Result<Option<Entry>, JournalError> {
        loop {
            if self.entries.is_empty() && !self.exhausted {
                let page = journal.lane(lane.run, lane.step, lane.phase, lane.lane, self.after, PAGE)?;
                self.exhausted = page.len() < PAGE;
                if let Some(last) = page.last() {
                    self.after = last.n;
                }
                self.entries.extend(page);
            }
            let Some(entry) = self.entries.pop_front() else { return Ok(None) };
            let seq = place(&entry);
            if !self.anew.iter().any(|cut| seq >= cut.place && entry.n < cut.failed_at) {
                return Ok(Some(entry));
            }
        }
    }

    /// The next recorded action, or `None` at the end of what is recorded.
    pub fn next(&mut self, journal: &dyn Journal, lane: &Lane<'_>) -> Result<Option<Recorded>, JournalError> {
        let mut recorded: Option<Recorded> = None;
        while let Some(entry) = self.fetch(journal, lane)? {
            let seq = place(&entry);
            match &mut recorded {
                Some(known) if known.seq != seq => {
                    self.entries.push_front(entry);
                    break;
                }
                Some(known) => known.absorb(entry),
                None => {
                    if seq <= self.last_seq {
                        return Err(JournalError::Damaged {
                            place: format!("{} entry {}", lane.run, entry.n),
                            why: format!("action {seq} of step `{}` stands behind action {}", lane.step, self.last_seq),
                        });
                    }
                    self.last_seq = seq;
                    let mut begun = Recorded { seq, ..Recorded::default() };
                    begun.absorb(entry);
                    recorded = Some(begun);
                }
            }
        }
        Ok(recorded)
    }
}

/// The place in its lane of the action that an entry is about.
fn place(entry: &Entry) -> u64 {
    entry.record.key().map_or(0, |key| key.seq)
}
