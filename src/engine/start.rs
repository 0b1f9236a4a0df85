//! Beginning a run, and taking one over where it stands.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::cancel::Urgency;
use super::context::{Engine, Run, step_names};
use super::locks::{self, WriteLocks};
use super::sealed;
use super::state::State;
use crate::effects::HeldLock;
use crate::journal::entry::{FORMAT, RunStarted, SecretSource, TargetSeen};
use crate::journal::lease::{LockDir, RunLock, TargetLock};
use crate::journal::store::{JournalError, RunSummary};
use crate::model::Value;
use crate::model::declaration::Declaration;
use crate::model::event::Event;
use crate::model::fault::{Fault, FaultClass, Halt, Stop};
use crate::model::ids::RunId;
use crate::model::param::ParamKind;
use crate::model::script::Script;

/// Everything with which a run is begun.
pub struct Beginning {
    /// The runbook.
    pub script: Arc<dyn Script>,
    /// Its own file within `files`.
    pub main: String,
    /// Text of runbook, imports and templates.
    pub files: BTreeMap<String, String>,
    /// Digest of all of it.
    pub digest: String,
    /// Parameters, secrets as handles.
    pub params: Value,
    /// Where secret parameters come from.
    pub secrets: BTreeMap<String, SecretSource>,
    /// Label of every target.
    pub labels: BTreeMap<String, String>,
    /// Chosen environment.
    pub environment: Option<String>,
    /// Revision of the project.
    pub git: Option<String>,
    /// Digest of the plan it follows.
    pub plan: Option<String>,
}

/// A run in the hands of this process, with the locks that die with it.
pub struct Held {
    /// The run.
    pub run: Arc<Run>,
    _run_lock: Option<RunLock>,
    _target_locks: Vec<TargetLock>,
}

/// Why a run was not begun or taken over.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Another run, or another process, has it.
    #[error("{why}")]
    Locked {
        /// Who has what.
        why: String,
        /// The run that has it, if it is of this project.
        run: Option<RunId>,
    },
    /// Something about it is not acceptable.
    #[error("{why}")]
    Refused {
        /// What and why.
        why: String,
        /// What to do.
        hint: String,
    },
    /// There is no key, or another one, for the secrets that it seals.
    #[error("{why}")]
    Key {
        /// What is wrong.
        why: String,
        /// What to do.
        hint: String,
        /// The command to type then.
        next: String,
    },
    /// A target could not be reached or is not what it should be.
    #[error("{0}")]
    Target(Fault),
    /// The journal refused.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A signal came first.
    #[error("interrupted")]
    Interrupted,
}

impl From<Halt> for StartError {
    fn from(halt: Halt) -> Self {
        match halt {
            Halt::Interrupted => Self::Interrupted,
            other => Self::Refused { why: other.to_string(), hint: String::new() },
        }
    }
}

impl From<Stop> for StartError {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Halted(halt) => halt.into(),
            Stop::Failed(fault) if fault.code == "lock.held" => Self::Locked { why: fault.to_string(), run: None },
            Stop::Failed(fault) => Self::Target(fault),
        }
    }
}

/// Names of the targets among the parameters, with the parameter that names each.
pub fn targets_in(declaration: &Declaration, params: &Value) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for spec in &declaration.params {
        let given = &params[&spec.name];
        let names: Vec<&Value> = match &spec.kind {
            ParamKind::Target => vec![given],
            ParamKind::List(kind) if **kind == ParamKind::Target => given.as_array().into_iter().flatten().collect(),
            _ => continue,
        };
        found.extend(names.into_iter().filter_map(Value::as_str).map(|name| (spec.name.clone(), name.to_owned())));
    }
    found
}

