//! `pg::recover`: a server of the run's own, recovered to an earlier moment, standing still there, to be read only.

use std::process::Child;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use chrono::{DateTime, Utc};
use serde_json::json;

use super::Recovering;
use super::base::Base;
use super::copy;
use super::known::{Known, extend, know};
use super::place::{self, Entry, PREFIX, broken};
use super::server::{self, LOOK, Plan};
use super::window;
use crate::effects::loopback::free_port;
use crate::effects::postgres::application_name;
use crate::effects::postgres::connect::{Session, column};
use crate::effects::postgres::stamp::Stamp;
use crate::effects::{Done, Ledger, Resolution, Ticket, files};
use crate::model::fault::{Fault, FaultClass};
use crate::model::request::Request;
use crate::model::request::recovery::PgRecover;
use crate::model::{Value, digest};

/// Lines of a server's log that a fault carries.
const LAST_LINES: usize = 12;

/// What a server says once it stands at its target.
const PAUSED: &str = "pausing at the end of recovery";

/// How often another port is taken when somebody was quicker.
const PORTS: usize = 5;

/// Makes the server. What of it is there when this fails, is removed before the fault is told.
pub async fn perform(
    recovering: &Recovering<'_>,
    request: &PgRecover,
    ticket: &Ticket,
    ledger: &dyn Ledger,
) -> Result<Done, Fault> {
    let stamp = Stamp::new(recovering.world, ticket)?;
    let known = know(recovering, request, &application_name(ticket)).await?;
    let name = name(ticket);
    let left = place::find(recovering.world, &name)?;
    ledger.started(json!({ "recovered": name }))?;
    ledger.intent(json!({ "recovered": name }))?;
    if let Some(left) = &left {
        place::clear(recovering.world, left).await?;
    }
    if let Some(live) = &known.live {
        extend(recovering, request, live).await?;
    }
    let mut random = [0; 8];
    recovering.world.clock.random(&mut random);
    let folder = known.place.join(format!("runsheet-pit-{}", digest::hex(&random)));
    let mut entry = Entry { name, target: request.target.clone(), folder, port: 0, stamp, answer: None };
    place::write(recovering.world, &entry)?;
    match make(recovering, request, &known, &mut entry, ticket).await {
        Ok(value) => {
            if let Some(live) = known.live {
                recovering.postgres.give_back(live.session);
            }
            Ok(Done { value, rows: None })
        }
        Err(fault) => {
            recovering.postgres.close_idle(&entry.target_name());
            place::clear(recovering.world, &entry).await?;
            Err(fault)
        }
    }
}

/// Whether the server stands; one that was begun and not finished is removed.
pub async fn resolve(recovering: &Recovering<'_>, ticket: &Ticket) -> Result<Resolution, Fault> {
    let Some(entry) = place::find(recovering.world, &name(ticket))? else { return Ok(Resolution::NotDone) };
    if let Some(value) = entry.answer.clone().filter(|_| server::runs(&entry)) {
        return Ok(Resolution::Done(Done { value, rows: None }));
    }
    place::clear(recovering.world, &entry).await?;
    Ok(Resolution::NotDone)
}

/// The name of what this action makes: known before it is made, and again after a crash.
fn name(ticket: &Ticket) -> String {
    format!("{PREFIX}{}", ticket.unique())
}

async fn make(
    recovering: &Recovering<'_>,
    request: &PgRecover,
    known: &Known,
    entry: &mut Entry,
    ticket: &Ticket,
) -> Result<Value, Fault> {
    files::make_folder(&known.place).map_err(|error| broken(&known.place, &error))?;
    copy::make_folder(&entry.folder, known.base.owner)?;
    let stop = StopOnDrop::default();
    let (base, data, flag) = (known.base.clone(), entry.data(), Arc::clone(&stop.0));
    let copied = tokio::task::spawn_blocking(move || copy::copy(&base, &data, &flag)).await;
    copied.unwrap_or_else(|_| Err(Fault::fatal("recover.failed", "copying the base backup broke down")))?;
    let timeline = known.live.as_ref().map(|live| live.session.moment.identity.timeline);
    let settings = known.live.as_ref().map(|live| live.settings.clone()).unwrap_or_default();
    for attempt in 1.. {
        entry.port = free_port()?;
        place::write(recovering.world, entry)?;
        let plan = Plan {
            entry,
            base: &known.base,
            history: &known.history,
            moment: &request.moment,
            timeline: timeline.filter(|timeline| *timeline >= known.base.timeline),
            settings: &settings,
        };
        plan.configure(entry.port)?;
        let said = server::log(entry).len();
        let server = plan.start()?;
        match stands(recovering, entry, server, ticket).await? {
            Some(session) => {
                let value = reached(entry, &session, &known.base).await?;
                recovering.postgres.give_back(session);
                entry.answer = Some(value.clone());
                place::write(recovering.world, entry)?;
                return Ok(value);
            }
            None => {
                let log = server::log(entry);
                let said = log.get(said..).unwrap_or(&log);
                if !(said.contains("Address already in use") && attempt < PORTS) {
                    return Err(ended(said, request, known));
                }
            }
        }
    }
    Err(Fault::retryable("recover.failed", "every port that was free was taken by somebody else a moment later"))
}

