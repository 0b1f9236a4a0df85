//! `logical::reverse` and `logical::forward`: which of the two databases follows the other. Never both: servers before 16
//! would send each other their own changes back.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio_postgres::types::Type;

use super::place::{self, Place, Way};
use super::subscribe::Rows;
use super::{Logical, beat, carries, disk, publish, remove, subscribe};
use crate::effects::postgres::connect::{Session, column};
use crate::effects::postgres::quote;
use crate::effects::{Done, Ledger, Ticket};
use crate::model::fault::Fault;
use crate::model::lsn;
use crate::model::request::Request;
use crate::model::request::logical::{LogicalForward, LogicalRetire, LogicalReverse};

const WORD: &str = LogicalReverse::WORD;

/// How long the first heartbeat back may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// `logical::reverse`.
pub async fn perform(
    logical: &Logical<'_>,
    request: &LogicalReverse,
    ticket: &Ticket,
    ledger: &dyn Ledger,
) -> Result<Done, Fault> {
    let begun = Instant::now();
    let (source, target) = logical.sessions(&request.source, &request.target, ticket).await?;
    source.require_writable()?;
    target.require_writable()?;
    let (old, new) = tokio::try_join!(
        place::find(&source, request.schema.as_deref(), ticket),
        place::find(&target, request.schema.as_deref(), ticket)
    )?;
    ledger.started(target.holds())?;
    ledger.intent(json!({ "schema": new.schema }))?;
    publish::require_logical(&target).await.map_err(no_way_back)?;
    let stream = new.stream(Way::Back);
    if place::slot(&target, &stream).await?.is_none() {
        let tables = published(&source, &old, &target, &request.without).await?;
        publish::make(&target, &new, Way::Back, &tables).await.map_err(no_way_back)?;
    }
    if old.subscribes != Some(Way::Back) {
        let made = subscribe::make(logical, &source, &request.target, &old, Way::Back, Rows::None).await;
        made.map_err(no_way_back)?;
    }
    if request.prepare {
        let value = json!({
            "publication": stream, "slot": stream, "subscription": stream, "lsn": null, "took": begun.elapsed().as_secs_f64()
        });
        logical.give_back(source, target);
        return Ok(Done { value, rows: None });
    }
    if new.subscribes == Some(Way::Forth) {
        subscribe::disable(&target, &new.stream(Way::Forth)).await?;
    }
    if !enabled(&source, &stream).await? {
        // What came from the source until now must not go back to it.
        forgo(&target, &stream).await.map_err(no_way_back)?;
        let sql = format!("BEGIN READ WRITE; ALTER SUBSCRIPTION {} ENABLE; COMMIT", quote::name(&stream));
        source.batch(&sql, WORD).await.map_err(no_way_back)?;
    }
    let sent = beat::send(&target, &new, Way::Back).await?;
    while beat::last(&source, &old, Way::Back).await? < sent.beat {
        if begun.elapsed() > PATIENCE {
            let message = format!("no heartbeat of {} arrives in {}", request.target, request.source);
            return Err(no_way_back(
                Fault::fatal("logical.drain", message)
                    .hinted("its server log says why: can it reach the new server, and is it let in?"),
            ));
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    logical.give_back(source, target);
    let took = begun.elapsed().as_secs_f64();
    let value = json!({
        "publication": stream, "slot": stream, "subscription": stream, "lsn": lsn::text(sent.lsn), "took": took
    });
    Ok(Done { value, rows: None })
}

async fn enabled(session: &Session, name: &str) -> Result<bool, Fault> {
    let asked = "select subenabled from pg_catalog.pg_subscription where subname = $1";
    let rows = session.ask(asked, &[(&name, Type::TEXT)], WORD).await?;
    rows.first().map_or(Ok(false), |row| column(row, 0))
}

/// Moves a slot to where the WAL is now.
async fn forgo(session: &Session, slot: &str) -> Result<(), Fault> {
    disk::flush(session, WORD).await?;
    let asked =
        "select pg_replication_slot_advance(slot_name, pg_current_wal_flush_lsn()) from pg_catalog.pg_replication_slots
                  where slot_name = $1 and confirmed_flush_lsn < pg_current_wal_flush_lsn()";
    session.ask(asked, &[(&slot, Type::TEXT)], WORD).await.map(|_| ())
}

/// The fault of a way back that cannot be made.
fn no_way_back(fault: Fault) -> Fault {
    let message = format!("no way back: {}", fault.message);
    Fault { code: "logical.no-way-back".to_owned(), message, ..fault }
}

/// What goes back: what came, or everything that can be carried.
async fn published(source: &Session, old: &Place, target: &Session, without: &[String]) -> Result<Vec<String>, Fault> {
    if old.publishes != Some(Way::Forth) {
        let carried = carries::read(target).await?;
        return match carried.missing(without)? {
            None => Ok(carried.published(without)),
            Some(missing) => Err(no_way_back(publish::cannot_carry(&target.target, &missing))),
        };
    }
    let asked = "select schemaname::text, tablename::text from pg_catalog.pg_publication_tables where pubname = $1 and schemaname <> $2";
    let given: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 2] =
        [(&old.stream(Way::Forth), Type::TEXT), (&old.schema, Type::TEXT)];
    let rows = source.ask(asked, &given, WORD).await?;
    rows.iter().map(|row| Ok(format!("ONLY {}", quote::qualified(column(row, 0)?, column(row, 1)?)))).collect()
}

/// `logical::forward`: the way back is removed, and the target follows the source again. For a freeze that did not hold.
pub async fn forward(
    logical: &Logical<'_>,
    request: &LogicalForward,
    ticket: &Ticket,
    ledger: &dyn Ledger,
) -> Result<Done, Fault> {
    let (source, target) = logical.sessions(&request.source, &request.target, ticket).await?;
    source.require_writable()?;
    target.require_writable()?;
    let new = place::find(&target, request.schema.as_deref(), ticket).await?;
    let way = new.incoming(&target, false)?;
    ledger.started(target.holds())?;
    ledger.intent(json!({ "schema": new.schema }))?;
    let back = new.stream(Way::Back);
    remove::subscription(&source, &back).await?;
    remove::slot(&target, &back).await?;
    remove::slot(&target, &format!("{back}_w")).await?;
    target.batch(&format!("BEGIN READ WRITE; DROP PUBLICATION IF EXISTS {}; COMMIT", quote::name(&back)), WORD).await?;
    let enabled = format!("BEGIN READ WRITE; ALTER SUBSCRIPTION {} ENABLE; COMMIT", quote::name(&new.stream(way)));
    target.batch(&enabled, LogicalForward::WORD).await?;
    logical.give_back(source, target);
    Ok(Done { value: json!({ "subscription": new.stream(way) }), rows: None })
}

/// `logical::retire`: the forward stream is not needed any more, and would keep the source from removing WAL. What watches the
/// source for writes stays, and so does the way back.
pub async fn retire(
    logical: &Logical<'_>,
    request: &LogicalRetire,
    ticket: &Ticket,
    ledger: &dyn Ledger,
) -> Result<Done, Fault> {
    let (source, target) = logical.sessions(&request.source, &request.target, ticket).await?;
    source.require_writable()?;
    target.require_writable()?;
    let place = place::find(&target, request.schema.as_deref(), ticket).await?;
    remove::allowed(logical, &place, ticket)?;
    ledger.started(target.holds())?;
    ledger.intent(json!({ "schema": place.schema }))?;
    let stream = place.stream(Way::Forth);
    remove::subscription(&target, &stream).await?;
    remove::slot(&source, &stream).await?;
    logical.give_back(source, target);
    Ok(Done { value: json!({ "removed": stream }), rows: None })
}
