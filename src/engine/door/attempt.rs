//! One action performed, as often as its class and its faults allow, each attempt written down.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use super::execute::ExecuteDoor;
use super::ledger::DoorLedger;
use crate::effects::{Done, Doubt};
use crate::engine::cancel::Urgency;
use crate::engine::replay::Recorded;
use crate::journal::entry::{Outcome, Record};
use crate::journal::store::Durability;
use crate::model::Value;
use crate::model::action::{Action, Recovery, Resource};
use crate::model::clock::backoff;
use crate::model::event::Event;
use crate::model::fault::{Fault, FaultClass, Halt, Stop};
use crate::model::ids::{ActionKey, Phase};
use crate::model::request::{AskPerson, Request};

/// An action that took longer than this has its outcome made durable at once: redoing it would cost more than the sync.
pub(super) const LONG: Duration = Duration::from_secs(1);
/// The longest wait between two attempts.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

impl ExecuteDoor {
    /// Appends an outcome.
    pub(super) fn record(
        &self,
        key: &ActionKey,
        attempt: u32,
        action: &Action,
        outcome: Outcome,
        took: Duration,
        rows: Option<u64>,
    ) -> Result<(), Halt> {
        let durability = if action.class == Recovery::Ask || action.word == AskPerson::WORD || took > LONG {
            Durability::Synced
        } else {
            Durability::Unsynced
        };
        let request = if action.class == Recovery::Read { action.request.clone() } else { Value::Null };
        let record = Record::Outcome {
            key: key.clone(),
            attempt,
            word: action.word.clone(),
            title: action.title.clone(),
            fingerprint: action.fingerprint(),
            request,
            outcome,
            took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            rows,
        };
        self.closure.run.append(record, durability).map(drop)
    }

    /// Performs an action that has no answer yet, beginning with attempt `first`.
    pub(super) fn attempt(&self, key: &ActionKey, action: &Action, first: u32) -> Result<Value, Stop> {
        let policy = self.closure.spec.retry;
        let run = &self.closure.run;
        run.append_pending()?;
        let mut attempt = first;
        loop {
            if action.class != Recovery::Read {
                self.before_change(action)?;
            }
            let begun = Instant::now();
            let (done, doubt) = self.once(key, attempt, action)?;
            let fault = match done {
                Ok(done) => {
                    let value = done.value.clone();
                    let outcome = Outcome::Done { value: done.value };
                    self.record(key, attempt, action, outcome, begun.elapsed(), done.rows)?;
                    return Ok(value);
                }
                Err(fault) => fault,
            };
            let fault = if fault.class == FaultClass::Unknown && action.class != Recovery::Read {
                match self.settle_now(key, attempt, action, fault, &doubt)? {
                    Ok(value) => return Ok(value),
                    Err(fault) => fault,
                }
            } else {
                fault
            };
            let tries = attempt - first + 1;
            let again =
                fault.class == FaultClass::Retryable && action.class != Recovery::Ask && tries < policy.attempts;
            if !again || action.class != Recovery::Read {
                self.record(key, attempt, action, Outcome::Failed { fault: fault.clone() }, begun.elapsed(), None)?;
            }
            if !again {
                return Err(fault.into());
            }
            let wait = backoff(Duration::from_secs_f64(policy.wait), LONGEST_WAIT, tries);
            run.engine.event(Event::Retrying { title: action.title.clone(), fault, wait: wait.as_secs_f64() });
            run.engine.pause(Urgency::Soft, wait)?;
            attempt += 1;
        }
    }

    /// One attempt, within the step's time. A signal ends a read at once, and a change only when it is pressed twice.
    fn once(&self, key: &ActionKey, attempt: u32, action: &Action) -> Result<(Result<Done, Fault>, Doubt), Halt> {
        let run = &self.closure.run;
        let ticket = run.ticket(key, attempt);
        let ledger = DoorLedger::new(self, key, attempt, action);
        let urgency = if action.class == Recovery::Read { Urgency::Soft } else { Urgency::Hard };
        let effect = run.engine.effects.perform(action, &ticket, &ledger);
        let deadline = self.closure.deadline;
        let done = run.engine.wait(urgency, async {
            match deadline {
                None => effect.await,
                Some(deadline) => match tokio::time::timeout_at(deadline.into(), effect).await {
                    Ok(done) => done,
                    Err(_) => Err(Fault::unknown("step.timeout", "the step's time was up while this was at work")),
                },
            }
        })?;
        let written = ledger.written.into_inner().unwrap_or_else(PoisonError::into_inner);
        match written.refused {
            Some(halt) => Err(halt),
            None => Ok((done, written.doubt)),
        }
    }

    /// What must hold before any change: nobody else works on the database, and every hold is unbroken.
    pub(super) fn before_change(&self, action: &Action) -> Result<(), Stop> {
        let run = &self.closure.run;
        for target in action.writes.iter().filter_map(Resource::target) {
            run.locks.prove(run, target)?;
        }
        if self.closure.phase == Phase::Perform {
            super::probe::prove_holds(run, &self.closure.spec.name)?;
        }
        Ok(())
    }

    /// Whether a recorded failure is one between two attempts, whose next attempt never began.
    pub(super) fn left_behind(&self, recorded: &Recorded, fault: &Fault) -> bool {
        fault.class == FaultClass::Retryable
            && recorded.class().is_some_and(|class| class != Recovery::Ask)
            && recorded.attempts < self.closure.spec.retry.attempts
    }
}
