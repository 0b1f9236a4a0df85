//! `sql::exec`: statements in one transaction, exactly once, with nothing installed in the target.
//!
//! The order is what makes it so. The transaction's number and its answer become durable in the intent before COMMIT
//! is sent, and after the log of the server is on disk beyond that number: otherwise a crash of the server could hand
//! the number to a stranger, whose commit would be taken for ours. After a crash of ours the server then knows what
//! became of the number: see [`super::resolve`].

use serde::{Deserialize, Serialize};

use super::connect::{Session, column};
use super::faults::{self, Stage};
use super::{Postgres, application_name, lexer, read, resolve, rows, secrets};
use crate::effects::{Done, Doubt, Ledger, Resolution, Ticket};
use crate::model::Value;
use crate::model::action::Action;
use crate::model::fault::Fault;
use crate::model::identity::ServerMoment;
use crate::model::request::{Changed, Request, SqlExec};

const WORD: &str = SqlExec::WORD;

/// Words that would end the transaction or begin another.
const CONTROL: [&str; 9] = ["begin", "start", "commit", "end", "rollback", "abort", "savepoint", "release", "prepare"];

/// What stands in the intent: with it the server can be asked, and a commit it confirms has its answer.
#[derive(Debug, Serialize, Deserialize)]
pub struct Proof {
    /// The transaction's number with its epoch.
    pub xid: String,
    /// The server, after its log was flushed beyond the transaction.
    pub moment: ServerMoment,
    /// The answer, if it is committed.
    pub answer: Changed,
}

/// Changes once.
pub async fn perform(
    postgres: &Postgres,
    action: &Action,
    ticket: &Ticket,
    ledger: &dyn Ledger,
) -> Result<Done, Fault> {
    let request = SqlExec::of(action)?;
    let statements = request
        .statements
        .iter()
        .map(|sql| refuse_control(sql).and_then(|()| secrets::open(&postgres.world.vault, sql)))
        .collect::<Result<Vec<_>, _>>()?;
    let name = application_name(ticket);
    let session = postgres.session(&request.target, &name).await?;
    session.require_writable()?;
    ledger.started(session.holds())?;

    match transaction(postgres, &session, &request, &statements, action.timeout, &name, ledger).await {
        Ok(answer) => {
            forget(postgres, session).await;
            done(answer)
        }
        Err(fault) => {
            // Taken back at once rather than when the server notices that nobody is there any more.
            if !session.client.is_closed() && session.client.batch_execute("ROLLBACK").await.is_ok() {
                forget(postgres, session).await;
            }
            Err(fault)
        }
    }
}

/// What the world says about an attempt: see [`super::resolve`].
pub async fn resolve(postgres: &Postgres, _: &Action, _: &Ticket, doubt: &Doubt) -> Result<Resolution, Fault> {
    resolve::transaction(postgres, doubt).await
}

/// The outcome of a change.
pub fn done(answer: Changed) -> Result<Done, Fault> {
    let rows = Some(answer.rows);
    let value = serde_json::to_value(answer).map_err(|error| Fault::fatal("server.answer", error.to_string()))?;
    Ok(Done { value, rows })
}

/// Keeps a session that the statements of a runbook ran in, without anything they left in it.
async fn forget(postgres: &Postgres, mut session: Session) {
    session.before_reads = tokio::sync::OnceCell::new();
    if session.client.batch_execute("DISCARD ALL").await.is_ok() {
        postgres.give_back(session);
    }
}

fn refuse_control(sql: &str) -> Result<(), Fault> {
    let word = lexer::first_word(sql);
    // `PREPARE TRANSACTION` detaches the transaction; a plain `PREPARE` has no use here either.
    if CONTROL.contains(&word.as_str()) {
        return Err(Fault::fatal(
            "sql.control",
            format!("`{}` inside sql::exec: the transaction is the engine's", word.to_uppercase()),
        )
        .hinted("leave it out; each sql::exec is one transaction of its own"));
    }
    Ok(())
}

