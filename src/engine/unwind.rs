//! Going back: undo, cleanup and abandon.

use std::sync::Arc;

use super::cancel::Urgency;
use super::context::{Run, halt};
use super::door::settle;
use super::drive::{self, Ending, Stopped, plain};
use super::no_return;
use super::replay::{Cursor, Lane, Recorded};
use super::state::Closure;
use super::touched::{self, CUT_OFF, NOT_DONE, Touched};
use crate::effects::{Done, Doubt, Resolution};
use crate::journal::entry::{Answer, Outcome, Record, RunState, StepEnd};
use crate::journal::store::Durability;
use crate::model::Value;
use crate::model::action::Recovery;
use crate::model::declaration::StepSpec;
use crate::model::event::Event;
use crate::model::fault::{Fault, Halt, Stop};
use crate::model::ids::{ActionKey, Phase};
use crate::model::verdict::{Check, Verdict};

/// Code of the fault of a run that is past its point of no return and was to be taken back.
pub const TOO_LATE: &str = "undo.too-late";

/// Goes on with a run in its direction: once it went back it only goes back.
pub fn go_on(run: &Arc<Run>) -> Ending {
    match run.state.unwinding.as_deref() {
        None => drive::perform(run),
        Some("undo") => undo(run, "resumed"),
        Some(_) => abandon(run, "resumed"),
    }
}

/// Takes a run back, step by step, newest first, then cleans up.
pub fn undo(run: &Arc<Run>, why: &str) -> Ending {
    go_back(run, RunState::Undone, "undo", why)
}

/// Gives a run up: ends what is still at work and cleans up; what was done stays done.
pub fn abandon(run: &Arc<Run>, why: &str) -> Ending {
    go_back(run, RunState::Abandoned, "abandon", why)
}

/// Gives a run up that has failed, cleaning up behind it. Answers its checks, with those of the cleanups, or what stopped them.
pub fn clean_up(run: &Arc<Run>, why: &str, mut checks: Vec<Check>) -> Result<Vec<Check>, (Stopped, Vec<Check>)> {
    let cleaned = turn_back(run, "abandon", why)
        .and_then(|()| settle_doubts(run, false))
        .and_then(|()| cleanups(run, &mut checks));
    match cleaned {
        Ok(()) => Ok(checks),
        Err(stopped) => Err((stopped, checks)),
    }
}

/// From now on the run only goes back.
fn turn_back(run: &Run, command: &str, why: &str) -> Result<(), Stopped> {
    if run.state.unwinding.as_deref() == Some(command) {
        return Ok(());
    }
    let record = Record::Unwinding { command: command.to_owned(), why: why.to_owned() };
    let noted = run.append(record, Durability::Synced).map(drop);
    noted.map_err(|halt| Stopped { step: command.to_owned(), error: plain(halt.into()) })
}

/// Gives a run up whose databases are gone for good: contacts nothing, cleans nothing up, and writes down what was left.
pub fn leave_behind(run: &Arc<Run>, why: &str) -> Ending {
    let checks = run.state.checks();
    let left = || -> Result<(), Halt> {
        let record = Record::Unwinding { command: "abandon".to_owned(), why: why.to_owned() };
        run.append(record, Durability::Synced)?;
        for spec in run.script.declaration().steps.iter().rev().filter(|spec| spec.cleanup) {
            if run.state.closure(&spec.name, Phase::Cleanup).ended_well() {
                continue;
            }
            if let Some(Touched { made, .. }) = in_step(run, &spec.name)? {
                let text = format!("left behind: what step `{}` made was not cleaned up: {made}", spec.name);
                run.append(Record::Note { text: text.clone() }, Durability::Synced)?;
                run.engine.event(Event::Warning(text));
            }
        }
        Ok(())
    };
    match left() {
        Ok(()) => gone_back(run, RunState::Abandoned, "the run was given up, and nothing was cleaned up", checks),
        Err(halt) => drive::end(run, Stopped { step: "abandon".to_owned(), error: plain(halt.into()) }, checks),
    }
}

fn refuse_past_return(run: &Run) -> Result<(), Stopped> {
    let refused = match no_return::passed(&*run.engine.journal, &run.lease.run, &*run.script) {
        Ok(None) => return Ok(()),
        Ok(Some((step, why))) => {
            let message = format!("the run is past its point of no return, step `{step}`: {why}");
            Fault::fatal(TOO_LATE, message)
                .hinted("only forward from here: resume it, or abandon it and mend by hand")
                .into()
        }
        Err(error) => halt(error).into(),
    };
    Err(Stopped { step: "undo".to_owned(), error: plain(refused) })
}

fn go_back(run: &Arc<Run>, state: RunState, command: &str, why: &str) -> Ending {
    let mut checks = run.state.checks();
    let result = if state == RunState::Undone {
        // Whether there is a way back may depend on what was cut off; from where it turns around the run only goes back.
        settle_in(run, true, |spec| spec.point_of_no_return.is_some())
            .and_then(|()| refuse_past_return(run))
            .and_then(|()| turn_back(run, command, why))
            .and_then(|()| settle_doubts(run, true))
            .and_then(|()| undo_steps(run, &mut checks))
    } else {
        turn_back(run, command, why).and_then(|()| settle_doubts(run, false))
    };
    if let Err(stopped) = result.and_then(|()| cleanups(run, &mut checks)) {
        return drive::end(run, stopped, checks);
    }
    let done = if state == RunState::Undone { "the run was taken back" } else { "the run was given up" };
    gone_back(run, state, done, checks)
}

