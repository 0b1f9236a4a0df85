//! Going back: undo, cleanup and abandon.

use std::sync::Arc;

use super::context::{Run, halt};
use super::door::settle;
use super::drive::{self, Ending, Stopped, plain};
use super::replay::{Cursor, Lane, Recorded};
use crate::effects::{Doubt, Resolution};
use crate::journal::entry::{Answer, Entry, Outcome, Record, RunState, StepEnd};
use crate::journal::store::Durability;
use crate::model::Value;
use crate::model::event::Event;
use crate::model::fault::{Halt, Stop};
use crate::model::ids::{ActionKey, Phase};
use crate::model::script::Script;
use crate::model::verdict::{Check, Verdict};

/// Takes a run back, step by step, newest first, then cleans up.
pub fn undo(run: &Arc<Run>, why: &str) -> Ending {
    go_back(run, RunState::Undone, "undo", why)
}

/// Gives a run up: ends what is still at work and cleans up; what was done stays done.
pub fn abandon(run: &Arc<Run>, why: &str) -> Ending {
    go_back(run, RunState::Abandoned, "abandon", why)
}

/// The step past whose point of no return a run has come, and why there is no way back: once the intent of
/// a change in it was written, or it ended well. A step that failed before it changed anything is no reason to forbid the way back.
pub fn passed_point_of_no_return(script: &dyn Script, story: &[Entry]) -> Option<(String, String)> {
    let steps = &script.declaration().steps;
    let passed = |name: &str| {
        story.iter().any(|entry| match &entry.record {
            Record::Intent { key, .. } => key.step == name && key.phase == Phase::Perform,
            Record::StepEnded { step, phase: Phase::Perform, end: StepEnd::Done { .. }, .. } => step == name,
            _ => false,
        })
    };
    let past = steps.iter().find(|spec| spec.point_of_no_return.is_some() && passed(&spec.name))?;
    Some((past.name.clone(), past.point_of_no_return.clone()?))
}

fn go_back(run: &Arc<Run>, state: RunState, command: &str, why: &str) -> Ending {
    let mut checks = run.state.checks();
    let noted = match &run.state.unwinding {
        Some(already) if already == command => Ok(()),
        _ => {
            let record = Record::Unwinding { command: command.to_owned(), why: why.to_owned() };
            run.append(record, Durability::Synced).map(drop)
        }
    };
    let stopped = |halt: Halt| Stopped { step: command.to_owned(), error: plain(halt.into()) };
    let result = noted.map_err(stopped).and_then(|()| settle_doubts(run, state == RunState::Undone));
    let result = result.and_then(|()| if state == RunState::Undone { undo_steps(run, &mut checks) } else { Ok(()) });
    let result = result.and_then(|()| cleanups(run, &mut checks));
    if let Err(stopped) = result {
        return drive::end(run, stopped, checks);
    }
    let done = if state == RunState::Undone { "the run was taken back" } else { "the run was given up" };
    let verdict = Verdict::Pass;
    drive::finish(
        run,
        Ending {
            state,
            verdict,
            why: done.to_owned(),
            fault: None,
            shown: String::new(),
            step: None,
            key: None,
            checks,
            head: String::new(),
        },
    )
}

/// Settles every action that the interrupted steps left in doubt. Where `strict`, what stays unknown stops the run.
fn settle_doubts(run: &Arc<Run>, strict: bool) -> Result<(), Stopped> {
    for spec in &run.script.declaration().steps {
        let stopped = |stop: Stop| Stopped { step: spec.name.clone(), error: plain(stop) };
        for phase in [Phase::When, Phase::Perform] {
            let closure = run.state.closure(&spec.name, phase);
            if !closure.started || closure.ended_well() {
                continue;
            }
            for (lane, recorded) in
                in_lanes(run, &spec.name, phase, closure.from).map_err(|halt| stopped(halt.into()))?
            {
                if recorded.in_doubt() {
                    let key = ActionKey { step: spec.name.clone(), phase, lane, seq: recorded.seq };
                    settle_one(run, key, &recorded, strict).map_err(stopped)?;
                }
            }
        }
    }
    Ok(())
}

