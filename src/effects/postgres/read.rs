//! `sql::query` and `sql::value`: one statement that only reads.

use super::connect::{self, Session};
use super::faults::Stage;
use super::{Postgres, application_name, functions, rows, secrets};
use crate::effects::{Done, Ticket};
use crate::model::Value;
use crate::model::action::Action;
use crate::model::fault::Fault;
use crate::model::request::{Request, SqlQuery};

/// Reads once.
pub async fn perform(postgres: &Postgres, action: &Action, ticket: &Ticket) -> Result<Done, Fault> {
    let request = SqlQuery::of(action)?;
    let sql = secrets::open(&postgres.world.vault, &request.sql)?;
    let name = application_name(ticket);
    let session = match request.pooled {
        true => connect::pooled(postgres, &request.target, &name).await?,
        false => postgres.session(&request.target, &name).await?,
    };
    let (answer, ended) = in_transaction(postgres, &session, &sql, action.timeout).await;
    // A transaction that only read has nothing to lose. A session that cannot even end it, or has the rest of a large
    // answer still to come, is not used again.
    if ended && !request.pooled {
        postgres.give_back(session);
    }
    let rows = answer?.rows;
    let count = rows.len() as u64;
    Ok(Done { value: if request.single { single(rows)? } else { Value::Array(rows) }, rows: Some(count) })
}

/// The answer, and whether the transaction could be ended. What needs no answer of what goes before it is sent along with
/// it, in that order: most of a small read is waiting.
async fn in_transaction(
    postgres: &Postgres,
    session: &Session,
    sql: &str,
    timeout: Option<f64>,
) -> (Result<rows::Answer, Fault>, bool) {
    let what = session.what("sql::query");
    let begin = format!("BEGIN READ ONLY{}{}", session.pins_for_transaction(), time_limit(timeout));
    let rollback = async { session.client.batch_execute("ROLLBACK").await.is_ok() };
    let ready = tokio::join!(session.batch(&begin, "sql::query"), functions::refuse_side_effects(session, sql));
    if let (Err(fault), _) | (_, Err(fault)) = ready {
        return (Err(fault), rollback.await);
    }
    let run = rows::run(session, sql, Stage::Harmless, &what, &postgres.world.vault);
    tokio::pin!(run, rollback);
    let mut ended = None;
    let answer = loop {
        tokio::select! {
            biased;
            answer = &mut run => break answer.and_then(|answer| answer),
            end = &mut rollback, if ended.is_none() => ended = Some(end),
        }
    };
    // Behind an answer that is too large, the end of the transaction comes only after all of it.
    let waits = ended.is_none() && !answer.as_ref().is_err_and(|fault| fault.code == "result.large");
    let ended = if waits { rollback.await } else { ended.unwrap_or(false) };
    (answer, ended)
}

/// The statement that limits a transaction's statements to `seconds`.
pub fn time_limit(seconds: Option<f64>) -> String {
    // Zero would mean no limit.
    seconds.map_or_else(String::new, |seconds| {
        format!("; SET LOCAL statement_timeout = {}", ((seconds * 1000.0).ceil() as u64).clamp(1, i32::MAX as u64))
    })
}

fn single(rows: Vec<Value>) -> Result<Value, Fault> {
    let count = rows.len();
    let wrong =
        |what: String| Fault::fatal("sql.single", format!("sql::value wants one row with one column, not {what}"));
    let mut rows = rows.into_iter();
    match (rows.next(), rows.next()) {
        (Some(Value::Object(row)), None) if row.len() == 1 => {
            Ok(row.into_iter().next().map_or(Value::Null, |(_, value)| value))
        }
        (Some(Value::Object(row)), None) => Err(wrong(format!("{} columns", row.len()))),
        _ => Err(wrong(format!("{count} rows"))),
    }
}
