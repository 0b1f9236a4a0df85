//! `sql::admin`: one statement outside of any transaction. What became of it the server cannot say afterwards.

use super::faults::Stage;
use super::{Postgres, application_name, backend, exec, resolve as asking, rows, secrets};
use crate::effects::{Done, Doubt, Ledger, Resolution, Ticket};
use crate::model::action::{Action, Recovery};
use crate::model::fault::Fault;
use crate::model::request::{Changed, Request, SqlAdmin};

const WORD: &str = SqlAdmin::WORD;

/// Runs the statement once.
pub async fn perform(
    postgres: &Postgres,
    action: &Action,
    ticket: &Ticket,
    ledger: &dyn Ledger,
) -> Result<Done, Fault> {
    let request = SqlAdmin::of(action)?;
    let sql = secrets::open(&postgres.world.vault, &request.sql)?;
    let session = postgres.session(&request.target, &application_name(ticket)).await?;
    session.require_writable()?;
    if let Some(seconds) = action.timeout {
        let millis = ((seconds * 1000.0).ceil() as u64).clamp(1, i32::MAX as u64);
        session.batch(&format!("SET statement_timeout = {millis}"), WORD).await?;
    }
    ledger.started(session.holds())?;
    ledger.intent(serde_json::json!({ "moment": session.moment }))?;
    // The session is dropped afterwards: nobody knows what the statement left in it.
    let ran = rows::run(&session, &sql, Stage::Sent, &session.what(WORD), &postgres.world.vault).await?;
    match ran {
        Ok(answer) => exec::done(Changed { rows: answer.count, returned: answer.rows }),
        Err(fault) => Err(Fault {
            message: format!(
                "{} was carried out, but its answer cannot be taken in: {}",
                session.what(WORD),
                fault.message
            ),
            ..fault
        }),
    }
}

/// Ends what is left of an attempt. Whether the statement had its effect is for a probe or a person to say.
pub async fn resolve(postgres: &Postgres, action: &Action, _: &Ticket, doubt: &Doubt) -> Result<Resolution, Fault> {
    if let Some(holds) = &doubt.holds {
        let session = asking::reach(postgres, holds).await?;
        backend::end_with(&session, holds, std::time::Duration::ZERO).await?;
    }
    if doubt.proof.is_none() || action.class != Recovery::Ask {
        return Ok(Resolution::NotDone);
    }
    Ok(Resolution::Unknown(
        "the statement was about to be sent, outside of any transaction; the server keeps no record of it".to_owned(),
    ))
}
