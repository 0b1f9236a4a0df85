//! `logical::publish`: publication, slot and heartbeat on the source. The slot comes last: where it is there, everything is.

use serde_json::{Value, json};
use tokio_postgres::types::Type;

use super::place::{self, Place, Way};
use super::{Logical, carries};
use crate::effects::postgres::connect::{Session, column};
use crate::effects::postgres::{application_name, quote};
use crate::effects::{Done, Ledger, Ticket};
use crate::model::event::Event;
use crate::model::fault::{Fault, FaultClass};
use crate::model::request::Request;
use crate::model::request::logical::LogicalPublish;

const WORD: &str = LogicalPublish::WORD;

/// How long a slot may wait for transactions that were open before it.
const PATIENCE: &str = "5min";

/// Makes them.
pub async fn perform(
    logical: &Logical<'_>,
    request: &LogicalPublish,
    ticket: &Ticket,
    ledger: &dyn Ledger,
) -> Result<Done, Fault> {
    let session = logical.postgres.session(&request.source, &application_name(ticket)).await?;
    session.require_writable()?;
    let place = place::find(&session, request.schema.as_deref(), ticket).await?;
    place.require_ours(&session, ticket)?;
    // An attempt whose answer got lost may have made it.
    if let Some(made) = answer(&session, &place, Way::Forth).await? {
        ledger.intent(json!({ "schema": place.schema }))?;
        return Ok(Done { value: made, rows: None });
    }
    require_logical(&session).await?;
    let carried = carries::read(&session).await?;
    if let Some(missing) = carried.missing(&request.without)? {
        return Err(cannot_carry(&request.source, &missing));
    }
    if let Some(limit) = limited(&session).await? {
        let message = format!(
            "statement_timeout is {limit} for the role on {}: a copy of a table that takes longer is begun again and again",
            request.source
        );
        logical.world.sink.event(Event::Warning(message));
    }
    ledger.started(session.holds())?;
    ledger.intent(json!({ "schema": place.schema }))?;
    make(&session, &place, Way::Forth, &carried.published(&request.without)).await?;
    let made = answer(&session, &place, Way::Forth).await?;
    logical.postgres.give_back(session);
    let value = made.ok_or_else(|| Fault::retryable("logical.gone", "the slot that was just made is gone"))?;
    Ok(Done { value, rows: None })
}

/// Makes the publication of a stream with the heartbeats, then its slot.
pub async fn make(session: &Session, place: &Place, way: Way, tables: &[String]) -> Result<(), Fault> {
    let name = quote::name(&place.stream(way));
    let mut published = vec![format!("ONLY {}", place.heartbeat(way))];
    published.extend_from_slice(tables);
    let sql = format!(
        "BEGIN READ WRITE; SET LOCAL lock_timeout = '10s'; SET LOCAL synchronous_commit = on; {}; \
         DROP PUBLICATION IF EXISTS {name}; \
         CREATE PUBLICATION {name} FOR TABLE {} WITH (publish = 'insert, update, delete, truncate'); \
         COMMENT ON PUBLICATION {name} IS {}; COMMIT",
        place.make_heartbeat(way),
        published.join(", "),
        quote::literal(&place.stamp.text())
    );
    batch(session, &sql).await.map_err(|fault| match fault.code.as_str() {
        "sql.42501" => {
            fault.hinted("the role must own every table that it publishes, and needs CREATE on the database")
        }
        _ => fault,
    })?;
    make_slot(session, &place.stream(way)).await
}

/// Makes a slot of this name. It waits for every transaction that is open.
pub async fn make_slot(session: &Session, name: &str) -> Result<(), Fault> {
    let made = format!(
        "BEGIN; SET LOCAL statement_timeout = '{PATIENCE}'; SELECT pg_create_logical_replication_slot({}, 'pgoutput'); COMMIT",
        quote::literal(name)
    );
    let Err(fault) = batch(session, &made).await else { return Ok(()) };
    Err(match fault.code.as_str() {
        "sql.57014" => {
            let oldest = oldest(session).await.unwrap_or_default();
            fault.hinted(format!("a slot waits for every transaction that was open before it: {oldest}"))
        }
        "sql.53400" => fault.hinted("raise max_replication_slots of that server, or drop slots that nobody reads"),
        "sql.42501" => fault.hinted("the role needs the attribute REPLICATION: alter role … replication"),
        _ => fault,
    })
}

