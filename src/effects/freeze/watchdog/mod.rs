//! The watchdog: what this program does when it is started with the hidden argument [`super::WATCH`]. It outlives the
//! engine, and releases what is frozen as soon as the engine is gone or the server's clock says that it is time; never once
//! the freeze is committed. A second line stands on the server itself, for the case that this whole host dies.

mod releasing;

use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::setsid;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::OwnedWriteHalf;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::book::{self, Page};
use super::charge::{Charge, Order, Reply};
use super::{ground, release, sleeper};
use crate::effects::local::SystemClock;
use crate::effects::postgres::connect::{self, Pin, Session};
use crate::effects::postgres::{Postgres, quote};
use crate::effects::{Past, World, process};
use crate::model::environment::Environment;
use crate::model::event::Silent;
use crate::model::fault::Fault;
use crate::model::provider::Providers;
use crate::model::secret::Vault;

/// How often the row is looked at.
const LOOK: Duration = Duration::from_millis(200);

/// How long the server may take to answer before it is asked on another connection.
const ANSWER: Duration = Duration::from_secs(3);

/// How long an earlier watchdog of the same database may take to come to its end.
const EARLIER: Duration = Duration::from_secs(20);

/// Guards one freeze. Answers the process's exit code, which nobody reads.
pub fn main() -> ExitCode {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return ExitCode::FAILURE;
    };
    match runtime.block_on(guard()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

async fn guard() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    // Away from the terminal, and deaf to what ends the engine: only its work ends it.
    setsid()?;
    let _deaf = [
        SignalKind::hangup(),
        SignalKind::interrupt(),
        SignalKind::terminate(),
        SignalKind::quit(),
        SignalKind::pipe(),
    ]
    .map(signal);
    let stream = UnixStream::from(std::io::stdin().as_fd().try_clone_to_owned()?);
    stream.set_nonblocking(true)?;
    let (read, mut replies) = tokio::net::UnixStream::from_std(stream)?.into_split();
    let (sender, mut orders) = mpsc::channel(8);
    tokio::spawn(async move {
        let mut lines = BufReader::new(read).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            let Ok(order) = serde_json::from_str::<Order>(&line) else { return };
            if sender.send(order).await.is_err() {
                return;
            }
        }
    });
    let Some(Order::Guard(charge)) = orders.recv().await else { return Ok(()) };
    let mut watch = match Watch::begin(*charge).await {
        Ok(watch) => watch,
        Err(fault) => return say(&mut replies, &Reply::Failed(fault)).await,
    };
    say(&mut replies, &Reply::Guarding { deadline: watch.page.deadline.clone() }).await.ok();
    let why = watch.until_over(&mut orders, &mut replies).await;
    let ended = watch.release(&why).await;
    say(&mut replies, &Reply::Over(Box::new(ended))).await.ok();
    Ok(())
}

async fn say(replies: &mut OwnedWriteHalf, reply: &Reply) -> std::io::Result<()> {
    let mut line = serde_json::to_string(reply)?;
    line.push('\n');
    replies.write_all(line.as_bytes()).await
}

/// What was seen of the row.
enum Seen {
    /// It is in force, for so long.
    For(Duration),
    /// It is over, one way or the other; why, if it is not committed.
    Over(String),
    /// Nobody answers.
    Unreachable,
}

struct Watch {
    charge: Charge,
    world: Arc<World>,
    postgres: Postgres,
    session: Option<Session>,
    page: Page,
    /// Held as long as this process lives.
    _lock: std::fs::File,
}

struct Nobody;

impl Past for Nobody {
    fn finished(&self, _: &str, _: &str) -> Option<bool> {
        None
    }
}

impl Watch {
    async fn begin(charge: Charge) -> Result<Self, Fault> {
        let failed = |what: &str, why: String| Fault::fatal("freeze.watchdog", format!("{what}: {why}"));
        let lock = book::lock(&charge.state, &charge.page, EARLIER).await;
        let lock = lock.map_err(|error| failed("the watchdog's lock cannot be taken", error.to_string()))?;
        let lock = lock.ok_or_else(|| {
            Fault::retryable("freeze.held", format!("another watchdog still releases a freeze of {}", charge.label))
                .hinted("`runsheet status` shows what it waits for")
        })?;
        let target = charge.source.target();
        let world = Arc::new(World {
            targets: [(target.name.clone(), target.clone())].into(),
            providers: Providers { ssh_config: charge.ssh_config.clone(), ..Providers::default() },
            environment: Environment::new(charge.environment.clone()),
            vault: Arc::new(Vault::default()),
            sink: Arc::new(Silent),
            key: None,
            clock: Arc::new(SystemClock),
            project: charge.project.clone(),
            state: charge.state.clone(),
            past: Arc::new(Nobody),
            program: charge.program.clone(),
        });
        let postgres = Postgres::new(world.clone());
        let page = Page {
            run: charge.run.clone(),
            target: target.name,
            label: charge.label.clone(),
            schema: charge.schema.clone(),
            token: charge.token.clone(),
            state: "guarded".to_owned(),
            watchdog: process::Session::of(std::process::id()).ok(),
            ..Page::default()
        };
        let mut watch = Self { charge, world, postgres, session: None, page, _lock: lock };
        let session = watch.connect().await?;
        let broken = |error: tokio_postgres::Error| ground::harmless(&error, &session.what("freeze::guard"));
        let schema = &watch.charge.schema;
        // What an earlier process of the run left in force: its own watchdog is gone, or has been waited for.
        if let Some(row) = ground::newest(&session.client, schema).await.map_err(broken)?
            && matches!(ground::text(&row, "state"), "guarded" | "armed")
        {
            let left = ground::text(&row, "token");
            let why = "the run began to freeze anew";
            let row = release::database(&session.client, schema, left, "guard", why).await.map_err(broken)?;
            let until = release::thawed_until(&session.client, &row).await.map_err(broken)?;
            release::thaw(&session.client, schema, left, &until).await.map_err(broken)?;
        }
        let quoted = |text: &str| quote::literal(text);
        let row =
            format!(
                "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SET LOCAL TimeZone = 'UTC';
             INSERT INTO {}.freeze (token, run, state, deadline, pooler, resume)
             VALUES ({}, {}, 'guarded', clock_timestamp() + make_interval(secs => {}), {}, {})
             RETURNING to_jsonb(deadline); COMMIT",
                quote::name(schema),
                quoted(&watch.charge.token),
                quoted(&watch.charge.run),
                watch.charge.deadline,
                watch.charge.pooler.as_ref().map_or("NULL".to_owned(), |pooler| quoted(&pooler.database)),
                watch.charge.resume.as_ref().map_or("NULL".to_owned(), |command| {
                    quoted(&serde_json::to_string(command).unwrap_or_default())
                }),
            );
        let deadline = ground::single(&session.client, &row).await.map_err(broken)?.unwrap_or_default();
        watch.page.deadline = deadline.as_str().unwrap_or_default().to_owned();
        watch.session = Some(session);
        if let Err(fault) = watch.second_line().await {
            watch.release("the second line on the server could not be made ready").await;
            return Err(fault);
        }
        watch.write();
        Ok(watch)
    }