/// Connects to every target among the parameters and says which database each really is.
pub fn identify(
    engine: &Engine,
    declaration: &Declaration,
    params: &Value,
    labels: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, TargetSeen>, StartError> {
    let mut seen = BTreeMap::new();
    for (_, name) in targets_in(declaration, params) {
        if seen.contains_key(&name) {
            continue;
        }
        let moment = engine.wait(Urgency::Soft, engine.effects.identify(&name))?.map_err(StartError::Target)?;
        engine.effects.pin(&name, moment.identity.clone());
        let label = labels.get(&name).cloned().unwrap_or_else(|| name.clone());
        seen.insert(name, TargetSeen { label, identity: moment.identity });
    }
    Ok(seen)
}

/// Begins a run: every refusal comes before its first entry.
pub fn begin(engine: &Engine, host_locks: &LockDir, beginning: Beginning) -> Result<Held, StartError> {
    let declaration = beginning.script.declaration();
    refuse_changed_text(engine, declaration, &beginning.digest)?;
    sealed::require_key(engine, declaration)?;
    let targets = identify(engine, declaration, &beginning.params, &beginning.labels)?;
    let locked: Vec<String> = {
        let mut keys: Vec<String> = targets_in(declaration, &beginning.params)
            .into_iter()
            .filter(|(param, _)| declaration.lock.contains(param))
            .filter_map(|(_, name)| targets.get(&name).map(|seen| seen.identity.key()))
            .collect();
        keys.sort();
        keys.dedup();
        keys
    };
    let kept = |state: &str| -> Result<Option<StartError>, StartError> {
        let unfinished = if locked.is_empty() { Vec::new() } else { engine.journal.unfinished()? };
        let other = unfinished.into_iter().find(|other| other.started.locks.iter().any(|key| locked.contains(key)));
        Ok(other.map(|other| {
            let why = format!("run {} of `{}` is {state} and keeps the lock", other.run, other.started.runbook);
            StartError::Locked { why, run: Some(other.run) }
        }))
    };
    let target_locks = match lock_targets(host_locks, &locked, &declaration.name) {
        Err(locked @ StartError::Locked { .. }) => return Err(kept("at work")?.unwrap_or(locked)),
        answer => answer?,
    };
    if let Some(other) = kept("unfinished")? {
        return Err(other);
    }
    // Before the first entry: a run that another machine refuses never was.
    let databases = lock_databases(engine, &targets, &locked, &declaration.name)?;
    let started = RunStarted {
        format: FORMAT,
        program: env!("CARGO_PKG_VERSION").to_owned(),
        runbook: declaration.name.clone(),
        version: declaration.version.clone(),
        digest: beginning.digest,
        main: beginning.main,
        files: beginning.files,
        git: beginning.git,
        params: beginning.params,
        kinds: declaration.params.iter().map(|param| (param.name.clone(), param.kind.clone())).collect(),
        secrets: beginning.secrets,
        targets,
        locks: locked,
        environment: beginning.environment,
        plan: beginning.plan,
        by: engine.actor.clone(),
    };
    let lease = engine.journal.create(started.clone(), engine.now())?;
    let run_lock = host_locks.try_run(&lease.run)?;
    let story = engine.journal.story(&lease.run)?;
    let script = beginning.script;
    let state = State::of(&story, &step_names(&*script)).ok_or_else(|| JournalError::NoSuchRun(lease.run.clone()))?;
    let run = Arc::new(Run::new(engine.clone(), lease, script, state));
    adopt(&run, databases)?;
    Ok(Held { run, _run_lock: run_lock, _target_locks: target_locks })
}

/// How a run is taken over.
pub struct Taking<'a> {
    /// The run.
    pub summary: &'a RunSummary,
    /// The runbook, loaded from the text that the run keeps.
    pub script: Arc<dyn Script>,
    /// `resume`, [`super::state::WORLD_RESTORED`], `undo` or `abandon`.
    pub command: &'a str,
    /// Whether a process that still holds it is to lose it.
    pub take_over: bool,
    /// Whether its databases are contacted.
    pub reach: Reach,
}

/// How far going on with a run reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// To its databases, which are locked.
    Targets,
    /// To its journal only: its databases are gone for good.
    Journal,
}

