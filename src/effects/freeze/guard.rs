//! The engine's side of a watchdog: `freeze::guard` starts it, and everything later asks whether it is still there.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::process::{Child, Command};

use super::charge::{Charge, Ended, Order, Place, Pooler, Reply};
use super::{Freezing, WATCH, ground};
use crate::effects::pgbouncer::console::Console;
use crate::effects::pgbouncer::pause;
use crate::effects::postgres::connect::Session;
use crate::effects::postgres::made::PREFIX;
use crate::effects::postgres::{application_name, quote};
use crate::effects::{Done, Ledger, Ticket, process};
use crate::model::Value;
use crate::model::fault::Fault;
use crate::model::request::freeze::FreezeGuard;
use crate::model::request::{CommandRun, Request};

/// The longest a watchdog may take to be at work; an earlier one may have to come to its end first.
const STARTING: Duration = Duration::from_secs(60);

/// How long it may take to answer a word.
const ANSWER: Duration = Duration::from_secs(2);

/// How long it may take to release everything, before the engine goes on without having heard of it.
const RELEASING: Duration = Duration::from_secs(30);

/// The watchdogs of this process, by their tokens.
#[derive(Default)]
pub struct Guards(Mutex<BTreeMap<String, Arc<Guard>>>);

impl Guards {
    /// The watchdog of a freeze, if this process started it.
    pub fn of(&self, token: &str) -> Option<Arc<Guard>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(token).cloned()
    }

    /// Has everything released that is still held. Answers whether something was.
    pub async fn lift(&self, why: &str) -> bool {
        let guards: Vec<_> = self.0.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        let mut lifted = false;
        for guard in guards {
            if guard.alive().await {
                lifted |= guard.lift(why).await.is_some_and(|ended| ended.state == "lifted");
            }
        }
        lifted
    }

    fn keep(&self, token: String, guard: Guard) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(token, Arc::new(guard));
    }
}

/// A watchdog that is at work. Its end of the socket closes with this process, whatever ends it.
pub struct Guard {
    socket: tokio::sync::Mutex<Option<Socket>>,
    _child: Child,
}

struct Socket {
    orders: OwnedWriteHalf,
    replies: Lines<BufReader<OwnedReadHalf>>,
}

impl Socket {
    async fn ask(&mut self, order: &Order, limit: Duration) -> Option<Reply> {
        let mut line = serde_json::to_string(order).ok()?;
        line.push('\n');
        let answer = async {
            self.orders.write_all(line.as_bytes()).await.ok()?;
            let line = self.replies.next_line().await.ok()??;
            serde_json::from_str(&line).ok()
        };
        tokio::time::timeout(limit, answer).await.ok().flatten()
    }
}

impl Guard {
    async fn start(charge: Charge) -> Result<(Self, String), Fault> {
        let broken = |why: String| {
            Fault::retryable("freeze.watchdog", format!("the watchdog of the freeze could not be started: {why}"))
        };
        let begun = async {
            let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
            ours.set_nonblocking(true)?;
            let child = Command::new(&charge.program)
                .arg(WATCH)
                .env_clear()
                .current_dir("/")
                .stdin(Stdio::from(OwnedFd::from(theirs)))
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()?;
            let (replies, orders) = UnixStream::from_std(ours)?.into_split();
            Ok::<_, std::io::Error>((child, Socket { orders, replies: BufReader::new(replies).lines() }))
        };
        let (child, mut socket) = begun.await.map_err(|error| broken(error.to_string()))?;
        match socket.ask(&Order::Guard(Box::new(charge)), STARTING).await {
            Some(Reply::Guarding { deadline }) => {
                Ok((Self { socket: tokio::sync::Mutex::new(Some(socket)), _child: child }, deadline))
            }
            Some(Reply::Failed(fault)) => Err(fault),
            _ => Err(broken(format!("it did not answer within {} s", STARTING.as_secs()))),
        }
    }

    /// Says something. Once an answer is missing or unexpected, nothing more is believed.
    async fn ask(&self, order: &Order, limit: Duration) -> Option<Reply> {
        let mut socket = self.socket.lock().await;
        let reply = socket.as_mut()?.ask(order, limit).await;
        if !matches!(reply, Some(Reply::Here)) {
            *socket = None;
        }
        reply
    }

    /// Whether it is there and guards.
    pub async fn alive(&self) -> bool {
        matches!(self.ask(&Order::Ping, ANSWER).await, Some(Reply::Here))
    }

    /// Tells it that the database is frozen.
    pub async fn armed(&self) -> bool {
        matches!(self.ask(&Order::Armed, ANSWER).await, Some(Reply::Here))
    }

    /// Tells it that it is not needed any more. It looks for itself.
    pub async fn committed(&self) {
        self.ask(&Order::Committed, ANSWER).await;
    }

    /// Has everything released; `None` when it is not known how that went.
    pub async fn lift(&self, why: &str) -> Option<Ended> {
        match self.ask(&Order::Lift(why.to_owned()), RELEASING).await {
            Some(Reply::Over(ended)) => Some(*ended),
            _ => None,
        }
    }
}

