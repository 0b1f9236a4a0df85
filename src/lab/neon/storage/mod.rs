//! Real PostgreSQL behind the stand-in: storages with a history, servers that run on them, proxies before the servers.
//!
//! A storage is a data folder, made when a server first starts on it, and the log that its server has written ever since.
//! Nothing of a log is ever removed, so a storage can be forked at any commit: the fork begins as the one template that all
//! share and replays the log of its ancestors up to that commit, as any PostgreSQL recovers to a point in time. Until then it
//! is a record, and one that was not changed is forked without a replay. A storage's files go with its last descendant.

mod ask;
mod copy;
mod grow;
mod history;
pub mod pooler;
mod proxy;
mod schema;
mod server;
mod template;
mod wal;
mod watchdog;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

pub use template::{APP, OWNER};

use self::history::History;
use self::template::Template;
use self::watchdog::Watchdog;
use super::backing::{At, Host, Listening, Proxies, Resolved, Rows, Running, StorageError, StorageId, Storages, Wake};
use crate::effects::programs;
use crate::lab::failed;
use crate::lab::programs::Programs;
use crate::lab::user::ServerUser;
use crate::model::clock::SharedClock;
use crate::model::digest;
use crate::model::fault::Fault;

/// What storages need of their surroundings.
pub struct Ground {
    /// Where all files lie; whom the servers run as can enter it.
    folder: PathBuf,
    /// Time and randomness.
    clock: SharedClock,
    /// PostgreSQL's programs.
    programs: Programs,
    /// Where the pooler is looked for first, as in `PATH`.
    path: OsString,
    /// Whom servers run as.
    user: ServerUser,
    /// Password of the servers' own superuser.
    superuser: String,
    /// Password of [`OWNER`] in every storage, until somebody changes it.
    owner: String,
}

/// All storages of a lab. When the process that has them is gone, however it went, so are their servers and files.
pub struct Histories {
    ground: Arc<Ground>,
    template: Arc<Template>,
    all: Mutex<BTreeMap<StorageId, Arc<History>>>,
    number: AtomicU64,
    _watchdog: Watchdog,
}

impl Histories {
    /// Makes the template in a folder, which is made too if need be. What an earlier process left there is removed.
    ///
    /// Fails with `lab.programs` where PostgreSQL's programs are missing.
    pub async fn open(folder: &Path, path: OsString, clock: SharedClock) -> Result<Self, Fault> {
        let programs = Programs::find(&path, Path::new(programs::VERSIONS))?;
        let user = ServerUser::choose()?;
        let word = || {
            let mut bytes = [0; 12];
            clock.random(&mut bytes);
            digest::hex(&bytes)
        };
        let (superuser, owner) = (word(), format!("npg_{}", word()));
        let folder = folder.to_path_buf();
        let ground = Arc::new(Ground { folder, clock, programs, path, user, superuser, owner });
        ground.prepare()?;
        let watchdog = Watchdog::start(&ground)?;
        let template = Arc::new(Template::make(&ground).await?);
        template.make_spare(&ground);
        Ok(Self { ground, template, all: Mutex::default(), number: AtomicU64::new(1), _watchdog: watchdog })
    }

    /// Password of [`OWNER`] in every storage, until somebody changes it.
    pub fn owner_password(&self) -> &str {
        &self.ground.owner
    }

    fn find(&self, storage: &StorageId) -> Result<Arc<History>, Fault> {
        let all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let found = all.get(storage).cloned();
        found.ok_or_else(|| Fault::fatal("lab.storage", format!("there is no storage {}", storage.0)))
    }

    fn next_id(&self) -> StorageId {
        StorageId(format!("st-{}", self.number.fetch_add(1, Ordering::Relaxed)))
    }

    fn keep(&self, history: History) -> StorageId {
        let id = history.id.clone();
        self.all.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone(), Arc::new(history));
        id
    }

    /// Whose server listens on a port.
    fn behind(&self, port: u16) -> Option<Arc<History>> {
        let all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.values().find(|history| history.port() == Some(port)).cloned()
    }
}

