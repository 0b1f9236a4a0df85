//! `logical::subscribe` and `logical::stop`: the subscription on the target. It uses the slot that the source has already,
//! and can therefore be made in one transaction: there is none, or a whole one.

use serde_json::{Value, json};
use tokio_postgres::types::Type;

use super::place::{self, Place, Way};
use super::{Logical, connection, publish};
use crate::effects::postgres::connect::{Session, column};
use crate::effects::postgres::faults::{self, Stage};
use crate::effects::postgres::{application_name, quote};
use crate::effects::{Done, Ledger, Ticket};
use crate::model::fault::Fault;
use crate::model::request::Request;
use crate::model::request::logical::{LogicalStop, LogicalSubscribe};

const WORD: &str = LogicalSubscribe::WORD;

/// How long workers may take to end.
const ENDING: std::time::Duration = std::time::Duration::from_secs(30);

/// What becomes of the rows that are there when a subscription is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rows {
    /// They are copied.
    Copied,
    /// They are on both sides already.
    There,
    /// Nothing comes until the subscription is enabled.
    None,
}

impl Rows {
    fn options(self) -> &'static str {
        match self {
            Self::Copied => "copy_data = true",
            Self::There => "copy_data = false",
            Self::None => "copy_data = false, enabled = false",
        }
    }
}

/// Makes it.
pub async fn perform(
    logical: &Logical<'_>,
    request: &LogicalSubscribe,
    ticket: &Ticket,
    ledger: &dyn Ledger,
) -> Result<Done, Fault> {
    let name = application_name(ticket);
    let source = logical.postgres.session(&request.source, &name).await?;
    let from = place::find(&source, request.schema.as_deref(), ticket).await?;
    if publish::answer(&source, &from, Way::Forth).await?.is_none() {
        return Err(from.outgoing(&source, false).err().unwrap_or_else(|| no_slot(&request.source, &from.schema)));
    }
    logical.postgres.give_back(source);

    let target = logical.postgres.session(&request.target, &name).await?;
    target.require_writable()?;
    let place = place::find(&target, Some(&from.schema), ticket).await?;
    place.require_ours(&target, ticket)?;
    if place.subscribes == Some(Way::Forth) {
        ledger.intent(json!({ "schema": place.schema }))?;
        return Ok(Done { value: answer(&place, Way::Forth), rows: None });
    }
    ledger.started(target.holds())?;
    ledger.intent(json!({ "schema": place.schema }))?;
    let rows = if request.copy { Rows::Copied } else { Rows::There };
    make(logical, &target, &request.source, &place, Way::Forth, rows).await?;
    logical.postgres.give_back(target);
    Ok(Done { value: answer(&place, Way::Forth), rows: None })
}

/// Makes the subscription to a stream in a transaction of its own. Nothing of it reaches a log where the role can help it.
pub async fn make(
    logical: &Logical<'_>,
    session: &Session,
    from: &str,
    place: &Place,
    way: Way,
    rows: Rows,
) -> Result<(), Fault> {
    let connection = connection::string(logical, from, session).await?;
    let silence = connection::silence(logical, session).await?;
    let name = place.stream(way);
    let quoted = quote::name(&name);
    // A message of its own: a server logs the text of a message before it carries any of it out.
    let begin = format!(
        "BEGIN READ WRITE; SET LOCAL lock_timeout = '10s'; SET LOCAL synchronous_commit = on; {silence}{}",
        place.make_heartbeat(way)
    );
    let made = format!(
        "CREATE SUBSCRIPTION {quoted} CONNECTION {} PUBLICATION {quoted} WITH (create_slot = false, slot_name = {}, {}, \
         synchronous_commit = off)",
        quote::literal(&connection),
        quote::literal(&name),
        rows.options(),
    );
    let end = format!("COMMENT ON SUBSCRIPTION {quoted} IS {}; COMMIT", quote::literal(&place.stamp.text()));
    let what = format!("following {from} from {}", session.target);
    let all = async {
        session.client.batch_execute(&begin).await?;
        session.client.batch_execute(&made).await?;
        session.client.batch_execute(&end).await
    };
    let Err(error) = all.await else { return Ok(()) };
    if !session.client.is_closed() {
        session.batch("ROLLBACK", WORD).await?;
    }
    let fault = faults::of(&error, Stage::Sent, &what);
    Err(match fault.code.as_str() {
        "sql.42P01" | "sql.3F000" => fault.hinted("the schema comes first: pg::copy_schema(source, target)"),
        "sql.42501" => fault.hinted("the role needs to be a superuser, or a member of pg_create_subscription (16 and later)"),
        "sql.08006" | "sql.08001" => fault.hinted(format!(
            "the server of {} must reach {from}, and be let in: give {from} a `replication_url` that is right from there",
            session.target
        )),
        _ => fault,
    })
}

