//! `flow::each`: several lanes at once, each with a door and a place in the journal of its own.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::json;

use super::execute::ExecuteDoor;
use crate::engine::cancel::Urgency;
use crate::engine::replay::EACH;
use crate::journal::entry::Outcome;
use crate::model::Value;
use crate::model::action::Action;
use crate::model::fault::{Halt, Stop};
use crate::model::host::{Host, LaneBody, Lanes};

/// What would make a key look like a part of a lane's path.
const RESERVED: &AsciiSet = &CONTROLS.add(b'/').add(b'%').add(b'[').add(b']').add(b'#');

/// Runs the lanes, `at_once` at a time, each on a thread of its own. The first that stops ends the others.
pub fn execute(door: &ExecuteDoor, lanes: &Lanes, body: &LaneBody<'_>) -> Result<Vec<Value>, Stop> {
    let engine = &door.closure.run.engine;
    let (key, recorded) = door.advance()?;
    let title = format!("{} items, {} at once", lanes.keys.len(), lanes.at_once);
    let action = Action::read(EACH, &json!({ "keys": lanes.keys }), title, Vec::new());
    match recorded {
        None => door.record(&key, 1, &action, Outcome::Done { value: Value::Null }, Duration::ZERO, None)?,
        Some(recorded) if recorded.fingerprint != action.fingerprint() => {
            let message = format!(
                "the journal recorded `{}` as action {key}, and the runbook now asks for other items in flow::each ({})",
                recorded.title,
                lanes.keys.join(", ")
            );
            return Err(Halt::Mismatch { message }.into());
        }
        Some(_) => {}
    }
    let prefix = if door.lane.is_empty() { key.seq.to_string() } else { format!("{}/{}", door.lane, key.seq) };
    let stopped = Arc::new(AtomicBool::new(false));
    let next = AtomicUsize::new(0);
    let results: Vec<Mutex<Option<Result<Value, Stop>>>> = lanes.keys.iter().map(|_| Mutex::new(None)).collect();
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..lanes.at_once.clamp(1, lanes.keys.len().max(1)) {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(name) = lanes.keys.get(index) else { return };
                    if stopped.load(Ordering::Relaxed) || engine.cancel.asked() {
                        return;
                    }
                    if let Some(rate) = lanes.rate {
                        #[expect(clippy::cast_precision_loss, reason = "there are fewer than 2^53 lanes")]
                        let due = begun + Duration::from_secs_f64(index as f64 / rate);
                        if engine.pause(Urgency::Soft, due.saturating_duration_since(Instant::now())).is_err() {
                            return;
                        }
                    }
                    let lane = format!("{prefix}/{}", utf8_percent_encode(name, RESERVED));
                    let result = run_one(door, lane, &stopped, index, body);
                    if result.is_err() {
                        stopped.store(true, Ordering::Relaxed);
                    }
                    *results[index].lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
                }
            });
        }
    });
    let mut values = Vec::with_capacity(results.len());
    let mut first: Option<Stop> = None;
    for result in results {
        match result.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(Ok(value)) => values.push(value),
            // A lane that was only asked to stop says nothing about why.
            Some(Err(Stop::Halted(Halt::Interrupted))) | None => {}
            Some(Err(stop)) => {
                if first.as_ref().is_none_or(|first| weight(&stop) > weight(first)) {
                    first = Some(stop);
                }
            }
        }
    }
    match first {
        Some(stop) => Err(stop),
        None if values.len() < lanes.keys.len() => Err(Halt::Interrupted.into()),
        None => Ok(values),
    }
}

/// Which of several stops is told: a doubt must not be lost behind what makes the step start over or fail.
fn weight(stop: &Stop) -> u8 {
    match stop {
        Stop::Failed(_) => 0,
        Stop::Halted(Halt::InDoubt { .. }) => 2,
        Stop::Halted(Halt::Fenced(_) | Halt::Journal(_)) => 3,
        Stop::Halted(_) => 1,
    }
}

fn run_one(
    door: &ExecuteDoor,
    lane: String,
    stopped: &Arc<AtomicBool>,
    index: usize,
    body: &LaneBody<'_>,
) -> Result<Value, Stop> {
    let inner = Arc::new(ExecuteDoor::open(&door.closure, lane, Some(Arc::clone(stopped)))?);
    let value = body(index, Arc::clone(&inner) as Arc<dyn Host>)?;
    inner.close()?;
    Ok(value)
}
