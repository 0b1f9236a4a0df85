//! The door of probes and holds: read-only, not journaled, for a runbook's functions that look whether something is so.

use std::sync::Arc;
use std::time::Duration;

use crate::effects::Ledger;
use crate::engine::cancel::Urgency;
use crate::engine::context::Run;
use crate::model::Value;
use crate::model::action::{Action, Recovery};
use crate::model::clock::backoff;
use crate::model::fault::{Fault, FaultClass, Halt, Stop};
use crate::model::host::{Host, LaneBody, Lanes};
use crate::model::ids::{ActionKey, Phase};
use crate::model::request::secrets::SecretSeal;
use crate::model::request::{Changed, Request as _};

/// Attempts of a probe's read.
const ATTEMPTS: u32 = 4;

/// What a probe said.
pub enum ProbeAnswer {
    /// `"done"` or true, or the answer the action would have given.
    Done(Value),
    /// `"not done"` or false.
    NotDone,
    /// `"partial"`.
    Partial,
    /// Anything else.
    Unclear(String),
}

/// Asks a probe of the runbook about an action. The probe is given the action's request.
pub fn ask(run: &Arc<Run>, name: &str, action: &Action) -> Result<ProbeAnswer, Stop> {
    let value = call(run, name, std::slice::from_ref(&action.request))?;
    let changed = || serde_json::to_value(Changed { rows: 0, returned: Vec::new() }).unwrap_or_default();
    Ok(match &value {
        Value::Bool(true) => ProbeAnswer::Done(changed()),
        Value::Bool(false) => ProbeAnswer::NotDone,
        Value::String(text) if text == "done" => ProbeAnswer::Done(changed()),
        Value::String(text) if text == "not done" => ProbeAnswer::NotDone,
        Value::String(text) if text == "partial" => ProbeAnswer::Partial,
        other => ProbeAnswer::Unclear(other.to_string()),
    })
}

/// Proves every hold of the steps before `step`.
pub fn prove_holds(run: &Arc<Run>, step: &str) -> Result<(), Stop> {
    let before = run.script.declaration().steps.iter().take_while(|spec| spec.name != step);
    for spec in before.filter(|spec| !spec.holds.is_empty()) {
        let Some(made) = run.output(&spec.name) else { continue };
        for hold in &spec.holds {
            let held = call(run, &hold.probe, std::slice::from_ref(&made))?;
            if held != Value::Bool(true) {
                let why = run.engine.effects.world().vault.redact(held.as_str().unwrap_or_default());
                return Err(Halt::HoldBroken { name: hold.name.clone(), step: spec.name.clone(), why }.into());
            }
        }
    }
    Ok(())
}

fn call(run: &Arc<Run>, name: &str, args: &[Value]) -> Result<Value, Stop> {
    let door = Arc::new(ProbeDoor { run: Arc::clone(run), name: name.to_owned() });
    run.script.function(name, args, door).map_err(|error| error.stop)
}

struct ProbeDoor {
    run: Arc<Run>,
    name: String,
}

impl Host for ProbeDoor {
    fn perform(&self, action: Action) -> Result<Value, Stop> {
        // What is sealed is written down, and belongs to a step.
        if action.class != Recovery::Read || action.word == SecretSeal::WORD {
            let message = format!("`{}` only looks: it may not use `{}`", self.name, action.word);
            return Err(Fault::fatal("probe.change", message).into());
        }
        let engine = &self.run.engine;
        let key = ActionKey { step: self.name.clone(), phase: Phase::Perform, lane: String::new(), seq: 0 };
        let ticket = self.run.ticket(&key, 1);
        let mut attempt = 1;
        loop {
            match engine.wait(Urgency::Hard, engine.effects.perform(&action, &ticket, &NoLedger))? {
                Ok(done) => return Ok(done.value),
                Err(fault) if fault.class == FaultClass::Retryable && attempt < ATTEMPTS => {
                    let wait = backoff(Duration::from_millis(200), Duration::from_secs(5), attempt);
                    engine.pause(Urgency::Hard, wait)?;
                    attempt += 1;
                }
                Err(fault) => return Err(fault.into()),
            }
        }
    }

    fn each(&self, lanes: &Lanes, body: &LaneBody<'_>) -> Result<Vec<Value>, Stop> {
        let door = || Arc::new(Self { run: Arc::clone(&self.run), name: self.name.clone() });
        (0..lanes.keys.len()).map(|index| body(index, door())).collect()
    }

    fn params(&self) -> &Value {
        &self.run.state.started.params
    }

    fn done(&self, step: &str) -> Option<Value> {
        self.run.output(step)
    }

    fn took(&self, step: &str) -> Option<Value> {
        self.run.took(step).map(Value::from)
    }

    fn step(&self) -> &str {
        &self.name
    }

    fn previewing(&self) -> bool {
        false
    }
}

/// The ledger of reads, which have nothing to write down in the middle.
pub struct NoLedger;

impl Ledger for NoLedger {
    fn started(&self, _: Value) -> Result<(), Fault> {
        Err(Fault::fatal("probe.change", "a read tried to change something"))
    }

    fn sealed(&self, _: &str, _: &str) -> Result<(), Fault> {
        Err(Fault::fatal("probe.change", "a read tried to change something"))
    }

    fn intent(&self, _: Value) -> Result<(), Fault> {
        Err(Fault::fatal("probe.change", "a read tried to change something"))
    }
}
