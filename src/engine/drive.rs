//! Performing a run: one closure after the other, until it is done or must stop.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::cancel::Urgency;
use super::context::Run;
use super::door::execute::{Closure, ExecuteDoor};
use super::door::probe;
use super::unwind;
use super::verdict;
use crate::journal::entry::{Record, RunState, StepEnd};
use crate::journal::store::Durability;
use crate::model::Value;
use crate::model::declaration::OnFailure;
use crate::model::event::Event;
use crate::model::fault::{Fault, Halt, Stop};
use crate::model::host::Host;
use crate::model::ids::{ActionKey, Phase};
use crate::model::script::ScriptError;
use crate::model::verdict::{Check, Verdict};

/// How often a broken hold may send one process back to the step that made it.
const RESETS: u32 = 3;

/// What a process left a run as.
#[derive(Clone, Debug, PartialEq)]
pub struct Ending {
    /// State of the run.
    pub state: RunState,
    /// Verdict.
    pub verdict: Verdict,
    /// In one sentence, if it did not pass.
    pub why: String,
    /// Detail and advice of the fault, if one ended it.
    pub fault: Option<Fault>,
    /// The place in the runbook, ready to be shown; may be empty.
    pub shown: String,
    /// The step in which it stopped.
    pub step: Option<String>,
    /// The action that a person must answer, if it waits for one.
    pub key: Option<ActionKey>,
    /// Checks recorded in all.
    pub checks: Vec<Check>,
    /// Digest of the run's newest entry; empty if the journal could not be written any more.
    pub head: String,
}

/// Performs a run from where it stands to its end, or as far as it can go.
///
/// Blocks; must not be called from a worker of the runtime.
pub fn perform(run: &Arc<Run>) -> Ending {
    let mut current = Arc::clone(run);
    let mut resets = 0;
    let (run, mut checks) = loop {
        let mut checks = current.state.checks();
        let Err(stopped) = steps(&current, &mut checks) else { break (&current, checks) };
        let Stop::Halted(Halt::HoldBroken { name, step, why }) = &stopped.error.stop else {
            return stop(&current, stopped, checks);
        };
        resets += 1;
        if resets > RESETS {
            return stop(&current, stopped, checks);
        }
        match reset(&current, name, step, why) {
            Ok(anew) => current = anew,
            Err(inner) => return end(&current, inner, checks),
        }
    };
    if let Err(stopped) = unwind::cleanups(run, &mut checks) {
        return end(run, stopped, checks);
    }
    let verdict = verdict::of_checks(&checks);
    let why = match verdict {
        Verdict::Pass => String::new(),
        _ => "not every check passed".to_owned(),
    };
    finish(
        run,
        Ending {
            state: RunState::Done,
            verdict,
            why,
            fault: None,
            shown: String::new(),
            step: None,
            key: None,
            checks,
            head: String::new(),
        },
    )
}

/// Ends a run that cannot go on: one whose runbook says so is cleaned up and given up once it has failed.
fn stop(run: &Arc<Run>, stopped: Stopped, checks: Vec<Check>) -> Ending {
    let failed = matches!(&stopped.error.stop, Stop::Failed(_) | Stop::Halted(Halt::Gate { .. }));
    if !failed {
        return end(run, stopped, checks);
    }
    let over = match run.script.declaration().on_failure {
        OnFailure::Keep => Ok(false),
        OnFailure::KeepChanged => unwind::changed(run).map(|changed| !changed),
        OnFailure::CleanUp => Ok(true),
    };
    match over {
        Ok(true) => {}
        Ok(false) => return end(run, stopped, checks),
        Err(halt) => return end(run, Stopped { step: stopped.step, error: plain(halt.into()) }, checks),
    }
    let why = stopped.error.stop.to_string();
    match run.reread().map_err(|halt| Stopped { step: stopped.step.clone(), error: plain(halt.into()) }) {
        Ok(anew) => match unwind::clean_up(&Arc::new(anew), &why, checks) {
            Ok(checks) => finish(run, Ending { state: RunState::Abandoned, ..ending(stopped, checks) }),
            Err((left, checks)) => end(run, left, checks),
        },
        Err(halted) => end(run, halted, checks),
    }
}

/// Why a closure did not end well.
pub struct Stopped {
    /// The step.
    pub step: String,
    /// What happened, and where.
    pub error: Box<ScriptError>,
}

