//! One action in, one outcome out: the only code that touches the world.
//!
//! Effects know no journal: where a change needs something durable in the middle (a transaction between its
//! last statement and its COMMIT), they say so through a [`Ledger`], which the door implements.

pub mod local;
pub mod process;

use std::sync::Arc;

use crate::model::Value;
use crate::model::environment::Environment;
use crate::model::event::SharedSink;
use crate::model::fault::Fault;
use crate::model::ids::{ActionKey, RunId};
use crate::model::secret::Vault;
use crate::model::target::Target;

/// What effects need of the surroundings; made once by the command line.
pub struct World {
    /// Configured targets, by name.
    pub targets: std::collections::BTreeMap<String, Target>,
    /// The variables that `env(…)` reads and commands get a few of.
    pub environment: Environment,
    /// Opens handles and redacts results.
    pub vault: Arc<Vault>,
    /// Gets progress and warnings.
    pub sink: SharedSink,
    /// Time and randomness.
    pub clock: crate::model::clock::SharedClock,
    /// The project's folder: where commands run.
    pub project: std::path::PathBuf,
    /// This program, which is started again as the supervisor of each child process.
    pub program: std::path::PathBuf,
}

/// Whose action it is: goes into `application_name` and the supervisor's books.
#[derive(Clone, Debug)]
pub struct Ticket {
    /// The run; `None` in a preview.
    pub run: Option<RunId>,
    /// The action.
    pub key: ActionKey,
    /// Counted from 1.
    pub attempt: u32,
}

/// How an effect makes something durable in the middle of a change.
pub trait Ledger: Sync {
    /// Records what the effect holds (a backend, a process group), so that it is ended before the action is redone.
    fn started(&self, holds: Value) -> Result<(), Fault>;

    /// Makes the intent durable with `proof`. After this, and only after this, the change may take effect.
    fn intent(&self, proof: Value) -> Result<(), Fault>;
}

/// What a performed action answers.
#[derive(Clone, Debug, PartialEq)]
pub struct Done {
    /// The answer, without any secret in the clear.
    pub value: Value,
    /// Rows read or changed, where that means something.
    pub rows: Option<u64>,
}

/// What the journal has of an action whose outcome is missing.
#[derive(Clone, Debug, Default)]
pub struct Doubt {
    /// What the last attempt held.
    pub holds: Option<Value>,
    /// The proof in its intent; `None` if no intent was written.
    pub proof: Option<Value>,
}

/// What the world says about an action in doubt.
#[derive(Clone, Debug, PartialEq)]
pub enum Resolution {
    /// It was done, and this is its answer.
    Done(Done),
    /// It was not done, and nothing of it is at work any more.
    NotDone,
    /// The world cannot say.
    Unknown(String),
}
