//! Sessions: connecting, proving which database it is, and telling a server from a pooler.

use std::time::{Duration, Instant};

use tokio::sync::OnceCell;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Config, NoTls, Row, Socket, Statement};

use super::faults::{self, Stage};
use super::stamp::Stamp;
use super::{Postgres, cut, moment, tls, url};
use crate::effects::neon;
use crate::effects::recovery::place;
use crate::model::Value;
use crate::model::clock::backoff;
use crate::model::fault::{Fault, FaultClass};
use crate::model::identity::{ExpectedIdentity, Identity, ServerMoment};
use crate::model::target::{self, Target, TlsMode};

/// Settings that must not depend on a role, a database or a server. They come with the start of the session, so that
/// `DISCARD ALL` comes back to them.
const PINNED: [(&str, &str); 7] = [
    ("standard_conforming_strings", "on"),
    ("DateStyle", "ISO"),
    ("IntervalStyle", "iso_8601"),
    ("TimeZone", "UTC"),
    ("extra_float_digits", "1"),
    ("bytea_output", "hex"),
    ("synchronous_commit", "on"),
];

/// The longest a server may take from the first packet to its first answer.
const HANDSHAKE: Duration = Duration::from_secs(20);

/// How long a compute of a branch may take to wake.
const WAKING: Duration = Duration::from_secs(15);

/// Whether a session must be to the pinned database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pin {
    /// It must.
    Obeyed,
    /// It need not: the caller compares for itself.
    Ignored,
}

/// One connection, outside of any transaction unless its user says otherwise. Dropping it closes it.
pub struct Session {
    /// The connection.
    pub client: Client,
    /// Name of the target.
    pub target: String,
    /// Who the server was when it was connected to, and when that was.
    pub moment: ServerMoment,
    /// The server process behind it.
    pub pid: i32,
    /// When that process started, RFC 3339 with microseconds.
    pub backend_start: String,
    /// Why it does not reach the server itself, if it does not.
    pub pooled: Option<String>,
    /// Whether the server replays another one's changes.
    pub standby: bool,
    /// The run that made the database, if one did.
    pub made: Option<Stamp>,
    /// The name it was given last, empty if it still has its first.
    pub renamed: String,
    /// What each read asks first, planned once: a preview reads hundreds of times. `DISCARD ALL` takes it from the server.
    pub before_reads: OnceCell<Statement>,
}

/// Opens a session and proves its identity.
pub async fn open(postgres: &Postgres, target: &str, application: &str, pin: Pin) -> Result<Session, Fault> {
    to(postgres, &*postgres.target(target).await?, application, pin).await
}

/// The same by the URL that may be pooled, to see what an application sees. A pooler that leads elsewhere is refused.
pub async fn pooled(postgres: &Postgres, target: &str, application: &str) -> Result<Session, Fault> {
    let direct = postgres.target(target).await?.into_owned();
    let mut target = Target { direct_url: None, ..direct.clone() };
    if let (Some(tunnel), Some(_)) = (&direct.tunnel, &direct.direct_url) {
        // The tunnel's own end is the direct one; the other address is taken as that host knows it.
        target.tunnel = Some(url::aside(tunnel, &url::config(&target)?));
    }
    to(postgres, &target, application, Pin::Obeyed).await
}

async fn to(postgres: &Postgres, target: &Target, application: &str, pin: Pin) -> Result<Session, Fault> {
    let mut config = postgres.config(target).await?;
    if let Some(password) = config.get_password() {
        postgres.world.vault.hide(&format!("password of {}", target.name), &String::from_utf8_lossy(password));
    }
    config.application_name(cut(application));

    let mut nonce = [0; 8];
    postgres.world.clock.random(&mut nonce);
    let nonce = crate::model::digest::hex(&nonce);
    let mut direct = config.clone();
    let pinned = PINNED.iter().map(|(name, value)| format!("-c {name}={value} ")).collect::<String>();
    let own = config.get_options().unwrap_or_default();
    direct.options(format!("{own} {pinned}-c runsheet.direct={nonce}").trim_start());

    let what = format!("connecting to {} ({})", target.name, url::place(target, &config));
    let branch = neon::place::branch(postgres.neon(), target).await?;
    let mut session = match first(target, &direct, branch.is_some()).await {
        Ok(client) => moment::session(client, target, &config, &nonce, &what).await?,
        Err(Broken::Server(error)) if refuses_parameters(&error) => {
            let client = connect(target, &config).await.map_err(|broken| broken.fault(&what))?;
            let mut session = moment::session(client, target, &config, &nonce, &what).await?;
            session.pooled = Some(format!("it refused a setting at the start of the session ({})", said(&error)));
            session
        }
        Err(broken) => return Err(postgres.why(target, broken.fault(&what)).await),
    };
    session.moment.identity.branch = branch;
    check(postgres, target, &session, pin)?;
    Ok(session)
}

