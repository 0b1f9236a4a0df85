//! One storage: where it comes from, what was committed on it, the server that runs on it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use chrono::{DateTime, Utc};
use tokio::sync::Mutex;

use super::Ground;
use super::grow;
use super::pooler::Pooler;
use super::server::Server;
use super::template::Template;
use super::wal::{Commit, Log, SLACK};
use crate::lab::neon::backing::{At, Resolved, StorageError, StorageId};
use crate::model::fault::Fault;

/// A storage. Its files go when nothing holds it any more: each one holds the one that it comes from.
pub struct History {
    /// Its name.
    pub id: StorageId,
    /// What it begins as.
    pub origin: Origin,
    /// The point at which it begins.
    begins: Resolved,
    /// When it was made: before that it has no history of its own.
    made: DateTime<Utc>,
    /// The folder of its files.
    pub folder: PathBuf,
    /// What programs there are.
    pub ground: Arc<Ground>,
    /// Where its server listens, 0 while none does.
    listens: AtomicU16,
    state: Mutex<State>,
}

/// What a storage begins as.
#[derive(Clone)]
pub enum Origin {
    /// The template, unchanged.
    Template(Arc<Template>),
    /// Another storage as it was right after a commit.
    Commit {
        /// The other storage.
        of: Arc<History>,
        /// Where the record of that commit starts.
        lsn: u64,
        /// Where it ends.
        end: u64,
    },
}

impl Origin {
    /// Where its log ends.
    fn end(&self) -> u64 {
        match self {
            Self::Template(template) => template.end,
            Self::Commit { end, .. } => *end,
        }
    }
}

#[derive(Default)]
struct State {
    /// Whether there is a data folder.
    grown: bool,
    server: Option<Server>,
    pooler: Option<Pooler>,
    /// The commits seen so far, in the order of the log.
    commits: Vec<Commit>,
    /// Whether all were seen and no server has written since.
    settled: bool,
}

impl History {
    /// One that begins as the template.
    pub fn root(id: StorageId, ground: &Arc<Ground>, template: &Arc<Template>) -> Self {
        let begins = Resolved { lsn: template.end, time: None };
        Self::new(id, ground, Origin::Template(Arc::clone(template)), begins)
    }

    /// One that begins as another was at a point. One that had not changed by then passes on what it began as itself.
    pub async fn fork(id: StorageId, parent: &Arc<Self>, at: &Resolved) -> Result<Self, Fault> {
        let mut state = parent.state.lock().await;
        if state.commits.last().is_none_or(|last| last.end < at.lsn) {
            parent.look(&mut state).await?;
        }
        let origin = match state.commits.iter().rev().find(|commit| commit.lsn < at.lsn) {
            Some(commit) => Origin::Commit { of: Arc::clone(parent), lsn: commit.lsn, end: commit.end },
            None => parent.origin.clone(),
        };
        // Behind the commit its own log goes on, whatever the parent's had there.
        let begins = Resolved { lsn: origin.end(), time: at.time };
        Ok(Self::new(id, &parent.ground, origin, begins))
    }

    fn new(id: StorageId, ground: &Arc<Ground>, origin: Origin, begins: Resolved) -> Self {
        let (folder, made) = (ground.folder.join(&id.0), ground.clock.now());
        Self {
            id,
            origin,
            begins,
            made,
            folder,
            ground: Arc::clone(ground),
            listens: AtomicU16::new(0),
            state: Mutex::default(),
        }
    }

    /// Finds a point.
    pub async fn resolve(&self, at: At) -> Result<Resolved, StorageError> {
        let now = self.ground.clock.now();
        let outside = || StorageError::OutOfHistory { earliest: self.made, latest: now };
        if matches!(at, At::Time(time) if time < self.made || time > now) {
            return Err(outside());
        }
        let mut state = self.state.lock().await;
        self.look(&mut state).await?;
        let before = |lsn: u64| state.commits.iter().rev().find(|commit| commit.lsn < lsn);
        let last = match at {
            At::Head => state.commits.last(),
            // As in recovery: up to the first that is later.
            At::Time(time) => state.commits.iter().take_while(|commit| commit.time <= time).last(),
            At::Lsn(lsn) => {
                let known = state.commits.last().map_or(self.begins.lsn, |commit| commit.end);
                let end = if state.grown { self.log().end(known).await?.max(known) } else { known };
                if lsn < self.begins.lsn || lsn > end + SLACK {
                    return Err(outside());
                }
                let time = before(lsn).map_or(self.begins.time, |commit| Some(commit.time));
                return Ok(Resolved { lsn, time });
            }
        };
        Ok(last.map_or(self.begins, |commit| Resolved { lsn: commit.end, time: Some(commit.time) }))
    }