/// The answer.
pub fn answer(place: &Place, way: Way) -> Value {
    json!({ "subscription": place.stream(way) })
}

/// What an attempt came to.
pub async fn look(logical: &Logical<'_>, request: &LogicalSubscribe, ticket: &Ticket) -> Result<Option<Value>, Fault> {
    let session = logical.postgres.session(&request.target, &application_name(ticket)).await?;
    let place = place::find(&session, request.schema.as_deref(), ticket).await?;
    Ok((place.subscribes == Some(Way::Forth)).then(|| answer(&place, Way::Forth)))
}

/// `logical::stop`: disables the subscription, and waits until nothing is applied any more.
pub async fn stop(
    logical: &Logical<'_>,
    request: &LogicalStop,
    ticket: &Ticket,
    ledger: &dyn Ledger,
) -> Result<Done, Fault> {
    let session = logical.postgres.session(&request.target, &application_name(ticket)).await?;
    session.require_writable()?;
    let place = place::find(&session, request.schema.as_deref(), ticket).await?;
    ledger.started(session.holds())?;
    ledger.intent(json!({ "schema": place.schema }))?;
    let Some(way) = place.subscribes.filter(|way| !request.back || *way == Way::Back) else {
        return Ok(Done { value: json!({ "stopped": false }), rows: None });
    };
    disable(&session, &place.stream(way)).await?;
    logical.postgres.give_back(session);
    Ok(Done { value: json!({ "stopped": true }), rows: None })
}

/// Disables a subscription and waits until its workers are gone.
pub async fn disable(session: &Session, name: &str) -> Result<(), Fault> {
    let sql = format!("BEGIN READ WRITE; ALTER SUBSCRIPTION {} DISABLE; COMMIT", quote::name(name));
    session.batch(&sql, LogicalStop::WORD).await?;
    // One that waits for something to arrive looks whether it is still wanted once a second.
    let ended =
        "select pg_terminate_backend(pid) from pg_catalog.pg_stat_subscription where subname = $1 and pid is not null";
    match session.ask(ended, &[(&name, Type::TEXT)], LogicalStop::WORD).await {
        Err(fault) if fault.code != "sql.42501" => return Err(fault),
        _ => {}
    }
    let begun = std::time::Instant::now();
    let asked = "select count(*) from pg_catalog.pg_stat_subscription where subname = $1 and pid is not null";
    loop {
        let rows = session.ask(asked, &[(&name, Type::TEXT)], LogicalStop::WORD).await?;
        match rows.first().map_or(Ok(0), |row| column::<i64>(row, 0))? {
            0 => return Ok(()),
            at_work if begun.elapsed() > ENDING => {
                let message = format!("{at_work} workers of subscription `{name}` do not end");
                return Err(
                    Fault::retryable("logical.stop", message).hinted("pg_stat_activity of the target shows them")
                );
            }
            _ => tokio::time::sleep(std::time::Duration::from_millis(2)).await,
        }
    }
}

/// The fault of a stream whose slot is gone.
pub fn no_slot(source: &str, name: &str) -> Fault {
    Fault::fatal("logical.slot-gone", format!("the slot `{name}` is gone from {source}"))
        .hinted("nothing can follow any more; logical::remove, and copy again")
}
