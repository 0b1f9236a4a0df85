//! One action in, one outcome out: the only code that touches the world.
//!
//! Effects know no journal: where a change needs something durable in the middle (a transaction between its
//! last statement and its COMMIT), they say so through a [`Ledger`], which the door implements.

pub mod copying;
mod env_file;
mod far_file;
pub mod files;
pub mod freeze;
mod github;
pub mod http;
pub mod local;
mod logical;
pub mod loopback;
mod needed;
pub mod neon;
pub mod notify;
pub mod pgbouncer;
pub mod postgres;
pub mod process;
pub mod programs;
pub mod recovery;
mod shell;

use std::sync::Arc;

use copying::Copying;
use postgres::lock::Holder;
use postgres::{Postgres, control, scratch};
use recovery::Recovering;

pub use postgres::lock::HeldLock;

use crate::model::Value;
use crate::model::action::{Action, Recovery};
use crate::model::digest;
use crate::model::environment::Environment;
use crate::model::event::SharedSink;
use crate::model::fault::Fault;
use crate::model::identity::{Identity, ServerMoment};
use crate::model::ids::{ActionKey, RunId};
use crate::model::preview::{Level, Previewed};
use crate::model::provider::Providers;
use crate::model::request::Request;
use crate::model::request::http::Consumers;
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

    fn copying(&self) -> Copying<'_> {
        Copying { world: &self.world, postgres: &self.postgres }
    }

    fn logical(&self) -> logical::Logical<'_> {
        logical::Logical { world: &self.world, postgres: &self.postgres }
    }

    fn neon(&self) -> neon::Neon<'_> {
        neon::Neon { postgres: &self.postgres }
    }

    fn freezing(&self) -> freeze::Freezing<'_> {
        freeze::Freezing { world: &self.world, postgres: &self.postgres, guards: &self.guards }
    }

    fn recovering(&self) -> Recovering<'_> {
        Recovering { world: &self.world, postgres: &self.postgres, reach: &self.reach }
    }

    /// The world they act on.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// Performs one action once.
    ///
    /// A change calls `ledger.intent` exactly once before it can take effect, and `ledger.started` before it when it
    /// holds something that outlives this process. A read calls neither.
    pub async fn perform(&self, action: &Action, ticket: &Ticket, ledger: &dyn Ledger) -> Result<Done, Fault> {
        if !neon::knows(&action.word) {
            let owned = neon::place::require_own(&self.postgres, action, ticket).await;
            owned.map_err(|fault| self.world.vault.redact_fault(fault))?;
        }
        let done = match action.word.as_str() {
            "sql::query" => postgres::read::perform(&self.postgres, action, ticket).await,
            "sql::exec" => postgres::exec::perform(&self.postgres, action, ticket, ledger).await,
            "sql::admin" => postgres::admin::perform(&self.postgres, action, ticket, ledger).await,
            "command::run" => process::perform(&self.world, action, ticket, ledger).await,
            "pg::url" => postgres::handed::perform(&self.postgres, action).await,
            "pg::address" => postgres::handed::address(&self.postgres, action).await,
            word if scratch::WORDS.contains(&word) => scratch::perform(&self.postgres, action, ticket, ledger).await,
            word if control::WORDS.contains(&word) => control::perform(&self.postgres, action, ticket, ledger).await,
            word if copying::WORDS.contains(&word) => copying::perform(&self.copying(), action, ticket, ledger).await,
            word if recovery::WORDS.contains(&word) => {
                recovery::perform(&self.recovering(), action, ticket, ledger).await
            }
            word if freeze::WORDS.contains(&word) => freeze::perform(&self.freezing(), action, ticket, ledger).await,
            word if pgbouncer::WORDS.contains(&word) => pgbouncer::perform(&self.postgres, action, ledger).await,
            word if postgres::prove::WORDS.contains(&word) => {
                postgres::prove::perform(&self.postgres, action, ticket).await
            }
            word if env_file::WORDS.contains(&word) => env_file::perform(&self.world, action, ticket, ledger).await,
            word if github::WORDS.contains(&word) => github::perform(&self.world, action).await,
            "neon::needed" => needed::perform(&self.world, action),
            Consumers::WORD => self.world.providers.consumers().map(|value| Done { value, rows: None }),
            word if http::WORDS.contains(&word) => {
                http::perform(&self.world, &self.clients, action, ticket, ledger).await
            }
            word if local::WORDS.contains(&word) => local::perform(&self.world, action, ticket, ledger).await,
            word if neon::knows(word) => neon::perform(&self.neon(), action, ticket, ledger).await,
            word if logical::knows(word) => logical::perform(&self.logical(), action, ticket, ledger).await,
            word => Err(no_such_word(word)),
        };
        done.map_err(|fault| self.world.vault.redact_fault(fault))
    }

    /// Asks the world about an attempt whose outcome is missing, after ending what the attempt still holds.
    ///
    /// A retryable fault means that the world could not be asked at all, because its server cannot be reached.
    pub async fn resolve(&self, action: &Action, ticket: &Ticket, doubt: &Doubt) -> Result<Resolution, Fault> {
        let resolution = match action.word.as_str() {
            "sql::exec" => postgres::exec::resolve(&self.postgres, action, ticket, doubt).await,
            "sql::admin" => postgres::admin::resolve(&self.postgres, action, ticket, doubt).await,
            "command::run" => process::resolve(&self.world, action, ticket, doubt).await,
            word if scratch::WORDS.contains(&word) => scratch::resolve(&self.postgres, action, ticket, doubt).await,
            word if control::WORDS.contains(&word) => control::resolve(&self.postgres, doubt).await,
            word if copying::WORDS.contains(&word) => copying::resolve(&self.copying(), action, ticket, doubt).await,
            word if neon::knows(word) => neon::resolve(&self.neon(), action, ticket, doubt).await,
            word if logical::knows(word) => logical::resolve(&self.logical(), action, ticket, doubt).await,
            word if env_file::WORDS.contains(&word) => Ok(Resolution::NotDone),
            word if http::WORDS.contains(&word) => Ok(http::resolve(action, doubt)),
            word if recovery::WORDS.contains(&word) => {
                recovery::resolve(&self.recovering(), action, ticket, doubt).await
            }
            word if freeze::WORDS.contains(&word) => freeze::resolve(&self.freezing(), action, doubt).await,
            word if pgbouncer::WORDS.contains(&word) => Ok(Resolution::NotDone),
            _ if action.class == Recovery::Read => Ok(Resolution::NotDone),
            word => Err(no_such_word(word)),
        };
        resolution.map_err(|fault| self.world.vault.redact_fault(fault))
    }

    /// Says what an action would do, changing nothing. A read is really read.
    pub async fn preview(&self, action: &Action) -> Result<Previewed, Fault> {
        let previewed = match action.word.as_str() {
            "sql::query" | "sql::exec" | "sql::admin" => postgres::preview::preview(&self.postgres, action).await,
            "command::run" => process::preview(&self.world, action).await,
            "pg::url" | "pg::address" => postgres::handed::preview(&self.postgres, action).await,
            word if scratch::WORDS.contains(&word) => scratch::preview(&self.postgres, action).await,
            word if control::WORDS.contains(&word) => control::preview(&self.postgres, action).await,
            word if copying::WORDS.contains(&word) => copying::preview(&self.copying(), action).await,
            word if recovery::WORDS.contains(&word) => recovery::preview(&self.recovering(), action).await,
            word if freeze::WORDS.contains(&word) => freeze::preview(&self.freezing(), action).await,
            word if pgbouncer::WORDS.contains(&word) => pgbouncer::preview(&self.postgres, action).await,
            word if postgres::prove::WORDS.contains(&word) => postgres::prove::preview(action),
            word if env_file::WORDS.contains(&word) => env_file::preview(&self.world, action).await,
            word if github::WORDS.contains(&word) => github::preview(&self.world, action).await,
            "neon::needed" => needed::perform(&self.world, action).map(|done| known(done.value)),
            Consumers::WORD => self.world.providers.consumers().map(known),
            word if http::WORDS.contains(&word) => http::preview(&self.world, &self.clients, action).await,
            word if local::WORDS.contains(&word) => local::preview(&self.world, action).await,
            word if neon::knows(word) => neon::preview(&self.neon(), action).await,
            word if logical::knows(word) => logical::preview(&self.logical(), action).await,
            _ => Ok(Previewed { level: Level::Rendered, value: None, by_hand: Vec::new(), notes: Vec::new() }),
        };
        previewed.map_err(|fault| self.world.vault.redact_fault(fault))
    }

    /// What one could type at a shell instead of this action; nothing for what has no such line. Contacts nothing.
    pub fn by_hand(&self, action: &Action) -> Vec<String> {
        let lines = match action.word.as_str() {
            "sql::query" | "sql::exec" | "sql::admin" => postgres::preview::by_hand(action).map(|line| vec![line]),
            "command::run" => process::by_hand(&self.world, action).map(|line| vec![line]),
            word if scratch::WORDS.contains(&word) => scratch::by_hand(action),
            word if control::WORDS.contains(&word) => control::by_hand(action),
            word if copying::WORDS.contains(&word) => copying::by_hand(action),
            word if http::WORDS.contains(&word) => http::by_hand(action),
            word if neon::knows(word) => Ok(neon::by_hand(&self.neon(), action)),
            word if logical::knows(word) => logical::by_hand(action),
            word if recovery::WORDS.contains(&word) => recovery::by_hand(action),
            word if freeze::WORDS.contains(&word) => freeze::by_hand(action),
            word if pgbouncer::WORDS.contains(&word) => pgbouncer::by_hand(action),
            _ => return Vec::new(),
        };
        lines.unwrap_or_default().iter().map(|line| self.world.vault.redact(line)).collect()
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

    /// Ends the server session that `holds` names, as [`HeldLock::holds`] and `ledger.started` gave it, and waits until it
    /// is gone. Answers whether it was still there. A pid that meanwhile belongs to another session is left alone.
    pub async fn end_holder(&self, holds: &Value) -> Result<bool, Fault> {
        let ended = postgres::backend::end(&self.postgres, holds, std::time::Duration::ZERO).await;
        ended.map_err(|fault| self.world.vault.redact_fault(fault))
    }
}

/// What was read without asking anybody.
fn known(value: Value) -> Previewed {
    Previewed { level: Level::Read, value: Some(value), by_hand: Vec::new(), notes: Vec::new() }
}

fn no_such_word(word: &str) -> Fault {
    Fault::fatal("action.word", format!("this program cannot perform `{word}`"))
        .hinted("the journal was probably written by a newer version; use that version")
}