/// The same on a session whose transaction is taken back when it fails.
async fn batch(session: &Session, sql: &str) -> Result<(), Fault> {
    let done = session.batch(sql, WORD).await;
    if done.is_err() && !session.client.is_closed() {
        session.batch("ROLLBACK", WORD).await?;
    }
    done
}

/// The transactions that have been open longest.
async fn oldest(session: &Session) -> Result<String, Fault> {
    let asked = "
select coalesce(string_agg(said, ', '), 'none is left')
  from (select format('pid %s of %s, %s s', pid, usename, extract(epoch from clock_timestamp() - xact_start)::int) as said
          from pg_catalog.pg_stat_activity where backend_xid is not null and pid <> pg_backend_pid()
         union all select format('prepared transaction %s', gid) from pg_catalog.pg_prepared_xacts
         limit 5) as open";
    let rows = session.ask(asked, &[], WORD).await?;
    rows.first().map_or(Ok(String::new()), |row| column(row, 0))
}

/// What is there of a stream on this side, as the answer; nothing unless it is complete.
pub async fn answer(session: &Session, place: &Place, way: Way) -> Result<Option<Value>, Fault> {
    let name = place.stream(way);
    let Some(lsn) = place::slot(session, &name).await? else { return Ok(None) };
    let asked = "select format('%s.%s', schemaname, tablename) from pg_catalog.pg_publication_tables
                  where pubname = $1 and schemaname <> $2 order by 1";
    let given: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 2] =
        [(&name, Type::TEXT), (&place.schema, Type::TEXT)];
    let rows = session.ask(asked, &given, WORD).await?;
    let tables = rows.iter().map(|row| column::<String>(row, 0)).collect::<Result<Vec<_>, _>>()?;
    Ok(Some(json!({ "publication": name, "slot": name, "tables": tables, "lsn": lsn })))
}

/// What an attempt came to.
pub async fn look(logical: &Logical<'_>, request: &LogicalPublish, ticket: &Ticket) -> Result<Option<Value>, Fault> {
    let session = logical.postgres.session(&request.source, &application_name(ticket)).await?;
    let place = place::find(&session, request.schema.as_deref(), ticket).await?;
    answer(&session, &place, Way::Forth).await
}

/// What would stop it.
pub async fn foresee(logical: &Logical<'_>, request: &LogicalPublish) -> Result<Vec<String>, Fault> {
    let session = logical.postgres.session(&request.source, "runsheet preview").await?;
    let mut notes = Vec::new();
    if let Err(fault) = require_logical(&session).await {
        notes.push(fault.message);
    }
    if let Some(missing) = carries::read(&session).await?.missing(&request.without)? {
        notes.push(cannot_carry(&request.source, &missing).message);
    }
    logical.postgres.give_back(session);
    Ok(notes)
}

/// Refuses a server whose WAL does not say enough.
pub async fn require_logical(session: &Session) -> Result<(), Fault> {
    let rows = session.ask("select current_setting('wal_level')", &[], WORD).await?;
    let level: String = rows.first().map_or(Ok(String::new()), |row| column(row, 0))?;
    if level == "logical" {
        return Ok(());
    }
    let message = format!("wal_level of {} is {level}, and logical replication needs `logical`", session.target);
    Err(Fault::fatal("logical.wal-level", message)
        .hinted("alter system set wal_level = logical, and restart the server; the strategy `dump` does without"))
}

/// The fault of what nothing carries.
pub fn cannot_carry(source: &str, missing: &str) -> Fault {
    Fault::new(
        FaultClass::Fatal,
        "logical.cannot-carry",
        format!("logical replication cannot carry all of {source}: {missing}"),
    )
    .hinted(
        "give a table without a key a primary key, or `alter table … replica identity full`; what you copy by other means, \
         or do not need, name in `without`",
    )
}

/// The time limit of the role's statements, if it has one.
async fn limited(session: &Session) -> Result<Option<String>, Fault> {
    let asked = "select current_setting('statement_timeout') where current_setting('statement_timeout') <> '0'";
    let rows = session.ask(asked, &[], WORD).await?;
    rows.first().map(|row| column(row, 0)).transpose()
}
