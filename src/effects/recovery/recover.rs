//! `pg::recover`: a server of the run's own, recovered to an earlier moment, standing still there, to be read only.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Child;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Utc};
use serde_json::json;

use super::base::{self, Base};
use super::copy;
use super::place::{self, Entry, PREFIX, broken};
use super::server::{self, LOOK, Plan};
use super::window::{self, Live};
use super::{Recovering, server::free_port};
use crate::effects::postgres::application_name;
use crate::effects::postgres::connect::{Session, column};
use crate::effects::postgres::stamp::Stamp;
use crate::effects::{Done, Ledger, Resolution, Ticket, files};
use crate::model::fault::{Fault, FaultClass};
use crate::model::figures::size;
use crate::model::request::Request;
use crate::model::request::recovery::{Moment, PgRecover};
use crate::model::target::History;
use crate::model::{Value, digest};

/// Lines of a server's log that a fault carries.
const LAST_LINES: usize = 12;

/// What a server says once it stands at its target.
const PAUSED: &str = "pausing at the end of recovery";

/// How often another port is taken when somebody was quicker.
const PORTS: usize = 5;

/// Up to when each target's archive is known to be complete: one look back costs the live server one segment, seventeen
/// need not cost it seventeen.
#[derive(Default)]
pub struct Reach(Mutex<BTreeMap<String, DateTime<Utc>>>);

impl Reach {
    fn of(&self, target: &str) -> Option<DateTime<Utc>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(target).copied()
    }

    fn note(&self, target: &str, until: DateTime<Utc>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(target.to_owned(), until);
    }
}

/// Everything that is known before anything is made.
struct Known {
    history: History,
    base: Base,
    live: Option<Live>,
    /// Where the folder of the server will lie.
    place: PathBuf,
}

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

/// What would be done, and whether it can be.
pub async fn foresee(recovering: &Recovering<'_>, request: &PgRecover) -> Result<Vec<String>, Fault> {
    let known = know(recovering, request, "runsheet preview").await?;
    Ok(vec![format!(
        "would copy {} of {} to {} and recover it there to {}",
        size(known.base.bytes),
        known.base.folder.display(),
        known.place.display(),
        request.moment
    )])
}

/// The name of what this action makes: known before it is made, and again after a crash.
fn name(ticket: &Ticket) -> String {
    let unique = digest::of_bytes(format!("{} {}", ticket.origin.stamp, ticket.key).as_bytes());
    format!("{PREFIX}{}", &unique[..8])
}

async fn know(recovering: &Recovering<'_>, request: &PgRecover, application: &str) -> Result<Known, Fault> {
    let target = recovering.postgres.target(&request.target).await?;
    let history = base::history(&target)?.clone();
    let bases = window::bases(history.clone()).await?;
    let live = window::look(recovering, &request.target, application).await?;
    if let Some(live) = &live {
        window::require_of(&bases, &live.session)?;
    }
    if let Moment::At(time) = &request.moment {
        let time = DateTime::parse_from_rfc3339(time)
            .map_err(|_| Fault::fatal("recover.time", format!("`{time}` is no time with its zone")))?;
        let now = live.as_ref().map_or_else(|| recovering.world.clock.now(), |live| live.now);
        if time > now {
            let from = bases.first().map(|base| window::shown(base.from)).unwrap_or_default();
            let now = window::shown(now);
            return Err(Fault::fatal(
                "recover.future",
                format!("{} is in the future: it is {now} now", request.moment),
            )
            .hinted(format!("moments from {from} to {now} can be recovered")));
        }
    }
    let base = window::choose(&bases, &request.moment)?.clone();
    let place = match &history.folder {
        Some(folder) => folder.clone(),
        // The server's user cannot enter a folder that is closed to all but root.
        None if base.owner.is_some() => PathBuf::from("/var/tmp"),
        None => recovering.world.state.join("recovered"),
    };
    let room =
        place.ancestors().find(|path| path.exists()).map_or_else(|| PathBuf::from("/"), std::path::Path::to_owned);
    let free = rustix::fs::statvfs(&room).map_err(|error| broken(&room, &error.into()))?;
    let free = free.f_bavail.saturating_mul(free.f_frsize);
    if free < base.bytes + base.bytes / 10 {
        let message = format!(
            "{} has {} free, and the base backup {} is {}",
            room.display(),
            size(free),
            base.folder.display(),
            size(base.bytes)
        );
        return Err(Fault::fatal("recover.space", message)
            .hinted("make room, or name a roomier place as `folder` of the target's recovery table"));
    }
    Ok(Known { history, base, live, place })
}

/// Sees to it that the archive goes past the moment.
async fn extend(recovering: &Recovering<'_>, request: &PgRecover, live: &Live) -> Result<(), Fault> {
    let reached = recovering.reach.of(&request.target);
    let enough = match &request.moment {
        Moment::At(time) => {
            DateTime::parse_from_rfc3339(time).is_ok_and(|time| reached.is_some_and(|reached| reached > time))
        }
        // Where these lie in time nobody says: once in a process is all that is sure to help.
        Moment::Lsn(_) | Moment::Name(_) => reached.is_some(),
    };
    if enough || !live.switches {
        return Ok(());
    }
    let until = window::extend(live).await?;
    recovering.reach.note(&request.target, until);
    Ok(())
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
