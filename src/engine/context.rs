//! What everything that works on one run shares.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::runtime::Handle;

use super::cancel::{Cancel, Urgency};
use super::locks::WriteLocks;
use super::state::{Closure, State};
use crate::effects::{Effects, Origin, Ticket};
use crate::journal::entry::{Actor, Entry, Record};
use crate::journal::store::{Durability, Journal, JournalError, Lease};
use crate::model::Value;
use crate::model::action::{Action, Resource};
use crate::model::event::Event;
use crate::model::fault::{Fault, Halt};
use crate::model::ids::ActionKey;
use crate::model::script::Script;
use crate::model::target;

/// Asks the person at the terminal, if there is one.
pub trait Operator: Send + Sync {
    /// The answer, or `None` where nobody can be asked now.
    fn ask(&self, question: &str, manual: bool) -> Option<bool>;
}

/// What an engine is made of, for any run.
#[derive(Clone)]
pub struct Engine {
    /// Where everything is written down.
    pub journal: Arc<dyn Journal>,
    /// What touches the world.
    pub effects: Arc<Effects>,
    /// Who can be asked.
    pub operator: Arc<dyn Operator>,
    /// Who stops it.
    pub cancel: Cancel,
    /// The runtime on which effects run.
    pub handle: Handle,
    /// Who acts, from where.
    pub actor: Actor,
}

impl Engine {
    /// The time.
    pub fn now(&self) -> DateTime<Utc> {
        self.effects.world().clock.now()
    }

    /// Shows something.
    pub fn event(&self, event: Event) {
        self.effects.world().sink.event(event);
    }

    /// Waits for a time, unless the run is asked to stop at least that urgently.
    pub fn pause(&self, urgency: Urgency, time: Duration) -> Result<(), Halt> {
        // A timer belongs to the runtime in which it is made.
        self.wait(urgency, async move { tokio::time::sleep(time).await })
    }

    /// Waits for an effect, unless the run is asked to stop at least that urgently.
    ///
    /// Must not be called from a worker of the runtime.
    pub fn wait<T>(&self, urgency: Urgency, effect: impl Future<Output = T>) -> Result<T, Halt> {
        self.handle.block_on(async {
            tokio::select! {
                biased;
                () = self.cancel.reached(urgency) => Err(Halt::Interrupted),
                done = effect => Ok(done),
            }
        })
    }
}

/// One run in the hands of this process.
pub struct Run {
    /// What it is made of.
    pub engine: Engine,
    /// The right to write it down.
    pub lease: Lease,
    /// The runbook, from the text that the run keeps.
    pub script: Arc<dyn Script>,
    /// What its story said when this process took it.
    pub state: State,
    /// Locks on the databases it writes.
    pub locks: Arc<WriteLocks>,
    /// Outputs and durations of the steps done in this process, over those of [`State`].
    progress: Mutex<BTreeMap<String, (Value, f64)>>,
    /// Goes into the journal with the next record.
    pending: Mutex<Option<(DateTime<Utc>, Record)>>,
}

impl Run {
    /// A run as it was taken from the journal.
    pub fn new(engine: Engine, lease: Lease, script: Arc<dyn Script>, state: State) -> Self {
        let locks = Arc::new(WriteLocks::new(&lease.run));
        Self { engine, lease, script, state, locks, progress: Mutex::default(), pending: Mutex::default() }
    }

    /// Appends a record; without a journal nothing goes on.
    pub fn append(&self, record: Record, durability: Durability) -> Result<String, Halt> {
        // Kept locked, lest a record of another lane comes before what it follows.
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        let records = pending.take().into_iter().chain([(self.engine.now(), record)]).collect();
        self.append_all(records, durability)
    }

    /// Leaves a record that nothing depends on to be written together with the next one: a step that touches nothing
    /// then costs one write instead of two.
    pub fn append_with_next(&self, record: Record) -> Result<(), Halt> {
        self.append_pending()?;
        *self.pending.lock().unwrap_or_else(PoisonError::into_inner) = Some((self.engine.now(), record));
        Ok(())
    }

