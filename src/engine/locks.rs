//! Advisory locks on the databases that a run writes, so that two hosts cannot run the same cutover.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::cancel::Urgency;
use super::context::{Engine, Run, halt};
use crate::effects::HeldLock;
use crate::journal::entry::Record;
use crate::journal::store::Durability;
use crate::model::clock::backoff;
use crate::model::event::Event;
use crate::model::fault::{Fault, FaultClass, Halt, Stop};
use crate::model::ids::{ActionKey, Phase, RunId};
use crate::model::target;

/// Step name under which the sessions that hold locks stand in the journal.
const STEP: &str = "(lock)";
/// Attempts to take a lock while the server cannot be reached or an earlier session of this run is still ending.
const ATTEMPTS: u32 = 6;

/// The locks of one run in this process, by the identity of the database.
pub struct WriteLocks {
    held: Mutex<BTreeMap<String, Arc<HeldLock>>>,
    run: RunId,
}

impl WriteLocks {
    /// No locks yet.
    pub fn new(run: &RunId) -> Self {
        Self { held: Mutex::default(), run: run.clone() }
    }

    /// Proves that this run holds the lock of a target's database, taking it first if need be.
    pub fn prove(&self, run: &Run, target: &str) -> Result<(), Stop> {
        let engine = &run.engine;
        // What a run makes belongs to it alone, and its server's configured database is not touched: two runs may make
        // their copies on one server.
        if target::made(target).is_some() {
            return Ok(());
        }
        let target = target::base(target);
        let identity = match run.state.started.targets.get(target) {
            Some(seen) => seen.identity.key(),
            None => target.to_owned(),
        };
        // Held while proving, so that lanes beside each other do not both take it.
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lock) = held.get(&identity) {
            let Err(lost) = engine.wait(Urgency::Hard, lock.prove())? else { return Ok(()) };
            held.remove(&identity);
            // Nobody can say what happened in between, so the story tells that there was a gap.
            let text = format!("{lost}; it is taken anew, and another run may have been there meanwhile");
            run.append(Record::Note { text: text.clone() }, Durability::Unsynced)?;
            engine.event(Event::Warning(text));
        }
        let lock = acquire(engine, target, self.run.as_str())?;
        Self::note(run, target, &lock)?;
        held.insert(identity, Arc::new(lock));
        Ok(())
    }

    /// Takes over a lock that was taken before the run began.
    pub fn adopt(&self, run: &Run, target: &str, identity: String, mut lock: HeldLock) -> Result<(), Halt> {
        run.engine.wait(Urgency::Hard, lock.rename(&self.run))?;
        Self::note(run, target, &lock)?;
        self.held.lock().unwrap_or_else(PoisonError::into_inner).insert(identity, Arc::new(lock));
        Ok(())
    }

    /// Writes down which session holds a lock, so that whoever goes on with the run can end it.
    fn note(run: &Run, target: &str, lock: &HeldLock) -> Result<(), Halt> {
        let key = ActionKey { step: STEP.to_owned(), phase: Phase::Perform, lane: target.to_owned(), seq: 1 };
        run.append(Record::Started { key, attempt: 1, holds: lock.holds() }, Durability::Unsynced).map(drop)
    }

    /// Ends the sessions with which earlier processes held this run's locks: they are dead, or their right is gone.
    pub fn end_earlier(run: &Run) -> Result<(), Stop> {
        for target in run.state.started.targets.keys() {
            let engine = &run.engine;
            let entries =
                engine.journal.lane(&run.lease.run, STEP, Phase::Perform, target, 0, usize::MAX).map_err(halt)?;
            for entry in entries {
                let Record::Started { holds, .. } = entry.record else { continue };
                // A server that cannot be reached now holds no lock that matters: taking ours will say so.
                let ended: Result<bool, Fault> = engine.wait(Urgency::Hard, engine.effects.end_holder(&holds))?;
                if let Err(fault) = ended {
                    tracing::debug!(%fault, "an earlier lock's session could not be ended");
                }
            }
        }
        Ok(())
    }
}

/// Takes the lock of a target's database for a run, or for a runbook of which one is about to begin.
pub fn acquire(engine: &Engine, target: &str, work: &str) -> Result<HeldLock, Stop> {
    let mut attempt = 1;
    loop {
        match engine.wait(Urgency::Hard, engine.effects.lock(target, work))? {
            Ok(lock) => return Ok(lock),
            Err(fault) if attempt < ATTEMPTS && fault.class == FaultClass::Retryable => {
                let wait = backoff(Duration::from_millis(200), Duration::from_secs(5), attempt);
                engine.wait(Urgency::Soft, async move { tokio::time::sleep(wait).await })?;
                attempt += 1;
            }
            Err(fault) => return Err(fault.into()),
        }
    }
}
