//! The advisory lock that keeps two runs, perhaps from two machines, from changing one database at once.
//!
//! It lives in a session of its own and dies with it. Advisory locks belong to a database, so one key serves all.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};

use super::connect::{self, Pin, Session, column};
use super::{Postgres, faults};
use crate::model::Value;
use crate::model::fault::Fault;
use crate::model::ids::RunId;

/// `RUNS`, `HEET` in ASCII: what `pg_locks` shows as classid 1381322323 and objid 1212499284.
const KEY: (i32, i32) = (0x5255_4E53, 0x4845_4554);

/// The longest a server may take to say whether a lock is still held.
const PROOF: Duration = Duration::from_secs(10);

/// A lock that is held until this is dropped, or its session ends.
pub struct HeldLock {
    session: Session,
}

/// Who holds the lock of a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// What the session calls itself: `runsheet RUN lock`.
    pub application: String,
    /// The server process.
    pub pid: i32,
    /// Since when the session exists, RFC 3339.
    pub since: String,
    /// For [`crate::effects::Effects::end_holder`].
    pub holds: Value,
}

/// Takes the lock or says who has it.
pub async fn take(postgres: &Postgres, target: &str, work: &str) -> Result<HeldLock, Fault> {
    let session = connect::open(postgres, target, &application(work), Pin::Obeyed).await?;
    session.require_direct("an advisory lock belongs to a session")?;
    // Servers before 14 do not know the setting, and do not end idle sessions either.
    let _ = session.client.batch_execute("SET idle_session_timeout = 0").await;
    let rows = session.ask(&format!("select pg_try_advisory_lock({}, {})", KEY.0, KEY.1), &[], "lock").await?;
    if rows.first().map_or(Ok(false), |row| column(row, 0))? {
        return Ok(HeldLock { session });
    }
    let Some(holder) = held_by(&session).await? else {
        return Err(Fault::retryable(
            "lock.held",
            format!("target `{target}` was locked by a session that has just ended"),
        ));
    };
    Err(Fault::fatal(
        "lock.held",
        format!("target `{target}` is locked by `{}` (pid {}, since {})", holder.application, holder.pid, holder.since),
    )
    .hinted(
        "wait until that run has ended; if its machine is gone for good, end the session with pg_terminate_backend",
    ))
}

fn application(work: &str) -> String {
    format!("runsheet {work} lock")
}

/// Who holds the lock of a target, if anybody does.
pub async fn holder(postgres: &Postgres, target: &str) -> Result<Option<Holder>, Fault> {
    let session = connect::open(postgres, target, "runsheet lock holder", Pin::Obeyed).await?;
    held_by(&session).await
}

async fn held_by(session: &Session) -> Result<Option<Holder>, Fault> {
    let asked = format!(
        "select coalesce(a.application_name, ''), l.pid, coalesce(a.backend_start, 'epoch')
           from pg_locks l left join pg_stat_get_activity(l.pid) a on true
          where {}",
        held("l")
    );
    let rows = session.ask(&asked, &[], "lock").await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let (pid, since): (i32, DateTime<Utc>) = (column(row, 1)?, column(row, 2)?);
    let since = since.to_rfc3339_opts(SecondsFormat::Micros, true);
    let holds = serde_json::json!({ "target": session.target, "pid": pid, "backend_start": since });
    Ok(Some(Holder { application: column(row, 0)?, pid, since, holds }))
}

fn held(locks: &str) -> String {
    format!(
        "{locks}.locktype = 'advisory' and {locks}.classid = {} and {locks}.objid = {} and {locks}.objsubid = 2 and {locks}.granted
         and {locks}.database = (select oid from pg_database where datname = current_database())",
        KEY.0, KEY.1
    )
}

impl HeldLock {
    /// Proves that the lock is still held; fails with `lock.lost` otherwise.
    pub async fn prove(&self) -> Result<(), Fault> {
        let lost = |why: String| {
            Fault::fatal("lock.lost", format!("the lock of target `{}` is lost: {why}", self.session.target)).hinted(
                "another run may have changed the target meanwhile; resume once the server is back and look first",
            )
        };
        let asked = format!("select 1 from pg_locks l where l.pid = pg_backend_pid() and {}", held("l"));
        match tokio::time::timeout(PROOF, self.session.client.query_typed(&asked, &[])).await {
            Ok(Ok(rows)) if !rows.is_empty() => Ok(()),
            Ok(Ok(_)) => Err(lost("the session no longer has it".to_owned())),
            Ok(Err(error)) => {
                let fault = faults::of(&error, faults::Stage::Harmless, "its session");
                Err(lost(fault.to_string()))
            }
            Err(_) => Err(lost(format!("the server did not answer within {} s", PROOF.as_secs()))),
        }
    }

    /// Names the run that holds it from now on, for whoever is refused.
    pub async fn rename(&mut self, run: &RunId) {
        // A session that is dead will be noticed when the lock is proved.
        let _ = self.session.rename(&application(run.as_str())).await;
    }

    /// The session that holds it, for [`crate::effects::Effects::end_holder`].
    pub fn holds(&self) -> Value {
        self.session.holds()
    }
}
