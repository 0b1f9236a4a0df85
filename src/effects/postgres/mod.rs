//! PostgreSQL targets: reads, transactions exactly once, administration, locks.
//!
//! One file per duty; all of them reach a server through [`connect`] alone, so that identity, TLS, pinned settings
//! and the words of a failure are the same everywhere.

pub mod admin;
pub mod backend;
pub mod connect;
pub mod control;
pub mod exec;
pub mod faults;
mod functions;
pub mod handed;
pub mod inside;
mod lexer;
pub mod libpq;
pub mod lock;
pub mod login;
pub mod made;
pub mod measure;
mod moment;
pub mod preview;
pub mod prove;
pub mod quote;
pub mod read;
pub mod resolve;
mod rows;
pub mod scratch;
mod secrets;
pub mod stamp;
mod sweep;
pub mod tls;
pub mod url;
mod values;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use connect::{Pin, Session};
use tokio_postgres::Config;

use super::neon::http::Api;
use super::process::tunnel::Tunnels;
use super::recovery::place;
use super::{Ticket, World, neon};
use crate::model::fault::Fault;
use crate::model::identity::{Identity, ServerMoment};
use crate::model::target::{self, Target, Tls, TlsMode};

/// How many idle sessions of a target are kept.
const KEPT_IDLE: usize = 4;

/// All targets of a world, with the sessions to them that wait for work.
pub struct Postgres {
    world: Arc<World>,
    pins: Mutex<BTreeMap<String, Identity>>,
    idle: Mutex<BTreeMap<String, Vec<Session>>>,
    logins: login::Logins,
    neon: Api,
    tunnels: Tunnels,
}

impl Postgres {
    /// Targets of this world. Nothing is contacted yet.
    pub fn new(world: Arc<World>) -> Self {
        Self {
            neon: Api::new(world.clone()),
            world,
            pins: Mutex::default(),
            logins: login::Logins::default(),
            idle: Mutex::default(),
            tunnels: Tunnels::default(),
        }
    }

