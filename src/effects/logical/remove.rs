//! `logical::remove`: everything that a live copy made, on both sides, in whatever half-done state it is. The following side
//! goes first, since a slot that is read cannot be dropped; a side that cannot be reached is no reason to leave the other.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio_postgres::types::Type;

use super::place::{self, Place};
use super::{Logical, changed, subscribe};
use crate::effects::postgres::connect::{Session, column};
use crate::effects::postgres::{application_name, quote};
use crate::effects::{Done, Ledger, Ticket};
use crate::model::fault::{Fault, FaultClass};
use crate::model::request::Request;
use crate::model::request::logical::LogicalRemove;

const WORD: &str = LogicalRemove::WORD;

/// How long whoever reads a slot may take to go.
const LEAVING: Duration = Duration::from_secs(20);

/// Tables of ours in the control schema.
const TABLES: [&str; 3] = ["heartbeat", "heartbeat_back", "watched"];

/// Removes it.
pub async fn perform(
    logical: &Logical<'_>,
    request: &LogicalRemove,
    ticket: &Ticket,
    ledger: &dyn Ledger,
) -> Result<Done, Fault> {
    let name = application_name(ticket);
    let (target, source) = tokio::join!(reach(logical, &request.target, &name), reach(logical, &request.source, &name));
    let schema = schema(logical, request, ticket, [&target, &source]).await?;
    if let Ok(session) = source.as_ref().or(target.as_ref()) {
        ledger.started(session.holds())?;
    }
    ledger.intent(json!({ "schema": schema }))?;
    let Some(schema) = schema else { return Ok(Done { value: json!({ "removed": [] }), rows: None }) };

    let mut removed = Vec::new();
    let mut left = Vec::new();
    // Copies of single tables have slots of their own on the other side, which only the subscription knows by name.
    let mut copying: [Vec<String>; 2] = Default::default();
    let sides = [(&request.target, &target), (&request.source, &source)];
    for ((at, side), copying) in sides.into_iter().zip(&mut copying) {
        match side {
            Ok(session) => match subscriptions(session, &schema, &mut removed).await {
                Ok(slots) => copying.extend(slots),
                Err(fault) => left.push(format!("the subscription in {at} ({})", fault.message)),
            },
            Err(fault) => left.push(by_hand(at, &schema, fault)),
        }
    }
    copying.reverse();
    for ((at, side), copying) in sides.into_iter().zip(&copying) {
        if let Ok(session) = side
            && let Err(fault) = publications(session, &schema, copying, &mut removed).await
        {
            left.push(format!("slots or publications in {at} ({})", fault.message));
        }
    }
    for session in [target, source].into_iter().flatten() {
        logical.postgres.give_back(session);
    }
    for stream in [schema.clone(), format!("{schema}_back")] {
        changed::forget(logical, &stream);
    }
    if left.is_empty() {
        return Ok(Done { value: json!({ "removed": removed }), rows: None });
    }
    let done = if removed.is_empty() { "nothing".to_owned() } else { removed.join(", ") };
    Err(Fault::new(FaultClass::Retryable, "logical.left", format!("of the live copy `{schema}` is left: {}", left.join("; ")))
        .detailed(format!("removed: {done}"))
        .hinted("a slot that nobody reads keeps the server from removing WAL until its disk is full; remove it as soon as the server can be reached"))
}

/// A session that answers: one that waited for work may have died meanwhile.
async fn reach(logical: &Logical<'_>, target: &str, name: &str) -> Result<Session, Fault> {
    let session = logical.postgres.session(target, name).await?;
    match session.ask("select 1", &[], WORD).await {
        Ok(_) => Ok(session),
        Err(_) => {
            logical.postgres.close_idle(target);
            logical.postgres.session(target, name).await
        }
    }
}

/// What is to be done by hand on a side that cannot be reached.
fn by_hand(at: &str, schema: &str, fault: &Fault) -> String {
    format!(
        "all of it in {at}, which cannot be reached ({}). There: `alter subscription {schema} disable`, `alter subscription \
         {schema} set (slot_name = none)`, `drop subscription {schema}`, `select pg_drop_replication_slot(slot_name) from \
         pg_replication_slots where slot_name like '{schema}%'`, `drop publication {schema}`, and the same with `{schema}_back`",
        fault.message
    )
}

/// The control schema of what is to go: the one that is named, this run's, or the only one, whose run must be over.
async fn schema(
    logical: &Logical<'_>,
    request: &LogicalRemove,
    ticket: &Ticket,
    sides: [&Result<Session, Fault>; 2],
) -> Result<Option<String>, Fault> {
    let mut first = None;
    for side in sides {
        let session = match side {
            Ok(session) => session,
            Err(fault) => {
                first.get_or_insert_with(|| fault.clone());
                continue;
            }
        };
        match place::find(session, request.schema.as_deref(), ticket).await {
            Ok(place) => {
                allowed(logical, &place, ticket)?;
                return Ok(Some(place.schema));
            }
            Err(fault) if fault.code == "logical.schema" => {}
            Err(fault) => return Err(fault),
        }
    }
    match (sides, first) {
        // Neither can be reached: nothing is known, and nothing was done.
        ([Err(_), Err(_)], Some(fault)) => Err(fault),
        // The schema is gone, and with it the stamp: what carries this run's own name is this run's.
        _ => Ok(place::own(ticket)),
    }
}

