//! The storages that tests share, and what is asked of them in every one.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use runsheet::effects::local::SystemClock;
use runsheet::lab::neon::backing::{At, Resolved, StorageId, Storages};
use runsheet::lab::neon::storage::Histories;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::sync::OnceCell;

use crate::support::{unprivileged, wait_until_async};

pub fn folder() -> TempDir {
    let folder = tempfile::Builder::new().prefix("runsheet-neon-").tempdir_in("/tmp").expect("a folder");
    unprivileged::give(folder.path());
    folder
}

pub async fn open(folder: &Path) -> Histories {
    let path = std::env::var_os("PATH").unwrap_or_default();
    Histories::open(folder, path, Arc::new(SystemClock)).await.expect("storages")
}

/// The storages that tests share: they have one template and nothing else in common.
pub struct World {
    pub histories: Arc<Histories>,
    pub folder: PathBuf,
}

impl World {
    pub async fn shared() -> &'static Self {
        static SHARED: OnceCell<World> = OnceCell::const_new();
        let made = async {
            // It goes with the storages, and those go with this process.
            let folder = folder().keep();
            Self { histories: Arc::new(open(&folder).await), folder }
        };
        SHARED.get_or_init(|| made).await
    }

    pub async fn root(&self) -> StorageId {
        self.histories.root().await.expect("a first storage")
    }

    /// The rows of a statement in the shop.
    pub async fn sql(&self, storage: &StorageId, sql: &str) -> Vec<Vec<Option<String>>> {
        self.histories.sql(storage, "app", sql).await.unwrap_or_else(|fault| panic!("{sql}: {fault}"))
    }

    /// The only value of a statement.
    pub async fn value(&self, storage: &StorageId, sql: &str) -> String {
        self.sql(storage, sql).await[0][0].clone().expect("a value")
    }

    pub async fn resolve(&self, storage: &StorageId, at: At) -> Resolved {
        self.histories.resolve(storage, at).await.expect("a point in history")
    }

    pub async fn fork(&self, storage: &StorageId, at: At) -> StorageId {
        let point = self.resolve(storage, at).await;
        self.histories.fork(storage, &point).await.expect("a fork")
    }

    /// Adds a customer in a transaction of its own.
    pub async fn customer(&self, storage: &StorageId, name: &str) {
        self.sql(storage, &format!("insert into customers (email, name) values ('{name}@example.org', '{name}')"))
            .await;
    }

    /// The customers that were added, in their order.
    pub async fn added(&self, storage: &StorageId) -> String {
        self.value(storage, "select coalesce(string_agg(name, ' ' order by id), '') from customers where id > 500")
            .await
    }

    /// Whether there are files of a storage.
    pub fn has_files(&self, storage: &StorageId) -> bool {
        self.folder.join(&storage.0).exists()
    }

    pub async fn lsn(&self, storage: &StorageId) -> u64 {
        let text = self.value(storage, "select pg_current_wal_insert_lsn()").await;
        let (high, low) = text.split_once('/').expect("a position");
        (u64::from_str_radix(high, 16).expect("hex") << 32) | u64::from_str_radix(low, 16).expect("hex")
    }

    pub async fn now(&self, storage: &StorageId) -> DateTime<Utc> {
        let text = self.value(storage, "select to_char(clock_timestamp(), 'YYYY-MM-DD\"T\"HH24:MI:SS.USOF:00')").await;
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    /// Its server ends as by a crash of its machine, but for what the operating system has taken.
    pub async fn break_down(&self, storage: &StorageId) {
        let port = self.histories.start(storage).await.expect("it runs").port;
        let file = self.folder.join(&storage.0).join("data/postmaster.pid");
        let text = std::fs::read_to_string(file).expect("its process");
        let pid = text.lines().next().and_then(|line| line.trim().parse().ok()).and_then(Pid::from_raw);
        kill_process(pid.expect("a number"), Signal::QUIT).expect("it is ours");
        wait_until_async(|| std::net::TcpStream::connect(("127.0.0.1", port)).is_err()).await;
    }
}
