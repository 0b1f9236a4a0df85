//! The plan: what a run would do, as far as it can be known now, with a digest that a later run is held to.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::cancel::Urgency;
use super::context::Engine;
use super::door::preview::{Line, PreviewDoor, Walk};
use super::sealed;
use super::start::{StartError, identify};
use crate::journal::entry::{Record, RunState, SecretSource, StepEnd, TargetSeen};
use crate::model::Value;
use crate::model::action::{Action, Resource};
use crate::model::digest;
use crate::model::fault::{Halt, Stop};
use crate::model::ids::Phase;
use crate::model::request::{Request, SqlQuery};
use crate::model::script::Script;
use crate::model::unknown;

/// Version of the plan file.
pub const FORMAT: u32 = 1;

/// A target as a plan pins it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlannedTarget {
    /// What it is.
    #[serde(flatten)]
    pub seen: TargetSeen,
    /// Version of its server.
    pub server: String,
    /// Digest of its schema: tables, columns, types, indexes, constraints, functions.
    pub schema: String,
}

/// One step of a plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlannedStep {
    /// Its name.
    pub name: String,
    /// What it would do.
    pub lines: Vec<Line>,
    /// Why its preview ends before the step does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends: Option<String>,
    /// Whether that is a fault rather than something known only later.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub faulty: bool,
    /// Whether its `.when` said no.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub skipped: bool,
    /// Why there is no way back from here on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub point_of_no_return: Option<String>,
    /// Whether it can be taken back.
    pub undo: bool,
    /// Whether it cleans up after itself when the run ends.
    pub cleanup: bool,
    /// How long it took in the newest run that finished it, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub took_ms: Option<u64>,
}

/// What a run would do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Version of this file's format.
    pub format: u32,
    /// When it was made.
    pub at: DateTime<Utc>,
    /// The runbook.
    pub runbook: String,
    /// Its version.
    pub version: String,
    /// Digest of its text.
    pub text: String,
    /// Parameters, secrets as handles.
    pub params: Value,
    /// Secrets, as keyed fingerprints.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, SecretSource>,
    /// The environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// The targets.
    pub targets: BTreeMap<String, PlannedTarget>,
    /// The steps.
    pub steps: Vec<PlannedStep>,
    /// What people should know before they run it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Digest of everything in it that a run is held to.
    pub digest: String,
    /// Digest of all the rest with it, warnings and figures too: what a reviewer read is what was made.
    pub seal: String,
}

/// What a plan is made from.
pub struct Planning {
    /// The runbook.
    pub script: Arc<dyn Script>,
    /// Digest of its text.
    pub text: String,
    /// Parameters, secrets as handles.
    pub params: Value,
    /// Where secret parameters come from.
    pub secrets: BTreeMap<String, SecretSource>,
    /// Label of every target.
    pub labels: BTreeMap<String, String>,
    /// Chosen environment.
    pub environment: Option<String>,
    /// Warnings of the configuration.
    pub warnings: Vec<String>,
}

/// The schema as one text, from catalogs that every role may read.
const SCHEMA: &str = include_str!("schema_digest.sql");

