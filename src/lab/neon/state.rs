//! What a project consists of. Times are real ones; [`Stretch`] maps them where they come in and go out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use tokio::sync::{Mutex, Notify};

use super::backing::{Listening, Proxies, StorageId, Storages};
use super::chaos::Chaos;
use super::clock::Stretch;
use super::knobs::Knobs;
use super::operations::Operation;
use super::rate::Rate;
use super::refusal::Refusal;
use crate::model::clock::SharedClock;

/// A project, and what stands behind it.
pub struct Project {
    /// Its id.
    pub id: String,
    /// Time and randomness.
    pub clock: SharedClock,
    /// Its data.
    pub storages: Arc<dyn Storages>,
    /// Its addresses.
    pub proxies: Arc<dyn Proxies>,
    /// Everything that changes.
    pub state: Mutex<State>,
    /// Told whenever an operation began or ended.
    pub changed: Notify,
    /// Held while an operation works, so that those that the service begins by itself wait for their turn.
    pub turn: Mutex<()>,
}

/// What changes of a project.
#[derive(Default)]
pub struct State {
    /// Its name.
    pub name: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was changed.
    pub updated_at: DateTime<Utc>,
    /// Seconds of history that are kept.
    pub history: i64,
    /// Settings that nothing here depends on, as they were given.
    pub settings: Map<String, Value>,
    /// Whether it was deleted.
    pub deleted: bool,
    /// Branches, the deleted ones too.
    pub branches: BTreeMap<String, Branch>,
    /// Endpoints.
    pub endpoints: BTreeMap<String, Endpoint>,
    /// Operations, oldest first.
    pub operations: Vec<Operation>,
    /// The number of the next database.
    pub next_database: i64,
    /// How it behaves.
    pub knobs: Knobs,
    /// How it misbehaves.
    pub chaos: Chaos,
    /// How its times are shown.
    pub stretch: Stretch,
    /// Requests of late, against the rate limit.
    pub rate: Rate,
    /// Requests by route, such as `GET /projects/{project}/branches`.
    pub counts: BTreeMap<String, u64>,
    /// Answers by status.
    pub statuses: BTreeMap<u16, u64>,
    /// Names of branches in the order in which they were made by the API.
    pub made: Vec<String>,
    /// Most branches that were ever there at once.
    pub peak: usize,
    /// Names of branches in the order in which they were deleted, by whomever.
    pub removed: Vec<String>,
    /// What schemas are said to be on a project without databases: `BRANCH/DATABASE` and text.
    pub schemas: BTreeMap<String, String>,
    /// Branches that were made just now and are not found yet, and how often.
    pub late: BTreeMap<String, u32>,
}

/// A branch.
#[derive(Clone, Debug)]
pub struct Branch {
    /// Its id, `br-…`.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its parent.
    pub parent: Option<String>,
    /// Where it left its parent.
    pub parent_lsn: Option<u64>,
    /// When it left its parent.
    pub parent_time: Option<DateTime<Utc>>,
    /// `init`, `resetting`, `ready`, `archived`.
    pub state: String,
    /// The state that it is on its way to.
    pub pending: Option<String>,
    /// When the state changed.
    pub state_changed_at: DateTime<Utc>,
    /// Whether it is the project's default.
    pub default: bool,
    /// Whether it is protected.
    pub protected: bool,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was changed.
    pub updated_at: DateTime<Utc>,
    /// When it will be deleted.
    pub expires_at: Option<DateTime<Utc>>,
    /// Seconds that it was to live.
    pub ttl: Option<i64>,
    /// When it was last restored.
    pub last_reset_at: Option<DateTime<Utc>>,
    /// The beginning of its own history.
    pub history_from: DateTime<Utc>,
    /// `parent-data`, `schema-only`, `parent-schema`.
    pub init_source: String,
    /// What may not be done to it, and why.
    pub restricted: Vec<(String, String)>,
    /// What its maker wrote on it.
    pub annotation: Option<Map<String, Value>>,
    /// When and until when it is deleted but can be had back.
    pub deleted: Option<Deleted>,
    /// Whether it is the old root of a root that was restored from another branch.
    pub backup_of_root: bool,
    /// Its data. A branch that was put there by a test has none until it is needed.
    pub storage: Option<StorageId>,
    /// Whether the roles and databases are to be put into the data before it is used.
    pub unconfigured: bool,
    /// Its roles.
    pub roles: Vec<Role>,
    /// Its databases.
    pub databases: Vec<Database>,
}