fn settle_one(run: &Arc<Run>, key: ActionKey, recorded: &Recorded, strict: bool) -> Result<(), Stop> {
    let Some((action, proof)) = &recorded.intent else {
        // Nothing was intended yet: only what the attempt held may still be at work, and it cannot take effect.
        return Ok(());
    };
    if let Some(Answer::Done { .. } | Answer::NotDone) = run.state.decision(&key, recorded.n) {
        return Ok(());
    }
    let doubt = Doubt { holds: recorded.holds.clone(), proof: Some(proof.clone()) };
    let outcome = match settle::resolve(run, &key, recorded.attempts, action, &doubt)? {
        Resolution::Done(done) => Outcome::Done { value: done.value },
        Resolution::NotDone => {
            Outcome::Failed { fault: crate::model::fault::Fault::fatal("not-done", "it was cut off and not done") }
        }
        Resolution::Unknown(why) if strict => {
            return Err(Halt::InDoubt { key, action: action.title.clone(), why }.into());
        }
        Resolution::Unknown(why) => Outcome::Unknown { why },
    };
    let answer = match &outcome {
        Outcome::Done { .. } => "it was done",
        Outcome::Failed { .. } => "it was not done",
        Outcome::Unknown { .. } => "nobody can say whether it was done",
    };
    run.engine.event(Event::Resolved { title: action.title.clone(), answer: answer.to_owned() });
    let record = Record::Outcome {
        key,
        attempt: recorded.attempts,
        word: action.word.clone(),
        title: action.title.clone(),
        fingerprint: recorded.fingerprint.clone(),
        request: Value::Null,
        outcome,
        took_ms: 0,
        rows: None,
    };
    run.append(record, Durability::Synced)?;
    Ok(())
}

/// The newest record of every lane of a closure.
fn in_lanes(run: &Run, step: &str, phase: Phase, from: u64) -> Result<Vec<(String, Recorded)>, Halt> {
    let journal = &*run.engine.journal;
    let mut newest = Vec::new();
    for name in journal.lanes(&run.lease.run, step, phase, "", from).map_err(halt)? {
        let lane = Lane { run: &run.lease.run, step, phase, lane: &name };
        let mut cursor = Cursor::open(journal, &lane, from, None).map_err(halt)?;
        let mut last = None;
        while let Some(recorded) = cursor.next(journal, &lane).map_err(halt)? {
            last = Some(recorded);
        }
        newest.extend(last.map(|recorded| (name, recorded)));
    }
    Ok(newest)
}

/// Whether a step began to change something, and what is recorded of its output.
fn touched(run: &Run, step: &str) -> Result<Option<Value>, Halt> {
    if let Some(output) = run.output(step) {
        return Ok(Some(output));
    }
    let journal = &*run.engine.journal;
    let from = run.state.closure(step, Phase::Perform).from;
    let mut made = None;
    for name in journal.lanes(&run.lease.run, step, Phase::Perform, "", from).map_err(halt)? {
        let lane = Lane { run: &run.lease.run, step, phase: Phase::Perform, lane: &name };
        let mut cursor = Cursor::open(journal, &lane, from, None).map_err(halt)?;
        while let Some(recorded) = cursor.next(journal, &lane).map_err(halt)? {
            match (&recorded.intent, recorded.outcome) {
                (Some(_), Some(Outcome::Done { value })) => made = Some(value),
                (Some(_), _) => made = made.or(Some(Value::Null)),
                (None, _) => {}
            }
        }
    }
    Ok(made)
}

fn undo_steps(run: &Arc<Run>, checks: &mut Vec<Check>) -> Result<(), Stopped> {
    for (index, spec) in run.script.declaration().steps.iter().enumerate().rev() {
        if spec.undo {
            unwind_one(run, index, Phase::Undo, checks)?;
        }
    }
    Ok(())
}

/// Runs the cleanups of every step that began to change something, newest first.
pub fn cleanups(run: &Arc<Run>, checks: &mut Vec<Check>) -> Result<(), Stopped> {
    for (index, spec) in run.script.declaration().steps.iter().enumerate().rev() {
        if spec.cleanup {
            unwind_one(run, index, Phase::Cleanup, checks)?;
        }
    }
    Ok(())
}

fn unwind_one(run: &Arc<Run>, index: usize, phase: Phase, checks: &mut Vec<Check>) -> Result<(), Stopped> {
    let spec = &run.script.declaration().steps[index];
    let stopped = |error| Stopped { step: spec.name.clone(), error };
    if matches!(run.state.closure(&spec.name, phase).end, Some(StepEnd::Done { .. })) {
        return Ok(());
    }
    let Some(made) = touched(run, &spec.name).map_err(|halt| stopped(plain(halt.into())))? else { return Ok(()) };
    let what = if phase == Phase::Undo { "undo" } else { "cleanup" };
    run.engine.event(Event::Unwinding { step: spec.name.clone(), what });
    let (_, _, recorded) = drive::call(run, index, phase, Some(&made)).map_err(stopped)?;
    checks.extend(recorded);
    Ok(())
}