    /// Runs the server; answers where it listens.
    pub async fn start(self: &Arc<Self>) -> Result<u16, Fault> {
        let mut state = self.state.lock().await;
        let data = self.data();
        if let Some(server) = &mut state.server {
            if server.serves(&data).await {
                return Ok(server.port());
            }
            // It ends as a whole when one of its sessions breaks down.
            state.server = None;
            state.pooler = None;
        }
        let server = if state.grown {
            Server::start(&self.ground, &data, &self.folder.join("log"), &[]).await?
        } else {
            let server = grow::grow(self).await?;
            self.template().make_spare(&self.ground);
            server
        };
        let port = server.port();
        self.listens.store(port, Ordering::Relaxed);
        state.grown = true;
        state.settled = false;
        state.server = Some(server);
        Ok(port)
    }

    /// Stops the server and its pooler, if they run.
    pub async fn stop(&self) -> Result<(), Fault> {
        let mut state = self.state.lock().await;
        state.pooler = None;
        self.listens.store(0, Ordering::Relaxed);
        match state.server.take() {
            Some(server) => server.stop().await,
            None => Ok(()),
        }
    }

    /// Where its server listens, if one was started.
    pub fn port(&self) -> Option<u16> {
        Some(self.listens.load(Ordering::Relaxed)).filter(|port| *port != 0)
    }

    /// Where the pooler before its server listens, which is started if need be.
    pub async fn pooled(&self, server: u16) -> Result<u16, Fault> {
        let mut state = self.state.lock().await;
        if state.server.as_ref().is_none_or(|running| running.port() != server) {
            return Err(Fault::retryable("lab.stopped", "the compute was stopped meanwhile"));
        }
        if let Some(pooler) = &mut state.pooler
            && pooler.alive()
        {
            return Ok(pooler.port());
        }
        let pooler = Pooler::start(&self.ground, &self.folder.join("pooler"), server).await?;
        let port = pooler.port();
        state.pooler = Some(pooler);
        Ok(port)
    }

    /// The data folder.
    pub fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// Number of the timeline on which it writes: each recovery begins a new one.
    pub fn timeline(&self) -> u32 {
        match &self.origin {
            Origin::Template(_) => 1,
            Origin::Commit { of, .. } => of.timeline() + 1,
        }
    }

    /// The folders with the log of all that it comes from, the nearest first.
    pub fn ancestry(&self) -> Vec<PathBuf> {
        let (mut folders, mut origin) = (Vec::new(), &self.origin);
        while let Origin::Commit { of, .. } = origin {
            folders.push(of.data().join("pg_wal"));
            origin = &of.origin;
        }
        folders
    }

    /// The template at the bottom of all that it comes from.
    pub fn template(&self) -> &Arc<Template> {
        let mut origin = &self.origin;
        loop {
            match origin {
                Origin::Template(template) => return template,
                Origin::Commit { of, .. } => origin = &of.origin,
            }
        }
    }

    fn log(&self) -> Log<'_> {
        Log { ground: &self.ground, folder: self.data().join("pg_wal"), timeline: self.timeline() }
    }

    /// Reads the commits that came since the last look.
    async fn look(&self, state: &mut State) -> Result<(), Fault> {
        if !state.grown || state.settled {
            return Ok(());
        }
        // What ended before we looked, has written all that it ever will.
        let settled = !state.server.as_mut().is_some_and(Server::alive);
        let last = state.commits.last().map(|commit| commit.lsn);
        let found = self.log().commits(last.unwrap_or(self.begins.lsn)).await?;
        state.commits.extend(found.into_iter().filter(|commit| last.is_none_or(|last| commit.lsn > last)));
        state.settled = settled;
        Ok(())
    }
}

impl Drop for History {
    fn drop(&mut self) {
        let state = self.state.get_mut();
        (state.pooler, state.server) = (None, None);
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