impl Storages for Histories {
    fn root(&self) -> BoxFuture<'_, Result<StorageId, Fault>> {
        let history = History::root(self.next_id(), &self.ground, &self.template);
        async move { Ok(self.keep(history)) }.boxed()
    }

    fn resolve<'a>(&'a self, storage: &'a StorageId, at: At) -> BoxFuture<'a, Result<Resolved, StorageError>> {
        async move { self.find(storage)?.resolve(at).await }.boxed()
    }

    fn fork<'a>(&'a self, storage: &'a StorageId, at: &'a Resolved) -> BoxFuture<'a, Result<StorageId, StorageError>> {
        async move { Ok(self.keep(History::fork(self.next_id(), &self.find(storage)?, at).await?)) }.boxed()
    }

    fn start<'a>(&'a self, storage: &'a StorageId) -> BoxFuture<'a, Result<Running, Fault>> {
        async move { self.find(storage)?.start().await.map(|port| Running { port }) }.boxed()
    }

    fn stop<'a>(&'a self, storage: &'a StorageId) -> BoxFuture<'a, Result<(), Fault>> {
        async move { self.find(storage)?.stop().await }.boxed()
    }

    fn remove<'a>(&'a self, storage: &'a StorageId) -> BoxFuture<'a, Result<(), Fault>> {
        async move {
            let removed = self.all.lock().unwrap_or_else(PoisonError::into_inner).remove(storage);
            // Its files go when the last one forked from it lets go of it.
            if let Some(history) = removed { history.stop().await } else { Ok(()) }
        }
        .boxed()
    }

    fn sql<'a>(
        &'a self,
        storage: &'a StorageId,
        database: &'a str,
        sql: &'a str,
    ) -> BoxFuture<'a, Result<Rows, Fault>> {
        async move {
            let port = self.find(storage)?.start().await?;
            ask::superuser(&self.ground, port, database).await?.rows(sql).await
        }
        .boxed()
    }

    fn schema<'a>(
        &'a self,
        storage: &'a StorageId,
        at: &'a Resolved,
        database: &'a str,
    ) -> BoxFuture<'a, Result<Option<String>, Fault>> {
        async move {
            let parent = self.find(storage)?;
            // Nobody else ever sees it, and it goes when this is done.
            let fork = Arc::new(History::fork(self.next_id(), &parent, at).await?);
            schema::of(&self.ground, &fork, database).await.map(Some)
        }
        .boxed()
    }
}

/// Makes proxies before the servers of storages.
pub struct Gates(pub Arc<Histories>);

impl Proxies for Gates {
    fn listen(&self, host: Host, wake: Wake) -> BoxFuture<'_, Result<Box<dyn Listening>, Fault>> {
        async move {
            let listening = proxy::listen(Arc::clone(&self.0), host, wake).await?;
            Ok(Box::new(listening) as Box<dyn Listening>)
        }
        .boxed()
    }
}

impl Ground {
    /// Makes the folder, whom the servers run as owning it, with nothing of an earlier process in it.
    fn prepare(&self) -> Result<(), Fault> {
        let cannot = |error: std::io::Error| failed(format_args!("{} cannot be made", self.folder.display()), &error);
        if !self.folder.exists() {
            use std::os::unix::fs::DirBuilderExt;
            std::fs::DirBuilder::new().mode(0o700).create(&self.folder).map_err(cannot)?;
            self.user.give(&self.folder)?;
        }
        for entry in std::fs::read_dir(&self.folder).map_err(cannot)?.flatten() {
            let name = entry.file_name();
            if name.to_str().is_some_and(|name| name.starts_with("st-") || name.starts_with("template")) {
                std::fs::remove_dir_all(entry.path()).map_err(cannot)?;
            }
        }
        Ok(())
    }
}
