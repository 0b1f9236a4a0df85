//! One action in, one outcome out: the only code that touches the world.
//!
//! Effects know no journal: where a change needs something durable in the middle (a transaction between its
//! last statement and its COMMIT), they say so through a [`Ledger`], which the door implements.

mod copying;
mod env_file;
mod families;
mod far_file;
pub mod files;
pub mod freeze;
mod github;
mod http;
pub mod local;
mod logical;
pub mod loopback;
mod needed;
mod neon;
pub mod notify;
mod pgbouncer;
mod place;
pub mod postgres;
pub mod process;
pub mod programs;
mod recovery;
mod scan;
pub mod scram;
pub mod sealing;
mod shell;

use std::sync::Arc;

use postgres::Postgres;
use postgres::lock::Holder;

pub use postgres::lock::HeldLock;

use crate::model::Value;
use crate::model::digest;
use crate::model::environment::Environment;
use crate::model::event::SharedSink;
use crate::model::fault::Fault;
use crate::model::identity::{Identity, ServerMoment};
use crate::model::ids::{ActionKey, Phase, RunId};
use crate::model::provider::Providers;
use crate::model::secret::Vault;
use crate::model::target::Target;

/// What effects need of the surroundings; made once by the command line.
pub struct World {
    /// Configured targets, by name.
    pub targets: std::collections::BTreeMap<String, Target>,
    /// Services around them.
    pub providers: Providers,
    /// The variables that `env(…)` reads and commands get a few of.
    pub environment: Environment,
    /// Opens handles and redacts results.
    pub vault: Arc<Vault>,
    /// Gets progress and warnings.
    pub sink: SharedSink,
    /// Seals what a run needs again after a restart; without one, it needs it in vain.
    pub key: Option<sealing::Key>,
    /// Time and randomness.
    pub clock: crate::model::clock::SharedClock,
    /// The project's folder: where commands run.
    pub project: std::path::PathBuf,
    /// The folder of its state: where files lie that runs make.
    pub state: std::path::PathBuf,
    /// What is known of earlier runs.
    pub past: Arc<dyn Past>,
    /// This program, which is started again as the supervisor of each child process.
    pub program: std::path::PathBuf,
}

/// What is known of the runs of this project.
pub trait Past: Send + Sync {
    /// Whether a run is over for good; `None` if no run of this project has that id and that stamp.
    fn finished(&self, run: &str, stamp: &str) -> Option<bool>;

    /// The runs that are not over, with the databases they were started on: what they still need is not to be removed.
    ///
    /// # Errors
    /// When the runs cannot be read, in one sentence: nobody then knows what is needed.
    fn unfinished(&self) -> Result<Vec<Unfinished>, String> {
        Ok(Vec::new())
    }

    /// Shows everything that was written down about every run: the run's id, and a piece of text.
    ///
    /// # Errors
    /// When something cannot be read, in one sentence.
    fn written(&self, _see: &mut dyn FnMut(&str, &str)) -> Result<(), String> {
        Ok(())
    }
}

/// A run that is not over.
#[derive(Clone, Debug, PartialEq)]
pub struct Unfinished {
    /// Its id.
    pub run: String,
    /// What it made carries this stamp.
    pub stamp: String,
    /// The databases it was started on.
    pub databases: Vec<Identity>,
}

/// By which what a run makes is known as that run's, also on a server that several projects use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// Unique to the run: the digest of its first entry. Empty in a preview.
    pub stamp: String,
    /// Who began it.
    pub operator: String,
    /// Where.
    pub host: String,
}

/// Whose action it is: goes into `application_name` and the supervisor's books.
#[derive(Clone, Debug)]
pub struct Ticket {
    /// The run; `None` in a preview.
    pub run: Option<RunId>,
    /// What tells it from runs of the same id elsewhere.
    pub origin: Origin,
    /// The action.
    pub key: ActionKey,
    /// Counted from 1.
    pub attempt: u32,
}

impl Ticket {
    /// The run, or `preview` where there is none.
    pub(crate) fn run_name(&self) -> &str {
        self.run.as_ref().map_or("preview", RunId::as_str)
    }

