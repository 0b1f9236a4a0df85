//! What the story of a run says: which closures ended and how, what people decided, whether it only goes back.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use crate::journal::entry::{Answer, Entry, Record, RunStarted, StepEnd};
use crate::model::Value;
use crate::model::digest;
use crate::model::fault::Fault;
use crate::model::ids::{ActionKey, Phase};
use crate::model::verdict::Check;

/// What is recorded of one closure of one step.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Closure {
    /// Whether it ever began, since it was last reset.
    pub started: bool,
    /// How it ended; a failed one may have been begun anew since.
    pub end: Option<StepEnd>,
    /// How long it took, in milliseconds, once ended.
    pub took_ms: u64,
    /// When a process began it, while that process works on it.
    began: Option<DateTime<Utc>>,
    /// Earlier work on it that did not end it: when it began, and the entry that was the last of it.
    pub stints: Vec<(DateTime<Utc>, u64)>,
    /// Only records of actions after this entry count.
    pub from: u64,
    /// What it answered before it was reset.
    pub earlier: Option<Value>,
    /// The entries at which it failed: what followed its last change before each is done anew.
    pub failures: Vec<u64>,
}

impl Closure {
    /// Whether it needs no further call.
    pub fn ended_well(&self) -> bool {
        matches!(self.end, Some(StepEnd::Done { .. } | StepEnd::Skipped))
    }
}

/// What the story of a run says.
#[derive(Clone, Debug)]
pub struct State {
    /// How it started.
    pub started: RunStarted,
    /// Digest of its first entry, which no other run has.
    pub stamp: String,
    closures: BTreeMap<(String, Phase), Closure>,
    /// Newest answer a person gave to each action, with its entry.
    decisions: BTreeMap<ActionKey, (u64, Answer)>,
    /// Secrets that it sealed, by name.
    pub sealed: BTreeMap<String, String>,
    /// `undo` or `abandon`, once the run only goes back.
    pub unwinding: Option<String>,
    /// The newest entry at which somebody said that the world was put back to an earlier state.
    pub restored_at: u64,
}

/// What tells a run from every other one, also from those of the same id in other projects: the digest of its first entry.
pub fn stamp(first: &Entry) -> String {
    digest::of_value(first)
}

/// What `run_resumed` gives as its command once the world was put back to an earlier state.
pub const WORLD_RESTORED: &str = "resume --world-restored";

impl State {
    /// Reads the story of a run; `order` names its steps in order, for resets.
    pub fn of(story: &[Entry], order: &[String]) -> Option<Self> {
        let Record::RunStarted(started) = &story.first()?.record else { return None };
        let mut state = Self {
            started: (**started).clone(),
            stamp: stamp(&story[0]),
            closures: BTreeMap::new(),
            decisions: BTreeMap::new(),
            sealed: BTreeMap::new(),
            unwinding: None,
            restored_at: 0,
        };
        for entry in story {
            state.apply(entry, order);
        }
        Some(state)
    }

    fn apply(&mut self, entry: &Entry, order: &[String]) {
        match &entry.record {
            Record::StepStarted { step, phase } => {
                let closure = self.closure_mut(step, *phase);
                closure.started = true;
                closure.began = Some(entry.at);
            }
            Record::RunEnded { .. } => self.put_down(entry.n),
            Record::RunResumed { command, .. } => {
                self.put_down(entry.n - 1);
                if command == WORLD_RESTORED {
                    self.restored_at = entry.n;
                }
            }
            Record::StepEnded { step, phase, end, took_ms } => {
                let closure = self.closure_mut(step, *phase);
                let began = closure.began.take();
                if matches!(end, StepEnd::Failed { .. }) {
                    closure.stints.extend(began.map(|began| (began, entry.n)));
                    closure.failures.push(entry.n);
                }
                closure.end = Some(end.clone());
                closure.took_ms = *took_ms;
            }
            Record::StepReset { step, .. } => {
                for later in order.iter().skip_while(|name| *name != step) {
                    for phase in [Phase::When, Phase::Perform] {
                        let closure = self.closure_mut(later, phase);
                        let earlier = match closure.end.take() {
                            Some(StepEnd::Done { output, .. }) => Some(output),
                            _ => closure.earlier.take(),
                        };
                        *closure = Closure { from: entry.n, earlier, ..Closure::default() };
                    }
                }
            }
            Record::Decision { key, answer, .. } => {
                self.decisions.insert(key.clone(), (entry.n, answer.clone()));
            }
            Record::Sealed { name, text } => {
                self.sealed.insert(name.clone(), text.clone());
            }
            Record::Unwinding { command, .. } => self.unwinding = Some(command.clone()),
            _ => {}
        }
    }

    /// Nobody works on the run after entry `last`.
    fn put_down(&mut self, last: u64) {
        for closure in self.closures.values_mut() {
            closure.stints.extend(closure.began.take().map(|began| (began, last)));
        }
    }

    fn closure_mut(&mut self, step: &str, phase: Phase) -> &mut Closure {
        self.closures.entry((step.to_owned(), phase)).or_default()
    }

    /// What is recorded of a closure.
    pub fn closure(&self, step: &str, phase: Phase) -> Closure {
        self.closures.get(&(step.to_owned(), phase)).cloned().unwrap_or_default()
    }

    /// The output of a step that is done.
    pub fn output(&self, step: &str) -> Option<Value> {
        match self.closures.get(&(step.to_owned(), Phase::Perform))?.end.as_ref()? {
            StepEnd::Done { output, .. } => Some(output.clone()),
            _ => None,
        }
    }

    /// How long a step took that ended well, in seconds.
    pub fn took(&self, step: &str) -> Option<f64> {
        let closure = self.closures.get(&(step.to_owned(), Phase::Perform))?;
        #[expect(clippy::cast_precision_loss, reason = "no step takes 2^53 milliseconds")]
        matches!(closure.end, Some(StepEnd::Done { .. })).then_some(closure.took_ms as f64 / 1000.0)
    }

    /// The answer a person gave to an action after entry `after`.
    pub fn decision(&self, key: &ActionKey, after: u64) -> Option<&Answer> {
        self.decisions.get(key).filter(|(n, _)| *n > after).map(|(_, answer)| answer)
    }

    /// The fault with which a closure ended, if that is how it stands.
    pub fn failure(&self, step: &str, phase: Phase) -> Option<Fault> {
        match self.closure(step, phase).end {
            Some(StepEnd::Failed { fault }) => Some(fault),
            _ => None,
        }
    }

    /// The checks of every step that is done.
    pub fn checks(&self) -> Vec<Check> {
        let mut checks = Vec::new();
        for closure in self.closures.values() {
            if let Some(StepEnd::Done { checks: recorded, .. }) = &closure.end {
                checks.extend(recorded.iter().cloned());
            }
        }
        checks
    }
}