fn gone_back(run: &Arc<Run>, state: RunState, done: &str, checks: Vec<Check>) -> Ending {
    drive::finish(
        run,
        Ending {
            state,
            verdict: Verdict::Pass,
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
pub fn settle_doubts(run: &Arc<Run>, strict: bool) -> Result<(), Stopped> {
    settle_in(run, strict, |_| true)
}

/// The same in some steps.
fn settle_in(run: &Arc<Run>, strict: bool, of: fn(&StepSpec) -> bool) -> Result<(), Stopped> {
    for spec in run.script.declaration().steps.iter().filter(|spec| of(spec)) {
        let stopped = |stop: Stop| Stopped { step: spec.name.clone(), error: plain(stop) };
        // An undo that was cut off settles its own doubts, unless it is given up.
        for phase in [Phase::When, Phase::Perform, Phase::Undo].into_iter().take(if strict { 2 } else { 3 }) {
            let closure = run.state.closure(&spec.name, phase);
            if !closure.started || closure.ended_well() {
                continue;
            }
            for (lane, recorded) in in_lanes(run, &spec.name, phase, &closure).map_err(|halt| stopped(halt.into()))? {
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
        // Nothing was intended yet: what the attempt held cannot take effect, but may still be in the way. The supervisor
        // of a command that was not begun has gone with its engine; a server session may still be busy.
        if let Some(holds) = recorded.holds.as_ref().filter(|holds| holds.get("backend_start").is_some()) {
            let ended = run.engine.wait(Urgency::Hard, run.engine.effects.end_holder(holds))?;
            if let Err(fault) = ended {
                run.engine.event(Event::Warning(format!("what an attempt left could not be ended: {fault}")));
            }
        }
        return Ok(());
    };
    let doubt = Doubt { holds: recorded.holds.clone(), proof: Some(proof.clone()) };
    let outcome = match run.state.decision(&key, recorded.n) {
        Some(Answer::Done { output }) => Resolution::Done(Done { value: output.clone(), rows: None }),
        Some(Answer::NotDone) => Resolution::NotDone,
        _ => {
            let believed = recorded.intended_at > run.state.restored_at;
            settle::resolve(run, &key, recorded.attempts, action, &doubt, believed)?
        }
    };
    let outcome = match outcome {
        Resolution::Done(done) => Outcome::Done { value: done.value },
        // Nobody asked the world of what can be done again.
        Resolution::NotDone if action.class == Recovery::Repeatable => {
            Outcome::Failed { fault: Fault::fatal(CUT_OFF, "it was cut off, and may have been done") }
        }
        Resolution::NotDone => Outcome::Failed { fault: Fault::fatal(NOT_DONE, "it was cut off and not done") },
        Resolution::Unknown(why) if strict => {
            return Err(Halt::InDoubt { key, action: action.title.clone(), why }.into());
        }
        Resolution::Unknown(why) => Outcome::Unknown { why },
    };
    let answer = match &outcome {
        Outcome::Done { .. } => "it was done",
        Outcome::Failed { fault } if fault.code == CUT_OFF => "it may have been done",
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
fn in_lanes(run: &Run, step: &str, phase: Phase, closure: &Closure) -> Result<Vec<(String, Recorded)>, Halt> {
    let journal = &*run.engine.journal;
    let mut newest = Vec::new();
    for name in journal.lanes(&run.lease.run, step, phase, "", closure.from).map_err(halt)? {
        let lane = Lane { run: &run.lease.run, step, phase, lane: &name };
        let mut cursor = Cursor::open(journal, &lane, closure.from, &closure.failures).map_err(halt)?;
        let mut last = None;
        while let Some(recorded) = cursor.next(journal, &lane).map_err(halt)? {
            last = Some(recorded);
        }
        newest.extend(last.map(|recorded| (name, recorded)));
    }
    Ok(newest)
}

/// What a step did, with what this very process made of it.
fn in_step(run: &Run, step: &str) -> Result<Option<Touched>, Halt> {
    let output = run.output(step);
    touched::by(&*run.engine.journal, &run.lease.run, &run.state, step, output).map_err(halt)
}

/// Whether a run has begun to change anything.
pub fn changed(run: &Run) -> Result<bool, Halt> {
    for spec in &run.script.declaration().steps {
        let touched = touched::by(&*run.engine.journal, &run.lease.run, &run.state, &spec.name, None).map_err(halt)?;
        if touched.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
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
    let touched = in_step(run, &spec.name).map_err(|halt| stopped(plain(halt.into())))?;
    let Some(Touched { made, changed, in_doubt }) = touched else { return Ok(()) };
    if phase == Phase::Undo && !changed && !in_doubt {
        return Ok(());
    }
    let what = if phase == Phase::Undo { "undo" } else { "cleanup" };
    run.engine.event(Event::Unwinding { step: spec.name.clone(), what });
    let (_, _, recorded) = drive::call(run, index, phase, Some(&made)).map_err(stopped)?;
    checks.extend(recorded);
    Ok(())
}