enum Broken {
    Server(tokio_postgres::Error),
    Fault(Fault),
    Slow,
}

impl Broken {
    /// Whether the same may go well a moment later.
    fn may_be_waking(&self) -> bool {
        match self {
            Self::Server(error) => {
                faults::of(error, Stage::Harmless, "").class == FaultClass::Retryable && !refuses_parameters(error)
            }
            Self::Fault(_) | Self::Slow => false,
        }
    }

    fn fault(self, what: &str) -> Fault {
        match self {
            Self::Server(error) => faults::of(&error, Stage::Harmless, what),
            Self::Fault(fault) => fault,
            Self::Slow => {
                Fault::retryable("connection.timeout", format!("{what}: no answer within {} s", HANDSHAKE.as_secs()))
                    .hinted("the host takes connections but does not answer: is the server overloaded or stopped?")
            }
        }
    }
}

/// The first connection. A compute that sleeps is woken by it, and may need a moment to answer.
async fn first(target: &Target, config: &Config, wakes: bool) -> Result<Client, Broken> {
    let began = Instant::now();
    let mut tries = 0;
    loop {
        match connect(target, config).await {
            Err(broken) if wakes && began.elapsed() < WAKING && broken.may_be_waking() => {
                tries += 1;
                tokio::time::sleep(backoff(Duration::from_millis(100), Duration::from_secs(2), tries)).await;
            }
            other => return other,
        }
    }
}

/// A bare connection, for servers of the protocol that are no databases: nothing is asked of it, and nothing pinned.
pub async fn bare(target: &Target, config: &Config, what: &str) -> Result<Client, Fault> {
    connect(target, config).await.map_err(|broken| broken.fault(what))
}

async fn connect(target: &Target, config: &Config) -> Result<Client, Broken> {
    let connecting = async {
        if url::tls_mode(target, config) == TlsMode::Disable {
            let (client, connection) = config.connect(NoTls).await.map_err(Broken::Server)?;
            drive(connection);
            return Ok(client);
        }
        let connector = tls::connector(target).map_err(Broken::Fault)?;
        let (client, connection) = config.connect(connector).await.map_err(Broken::Server)?;
        drive(connection);
        Ok(client)
    };
    tokio::time::timeout(HANDSHAKE, connecting).await.unwrap_or(Err(Broken::Slow))
}

/// Moves a connection's bytes until its client is dropped; what goes wrong is seen by the client.
fn drive<S>(connection: tokio_postgres::Connection<Socket, S>)
where
    S: tokio_postgres::tls::TlsStream + Unpin + Send + 'static,
{
    tokio::spawn(async move {
        let _ = connection.await;
    });
}

/// A pooler gives sessions away and so cannot take settings that belong to one.
fn refuses_parameters(error: &tokio_postgres::Error) -> bool {
    error
        .as_db_error()
        .is_some_and(|said| said.code().code() == "08P01" || said.message().contains("startup parameter"))
}

/// What the server said, or what happened on the way to it.
pub(super) fn said(error: &tokio_postgres::Error) -> String {
    error.as_db_error().map_or_else(|| error.to_string(), |said| said.message().to_owned())
}

/// A database and where it lies, as messages say it.
fn shown(found: &Identity) -> String {
    match &found.branch {
        Some(branch) => format!("`{}` of {branch}", found.database),
        None => format!("`{}` of system {}", found.database, found.system),
    }
}