    /// Whose action a preview's is: nobody's.
    pub(crate) fn preview() -> Self {
        let key = ActionKey { step: "preview".into(), phase: Phase::Perform, lane: String::new(), seq: 1 };
        Self { run: None, origin: Origin::default(), key, attempt: 1 }
    }

    /// What tells apart whatever this action makes: known before it is made, and again after a crash.
    pub(crate) fn unique(&self) -> String {
        let mut unique = self.digest();
        unique.truncate(8);
        unique
    }

    /// The same in full, the same on every attempt.
    pub(crate) fn digest(&self) -> String {
        digest::of_bytes(format!("{} {}", self.origin.stamp, self.key).as_bytes())
    }
}

/// How an effect makes something durable in the middle of a change.
pub trait Ledger: Sync {
    /// Records what the effect holds (a backend, a process group), so that it is ended before the action is redone.
    fn started(&self, holds: Value) -> Result<(), Fault>;

    /// Makes a sealed secret durable, before anything is made of it.
    fn sealed(&self, name: &str, text: &str) -> Result<(), Fault>;

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

/// Performs, resolves and previews actions.
///
/// The order of calls is the engine's: [`Effects::perform`] once an attempt; [`Effects::resolve`] for an attempt whose
/// outcome is missing, and only after it answered [`Resolution::NotDone`] may the action be performed again.
/// Dropping the future of any of them is safe at every instant: it leaves what a killed process leaves.
pub struct Effects {
    world: Arc<World>,
    postgres: Postgres,
    reach: recovery::Reach,
    clients: http::Clients,
    guards: freeze::Guards,
}

impl Effects {
    /// Effects on this world. Nothing is contacted yet.
    pub fn new(world: World) -> Self {
        let world = Arc::new(world);
        let (reach, clients) = (recovery::Reach::default(), http::Clients::default());
        Self { postgres: Postgres::new(world.clone()), reach, clients, guards: freeze::Guards::default(), world }
    }

    /// The world they act on.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// Connects to a target and says which database it really is, at which moment of its history.
    ///
    /// Fails with `identity.mismatch` when it is not the configured one, `identity.changed` when it is not the pinned one.
    pub async fn identify(&self, target: &str) -> Result<ServerMoment, Fault> {
        let moment = self.postgres.identify(target).await;
        moment.map_err(|fault| self.world.vault.redact_fault(fault))
    }

    /// From now on every connection to `target` must reach this database, or fails with `identity.changed`.
    pub fn pin(&self, target: &str, identity: Identity) {
        self.postgres.pin(target, identity);
    }

    /// Takes the advisory lock of a target for a run, or for a runbook of which one is about to begin, on a session of
    /// its own; dropping the answer releases it.
    ///
    /// Fails with `lock.held`, naming the holder, when another session has it.
    pub async fn lock(&self, target: &str, work: &str) -> Result<HeldLock, Fault> {
        let lock = postgres::lock::take(&self.postgres, target, work).await;
        lock.map_err(|fault| self.world.vault.redact_fault(fault))
    }

    /// Who holds the advisory lock of a target, if anybody does.
    pub async fn lock_holder(&self, target: &str) -> Result<Option<Holder>, Fault> {
        let holder = postgres::lock::holder(&self.postgres, target).await;
        holder.map_err(|fault| self.world.vault.redact_fault(fault))
    }

    /// Releases what this process holds frozen, since its run ends here. Answers whether anything was: without this it would be
    /// released all the same, and nobody would be told why.
    pub async fn release(&self, why: &str) -> bool {
        self.guards.lift(&self.world.vault.redact(why)).await
    }

    /// Ends the server session that `holds` names, as [`HeldLock::holds`] and `ledger.started` gave it, and waits until it
    /// is gone. Answers whether it was still there. A pid that meanwhile belongs to another session is left alone.
    pub async fn end_holder(&self, holds: &Value) -> Result<bool, Fault> {
        let ended = postgres::backend::end(&self.postgres, holds, std::time::Duration::ZERO).await;
        ended.map_err(|fault| self.world.vault.redact_fault(fault))
    }
}

fn no_such_word(word: &str) -> Fault {
    Fault::fatal("action.word", format!("this program cannot perform `{word}`"))
        .hinted("the journal was probably written by a newer version; use that version")
}