fn steps(run: &Arc<Run>, checks: &mut Vec<Check>) -> Result<(), Stopped> {
    let steps = run.script.declaration().steps.clone();
    // What earlier processes left frozen, locked or exported must still be so, even if only reads are left.
    let mut proved = false;
    for (index, spec) in steps.iter().enumerate() {
        let stopped = |error| Stopped { step: spec.name.clone(), error };
        if run.output(&spec.name).is_some() {
            run.engine.event(Event::StepReplayed { step: spec.name.clone() });
            continue;
        }
        // Answered before: it says nothing about where the run has come to.
        if spec.when && answered(run, &spec.name) == Some(false) {
            run.engine.event(Event::StepSkipped { step: spec.name.clone() });
            continue;
        }
        if !std::mem::replace(&mut proved, true) {
            probe::prove_holds(run, &spec.name).map_err(|stop| stopped(plain(stop)))?;
        }
        if spec.when && !applies(run, index).map_err(stopped)? {
            run.engine.event(Event::StepSkipped { step: spec.name.clone() });
            continue;
        }
        run.engine.event(Event::StepStarted { step: spec.name.clone(), number: index + 1, of: steps.len() });
        let (_, took, recorded) = call(run, index, Phase::Perform, None).map_err(stopped)?;
        checks.extend(recorded);
        run.engine.event(Event::StepDone { step: spec.name.clone(), took: took.as_secs_f64() });
    }
    Ok(())
}

/// What a step's `.when` said, if it was asked already.
fn answered(run: &Run, step: &str) -> Option<bool> {
    match run.state.closure(step, Phase::When).end {
        Some(StepEnd::Done { output, .. }) => Some(output == Value::Bool(true)),
        Some(StepEnd::Skipped) => Some(false),
        _ => None,
    }
}

/// Whether a step's `.when` says yes; its answer is kept, so that a resumed run does not change its mind.
fn applies(run: &Arc<Run>, index: usize) -> Result<bool, Box<ScriptError>> {
    let step = &run.script.declaration().steps[index].name;
    if let Some(applies) = answered(run, step) {
        return Ok(applies);
    }
    let (answer, ..) = call(run, index, Phase::When, None)?;
    match answer {
        Value::Bool(applies) => Ok(applies),
        other => {
            let message = format!("`.when` of step `{step}` must answer true or false, not {other}");
            Err(plain(Fault::fatal("step.when", message).into()))
        }
    }
}

/// Calls one closure and records how it ended.
pub fn call(
    run: &Arc<Run>,
    index: usize,
    phase: Phase,
    made: Option<&Value>,
) -> Result<(Value, Duration, Vec<Check>), Box<ScriptError>> {
    let spec = run.script.declaration().steps[index].clone();
    let step = spec.name.clone();
    let known = run.state.closure(&step, phase);
    let started = Record::StepStarted { step: step.clone(), phase };
    run.append_with_next(started).map_err(|halt| plain(halt.into()))?;
    let spent = run.spent(&known, 0).map_err(|halt| plain(halt.into()))?;
    // Kills do not lengthen its time; once it failed it is tried anew with all of it, or it could never be resumed.
    let last_failure = known.failures.last().copied().unwrap_or_default();
    let used = run.spent(&known, last_failure).map_err(|halt| plain(halt.into()))?;
    let begun = Instant::now();
    let deadline = spec.timeout.map(|limit| begun + Duration::from_secs_f64(limit).saturating_sub(used));
    let closure = Arc::new(Closure {
        run: Arc::clone(run),
        spec,
        phase,
        from: known.from,
        failures: known.failures,
        deadline,
        checks: Mutex::default(),
    });
    let door = Arc::new(ExecuteDoor::open(&closure, String::new(), None).map_err(|halt| plain(halt.into()))?);
    let called = run.script.call(index, phase, made, Arc::clone(&door) as Arc<dyn Host>);
    let called = called.and_then(|value| door.close().map(|()| value).map_err(|halt| plain(halt.into())));
    let took = spent + begun.elapsed();
    let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    let checks = closure.checks.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let ended = |end| Record::StepEnded { step: step.clone(), phase, end, took_ms };
    match called {
        Ok(output) => {
            let end = StepEnd::Done { output: output.clone(), checks: checks.clone() };
            run.append(ended(end), Durability::Synced).map_err(|halt| plain(halt.into()))?;
            if phase == Phase::Perform {
                run.finish(&step, output.clone(), took.as_secs_f64());
            }
            Ok((output, took, checks))
        }
        Err(error) => {
            let fault = match &error.stop {
                Stop::Failed(fault) => Some(fault.clone()),
                Stop::Halted(halt @ Halt::Gate { .. }) => Some(Fault::fatal("gate", halt.to_string())),
                Stop::Halted(_) => None,
            };
            if let Some(fault) = fault {
                run.append(ended(StepEnd::Failed { fault }), Durability::Synced).map_err(|halt| plain(halt.into()))?;
            }
            let why = match &error.stop {
                // The rest of it is drawn with its place, where the run ends.
                Stop::Failed(fault) => fault.message.clone(),
                stop => stop.to_string(),
            };
            let paused = matches!(&error.stop, Stop::Halted(halt) if halt.is_a_pause());
            run.engine.event(if paused { Event::StepStopped { step, why } } else { Event::StepFailed { step, why } });
            Err(error)
        }
    }
}

