//! Storages and addresses without databases: enough for everything that only the control plane is asked.
//!
//! Every point in the past can be had; a position in the log is a time in another form.

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::BoxFuture;

use super::backing::{At, Host, Listening, Proxies, Resolved, Rows, Running, StorageError, StorageId, Storages, Wake};
use crate::model::clock::SharedClock;
use crate::model::fault::Fault;

/// Bytes of log that a millisecond makes.
const BYTES_PER_MILLISECOND: u64 = 16;

/// Nothing behind the control plane.
pub struct Paper(pub SharedClock);

impl Paper {
    fn at(&self, at: At) -> Resolved {
        let time = match at {
            At::Head => self.0.now(),
            At::Time(time) => time,
            At::Lsn(lsn) => {
                let milliseconds = i64::try_from(lsn / BYTES_PER_MILLISECOND).unwrap_or_default();
                DateTime::<Utc>::UNIX_EPOCH + TimeDelta::milliseconds(milliseconds)
            }
        };
        let milliseconds = u64::try_from(time.timestamp_millis()).unwrap_or_default();
        Resolved { lsn: milliseconds * BYTES_PER_MILLISECOND, time: Some(time) }
    }
}

impl Storages for Paper {
    fn root(&self) -> BoxFuture<'_, Result<StorageId, Fault>> {
        Box::pin(async { Ok(StorageId("paper".into())) })
    }

    fn resolve<'a>(&'a self, _: &'a StorageId, at: At) -> BoxFuture<'a, Result<Resolved, StorageError>> {
        let resolved = self.at(at);
        Box::pin(async move { Ok(resolved) })
    }

    fn fork<'a>(&'a self, _: &'a StorageId, _: &'a Resolved) -> BoxFuture<'a, Result<StorageId, StorageError>> {
        Box::pin(async { Ok(StorageId("paper".into())) })
    }

    fn start<'a>(&'a self, _: &'a StorageId) -> BoxFuture<'a, Result<Running, Fault>> {
        Box::pin(async { Ok(Running { port: 0 }) })
    }

    fn stop<'a>(&'a self, _: &'a StorageId) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async { Ok(()) })
    }

    fn remove<'a>(&'a self, _: &'a StorageId) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async { Ok(()) })
    }

    fn sql<'a>(&'a self, _: &'a StorageId, _: &'a str, _: &'a str) -> BoxFuture<'a, Result<Rows, Fault>> {
        Box::pin(async { Ok(Vec::new()) })
    }
}

/// An address at which nobody listens.
struct Nowhere;

impl Listening for Nowhere {
    fn port(&self) -> u16 {
        1
    }

    fn clients(&self) -> usize {
        0
    }

    fn last_active(&self) -> Option<DateTime<Utc>> {
        None
    }

    fn cut(&self) {}
}

impl Proxies for Paper {
    fn listen(&self, _: Host, _: Wake) -> BoxFuture<'_, Result<Box<dyn Listening>, Fault>> {
        Box::pin(async { Ok(Box::new(Nowhere) as Box<dyn Listening>) })
    }
}