/// Goes on with a run in this process. Whoever had it before is refused its next entry.
pub fn take(engine: &Engine, locks: &LockDir, taking: Taking<'_>) -> Result<Held, StartError> {
    let run = &taking.summary.run;
    let run_lock = locks.try_run(run)?;
    if run_lock.is_none() && !taking.take_over {
        let holder = locks.run_holder(run).map(|holder| format!(" by {holder}")).unwrap_or_default();
        let why = format!("run {run} is being worked on{holder}");
        return Err(StartError::Locked { why, run: Some(run.clone()) });
    }
    let target_locks =
        if taking.take_over { Vec::new() } else { lock_targets(locks, &taking.summary.started.locks, run.as_str())? };
    for (name, seen) in &taking.summary.started.targets {
        engine.effects.pin(name, seen.identity.clone());
    }
    let steps = step_names(&*taking.script);
    let told = || -> Result<State, StartError> {
        let story = engine.journal.story(run)?;
        Ok(State::of(&story, &steps).ok_or_else(|| JournalError::NoSuchRun(run.clone()))?)
    };
    sealed::open(engine, run, taking.command, &told()?)?;
    let lease = engine.journal.take(run, engine.actor.clone(), taking.command, engine.now())?;
    let state = told()?;
    let run = Arc::new(Run::new(engine.clone(), lease, taking.script, state));
    if taking.reach == Reach::Targets {
        WriteLocks::end_earlier(&run)?;
        let started = &run.state.started;
        adopt(&run, lock_databases(engine, &started.targets, &started.locks, run.lease.run.as_str())?)?;
    }
    Ok(Held { run, _run_lock: run_lock, _target_locks: target_locks })
}

fn lock_targets(locks: &LockDir, keys: &[String], work: &str) -> Result<Vec<TargetLock>, StartError> {
    let mut held = Vec::new();
    for key in keys {
        match locks.try_target(key, work)? {
            Some(lock) => held.push(lock),
            None => {
                let holder = locks.target_holder(key).map(|holder| format!(" by {holder}")).unwrap_or_default();
                let why = format!("database {key} is locked{holder}");
                return Err(StartError::Locked { why, run: None });
            }
        }
    }
    Ok(held)
}

/// An advisory lock, by the target that it was taken through and the identity of its database.
type DatabaseLock = (String, String, HeldLock);

/// Takes the advisory lock of every locked database where that is possible now; a pooled endpoint can only be read.
fn lock_databases(
    engine: &Engine,
    targets: &BTreeMap<String, TargetSeen>,
    locked: &[String],
    work: &str,
) -> Result<Vec<DatabaseLock>, StartError> {
    let mut held: Vec<DatabaseLock> = Vec::new();
    for (name, seen) in targets {
        let identity = seen.identity.key();
        if !locked.contains(&identity) || held.iter().any(|(_, known, _)| *known == identity) {
            continue;
        }
        match locks::acquire(engine, name, work) {
            Ok(lock) => held.push((name.clone(), identity, lock)),
            Err(Stop::Failed(fault)) if fault.code == "lock.held" => return Err(Stop::Failed(fault).into()),
            Err(Stop::Failed(fault)) => {
                if fault.class != FaultClass::Fatal {
                    engine.event(Event::Warning(format!("`{name}` could not be locked yet: {fault}")));
                }
            }
            Err(stop) => return Err(stop.into()),
        }
    }
    Ok(held)
}

/// Hands the locks to the run.
fn adopt(run: &Arc<Run>, databases: Vec<DatabaseLock>) -> Result<(), StartError> {
    for (target, identity, lock) in databases {
        run.locks.adopt(run, &target, identity, lock)?;
    }
    Ok(())
}

/// Refuses a runbook whose text changed while its version did not: two runs of one version must be the same runbook.
fn refuse_changed_text(engine: &Engine, declaration: &Declaration, digest: &str) -> Result<(), StartError> {
    let ids = engine.journal.run_ids()?;
    for run in ids.iter().rev().filter(|run| run.runbook() == declaration.name) {
        let earlier = engine.journal.summary(run)?;
        if earlier.started.version != declaration.version {
            continue;
        }
        if earlier.started.digest == digest {
            break;
        }
        return Err(StartError::Refused {
            why: format!(
                "`{}` {} ran before as {run} with another text; one version is one text",
                declaration.name, declaration.version
            ),
            hint: format!(
                "give the runbook a new version, such as runbook(\"{}\", \"{}+1\", …)",
                declaration.name, declaration.version
            ),
        });
    }
    Ok(())
}