fn check(postgres: &Postgres, target: &Target, session: &Session, pin: Pin) -> Result<(), Fault> {
    let found = &session.moment.identity;
    let name = &target.name;
    if let Some(expected) = target.identity.as_ref().filter(|expected| !expected.matches(found)) {
        let hint = match expected {
            ExpectedIdentity::Branch { branch, .. } if found.branch.is_none() => format!(
                "on which branch it is was not to be learnt: `[neon]` must name project {}, with a key that may see it; else check the URL",
                branch.project
            ),
            _ => "check the URL that this environment gives; if the database was really replaced, `runsheet doctor` prints its new identity".to_owned(),
        };
        return Err(Fault::fatal(
            "identity.mismatch",
            format!(
                "target `{name}` is not the configured database: expected {expected}, found {} at {}",
                shown(found),
                found.address
            ),
        )
        .hinted(hint));
    }
    // A branch that a run made is known by its id, and its stamp was looked at when its URL was asked for.
    let branch = target::made_branch(name);
    let made = target::made(name).filter(|_| branch.is_none());
    if place::named(name).is_some() {
        // It is known by its page in the book; one that somebody promoted is not the moment any more.
        if !session.standby {
            return Err(Fault::fatal("recover.promoted", format!("`{name}` does not stand still any more"))
                .hinted("somebody promoted it; have it dropped, and recover another"));
        }
    } else if made.is_some() && session.made.is_none() {
        return Err(Fault::fatal("target.not-made", format!("`{name}` is not a database that a run made")).hinted(
            "SERVER:DATABASE is only for what pg::scratch answered; configure any other database as a target",
        ));
    }
    // The server of a made database is pinned by its base; the database itself is known by its stamp.
    let same = |pinned: &Identity| match made {
        None => pinned.same_database(found),
        // A moment before a failover lies on an earlier timeline.
        Some(_) if place::named(name).is_some() => pinned.system == found.system,
        Some(_) => pinned.same_server(found) && (pinned.branch.is_some() || pinned.timeline == found.timeline),
    };
    let pinned = postgres.pinned(target::base(name)).filter(|_| branch.is_none());
    let pinned = pinned.filter(|pinned| pin == Pin::Obeyed && !same(pinned));
    if let Some(pinned) = pinned {
        let show = |it: &Identity| match &it.branch {
            Some(branch) => format!("database `{}` of {branch}", it.database),
            None => format!("system {}, timeline {}, database oid {}", it.system, it.timeline, it.database_oid),
        };
        return Err(Fault::fatal(
            "identity.changed",
            format!(
                "target `{name}` is not the database that this run began with: {} then, {} now",
                show(&pinned),
                show(found)
            ),
        )
        .hinted("it was failed over, restored or pointed elsewhere meanwhile; point it back, or abandon the run"));
    }
    Ok(())
}

impl Session {
    /// What a message says before the reason: `sql::exec on prod`.
    pub fn what(&self, word: &str) -> String {
        format!("{word} on {}", self.target)
    }

    /// Names the session for the server's session list. False if the session is dead.
    pub async fn rename(&mut self, application: &str) -> bool {
        // A preview looks often under one name; what it cannot see of a death just now costs it nothing but a message.
        if self.renamed == application {
            return !self.client.is_closed();
        }
        let name = cut(application).replace('\'', "''");
        let named = self.client.batch_execute(&format!("SET application_name = '{name}'")).await.is_ok();
        self.renamed = application.to_owned();
        named
    }

    /// Refuses a session that is not one's own, for what depends on it being so.
    pub fn require_direct(&self, why: &str) -> Result<(), Fault> {
        let Some(pooled) = &self.pooled else { return Ok(()) };
        Err(Fault::fatal(
            "target.pooled",
            format!("target `{}` is reached through a pooler: {pooled}; {why}", self.target),
        )
        .hinted(format!("set `direct_url` of target `{}` to the server's own address", self.target)))
    }

    /// Refuses a session on which a transaction cannot be made and proved.
    pub fn require_writable(&self) -> Result<(), Fault> {
        self.require_direct("a change must be proved by the very session that made it")?;
        if self.standby {
            return Err(Fault::fatal(
                "target.standby",
                format!("target `{}` is a standby: it cannot be changed", self.target),
            )
            .hinted("point the target at the primary"));
        }
        Ok(())
    }

    /// What must be ended before an action of this session is redone.
    pub fn holds(&self) -> Value {
        serde_json::json!({ "target": self.target, "pid": self.pid, "backend_start": self.backend_start })
    }

    /// Runs statements of ours that answer nothing.
    pub async fn batch(&self, sql: &str, word: &str) -> Result<(), Fault> {
        self.client.batch_execute(sql).await.map_err(|error| faults::of(&error, Stage::Harmless, &self.what(word)))
    }

    /// Runs one statement of ours by the unnamed statement, which a pooler lets pass.
    pub async fn ask(&self, sql: &str, params: &[(&(dyn ToSql + Sync), Type)], word: &str) -> Result<Vec<Row>, Fault> {
        self.client
            .query_typed(sql, params)
            .await
            .map_err(|error| faults::of(&error, Stage::Harmless, &self.what(word)))
    }

    /// The settings that a pooler did not take, as statements for one transaction.
    pub fn pins_for_transaction(&self) -> String {
        if self.pooled.is_none() {
            return String::new();
        }
        PINNED.iter().map(|(name, value)| format!("; SET LOCAL {name} = '{value}'")).collect()
    }
}

/// A column of a row of ours.
pub fn column<'a, T: tokio_postgres::types::FromSql<'a>>(row: &'a Row, index: usize) -> Result<T, Fault> {
    row.try_get(index)
        .map_err(|error| Fault::fatal("server.answer", format!("the server's answer cannot be read: {error}")))
}