impl Plan {
    /// Walks through a runbook without changing anything.
    ///
    /// Blocks; must not be called from a worker of the runtime.
    pub fn make(engine: &Engine, planning: Planning) -> Result<Self, StartError> {
        let Planning { script, text, params, secrets, labels, environment, mut warnings } = planning;
        let declaration = script.declaration();
        if let Err(StartError::Key { why, hint, .. }) = sealed::require_key(engine, declaration) {
            warnings.push(format!("{why}: {hint}"));
        }
        let seen = identify(engine, declaration, &params, &labels)?;
        let mut targets = BTreeMap::new();
        for (name, seen) in &seen {
            targets.insert(name.clone(), planned_target(engine, name, seen)?);
        }
        let walk = Arc::new(Walk {
            engine: engine.clone(),
            params: params.clone(),
            targets: seen,
            outputs: Mutex::default(),
            unwritten: Mutex::default(),
        });
        let durations = durations(engine, &declaration.name)?;
        let mut steps = Vec::with_capacity(declaration.steps.len());
        for (index, spec) in declaration.steps.iter().enumerate() {
            let mut step = walk_step(&walk, &*script, index)?;
            step.took_ms = durations.get(&spec.name).copied();
            steps.push(step);
        }
        let mut plan = Self {
            format: FORMAT,
            at: engine.now(),
            runbook: declaration.name.clone(),
            version: declaration.version.clone(),
            text,
            params,
            secrets,
            environment,
            targets,
            steps,
            warnings,
            digest: String::new(),
            seal: String::new(),
        };
        plan.digest = digest::of_value(&plan.pinned());
        plan.seal = plan.sealed();
        Ok(plan)
    }

    /// Everything a run is held to, by the name under which a drift is reported. Figures that reads saw are not in it.
    fn pinned(&self) -> BTreeMap<String, Value> {
        let mut pinned = BTreeMap::new();
        pinned.insert("the runbook's text".to_owned(), json!([self.runbook, self.version, self.text]));
        pinned.insert("the environment".to_owned(), json!(self.environment));
        for (name, value) in self.params.as_object().into_iter().flatten() {
            pinned.insert(format!("parameter `{name}`"), value.clone());
        }
        for (name, secret) in &self.secrets {
            pinned.insert(format!("the secret `{name}`"), json!(secret.fingerprint));
        }
        for (name, target) in &self.targets {
            pinned.insert(format!("the identity of target `{name}`"), json!(target.seen.identity));
            pinned.insert(format!("the server version of target `{name}`"), json!(target.server));
            pinned.insert(format!("the schema of target `{name}`"), json!(target.schema));
        }
        for step in &self.steps {
            let lines: Vec<Value> = step
                .lines
                .iter()
                .map(|line| json!([line.word, line.title, line.lane, line.by_hand, line.known_after]))
                .collect();
            let value = json!([step.skipped, step.ends, step.point_of_no_return, lines]);
            pinned.insert(format!("what step `{}` does", step.name), value);
        }
        pinned
    }

    /// What has changed between the plan that was approved and one made now: empty when a run may follow it.
    pub fn drift(&self, now: &Self) -> Vec<String> {
        let (before, after) = (self.pinned(), now.pinned());
        let mut changed: Vec<String> = before
            .iter()
            .filter(|(name, value)| after.get(*name) != Some(*value))
            .map(|(name, value)| match after.get(name) {
                Some(new) if value.as_str().is_some() || value.is_number() => format!("{name}: was {value}, is {new}"),
                Some(_) => name.clone(),
                None => format!("{name} is gone"),
            })
            .collect();
        changed.extend(after.keys().filter(|name| !before.contains_key(*name)).map(|name| format!("{name} is new")));
        changed
    }

    fn sealed(&self) -> String {
        let mut sealed = json!(self);
        sealed["seal"] = Value::String(String::new());
        digest::of_bytes(digest::canonical_text(&sealed).as_bytes())
    }

    /// Whether the digests it carries are its own: a plan that was edited is no plan.
    pub fn intact(&self) -> bool {
        self.digest == digest::of_value(&self.pinned()) && self.seal == self.sealed()
    }

    /// Whether every step could be walked without a fault.
    pub fn sound(&self) -> bool {
        !self.steps.iter().any(|step| step.faulty)
    }
}