async fn transaction(
    postgres: &Postgres,
    session: &Session,
    request: &SqlExec,
    statements: &[String],
    timeout: Option<f64>,
    name: &str,
    ledger: &dyn Ledger,
) -> Result<Changed, Fault> {
    // An engine that is stopped in the middle keeps its locks for a minute at most.
    let begin = format!(
        "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SET LOCAL synchronous_commit = on; SET LOCAL lock_timeout = '10s'; \
         SET LOCAL idle_in_transaction_session_timeout = '60s'{}",
        read::time_limit(timeout)
    );
    session.batch(&begin, WORD).await?;
    let xid = transaction_number(session).await?;
    let answer = perform_all(postgres, session, request, statements).await?;
    // A statement may have switched it off, and a commit that a crash of the server takes back was never made.
    session.batch("SET LOCAL synchronous_commit = on", WORD).await?;
    let after = transaction_number(session).await?;
    if after != xid {
        return Err(Fault::fatal(
            "sql.control",
            format!(
                "{}: the statements ended their transaction ({xid} became {after}); what they did until then stands",
                session.what(WORD)
            ),
        ));
    }

    let moment = flushed(postgres, session, name).await?;
    let proof = Proof { xid, moment, answer };
    let written = serde_json::to_value(&proof).map_err(|error| Fault::fatal("server.answer", error.to_string()))?;
    ledger.intent(written)?;

    let committed = session.client.batch_execute("COMMIT").await;
    committed.map_err(|error| faults::of(&error, Stage::Sent, &format!("COMMIT of {}", session.what(WORD))))?;
    Ok(proof.answer)
}

async fn transaction_number(session: &Session) -> Result<String, Fault> {
    let rows = session.ask("select pg_current_xact_id()::text", &[], WORD).await?;
    rows.first()
        .map_or_else(|| Err(Fault::fatal("server.answer", "no transaction number was answered")), |row| column(row, 0))
}

async fn perform_all(
    postgres: &Postgres,
    session: &Session,
    request: &SqlExec,
    statements: &[String],
) -> Result<Changed, Fault> {
    let mut answer = Changed { rows: 0, returned: Vec::new() };
    for (index, sql) in statements.iter().enumerate() {
        let number = index + 1;
        let what = match statements.len() {
            1 => session.what(WORD),
            _ => format!("statement {number} of {}", session.what(WORD)),
        };
        let ran = rows::run(session, sql, Stage::Harmless, &what, &postgres.world.vault).await??;
        if let Some(contract) = request.rows.get(index).filter(|contract| !contract.allows(ran.count)) {
            let count = ran.count;
            return Err(Fault::fatal(
                "rows.contract",
                format!(
                    "statement {number} touched {count} {}, the contract says {contract}; nothing was changed",
                    if count == 1 { "row" } else { "rows" }
                ),
            )
            .hinted("look at the rows with a query of the same condition; then mend the condition or the contract"));
        }
        answer.rows += ran.count;
        if !ran.rows.is_empty() {
            answer.returned = ran.rows;
        }
    }
    Ok(answer)
}

/// Flushes the server's log beyond the open transaction and says at which point of its history that was.
///
/// A commit on a second connection does it; the message in it is read by nobody.
async fn flushed(postgres: &Postgres, session: &Session, name: &str) -> Result<ServerMoment, Fault> {
    let witness = postgres.session(&session.target, name).await?;
    witness.require_writable()?;
    if witness.moment.started != session.moment.started
        || !witness.moment.identity.same_history(&session.moment.identity)
    {
        return Err(Fault::retryable(
            "target.moved",
            format!(
                "target `{}`: two connections came to two servers, one of them just restarted or failed over",
                session.target
            ),
        ));
    }
    let rows = witness.ask("select (pg_logical_emit_message(true, 'runsheet', '') - '0/0')::int8", &[], WORD).await?;
    let row = rows.first().ok_or_else(|| Fault::fatal("server.answer", "no log position was answered"))?;
    let insert_lsn = column::<i64>(row, 0)?.cast_unsigned();
    let moment = ServerMoment { insert_lsn, ..session.moment.clone() };
    postgres.give_back(witness);
    Ok(moment)
}

/// The proof inside an intent.
pub fn proof(value: &Value) -> Result<Proof, Fault> {
    serde_json::from_value(value.clone())
        .map_err(|error| Fault::fatal("action.shape", format!("the proof in the intent cannot be read: {error}")))
}
