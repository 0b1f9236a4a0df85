//! What stands behind the control plane: the data of branches, and the addresses that clients connect to.
//!
//! The control plane knows branches, endpoints and operations, and asks these two traits for everything that has data or a
//! socket. All times here are real ones; the times that the API speaks of are mapped before they come here.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;

use crate::model::fault::Fault;

/// Data of a branch, with its history: a storage.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StorageId(pub String);

/// A point in a storage's history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// What is there now.
    Head,
    /// The last commit at or before this position in the log.
    Lsn(u64),
    /// The last commit at or before this time.
    Time(DateTime<Utc>),
}

/// A point that was found: the last commit at or before the one asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// Its position in the log.
    pub lsn: u64,
    /// When it was committed, if anything was.
    pub time: Option<DateTime<Utc>>,
}

/// Why a storage did not do what it was asked.
#[derive(Clone, Debug)]
pub enum StorageError {
    /// The point lies outside what is kept.
    OutOfHistory {
        /// The earliest that can be had.
        earliest: DateTime<Utc>,
        /// The latest.
        latest: DateTime<Utc>,
    },
    /// Anything else.
    Failed(Fault),
}

impl From<Fault> for StorageError {
    fn from(fault: Fault) -> Self {
        Self::Failed(fault)
    }
}

/// A server that runs on a storage. Loopback alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Running {
    /// Where it listens.
    pub port: u16,
}

/// Rows of a statement, every value as text.
pub type Rows = Vec<Vec<Option<String>>>;

/// The storages of all projects. Calls for one storage are made one after the other, for several at once.
pub trait Storages: Send + Sync {
    /// A project's first storage, empty, of a template that all share; instant once the template is there.
    fn root(&self) -> BoxFuture<'_, Result<StorageId, Fault>>;
    /// Finds a point.
    fn resolve<'a>(&'a self, storage: &'a StorageId, at: At) -> BoxFuture<'a, Result<Resolved, StorageError>>;
    /// A storage that begins as another was at a point. Records only: nothing is copied, and 1,000 cost nothing.
    fn fork<'a>(&'a self, storage: &'a StorageId, at: &'a Resolved) -> BoxFuture<'a, Result<StorageId, StorageError>>;
    /// Runs a server on it, which materialises it if need be. One that runs goes on running.
    fn start<'a>(&'a self, storage: &'a StorageId) -> BoxFuture<'a, Result<Running, Fault>>;
    /// Stops its server: sessions end with `57P01`. None running is fine.
    fn stop<'a>(&'a self, storage: &'a StorageId) -> BoxFuture<'a, Result<(), Fault>>;
    /// Removes it. Those forked from it live on. One that is gone is fine.
    fn remove<'a>(&'a self, storage: &'a StorageId) -> BoxFuture<'a, Result<(), Fault>>;
    /// Runs statements as the server's own superuser; starts the server if need be. The rows are those of the last one.
    fn sql<'a>(&'a self, storage: &'a StorageId, database: &'a str, sql: &'a str)
    -> BoxFuture<'a, Result<Rows, Fault>>;
    /// The schema of a database as it was at a point; `None` where there are no databases.
    fn schema<'a>(
        &'a self,
        _storage: &'a StorageId,
        _at: &'a Resolved,
        _database: &'a str,
    ) -> BoxFuture<'a, Result<Option<String>, Fault>> {
        Box::pin(async { Ok(None) })
    }
}

/// What a proxy asks when a client connects: wakes the compute and answers where its server listens on loopback, or why not,
/// in words that the client gets as PostgreSQL's error.
pub type Wake = Arc<dyn Fn() -> BoxFuture<'static, Result<u16, String>> + Send + Sync>;

/// Which of an endpoint's two hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host {
    /// `ep-…`: straight to the server.
    Direct,
    /// `ep-…-pooler`: through PgBouncer in transaction mode.
    Pooled,
}

/// A listening address of an endpoint. It does not listen any more once this is dropped.
pub trait Listening: Send + Sync {
    /// Where clients connect on loopback.
    fn port(&self) -> u16;
    /// Clients that are connected now. A pooler's own connections do not count.
    fn clients(&self) -> usize;
    /// When a client last sent or got a byte.
    fn last_active(&self) -> Option<DateTime<Utc>>;
    /// Ends all client connections, such as when an endpoint is suspended or restored.
    fn cut(&self);
}

/// Makes listening addresses.
pub trait Proxies: Send + Sync {
    /// Listens on a free port of loopback.
    fn listen(&self, host: Host, wake: Wake) -> BoxFuture<'_, Result<Box<dyn Listening>, Fault>>;
}
