//! What the story of a run says: which closures ended and how, what people decided, whether it only goes back.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use crate::journal::entry::{Answer, Entry, Record, RunStarted, StepEnd};
use crate::model::Value;
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
    /// Only records of actions after this entry count.
    pub from: u64,
    /// The entry of its newest failure: what follows its last change before that is done anew.
    pub failed_at: Option<u64>,
    /// When each process began it or went on with it, and the entry with which the next process took the run.
    pub attempts: Vec<(DateTime<Utc>, Option<u64>)>,
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
    closures: BTreeMap<(String, Phase), Closure>,
    /// Newest answer a person gave to each action, with its entry.
    decisions: BTreeMap<ActionKey, (u64, Answer)>,
    /// `undo` or `abandon`, once the run only goes back.
    pub unwinding: Option<String>,
}

impl State {
    /// Reads the story of a run; `order` names its steps in order, for resets.
    pub fn of(story: &[Entry], order: &[String]) -> Option<Self> {
        let Record::RunStarted(started) = &story.first()?.record else { return None };
        let mut state = Self {
            started: (**started).clone(),
            closures: BTreeMap::new(),
            decisions: BTreeMap::new(),
            unwinding: None,
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
                closure.attempts.push((entry.at, None));
            }
            Record::RunResumed { .. } => {
                for closure in self.closures.values_mut().filter(|closure| !closure.ended_well()) {
                    if let Some((_, next @ None)) = closure.attempts.last_mut() {
                        *next = Some(entry.n);
                    }
                }
            }
            Record::StepEnded { step, phase, end, took_ms } => {
                let closure = self.closure_mut(step, *phase);
                if matches!(end, StepEnd::Failed { .. }) {
                    closure.failed_at = Some(entry.n);
                }
                closure.end = Some(end.clone());
                closure.took_ms = *took_ms;
            }
            Record::StepReset { step, .. } => {
                for later in order.iter().skip_while(|name| *name != step) {
                    for phase in [Phase::When, Phase::Perform] {
                        *self.closure_mut(later, phase) = Closure { from: entry.n, ..Closure::default() };
                    }
                }
            }
            Record::Decision { key, answer, .. } => {
                self.decisions.insert(key.clone(), (entry.n, answer.clone()));
            }
            Record::Unwinding { command, .. } => self.unwinding = Some(command.clone()),
            _ => {}
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
