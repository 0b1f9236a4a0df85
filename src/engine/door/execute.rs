//! The door of a real run: answers from the journal what is recorded, settles what is in doubt, performs the rest.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::lanes;
use crate::engine::cancel::Urgency;
use crate::engine::context::{Run, halt};
use crate::engine::replay::{Cursor, Lane, Recorded};
use crate::journal::entry::{Answer, Outcome};
use crate::model::Value;
use crate::model::action::{Action, Recovery};
use crate::model::declaration::StepSpec;
use crate::model::event::Event;
use crate::model::fault::{Fault, Halt, Stop};
use crate::model::host::{Host, LaneBody, Lanes};
use crate::model::ids::{ActionKey, Phase};
use crate::model::request::copying::{PgAddress, PgUrl};
use crate::model::request::login::PgLogin;
use crate::model::request::neon::{NeonResetPassword, NeonRevealPassword, NeonUrl};
use crate::model::request::{AskPerson, EnvVar, RandomPassword, RecordCheck, Request, Sleep};
use crate::model::verdict::{Check, CheckVerdict};

/// One closure being called, shared by its lanes.
pub struct Closure {
    /// The run.
    pub run: Arc<Run>,
    /// The step.
    pub spec: StepSpec,
    /// Which of its closures.
    pub phase: Phase,
    /// Only records after this entry count.
    pub from: u64,
    /// The entries at which it failed.
    pub failures: Vec<u64>,
    /// When its time is up.
    pub deadline: Option<Instant>,
    /// Checks recorded so far.
    pub checks: Mutex<Vec<Check>>,
}

/// The door of one lane.
pub struct ExecuteDoor {
    pub(super) closure: Arc<Closure>,
    pub(super) lane: String,
    place: Mutex<Place>,
    /// Set once a lane beside this one has stopped.
    pub(super) stopped: Option<Arc<AtomicBool>>,
}

struct Place {
    cursor: Cursor,
    seq: u64,
    /// Fetched from the cursor, not yet asked for.
    ahead: Option<Recorded>,
}

impl ExecuteDoor {
    /// The door of a lane; the empty name is the main lane.
    pub fn open(closure: &Arc<Closure>, lane: String, stopped: Option<Arc<AtomicBool>>) -> Result<Self, Halt> {
        let run = &closure.run;
        let place = Lane { run: &run.lease.run, step: &closure.spec.name, phase: closure.phase, lane: &lane };
        let cursor = Cursor::open(&*run.engine.journal, &place, closure.from, &closure.failures).map_err(halt)?;
        let place = Mutex::new(Place { cursor, seq: 0, ahead: None });
        Ok(Self { closure: Arc::clone(closure), lane, place, stopped })
    }

    /// Refuses to end a lane while records are left that were not asked for.
    pub fn close(&self) -> Result<(), Halt> {
        let mut place = self.place.lock().unwrap_or_else(PoisonError::into_inner);
        let left = match place.ahead.take() {
            Some(recorded) => Some(recorded),
            None => self.fetch(&mut place)?,
        };
        match left {
            None => Ok(()),
            Some(recorded) => Err(Halt::Mismatch {
                message: format!(
                    "step `{}` ended after {} actions, but the journal recorded one more: {}",
                    self.closure.spec.name,
                    recorded.seq - 1,
                    recorded.title
                ),
            }),
        }
    }

    fn fetch(&self, place: &mut Place) -> Result<Option<Recorded>, Halt> {
        let run = &self.closure.run;
        let lane =
            Lane { run: &run.lease.run, step: &self.closure.spec.name, phase: self.closure.phase, lane: &self.lane };
        place.cursor.next(&*run.engine.journal, &lane).map_err(halt)
    }

    /// Takes the next place in the lane and what is recorded there.
    pub(super) fn advance(&self) -> Result<(ActionKey, Option<Recorded>), Halt> {
        let mut place = self.place.lock().unwrap_or_else(PoisonError::into_inner);
        place.seq += 1;
        let seq = place.seq;
        let key =
            ActionKey { step: self.closure.spec.name.clone(), phase: self.closure.phase, lane: self.lane.clone(), seq };
        let next = match place.ahead.take() {
            Some(recorded) => Some(recorded),
            None => self.fetch(&mut place)?,
        };
        match next {
            Some(recorded) if recorded.seq == seq => Ok((key, Some(recorded))),
            later => {
                place.ahead = later;
                Ok((key, None))
            }
        }
    }

    fn check(&self, action: &Action) -> Result<Option<Check>, Fault> {
        if action.word != RecordCheck::WORD {
            return Ok(None);
        }
        let RecordCheck { name, verdict, detail, gate, accept } = RecordCheck::of(action)?;
        Ok(Some(Check { name, verdict, detail, gate, accepted: accept }))
    }

    /// What follows from an answer, whether it is new or from the journal.
    fn conclude(&self, check: Option<Check>, value: Value) -> Result<Value, Stop> {
        let Some(check) = check else { return Ok(value) };
        self.closure.checks.lock().unwrap_or_else(PoisonError::into_inner).push(check.clone());
        self.closure.run.engine.event(Event::Checked(check.clone()));
        if check.gate && !check.passable() {
            let unverified = check.verdict == CheckVerdict::CouldNotVerify;
            return Err(Halt::Gate { name: check.name, unverified }.into());
        }
        Ok(value)
    }