/// A deletion that can be taken back.
#[derive(Clone, Copy, Debug)]
pub struct Deleted {
    /// When.
    pub at: DateTime<Utc>,
    /// Until when.
    pub until: DateTime<Utc>,
    /// Whether the branch's time was over.
    pub expired: bool,
}

/// A role of a branch.
#[derive(Clone, Debug)]
pub struct Role {
    /// Its name.
    pub name: String,
    /// Its password; none for one that may not log in.
    pub password: Option<String>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was changed.
    pub updated_at: DateTime<Utc>,
}

/// A database of a branch.
#[derive(Clone, Debug)]
pub struct Database {
    /// Its number.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// Its owner.
    pub owner: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was changed.
    pub updated_at: DateTime<Utc>,
}

/// An endpoint.
pub struct Endpoint {
    /// Its id, `ep-…`.
    pub id: String,
    /// The branch that it serves.
    pub branch: String,
    /// Whether it may write.
    pub read_write: bool,
    /// `init`, `active`, `idle`.
    pub state: String,
    /// The state that it is on its way to.
    pub pending: Option<String>,
    /// Whether connections and waking are blocked.
    pub disabled: bool,
    /// Seconds without clients after which it is suspended; 0 is the default, -1 never.
    pub suspend_timeout: i64,
    /// Least and most compute units.
    pub compute_units: (f64, f64),
    /// When a client was last there.
    pub last_active: Option<DateTime<Utc>>,
    /// When it was started.
    pub started_at: Option<DateTime<Utc>>,
    /// When it was suspended.
    pub suspended_at: Option<DateTime<Utc>>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was changed.
    pub updated_at: DateTime<Utc>,
    /// Its direct address.
    pub direct: Option<Box<dyn Listening>>,
    /// Its pooled address.
    pub pooled: Option<Box<dyn Listening>>,
}

impl State {
    /// A branch that is not deleted.
    pub fn branch(&self, id: &str) -> Option<&Branch> {
        self.branches.get(id).filter(|branch| branch.deleted.is_none())
    }

    /// The same; a refusal when there is none.
    pub fn existing(&self, id: &str) -> Result<&Branch, Refusal> {
        self.branch(id).ok_or_else(|| Refusal::missing("branch"))
    }

    /// The same, to be changed.
    pub fn branch_mut(&mut self, id: &str) -> Option<&mut Branch> {
        self.branches.get_mut(id).filter(|branch| branch.deleted.is_none())
    }

    /// All branches that are not deleted.
    pub fn living(&self) -> impl Iterator<Item = &Branch> {
        self.branches.values().filter(|branch| branch.deleted.is_none())
    }

    /// The default branch.
    pub fn default_branch(&self) -> Option<&Branch> {
        self.living().find(|branch| branch.default)
    }

    /// Ids of the branches that have a branch as their parent.
    pub fn children(&self, id: &str) -> BTreeSet<String> {
        let of = |branch: &&Branch| branch.parent.as_deref() == Some(id);
        self.living().filter(of).map(|branch| branch.id.clone()).collect()
    }

    /// Endpoints of a branch. Those of a deleted branch are not among them.
    pub fn endpoints_of<'a>(&'a self, branch: &'a str) -> impl Iterator<Item = &'a Endpoint> {
        self.endpoints.values().filter(move |endpoint| endpoint.branch == branch && self.branch(branch).is_some())
    }

    /// Notes how many branches there are.
    pub fn count(&mut self) {
        self.peak = self.peak.max(self.living().count());
    }

    /// Whether an operation is still to be done.
    pub fn busy(&self) -> bool {
        self.operations.iter().rev().take(64).any(|operation| !operation.ended())
    }
}

impl Branch {
    /// A branch that is ready, of this name and parent.
    pub fn new(id: String, name: String, parent: Option<String>, now: DateTime<Utc>) -> Self {
        Self {
            id,
            name,
            parent,
            parent_lsn: None,
            parent_time: None,
            state: "ready".into(),
            pending: None,
            state_changed_at: now,
            default: false,
            protected: false,
            created_at: now,
            updated_at: now,
            expires_at: None,
            ttl: None,
            last_reset_at: None,
            history_from: now,
            init_source: "parent-data".into(),
            restricted: Vec::new(),
            annotation: None,
            deleted: None,
            backup_of_root: false,
            storage: None,
            unconfigured: false,
            roles: Vec::new(),
            databases: Vec::new(),
        }
    }

    /// Puts it into a state.
    pub fn enter(&mut self, state: &str, pending: Option<&str>, now: DateTime<Utc>) {
        self.state = state.to_owned();
        self.pending = pending.map(str::to_owned);
        self.state_changed_at = now;
        self.updated_at = now;
    }
}
