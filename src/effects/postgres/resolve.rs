//! What became of a transaction whose outcome is missing: asked of the server, believed only while it is the same one.

use std::time::{Duration, Instant};

use super::connect::{self, Pin, Session, column};
use super::faults::{self, Stage};
use super::{Postgres, backend, exec, moment};
use crate::effects::{Doubt, Resolution};
use crate::model::Value;
use crate::model::fault::Fault;

/// How long an orphan may go on by itself before it is ended: most are just finishing their COMMIT.
const GRACE: Duration = Duration::from_secs(2);

/// How long a transaction may still be *in progress* after its session is gone.
const SETTLING: Duration = Duration::from_secs(10);

/// Ends the orphan, then asks what became of its transaction.
pub async fn transaction(postgres: &Postgres, doubt: &Doubt) -> Result<Resolution, Fault> {
    let Some(holds) = &doubt.holds else { return without_holds(doubt) };
    let session = reach(postgres, holds).await?;
    backend::end_with(&session, holds, GRACE).await?;
    let Some(proof) = &doubt.proof else {
        // COMMIT is never sent before the intent is written.
        return Ok(Resolution::NotDone);
    };
    let proof = exec::proof(proof)?;
    if let Some(why) = moment::distrust(&proof.moment, &session.moment) {
        return Ok(Resolution::Unknown(why));
    }
    if session.standby {
        return Err(Fault::retryable(
            "target.standby",
            format!("target `{}` is recovering or a standby now", session.target),
        ));
    }
    let until = Instant::now() + SETTLING;
    loop {
        match status(&session, &proof.xid).await? {
            Status::Committed => return exec::done(proof.answer).map(Resolution::Done),
            Status::Aborted => return Ok(Resolution::NotDone),
            Status::Forgotten => {
                return Ok(Resolution::Unknown(format!(
                    "the transaction {} is so old that the server does not know any more what became of it",
                    proof.xid
                )));
            }
            Status::InProgress if Instant::now() < until => tokio::time::sleep(Duration::from_millis(20)).await,
            Status::InProgress => {
                return Err(Fault::retryable(
                    "transaction.open",
                    format!("transaction {} is still in progress although its session is gone", proof.xid),
                )
                .hinted("look for it in pg_prepared_xacts and pg_stat_activity (backend_xid)"));
            }
        }
    }
}

/// A session for asking: to whatever database is there now, since the answer itself compares.
pub async fn reach(postgres: &Postgres, holds: &Value) -> Result<Session, Fault> {
    let target = backend::target(holds)?;
    let session = connect::open(postgres, target, "runsheet resolve", Pin::Ignored).await?;
    session.require_direct("what became of a change can be asked of the server alone")?;
    Ok(session)
}

fn without_holds(doubt: &Doubt) -> Result<Resolution, Fault> {
    // `started` is written before BEGIN: without it nothing was sent.
    if doubt.proof.is_none() {
        return Ok(Resolution::NotDone);
    }
    Ok(Resolution::Unknown("the journal has an intent, but not the session that it belongs to".to_owned()))
}

enum Status {
    Committed,
    Aborted,
    InProgress,
    Forgotten,
}

async fn status(session: &Session, xid: &str) -> Result<Status, Fault> {
    let xid: u64 = xid
        .parse()
        .map_err(|_| Fault::fatal("action.shape", format!("`{xid}` in the intent is not a transaction number")))?;
    let asked = session.client.query_typed(&format!("select pg_xact_status('{xid}'::xid8)"), &[]).await;
    let rows = match asked {
        Ok(rows) => rows,
        // "In the future": the server crashed before our COMMIT reached its disk. The number itself was on disk before the
        // intent was written, so no stranger has got it or ever will.
        Err(error) if error.code().is_some_and(|state| state.code() == "22023") => return Ok(Status::Aborted),
        Err(error) => return Err(faults::of(&error, Stage::Harmless, &session.what("pg_xact_status"))),
    };
    let status: Option<String> = rows.first().map_or(Ok(None), |row| column(row, 0))?;
    Ok(match status.as_deref() {
        Some("committed") => Status::Committed,
        Some("aborted") => Status::Aborted,
        Some(_) => Status::InProgress,
        None => Status::Forgotten,
    })
}