    /// See [`super::Effects::pin`].
    pub fn pin(&self, target: &str, identity: Identity) {
        self.pins.lock().unwrap_or_else(PoisonError::into_inner).insert(target.to_owned(), identity);
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).remove(target);
    }

    fn pinned(&self, target: &str) -> Option<Identity> {
        self.pins.lock().unwrap_or_else(PoisonError::into_inner).get(target).cloned()
    }

    /// See [`super::Effects::identify`].
    pub async fn identify(&self, target: &str) -> Result<ServerMoment, Fault> {
        let session = connect::open(self, target, "runsheet identify", Pin::Obeyed).await?;
        let moment = session.moment.clone();
        self.give_back(session);
        Ok(moment)
    }

    /// A target by its name; `SERVER:DATABASE` is a database that a run made on the server of the target `SERVER`.
    pub(in crate::effects) async fn target(&self, name: &str) -> Result<Cow<'_, Target>, Fault> {
        let configured = self.world.targets.get(target::base(name)).ok_or_else(|| {
            let known = self.world.targets.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            Fault::fatal("target.unknown", format!("there is no target `{}`", target::base(name)))
                .hinted(format!("targets of this project: {}", if known.is_empty() { "none" } else { &known }))
        })?;
        if target::login(name).is_some() {
            return self.logins.target(self, configured, name).map(Cow::Owned);
        }
        if let Some((_, branch)) = target::made_branch(name) {
            return neon::place::made(&self.neon, configured, name, branch).await.map(Cow::Owned);
        }
        let Some((_, database)) = target::made(name) else { return Ok(Cow::Borrowed(configured)) };
        if let Some(made) = place::named(name) {
            return self.recovered(configured, name, made).map(Cow::Owned);
        }
        let identity = configured.identity.as_ref();
        Ok(Cow::Owned(Target {
            name: name.to_owned(),
            url: url::of_database(configured.direct(), database),
            direct_url: None,
            tools: None,
            replication_url: configured.replication_url.as_ref().map(|url| url::of_database(url, database)),
            identity: identity.map(|it| it.clone().with_database(database)),
            protected: false,
            ..configured.clone()
        }))
    }

    /// The surroundings.
    pub(in crate::effects) fn world(&self) -> &World {
        &self.world
    }

    /// How a target is connected to from here: by its direct URL, through its tunnel if it has one.
    pub(in crate::effects) async fn config(&self, target: &Target) -> Result<Config, Fault> {
        let config = url::config(target)?;
        let Some(tunnel) = &target.tunnel else { return Ok(config) };
        let port = self.tunnels.port(&self.world, tunnel).await?;
        Ok(url::through(target, &config, tunnel, port))
    }

    /// A target that is connected to without a session of ours: as it is, or at the near end of its tunnel.
    pub(in crate::effects) async fn near(&self, target: &Target) -> Result<Target, Fault> {
        let Some(tunnel) = &target.tunnel else { return Ok(target.clone()) };
        let port = self.tunnels.port(&self.world, tunnel).await?;
        let url = url::near(&url::config(target)?, tunnel, port);
        Ok(Target { url, direct_url: None, tunnel: None, ..target.clone() })
    }

    /// Why a connection to a target came to nothing, where its tunnel says it better than the connection can.
    pub(in crate::effects) async fn why(&self, target: &Target, fault: Fault) -> Fault {
        match &target.tunnel {
            Some(tunnel) if fault.code.starts_with("connection.") => self.tunnels.why(tunnel).await.unwrap_or(fault),
            _ => fault,
        }
    }

    /// The service that runs branches.
    pub(in crate::effects) fn neon(&self) -> &Api {
        &self.neon
    }

    /// Closes every session to a branch that a run made, if it waits for work.
    pub(in crate::effects) fn close_idle_of_branch(&self, id: &str) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|name, _| target::made_branch(name).is_none_or(|(_, branch)| branch != id));
    }

    /// Closes all sessions that wait for work.
    pub(in crate::effects) fn close_idle_all(&self) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// A server that a run recovered: the same database and role, as they were then.
    fn recovered(&self, configured: &Target, name: &str, made: &str) -> Result<Target, Fault> {
        let entry = place::find(&self.world, made)?.filter(|entry| entry.target == configured.name);
        let entry = entry.ok_or_else(|| {
            Fault::fatal("target.not-made", format!("there is no recovered server `{name}`"))
                .hinted("it was dropped, or never made; pg::recover makes another")
        })?;
        let config = url::config(configured)?;
        Ok(Target {
            name: name.to_owned(),
            url: url::on_loopback(&config, entry.port),
            direct_url: None,
            replication_url: None,
            protected: false,
            tls: Tls { mode: TlsMode::Disable, ca: None },
            tunnel: None,
            tools: None,
            ..configured.clone()
        })
    }

    /// Closes the sessions to a target that wait for work.
    pub(in crate::effects) fn close_idle(&self, target: &str) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).remove(target);
    }

    /// A session to a target: one that waits for work if there is one that still lives, otherwise a new one.
    pub(in crate::effects) async fn session(&self, target: &str, application: &str) -> Result<Session, Fault> {
        loop {
            let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).get_mut(target).and_then(Vec::pop);
            let Some(mut session) = idle else { return connect::open(self, target, application, Pin::Obeyed).await };
            // Naming the session anew proves at the same time that it is alive.
            if session.rename(application).await {
                return Ok(session);
            }
        }
    }

    /// Keeps a session that is outside of any transaction for later work. Sessions through a pooler are not kept:
    /// what they remember of the server may be another server process's the next time.
    pub(in crate::effects) fn give_back(&self, session: Session) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = idle.entry(session.target.clone()).or_default();
        if session.pooled.is_none() && kept.len() < KEPT_IDLE {
            kept.push(session);
        }
    }
}

/// What a server's session list shows of an action: `runsheet RUN STEP#SEQ aN`, at most 63 bytes.
pub(in crate::effects) fn application_name(ticket: &Ticket) -> String {
    let run = ticket.run_name();
    cut(&format!("runsheet {run} {} a{}", ticket.key, ticket.attempt)).to_owned()
}

/// Text cut to the 63 bytes that a server keeps of an application name.
fn cut(text: &str) -> &str {
    let end = (0..=text.len().min(63)).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or(0)]
}