fn walk_step(walk: &Arc<Walk>, script: &dyn Script, index: usize) -> Result<PlannedStep, StartError> {
    let spec = &script.declaration().steps[index];
    let mut step = PlannedStep {
        name: spec.name.clone(),
        lines: Vec::new(),
        ends: None,
        faulty: false,
        skipped: false,
        point_of_no_return: spec.point_of_no_return.clone(),
        undo: spec.undo,
        cleanup: spec.cleanup,
        took_ms: None,
    };
    let lines = Arc::new(Mutex::new(Vec::new()));
    let door = || {
        let (walk, lines) = (Arc::clone(walk), Arc::clone(&lines));
        Arc::new(PreviewDoor { walk, step: spec.name.clone(), lane: String::new(), lines })
    };
    let mut stop = None;
    if spec.when {
        match script.call(index, Phase::When, None, door()) {
            Ok(Value::Bool(true)) => {}
            Ok(Value::Bool(false)) => step.skipped = true,
            Ok(other) => match unknown::first_in(&other) {
                Some(after) => stop = Some(Stop::Halted(Halt::Unknowable { after: after.to_owned() })),
                None => {
                    stop =
                        Some(crate::model::fault::Fault::fatal("step.when", "`.when` must answer true or false").into())
                }
            },
            Err(error) => stop = Some(error.stop),
        }
    }
    let mut shown = String::new();
    let mut output = Value::Null;
    if stop.is_none() && !step.skipped {
        match script.call(index, Phase::Perform, None, door()) {
            Ok(value) => output = value,
            Err(error) => {
                stop = Some(error.stop);
                shown = error.shown;
            }
        }
    }
    match stop {
        None => {}
        Some(Stop::Halted(Halt::Interrupted)) => return Err(StartError::Interrupted),
        Some(Stop::Halted(Halt::Unknowable { after })) => {
            step.ends = Some(format!("what follows depends on a value that is known after `{after}`"));
            // What the rest of the step would write cannot be told, so nothing read from here on is a fact.
            walk.leave_unwritten(&[Resource::world()], &spec.name, true);
            output = Value::String(unknown::handle(&spec.name));
        }
        Some(stop) => {
            step.ends = Some(if shown.is_empty() { stop.to_string() } else { shown });
            step.faulty = true;
            walk.leave_unwritten(&[Resource::world()], &spec.name, true);
            output = Value::String(unknown::handle(&spec.name));
        }
    }
    step.lines = std::mem::take(&mut *lines.lock().unwrap_or_else(PoisonError::into_inner));
    if !step.skipped {
        walk.outputs.lock().unwrap_or_else(PoisonError::into_inner).insert(spec.name.clone(), output);
    }
    Ok(step)
}

fn planned_target(engine: &Engine, name: &str, seen: &TargetSeen) -> Result<PlannedTarget, StartError> {
    let request = SqlQuery { target: name.to_owned(), sql: SCHEMA.to_owned(), single: false, raw: None, pooled: false };
    let action = Action::read(SqlQuery::WORD, &request, "schema", vec![Resource::database(name)]);
    let previewed = engine.wait(Urgency::Soft, engine.effects.preview(&action))?.map_err(StartError::Target)?;
    let row = &previewed.value.unwrap_or_default()[0];
    let text = |column: &str| row[column].as_str().unwrap_or_default().to_owned();
    Ok(PlannedTarget { seen: seen.clone(), server: text("server"), schema: text("schema") })
}

/// How long each step took in the newest run of the runbook that finished it, in milliseconds.
fn durations(engine: &Engine, runbook: &str) -> Result<BTreeMap<String, u64>, StartError> {
    /// Runs looked at, newest first.
    const LOOK_BACK: usize = 5;
    let mut durations = BTreeMap::new();
    let runs = engine.journal.run_ids()?;
    for run in runs.iter().rev().filter(|run| run.runbook() == runbook).take(LOOK_BACK) {
        if engine.journal.summary(run)?.state != RunState::Done {
            continue;
        }
        for entry in engine.journal.story(run)? {
            if let Record::StepEnded { step, phase: Phase::Perform, end: StepEnd::Done { .. }, took_ms } = entry.record
            {
                durations.entry(step).or_insert(took_ms);
            }
        }
    }
    Ok(durations)
}
