//! Ending a server session that outlived the process it belonged to.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use tokio_postgres::types::Type;

use super::connect::{Session, column};
use super::{Postgres, resolve};
use crate::model::Value;
use crate::model::fault::Fault;

/// How long a session may take to go after it was told to.
const LONGEST_END: Duration = Duration::from_secs(30);

/// The target that `holds` names.
pub fn target(holds: &Value) -> Result<&str, Fault> {
    holds["target"].as_str().ok_or_else(unreadable)
}

/// Ends the session that `holds` names and waits until it is gone. For `grace` it may go by itself. Answers whether it
/// was still there.
pub async fn end(postgres: &Postgres, holds: &Value, grace: Duration) -> Result<bool, Fault> {
    end_with(&resolve::reach(postgres, holds).await?, holds, grace).await
}

/// The same on a session that is at hand.
pub async fn end_with(session: &Session, holds: &Value, grace: Duration) -> Result<bool, Fault> {
    let pid = holds["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok()).ok_or_else(unreadable)?;
    let start: DateTime<Utc> =
        holds["backend_start"].as_str().and_then(|text| text.parse().ok()).ok_or_else(unreadable)?;
    let begun = Instant::now();
    let mut told = false;
    while alive(session, pid, start).await? {
        let waited = begun.elapsed();
        if waited >= grace && !told {
            terminate(session, pid, start).await?;
            told = true;
        }
        if waited >= grace + LONGEST_END {
            return Err(Fault::retryable(
                "orphan.alive",
                format!(
                    "the session with pid {pid} on {} was told to end and has not in {} s",
                    session.target,
                    LONGEST_END.as_secs()
                ),
            )
            .hinted("what it still does must end before this is done again; look at it in pg_stat_activity"));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(begun.elapsed() > Duration::from_millis(20) || told)
}

/// A pid is handed out again; together with the start of the session it is not.
async fn alive(session: &Session, pid: i32, start: DateTime<Utc>) -> Result<bool, Fault> {
    let asked = "select 1 from pg_stat_activity where pid = $1 and backend_start = $2";
    let rows = session.ask(asked, &[(&pid, Type::INT4), (&start, Type::TIMESTAMPTZ)], "pg_stat_activity").await?;
    Ok(!rows.is_empty())
}

async fn terminate(session: &Session, pid: i32, start: DateTime<Utc>) -> Result<(), Fault> {
    let told = "select pg_terminate_backend(pid) from pg_stat_activity where pid = $1 and backend_start = $2";
    let rows = session.ask(told, &[(&pid, Type::INT4), (&start, Type::TIMESTAMPTZ)], "pg_terminate_backend").await?;
    rows.first().map_or(Ok(true), |row| column::<bool>(row, 0)).map(|_| ())
}

fn unreadable() -> Fault {
    Fault::fatal("action.shape", "what the attempt held cannot be read from the journal")
}