/// `freeze::guard`.
pub async fn perform(
    freezing: &Freezing<'_>,
    request: &FreezeGuard,
    ticket: &Ticket,
    ledger: &dyn Ledger,
) -> Result<Done, Fault> {
    let word = FreezeGuard::WORD;
    let world = freezing.world;
    let run = ticket.run.as_ref().map(ToString::to_string).unwrap_or_default();
    // The run's own sessions from an earlier freeze would still only read.
    freezing.postgres.close_idle(&request.source);
    let session = freezing.postgres.session(&request.source, &application_name(ticket)).await?;
    session.require_writable()?;
    let schema = ground::schema(&session, request.schema.as_deref(), ticket).await?;
    let pooler = match &request.pooler {
        None => None,
        Some(database) => {
            let admin = &world.providers.pgbouncer()?.admin;
            pause::refuse_sessions(&Console::open(&freezing.postgres.near(admin).await?).await?, database).await?;
            Some(Pooler { admin: Place::of(admin), database: database.clone() })
        }
    };
    if let Some(row) = ground::row(&session, &schema, word).await? {
        if ground::text(&row, "state") == "committed" {
            return Err(committed(&request.source, &row));
        }
        // One of this very process gives way; it releases everything first.
        if let Some(earlier) = freezing.guards.of(ground::text(&row, "token")) {
            earlier.lift("the run began to freeze anew").await;
        }
    }
    require_free(&session, &schema).await?;
    let mut bytes = [0; 8];
    world.clock.random(&mut bytes);
    let token = crate::model::digest::hex(&bytes);
    ledger.intent(json!({ "token": token }))?;
    let ground_laid = format!("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; {}; COMMIT", ground::sql(&schema));
    session.batch(&ground_laid, word).await?;
    let resume = (!request.resume.is_empty()).then(|| CommandRun {
        run: request.resume.clone(),
        cwd: None,
        env: BTreeMap::new(),
        ssh: request.ssh.clone(),
        ok: Vec::new(),
    });
    let target = freezing.postgres.target(&request.source).await?;
    let charge = Charge {
        source: Place::of(&target),
        label: target.label.clone(),
        schema,
        token: token.clone(),
        run,
        deadline: request.deadline,
        pooler,
        resume,
        environment: process::inherited(world),
        ssh_config: world.providers.ssh_config.clone(),
        project: world.project.clone(),
        state: world.state.clone(),
        program: world.program.clone(),
        page: session.moment.identity.key().replace(|c: char| !c.is_ascii_alphanumeric(), "-"),
    };
    let (guard, deadline) = Guard::start(charge).await?;
    freezing.guards.keep(token, guard);
    freezing.postgres.give_back(session);
    Ok(Done { value: json!({ "deadline": deadline }), rows: None })
}

fn committed(target: &str, row: &Value) -> Fault {
    let message = format!(
        "writes on {target} were ended for good at {} by run {}",
        ground::text(row, "ended_at"),
        ground::text(row, "run")
    );
    Fault::fatal("freeze.committed", message)
        .hinted("another side takes writes since; freeze::open makes this one writable again, as a way back does")
}

/// Refuses a database that another run keeps frozen, or that is read-only by somebody else's doing.
async fn require_free(session: &Session, schema: &str) -> Result<(), Fault> {
    let word = FreezeGuard::WORD;
    let listed = format!(
        "SELECT coalesce(jsonb_agg(n.nspname), '[]') FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
          WHERE c.relname = 'freeze' AND c.relkind = 'r' AND starts_with(n.nspname, {}) AND n.nspname <> {}
            AND has_schema_privilege(n.oid, 'usage') AND has_table_privilege(c.oid, 'select')",
        quote::literal(PREFIX),
        quote::literal(schema)
    );
    let what = session.what(word);
    let broken = |error: tokio_postgres::Error| ground::harmless(&error, &what);
    let others = ground::single(&session.client, &listed).await.map_err(broken)?.unwrap_or_default();
    for other in others.as_array().into_iter().flatten().filter_map(Value::as_str) {
        let Some(row) = ground::row(session, other, word).await? else { continue };
        let run = ground::text(&row, "run");
        match ground::text(&row, "state") {
            "committed" => return Err(committed(&session.target, &row)),
            "guarded" | "armed" if row["left"].as_f64().unwrap_or_default() > 0.0 => {
                let message = format!("run {run} freezes {} until {}", session.target, ground::text(&row, "deadline"));
                return Err(Fault::fatal("freeze.held", message).hinted("wait until that one is over"));
            }
            "guarded" | "armed" => {
                // Its deadline has passed, and nobody of its own was left to say so.
                let token = ground::text(&row, "token").to_owned();
                super::release::database(&session.client, other, &token, "guard", "its deadline had passed")
                    .await
                    .map_err(broken)?;
            }
            _ => {}
        }
    }
    let frozen = "SELECT to_jsonb(count(*)) FROM pg_catalog.pg_db_role_setting s JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase,
                         unnest(s.setconfig) entry
                   WHERE d.datname = current_database() AND s.setrole = 0 AND entry LIKE 'default_transaction_read_only=%'
                     AND split_part(entry, '=', 2)::boolean";
    let in_force = ground::row(session, schema, word).await?;
    let ours = in_force.is_some_and(|row| matches!(ground::text(&row, "state"), "guarded" | "armed"));
    if !ours && ground::single(&session.client, frozen).await.map_err(broken)? != Some(json!(0)) {
        let message =
            format!("{} is read-only by default already, and no freeze that can be seen here did that", session.target);
        return Err(Fault::fatal("freeze.already", message)
            .hinted("find out why; ALTER DATABASE … RESET default_transaction_read_only takes it back"));
    }
    Ok(())
}
