//! Settling doubt: an intent is written, an outcome is not.

use std::time::{Duration, Instant};

use super::execute::ExecuteDoor;
use super::probe::{self, ProbeAnswer};
use crate::effects::{Done, Doubt, Resolution};
use crate::engine::cancel::Urgency;
use crate::engine::replay::Recorded;
use crate::journal::entry::{Answer, Outcome};
use crate::model::Value;
use crate::model::action::{Action, Recovery};
use crate::model::clock::backoff;
use crate::model::event::Event;
use crate::model::fault::{Fault, FaultClass, Halt, Stop};
use crate::model::ids::ActionKey;

/// How long a server that went away is waited for before the question is left to a person.
const PATIENCE: Duration = Duration::from_secs(30);

impl ExecuteDoor {
    /// Settles what the journal left in doubt, and performs the action if it was not done.
    pub(super) fn settle_recorded(&self, key: &ActionKey, action: &Action, recorded: &Recorded) -> Result<Value, Stop> {
        if let Some(answer) = self.closure.run.state.decision(key, recorded.n) {
            match answer {
                Answer::Done { output } => {
                    let value = output.clone();
                    let outcome = Outcome::Done { value: value.clone() };
                    self.record(key, recorded.attempts, action, outcome, Duration::ZERO, None)?;
                    return Ok(value);
                }
                Answer::NotDone | Answer::Approved => return self.attempt(key, action, recorded.attempts + 1),
                Answer::Rejected => return Err(Fault::fatal("flow.rejected", "the answer was no").into()),
            }
        }
        if matches!(recorded.outcome, Some(Outcome::Unknown { .. })) && recorded.class() == Some(Recovery::Ask) {
            let why = "nobody has said yet whether it was done".to_owned();
            return Err(Halt::InDoubt { key: key.clone(), action: action.title.clone(), why }.into());
        }
        let doubt =
            Doubt { holds: recorded.holds.clone(), proof: recorded.intent.as_ref().map(|(_, proof)| proof.clone()) };
        let believed = recorded.intended_at > self.closure.run.state.restored_at;
        match self.ask_world(key, recorded.attempts, action, &doubt, believed)? {
            Some(value) => Ok(value),
            None => self.attempt(key, action, recorded.attempts + 1),
        }
    }

    /// Settles the doubt of an attempt that was cut off a moment ago: its value, or a fault after which it may be tried again.
    pub(super) fn settle_now(
        &self,
        key: &ActionKey,
        attempt: u32,
        action: &Action,
        fault: Fault,
        doubt: &Doubt,
    ) -> Result<Result<Value, Fault>, Stop> {
        if let Some(value) = self.ask_world(key, attempt, action, doubt, true)? {
            return Ok(Ok(value));
        }
        let class = if fault.code == "step.timeout" { FaultClass::Fatal } else { FaultClass::Retryable };
        Ok(Err(Fault { class, ..fault }))
    }

    /// Asks the world: the value if it was done, `None` if it was not. What stays unknown stops the run.
    fn ask_world(
        &self,
        key: &ActionKey,
        attempt: u32,
        action: &Action,
        doubt: &Doubt,
        believed: bool,
    ) -> Result<Option<Value>, Stop> {
        let run = &self.closure.run;
        let begun = Instant::now();
        let resolution = resolve(run, key, attempt, action, doubt, believed)?;
        let answer = |text: &str| {
            run.engine.event(Event::Resolved { title: action.title.clone(), answer: text.to_owned() });
        };
        match resolution {
            Resolution::Done(Done { value, rows }) => {
                answer("it was done");
                self.record(key, attempt, action, Outcome::Done { value: value.clone() }, begun.elapsed(), rows)?;
                Ok(Some(value))
            }
            Resolution::NotDone => {
                answer("it was not done");
                Ok(None)
            }
            Resolution::Unknown(why) => {
                self.record(key, attempt, action, Outcome::Unknown { why: why.clone() }, Duration::ZERO, None)?;
                Err(Halt::InDoubt { key: key.clone(), action: action.title.clone(), why }.into())
            }
        }
    }
}

/// What the world, or the runbook's probe, says of an action in doubt. It is not `believed` about what was begun before
/// it was put back to an earlier state.
pub fn resolve(
    run: &std::sync::Arc<crate::engine::context::Run>,
    key: &ActionKey,
    attempt: u32,
    action: &Action,
    doubt: &Doubt,
    believed: bool,
) -> Result<Resolution, Stop> {
    let ticket = run.ticket(key, attempt);
    let began = Instant::now();
    let mut tries = 0;
    // The effect first: it ends what is still at work, without which no answer would be final.
    let resolution = loop {
        match run.engine.wait(Urgency::Hard, run.engine.effects.resolve(action, &ticket, doubt))? {
            Ok(resolution) => break resolution,
            Err(fault) if fault.class == FaultClass::Retryable && began.elapsed() < PATIENCE => {
                tries += 1;
                let wait = backoff(Duration::from_millis(100), Duration::from_secs(5), tries);
                run.engine.event(Event::Retrying { title: action.title.clone(), fault, wait: wait.as_secs_f64() });
                run.engine.pause(Urgency::Soft, wait)?;
            }
            Err(fault) => break Resolution::Unknown(fault.to_string()),
        }
    };
    if doubt.proof.is_none() {
        return Ok(resolution);
    }
    if !believed {
        let why = "the world was put back to an earlier state, so nothing it says of this is believed".to_owned();
        return Ok(Resolution::Unknown(why));
    }
    match (&action.probe, action.class) {
        (Some(name), Recovery::Provable) => Ok(match probe::ask(run, name, action)? {
            ProbeAnswer::Done(value) => Resolution::Done(Done { value, rows: None }),
            ProbeAnswer::NotDone => Resolution::NotDone,
            ProbeAnswer::Partial => Resolution::Unknown(format!("the probe `{name}` says it was done in part")),
            ProbeAnswer::Unclear(said) => Resolution::Unknown(format!("the probe `{name}` answered {said}")),
        }),
        _ => Ok(resolution),
    }
}