    /// Writes what was left for the next record, before something that may take long: others want to see it.
    pub fn append_pending(&self) -> Result<(), Halt> {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        match pending.take() {
            Some(record) => self.append_all(vec![record], Durability::Unsynced).map(drop),
            None => Ok(()),
        }
    }

    /// Makes everything written so far survive a power loss, before a wait in which one is as likely as ever.
    pub fn sync(&self) -> Result<(), Halt> {
        self.engine.journal.sync().map_err(halt)
    }

    fn append_all(&self, records: Vec<(DateTime<Utc>, Record)>, durability: Durability) -> Result<String, Halt> {
        self.engine.journal.append_all(&self.lease, records, durability).map_err(halt)
    }

    /// Whose action `key` is.
    pub fn ticket(&self, key: &ActionKey, attempt: u32) -> Ticket {
        let by = &self.state.started.by;
        let origin = Origin { stamp: self.state.stamp.clone(), operator: by.user.clone(), host: by.host.clone() };
        Ticket { run: Some(self.lease.run.clone()), origin, key: key.clone(), attempt }
    }

    /// Remembers what a step answered.
    pub fn finish(&self, step: &str, output: Value, took: f64) {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner).insert(step.to_owned(), (output, took));
    }

    /// The same run with its story read anew, after steps were reset.
    pub fn reread(&self) -> Result<Self, Halt> {
        let story = self.engine.journal.story(&self.lease.run).map_err(halt)?;
        let state = State::of(&story, &step_names(&*self.script))
            .ok_or_else(|| Halt::Journal(format!("run {} has no first entry", self.lease.run)))?;
        Ok(Self {
            engine: self.engine.clone(),
            lease: self.lease.clone(),
            script: Arc::clone(&self.script),
            state,
            locks: Arc::clone(&self.locks),
            progress: Mutex::default(),
            pending: Mutex::default(),
        })
    }

    /// Refuses an action on a target that the run was not started with: it was neither identified nor locked.
    pub fn refuse_strangers(&self, action: &Action) -> Result<(), Fault> {
        let resources = action.reads.iter().chain(&action.writes);
        for target in resources.filter_map(Resource::target) {
            if !self.state.started.targets.contains_key(target::base(target)) {
                return Err(stranger(target));
            }
        }
        Ok(())
    }

    /// How long earlier processes worked on a closure that they did not end well, after entry `after`.
    pub fn spent(&self, closure: &Closure, after: u64) -> Result<Duration, Halt> {
        let mut spent = Duration::ZERO;
        for (began, last) in closure.stints.iter().filter(|(_, last)| *last > after) {
            let entries = self.engine.journal.raw(&self.lease.run, last - 1, 1).map_err(halt)?;
            let entry = entries.first().and_then(|raw| serde_json::from_str::<Entry>(&raw.text).ok());
            // A clock that was set back meanwhile counts as no time.
            spent += entry.and_then(|entry| (entry.at - began).to_std().ok()).unwrap_or_default();
        }
        Ok(spent)
    }

    /// The output of a step that is done.
    pub fn output(&self, step: &str) -> Option<Value> {
        let progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        progress.get(step).map(|(output, _)| output.clone()).or_else(|| self.state.output(step))
    }

    /// How long a step took that is done, in seconds.
    pub fn took(&self, step: &str) -> Option<f64> {
        let progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        progress.get(step).map(|(_, took)| *took).or_else(|| self.state.took(step))
    }
}

/// The fault of an action on a target that no parameter names.
pub fn stranger(target: &str) -> Fault {
    Fault::fatal("target.undeclared", format!("`{target}` is not a target that this run was given"))
        .hinted("give targets as parameters, `target(\"…\")`: only those are identified, locked and shown in the plan")
}

/// Names of a runbook's steps, in order.
pub fn step_names(script: &dyn Script) -> Vec<String> {
    script.declaration().steps.iter().map(|step| step.name.clone()).collect()
}

/// A journal's refusal as the reason for which a run stops.
pub fn halt(error: JournalError) -> Halt {
    match error {
        JournalError::Fenced { by, .. } => Halt::Fenced(by),
        other => Halt::Journal(other.to_string()),
    }
}