/// A stop without a place in the runbook.
pub fn plain(stop: Stop) -> Box<ScriptError> {
    Box::new(ScriptError { stop, shown: String::new() })
}

/// Goes back to the step that made a hold which broke, once nothing of the steps after it is in doubt or at work.
fn reset(run: &Run, hold: &str, step: &str, why: &str) -> Result<Arc<Run>, Stopped> {
    let stopped = |halt: Halt| Stopped { step: step.to_owned(), error: plain(halt.into()) };
    let told = if why.is_empty() { String::new() } else { format!(" ({why})") };
    run.engine.event(Event::Warning(format!("`{hold}` no longer holds: going back to step `{step}`{told}")));
    unwind::settle_doubts(&Arc::new(run.reread().map_err(stopped)?), true)?;
    let record = Record::StepReset { step: step.to_owned(), hold: hold.to_owned(), why: why.to_owned() };
    run.append(record, Durability::Synced).map_err(stopped)?;
    run.reread().map(Arc::new).map_err(stopped)
}

/// Records what stopped a run, and says what that makes of it.
pub fn end(run: &Arc<Run>, stopped: Stopped, checks: Vec<Check>) -> Ending {
    finish(run, ending(stopped, checks))
}

fn ending(stopped: Stopped, checks: Vec<Check>) -> Ending {
    let Stopped { step, error } = stopped;
    let (state, verdict) = match &error.stop {
        Stop::Failed(_) => (RunState::Interrupted, Verdict::Failed),
        Stop::Halted(halt) => match halt {
            Halt::Interrupted => (RunState::Interrupted, Verdict::Interrupted),
            Halt::InDoubt { .. } => (RunState::Waiting, Verdict::Unknown),
            Halt::Waiting { .. } => (RunState::Waiting, Verdict::Waiting),
            Halt::Gate { unverified: true, .. } => (RunState::Interrupted, Verdict::CouldNotVerify),
            Halt::Gate { unverified: false, .. } => (RunState::Interrupted, Verdict::Fail),
            Halt::Mismatch { .. } | Halt::HoldBroken { .. } | Halt::Unknowable { .. } => {
                (RunState::Interrupted, Verdict::Failed)
            }
            Halt::Fenced(_) => (RunState::Running, Verdict::Locked),
            Halt::Journal(_) => (RunState::Interrupted, Verdict::Failed),
        },
    };
    let fault = match &error.stop {
        Stop::Failed(fault) => Some(fault.clone()),
        Stop::Halted(_) => None,
    };
    let key = match &error.stop {
        Stop::Halted(Halt::InDoubt { key, .. } | Halt::Waiting { key, .. }) => Some(key.clone()),
        _ => None,
    };
    let why = error.stop.to_string();
    // The place in the runbook says something about a mistake, and nothing about a pause.
    let shown =
        if matches!(&error.stop, Stop::Halted(halt) if halt.is_a_pause()) { String::new() } else { error.shown };
    Ending { state, verdict, why, fault, shown, step: Some(step), key, checks, head: String::new() }
}

/// Writes down how this process leaves the run.
pub fn finish(run: &Arc<Run>, mut ending: Ending) -> Ending {
    if ending.verdict == Verdict::Locked {
        return ending;
    }
    let why = if ending.why.is_empty() { "the run is over" } else { &ending.why };
    if run.engine.wait(Urgency::Hard, run.engine.effects.release(why)) == Ok(true) {
        run.engine.event(Event::Warning("what was frozen is released: writes go on".to_owned()));
    }
    let record = Record::RunEnded {
        state: ending.state,
        verdict: ending.verdict,
        why: ending.why.clone(),
        key: ending.key.clone(),
    };
    match run.append(record, Durability::Synced) {
        Ok(head) => ending.head = head,
        Err(halt) => run.engine.event(Event::Warning(format!("how the run ended could not be written down: {halt}"))),
    }
    ending
}