    fn fresh(&self, key: &ActionKey, action: &Action) -> Result<Value, Stop> {
        let run = &self.closure.run;
        if action.word == AskPerson::WORD {
            return self.ask_person(key, action);
        }
        if action.word == RecordCheck::WORD {
            let check = self.check(action)?;
            let passed = check.as_ref().is_some_and(|check| check.verdict == CheckVerdict::Pass);
            let outcome = Outcome::Done { value: Value::Bool(passed) };
            self.record(key, 1, action, outcome, Duration::ZERO, None)?;
            return Ok(Value::Bool(passed));
        }
        if action.word == Sleep::WORD {
            run.append_pending()?;
            run.sync()?;
        } else {
            run.engine.event(Event::ActionStarted { title: action.title.clone(), lane: self.lane.clone() });
        }
        self.attempt(key, action, 1)
    }

    fn ask_person(&self, key: &ActionKey, action: &Action) -> Result<Value, Stop> {
        let run = &self.closure.run;
        let AskPerson { question, manual } = AskPerson::of(action)?;
        let approved = match run.state.decision(key, self.closure.from) {
            Some(Answer::Approved) => Some(true),
            Some(Answer::Rejected) => Some(false),
            _ => run.engine.operator.ask(&question, manual),
        };
        let Some(approved) = approved else {
            if run.engine.cancel.asked() {
                return Err(Halt::Interrupted.into());
            }
            return Err(Halt::Waiting { key: key.clone(), question, manual }.into());
        };
        if approved {
            self.record(key, 1, action, Outcome::Done { value: Value::Bool(true) }, Duration::ZERO, None)?;
            return Ok(Value::Bool(true));
        }
        let fault = Fault::fatal("flow.rejected", format!("the answer to \"{question}\" was no"))
            .hinted("undo the run, or abandon it");
        self.record(key, 1, action, Outcome::Failed { fault: fault.clone() }, Duration::ZERO, None)?;
        Err(fault.into())
    }

    /// Brings back the secret behind a recorded handle.
    fn reopen(&self, key: &ActionKey, action: &Action, value: &Value) -> Result<(), Stop> {
        let reads = action.word.starts_with("http::") && action.class == Recovery::Read;
        if !reads && !SECRETS.contains(&action.word.as_str()) {
            return Ok(());
        }
        let run = &self.closure.run;
        let known = run.engine.effects.world().vault.open(&value.to_string()).is_ok() && action.word != PgLogin::WORD;
        if known || action.word == RandomPassword::WORD {
            return Ok(());
        }
        let ticket = run.ticket(key, 1);
        // A password that was set is looked up, and not set anew.
        let revealing = match action.word.as_str() {
            NeonResetPassword::WORD => {
                let NeonResetPassword { branch, role } = NeonResetPassword::of(action)?;
                let request = NeonRevealPassword { branch, role, fresh: true };
                Some(Action::read(NeonRevealPassword::WORD, &request, action.title.clone(), Vec::new()))
            }
            _ => None,
        };
        let action = revealing.as_ref().unwrap_or(action);
        run.engine.wait(Urgency::Soft, run.engine.effects.perform(action, &ticket, &super::probe::NoLedger))??;
        Ok(())
    }
}

/// Words that answer a secret's handle, or the name of a login, which this process has to learn anew.
const SECRETS: [&str; 8] = [
    EnvVar::WORD,
    PgLogin::WORD,
    PgAddress::WORD,
    RandomPassword::WORD,
    PgUrl::WORD,
    NeonUrl::WORD,
    NeonRevealPassword::WORD,
    NeonResetPassword::WORD,
];

impl Host for ExecuteDoor {
    fn perform(&self, action: Action) -> Result<Value, Stop> {
        let run = &self.closure.run;
        if run.engine.cancel.asked() || self.stopped.as_ref().is_some_and(|flag| flag.load(Ordering::Relaxed)) {
            return Err(Halt::Interrupted.into());
        }
        if self.closure.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Err(Fault::fatal("step.timeout", "the step's time is up").into());
        }
        run.refuse_strangers(&action)?;
        let (key, recorded) = self.advance()?;
        let check = self.check(&action)?;
        let Some(recorded) = recorded else {
            let value = self.fresh(&key, &action)?;
            return self.conclude(check, value);
        };
        let fingerprint = action.fingerprint();
        if !recorded.fingerprint.is_empty() && recorded.fingerprint != fingerprint {
            return Err(Halt::Mismatch {
                message: format!(
                    "the journal recorded `{}` as action {key}, and the runbook now asks for `{}`",
                    recorded.title, action.title
                ),
            }
            .into());
        }
        let value = match &recorded.outcome {
            Some(Outcome::Done { value }) => {
                self.reopen(&key, &action, value)?;
                value.clone()
            }
            Some(Outcome::Failed { fault }) => match self.left_behind(&recorded, fault) {
                true => self.attempt(&key, &action, recorded.attempts + 1)?,
                false => return Err(fault.clone().into()),
            },
            Some(Outcome::Unknown { .. }) | None => self.settle_recorded(&key, &action, &recorded)?,
        };
        self.conclude(check, value)
    }

    fn each(&self, lanes: &Lanes, body: &LaneBody<'_>) -> Result<Vec<Value>, Stop> {
        lanes::execute(self, lanes, body)
    }

    fn params(&self) -> &Value {
        &self.closure.run.state.started.params
    }

    fn done(&self, step: &str) -> Option<Value> {
        self.closure.run.output(step)
    }

    fn took(&self, step: &str) -> Option<Value> {
        self.closure.run.took(step).map(Value::from)
    }

    fn step(&self) -> &str {
        &self.closure.spec.name
    }

    fn previewing(&self) -> bool {
        false
    }
}