/// Sets its flag when nobody waits any more.
#[derive(Default)]
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Waits until the server stands still at its target; `None` when it ended instead.
async fn stands(
    recovering: &Recovering<'_>,
    entry: &Entry,
    mut server: Child,
    ticket: &Ticket,
) -> Result<Option<Session>, Fault> {
    let cannot =
        |error: std::io::Error| Fault::fatal("recover.failed", format!("the server cannot be watched: {error}"));
    loop {
        if server.try_wait().map_err(cannot)?.is_some() {
            return Ok(None);
        }
        // It lets sessions in long before it is there, perhaps before there is the role or the database.
        if server::admits(entry) && server::log(entry).contains(PAUSED) {
            match recovering.postgres.session(&entry.target_name(), &application_name(ticket)).await {
                Ok(session) => {
                    // Collected when it ends, so that no dead process stays behind while this program lives.
                    std::thread::spawn(move || server.wait());
                    return Ok(Some(session));
                }
                // It may be about to end, and says why in its log.
                Err(fault) if fault.class == FaultClass::Retryable => {}
                Err(fault) if fault.code.starts_with("sql.28") || fault.code == "sql.3D000" => {
                    let hint = "the copy has the roles, passwords and databases of then; give the target a role whose password is as old, kept as SCRAM";
                    return Err(Fault { hint: Some(hint.to_owned()), ..fault });
                }
                Err(fault) => return Err(fault),
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Where it really stands.
async fn reached(entry: &Entry, session: &Session, base: &Base) -> Result<Value, Fault> {
    let ask = "select pg_last_xact_replay_timestamp(), pg_last_wal_replay_lsn()::text";
    let rows = session.ask(ask, &[], PgRecover::WORD).await?;
    let row = rows.first().ok_or_else(|| Fault::fatal("server.answer", "the copy does not say where it stands"))?;
    let at: Option<DateTime<Utc>> = column(row, 0)?;
    Ok(json!({
        "target": entry.target_name(),
        "at": at.map(window::shown),
        "lsn": column::<Option<String>>(row, 1)?,
        "base": base.folder.display().to_string(),
    }))
}

/// Why a server ended that should have stood still.
fn ended(log: &str, request: &PgRecover, known: &Known) -> Fault {
    let last = log.lines().rev().find_map(|line| line.split("last completed transaction was at log time ").nth(1));
    if log.contains("recovery ended before configured recovery target was reached") {
        let until = last
            .map_or_else(|| "nothing was committed in it".to_owned(), |last| format!("its last commit is of {last}"));
        let message = format!("{} is not in the archived WAL: {until}", request.moment);
        let hint = match &known.live {
            Some(live) if live.switches => {
                "the live server archived everything just now: was the moment on another timeline, or is a segment missing?"
            }
            Some(_) => {
                "wait until the live server archives its current segment, or let the role do it: grant execute on function pg_switch_wal() to it"
            }
            None => "the live server is not there to archive its current segment; choose a moment before that commit",
        };
        return Fault::fatal("recover.beyond", message).hinted(hint);
    }
    let tail: Vec<&str> = log.lines().rev().take(LAST_LINES).collect();
    let tail = tail.into_iter().rev().collect::<Vec<_>>().join("\n");
    if log.contains("requested recovery stop point is before consistent recovery point") {
        let message =
            format!("{} is before the base backup {} was finished", request.moment, known.base.folder.display());
        return Fault::fatal("recover.before", message).hinted("choose a later moment, or an older base backup");
    }
    Fault::fatal("recover.failed", format!("the recovery to {} failed", request.moment))
        .detailed(tail)
        .hinted("the restore command runs as the owner of the base backup: may that user read the archive?")
}