/// Refuses what a run needs that is not over.
pub fn allowed(logical: &Logical<'_>, place: &Place, ticket: &Ticket) -> Result<(), Fault> {
    if place.stamp.is_of(ticket) {
        return Ok(());
    }
    match place.stamp.held(&*logical.world.past) {
        None => Ok(()),
        Some(why) => Err(Fault::fatal("logical.not-ours", format!("the live copy `{}` stays: {why}", place.schema))),
    }
}

/// Drops the subscriptions of a copy on one side. Answers the slots that copies of single tables have on the other.
pub async fn subscriptions(session: &Session, schema: &str, removed: &mut Vec<String>) -> Result<Vec<String>, Fault> {
    let names = [schema.to_owned(), format!("{schema}_back")];
    let asked = "
select s.subname::text, 'pg_' || s.oid || '_sync_', (select system_identifier::text from pg_catalog.pg_control_system())
  from pg_catalog.pg_subscription s
 where s.subname = any($1) and s.subdbid = (select oid from pg_catalog.pg_database where datname = current_database())";
    let mut slots = Vec::new();
    for row in session.ask(asked, &[(&&names[..], Type::TEXT_ARRAY)], WORD).await? {
        let name: String = column(&row, 0)?;
        slots.push(format!("{}%\\_{}", column::<String>(&row, 1)?.replace('_', "\\_"), column::<String>(&row, 2)?));
        subscription(session, &name).await?;
        removed.push(format!("subscription {name} of {}", session.target));
    }
    Ok(slots)
}

/// Drops a subscription, if it is there, and leaves its slot.
pub async fn subscription(session: &Session, name: &str) -> Result<(), Fault> {
    let there = "select from pg_catalog.pg_subscription where subname = $1";
    if session.ask(there, &[(&name, Type::TEXT)], WORD).await?.is_empty() {
        return Ok(());
    }
    subscribe::disable(session, name).await?;
    let quoted = quote::name(name);
    let sql = format!(
        "BEGIN READ WRITE; ALTER SUBSCRIPTION {quoted} SET (slot_name = NONE); DROP SUBSCRIPTION {quoted}; COMMIT"
    );
    let dropped = session.batch(&sql, WORD).await;
    if dropped.is_err() && !session.client.is_closed() {
        session.batch("ROLLBACK", WORD).await?;
    }
    dropped
}

/// Drops the slots, publications and tables of a copy on one side.
pub async fn publications(
    session: &Session,
    schema: &str,
    copying: &[String],
    removed: &mut Vec<String>,
) -> Result<(), Fault> {
    let names: Vec<String> = ["", "_w", "_back", "_back_w"].iter().map(|end| format!("{schema}{end}")).collect();
    let asked = "select slot_name::text from pg_catalog.pg_replication_slots
                  where slot_name = any($1) or slot_name like any($2)";
    let given: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 2] =
        [(&names, Type::TEXT_ARRAY), (&copying, Type::TEXT_ARRAY)];
    for row in session.ask(asked, &given, WORD).await? {
        let name: String = column(&row, 0)?;
        slot(session, &name).await?;
        removed.push(format!("slot {name} of {}", session.target));
    }
    let asked = "select pubname::text from pg_catalog.pg_publication where pubname = any($1)";
    for row in session.ask(asked, &[(&names, Type::TEXT_ARRAY)], WORD).await? {
        let name: String = column(&row, 0)?;
        let sql = format!(
            "BEGIN READ WRITE; SET LOCAL lock_timeout = '10s'; DROP PUBLICATION {}; COMMIT",
            quote::name(&name)
        );
        let dropped = session.batch(&sql, WORD).await;
        if dropped.is_err() && !session.client.is_closed() {
            session.batch("ROLLBACK", WORD).await?;
        }
        dropped?;
        removed.push(format!("publication {name} of {}", session.target));
    }
    let tables: Vec<String> = TABLES.iter().map(|table| quote::qualified(schema, table)).collect();
    session.batch(&format!("BEGIN READ WRITE; DROP TABLE IF EXISTS {}; COMMIT", tables.join(", ")), WORD).await
}

/// Drops a slot, if it is there, whoever still reads it.
pub async fn slot(session: &Session, name: &str) -> Result<(), Fault> {
    let begun = Instant::now();
    let given: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 1] = [(&name, Type::TEXT)];
    loop {
        let ended = "select pg_terminate_backend(active_pid) from pg_catalog.pg_replication_slots where slot_name = $1 and active";
        session.ask(ended, &given, WORD).await?;
        let dropped =
            "select pg_drop_replication_slot(slot_name) from pg_catalog.pg_replication_slots where slot_name = $1";
        match session.ask(dropped, &given, WORD).await {
            Ok(_) => return Ok(()),
            // Gone between the two looks.
            Err(fault) if fault.code == "sql.42704" => return Ok(()),
            Err(fault) if fault.code == "sql.55006" && begun.elapsed() < LEAVING => {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            Err(fault) => return Err(fault),
        }
    }
}
