//! The whole service: projects, keys, and the repositories of the GitHub that stands beside it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;

use super::backing::{Proxies, Storages};
use super::github::Hub;
use super::janitor;
use super::names;
use super::operations;
use super::refusal::Refusal;
use super::state::{Project, State};
use super::storage::{Gates, Histories};
use crate::model::clock::{Clock, SharedClock};
use crate::model::digest;
use crate::model::fault::Fault;

/// What a key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rights {
    /// Everything.
    All,
    /// Read.
    Read,
    /// Nothing.
    None,
}

/// What stands behind projects.
#[derive(Clone)]
pub struct Backing {
    /// Their data.
    pub storages: Arc<dyn Storages>,
    /// Their addresses.
    pub proxies: Arc<dyn Proxies>,
    /// The password that the application's role has in every first storage; none without databases.
    pub password: Option<String>,
}

/// What projects with databases need.
pub struct Ground {
    /// Where all files lie.
    pub folder: PathBuf,
    /// Where programs are looked for first, as in `PATH`.
    pub path: OsString,
}

/// The service.
pub struct Plane {
    /// Time and randomness.
    pub clock: SharedClock,
    /// What stands behind a project without databases.
    pub paper: Backing,
    /// Where programs and files of projects with databases are.
    pub ground: Ground,
    real: OnceCell<Backing>,
    /// The GitHub.
    pub hub: Hub,
    projects: Mutex<BTreeMap<String, Arc<Project>>>,
    keys: Mutex<BTreeMap<String, (String, Rights)>>,
}

impl Plane {
    /// A service without projects.
    pub fn new(clock: SharedClock, paper: Backing, ground: Ground) -> Self {
        let (projects, keys) = (Mutex::default(), Mutex::default());
        Self { clock, paper, ground, real: OnceCell::new(), hub: Hub::default(), projects, keys }
    }

    /// What stands behind a project with databases; made with the first one of them.
    pub async fn real(&self) -> Result<Backing, Fault> {
        let open = async || {
            let Ground { folder, path } = &self.ground;
            let histories = Histories::open(folder, path.clone(), Arc::clone(&self.clock)).await?;
            let (password, histories) = (Some(histories.owner_password().to_owned()), Arc::new(histories));
            Ok(Backing { storages: Arc::clone(&histories) as _, proxies: Arc::new(Gates(histories)), password })
        };
        self.real.get_or_try_init(open).await.cloned()
    }

    /// Adds a project, and has its operations worked on.
    pub fn add(&self, id: String, backing: Backing, seed: Option<u64>, state: State) -> Arc<Project> {
        let clock: SharedClock = match seed {
            Some(seed) => Arc::new(Seeded { clock: Arc::clone(&self.clock), seed, drawn: AtomicU64::new(0) }),
            None => Arc::clone(&self.clock),
        };
        let Backing { storages, proxies, .. } = backing;
        let (changed, turn) = Default::default();
        let project = Arc::new(Project { id, clock, storages, proxies, state: state.into(), changed, turn });
        self.projects.lock().unwrap_or_else(PoisonError::into_inner).insert(project.id.clone(), Arc::clone(&project));
        tokio::spawn(operations::drive(Arc::downgrade(&project)));
        tokio::spawn(janitor::tidy(Arc::downgrade(&project)));
        project
    }

    /// A project.
    pub fn project(&self, id: &str) -> Result<Arc<Project>, Refusal> {
        let projects = self.projects.lock().unwrap_or_else(PoisonError::into_inner);
        projects.get(id).cloned().ok_or_else(|| Refusal::missing("project"))
    }

    /// All projects.
    pub fn projects(&self) -> Vec<Arc<Project>> {
        self.projects.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Forgets a project.
    pub fn forget(&self, id: &str) {
        self.projects.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }

    /// A new key for a project.
    pub fn key(&self, project: &str, rights: Rights) -> String {
        let key = names::secret(&*self.clock, "napi_");
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        keys.insert(key.clone(), (project.to_owned(), rights));
        key
    }

    /// Which project a key is for, and what it may do there.
    pub fn holder(&self, key: &str) -> Option<(String, Rights)> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }
}

/// A clock whose random bytes follow from a seed, so that the same ids come again.
struct Seeded {
    clock: SharedClock,
    seed: u64,
    drawn: AtomicU64,
}

impl Clock for Seeded {
    fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    fn random(&self, buffer: &mut [u8]) {
        for part in buffer.chunks_mut(32) {
            let drawn = self.drawn.fetch_add(1, Ordering::Relaxed);
            let bytes = digest::of_bytes(format!("{} {drawn}", self.seed).as_bytes());
            for (byte, pair) in part.iter_mut().zip(bytes.as_bytes().chunks(2)) {
                let pair = std::str::from_utf8(pair).unwrap_or_default();
                *byte = u8::from_str_radix(pair, 16).unwrap_or_default();
            }
        }
    }
}
