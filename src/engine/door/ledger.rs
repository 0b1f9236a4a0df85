//! What an effect writes down in the middle of a change, as entries of its run.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use super::attempt::LONG;
use super::execute::ExecuteDoor;
use crate::effects::{Doubt, Ledger};
use crate::journal::entry::Record;
use crate::journal::store::Durability;
use crate::model::Value;
use crate::model::action::Action;
use crate::model::fault::{Fault, Halt, Stop};
use crate::model::ids::ActionKey;

/// The ledger that an effect writes through: the door's own entries, under the run's lease.
pub(super) struct DoorLedger<'a> {
    door: &'a ExecuteDoor,
    key: &'a ActionKey,
    attempt: u32,
    action: &'a Action,
    begun: Instant,
    pub(super) written: Mutex<Written>,
}

#[derive(Default)]
pub(super) struct Written {
    /// What is in doubt from now on, should the attempt be cut off.
    pub(super) doubt: Doubt,
    /// Why nothing may be changed any more, whatever the effect makes of its fault.
    pub(super) refused: Option<Halt>,
}

impl<'a> DoorLedger<'a> {
    /// A ledger for one attempt, which begins now.
    pub(super) fn new(door: &'a ExecuteDoor, key: &'a ActionKey, attempt: u32, action: &'a Action) -> Self {
        Self { door, key, attempt, action, begun: Instant::now(), written: Mutex::default() }
    }

    /// A change that was long in the making proves again, before it takes effect, what was proved when it began.
    fn still_sound(&self) -> Result<(), Fault> {
        /// Probes are scripts, which recurse on the stack of the thread that calls them.
        const STACK: usize = 16 << 20;
        if self.begun.elapsed() <= LONG {
            return Ok(());
        }
        // On a thread of its own: this one is already at work on the effect, and cannot wait for another.
        let proved = std::thread::scope(|scope| {
            let prove = || self.door.before_change(self.action);
            let thread = std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, prove);
            thread.map(|thread| thread.join())
        });
        match proved {
            Ok(Ok(Ok(()))) => Ok(()),
            Ok(Ok(Err(Stop::Failed(fault)))) => Err(fault),
            Ok(Ok(Err(Stop::Halted(halt)))) => {
                let fault = Fault::fatal("door.halted", halt.to_string());
                self.written.lock().unwrap_or_else(PoisonError::into_inner).refused = Some(halt);
                Err(fault)
            }
            Ok(Err(_)) | Err(_) => Err(Fault::fatal("door.proof", "what the change relies on could not be proved")),
        }
    }

    fn write(&self, record: Record, durability: Durability) -> Result<(), Fault> {
        self.door.closure.run.append(record, durability).map(drop).map_err(|halt| {
            let fault = Fault::fatal("journal", halt.to_string());
            self.written.lock().unwrap_or_else(PoisonError::into_inner).refused = Some(halt);
            fault
        })
    }
}

impl Ledger for DoorLedger<'_> {
    fn started(&self, holds: Value) -> Result<(), Fault> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner).doubt.holds = Some(holds.clone());
        let record = Record::Started { key: self.key.clone(), attempt: self.attempt, holds };
        self.write(record, Durability::Unsynced)
    }

    fn sealed(&self, name: &str, text: &str) -> Result<(), Fault> {
        let record = Record::Sealed { name: name.to_owned(), text: text.to_owned() };
        self.write(record, Durability::Synced)
    }

    fn intent(&self, proof: Value) -> Result<(), Fault> {
        let action = self.action;
        self.still_sound()?;
        self.written.lock().unwrap_or_else(PoisonError::into_inner).doubt.proof = Some(proof.clone());
        let record = Record::Intent {
            key: self.key.clone(),
            attempt: self.attempt,
            word: action.word.clone(),
            title: action.title.clone(),
            fingerprint: action.fingerprint(),
            request: action.request.clone(),
            class: action.class,
            writes: action.writes.clone(),
            probe: action.probe.clone(),
            proof,
        };
        self.write(record, Durability::Synced)
    }
}