    /// A session of its own name, which arming spares.
    async fn connect(&self) -> Result<Session, Fault> {
        let name = format!("runsheet {} freeze watchdog", self.charge.run);
        let session = connect::open(&self.postgres, &self.page.target, &name, Pin::Ignored).await?;
        session.require_writable()?;
        // A lock that somebody keeps is noticed, and a look that takes long is not cut off by somebody's default.
        let settings = "SET lock_timeout = '1s'; SET statement_timeout = 0";
        session.batch(settings, "freeze::guard").await?;
        Ok(session)
    }

    /// Puts the sleeper on the server.
    async fn second_line(&self) -> Result<(), Fault> {
        let name = format!("runsheet {} freeze sleeper", self.charge.run);
        let session = connect::open(&self.postgres, &self.page.target, &name, Pin::Ignored).await?;
        sleeper::put(session, &self.charge.schema, &self.charge.token).await
    }

    fn write(&self) {
        book::write(&self.charge.state, &self.charge.page, &self.page);
    }

    /// Watches until there is something to do; answers why everything is to be released.
    async fn until_over(&mut self, orders: &mut mpsc::Receiver<Order>, replies: &mut OwnedWriteHalf) -> String {
        let mut wait = Duration::ZERO;
        loop {
            tokio::select! {
                biased;
                order = orders.recv() => match order {
                    None => return "the engine was gone".to_owned(),
                    Some(Order::Lift(why)) => return why,
                    Some(Order::Committed) => wait = Duration::ZERO,
                    Some(Order::Armed) => {
                        self.page.state = "armed".to_owned();
                        self.write();
                        say(replies, &Reply::Here).await.ok();
                    }
                    Some(Order::Ping | Order::Guard(_)) => { say(replies, &Reply::Here).await.ok(); }
                },
                seen = self.look(wait) => match seen {
                    Seen::For(left) => wait = left.min(LOOK),
                    Seen::Over(why) => return why,
                    Seen::Unreachable => wait = LOOK,
                },
            }
        }
    }

    /// Looks at the row after a while; also ends sessions from before the freeze that were not seen when it was armed.
    async fn look(&mut self, after: Duration) -> Seen {
        sleep(after).await;
        if self.session.as_ref().is_none_or(|session| session.client.is_closed()) {
            self.session = None;
            let Ok(Ok(session)) = timeout(ANSWER, self.connect()).await else { return Seen::Unreachable };
            self.session = Some(session);
            // The server was restarted, or the connection was cut: the second line is gone with the first.
            let _ = timeout(ANSWER, self.second_line()).await;
        }
        let Some(session) = &self.session else { return Seen::Unreachable };
        let (schema, token) = (&self.charge.schema, quote::literal(&self.charge.token));
        let asked = format!(
            "SELECT to_jsonb(f) || jsonb_build_object('left', extract(epoch from deadline - clock_timestamp()))
               FROM {}.freeze f WHERE token = {token}",
            quote::name(schema)
        );
        let Ok(Ok(row)) = timeout(ANSWER, ground::single(&session.client, &asked)).await else {
            self.session = None;
            return Seen::Unreachable;
        };
        let row = row.unwrap_or_default();
        let left = row["left"].as_f64().unwrap_or_default();
        match ground::text(&row, "state") {
            "guarded" | "armed" if left <= 0.0 => Seen::Over("the deadline was reached".to_owned()),
            state @ ("guarded" | "armed") => {
                if state == "armed" && !row["frozen_at"].is_null() {
                    let _ = timeout(ANSWER, ground::call(&session.client, schema, &format!("freeze_settle({token})")))
                        .await;
                }
                Seen::For(Duration::try_from_secs_f64(left).unwrap_or(LOOK))
            }
            "" => Seen::Over("its row is gone".to_owned()),
            _ => Seen::Over(ground::text(&row, "why").to_owned()),
        }
    }
}
