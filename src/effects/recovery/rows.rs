//! `pg::copy_rows`: rows streamed from a table of one database into a table of the run's own in another, a packet at a
//! time, in one transaction: an attempt that was cut off leaves nothing.

use futures_util::{SinkExt, TryStreamExt};
use serde_json::json;
use tokio_postgres::types::Type;

use super::{Recovering, staging};
use crate::effects::postgres::connect::{Session, column};
use crate::effects::postgres::faults::{self, Stage};
use crate::effects::postgres::{application_name, quote};
use crate::effects::{Done, Ledger, Ticket};
use crate::model::digest;
use crate::model::event::Event;
use crate::model::fault::{Fault, FaultClass};
use crate::model::request::Request;
use crate::model::request::recovery::PgCopyRows;

/// Longest name that a server keeps whole.
const LONGEST_NAME: usize = 63;

/// Bytes between two words on how far it has come.
const TELL: u64 = 8 << 20;

/// Columns with the types that they have there, in order. What is generated makes itself anew.
const COLUMNS: &str = "
select a.attname::text, format_type(a.atttypid, a.atttypmod), a.attgenerated <> '', c.relkind::text
  from pg_class c join pg_namespace n on n.oid = c.relnamespace join pg_attribute a on a.attrelid = c.oid
 where n.nspname = $1 and c.relname = $2 and a.attnum > 0 and not a.attisdropped
 order by a.attnum";

struct Column {
    name: String,
    kind: String,
    generated: bool,
}

/// Copies the rows; a table that an earlier attempt made is replaced.
pub async fn perform(
    recovering: &Recovering<'_>,
    request: &PgCopyRows,
    ticket: &Ticket,
    ledger: &dyn Ledger,
) -> Result<Done, Fault> {
    let application = application_name(ticket);
    let from = recovering.postgres.session(&request.from, &application).await?;
    from.require_direct("rows are streamed by one session from beginning to end")?;
    let to = recovering.postgres.session(&request.to, &application).await?;
    to.require_writable()?;
    staging::require_ours(&to, &request.into, ticket).await?;
    // Names of types are then written out with their schema, so that both sides mean the same. Nobody's rows are hidden.
    let pinned = "SET LOCAL search_path = pg_catalog; SET LOCAL row_security = off";
    from.batch(&format!("BEGIN READ ONLY; {pinned}"), PgCopyRows::WORD).await?;
    let columns = columns(&from, request).await?;
    let kept: Vec<&Column> = columns.iter().filter(|column| !column.generated).collect();
    let table = staged(&request.schema, &request.table);
    ledger.started(to.holds())?;
    ledger.intent(json!({ "schema": request.into, "table": table }))?;
    let place = quote::qualified(&request.into, &table);
    let typed: Vec<String> =
        kept.iter().map(|column| format!("{} {}", quote::name(&column.name), column.kind)).collect();
    let begin = format!("BEGIN; DROP TABLE IF EXISTS {place}; CREATE TABLE {place} ({})", typed.join(", "));
    to.batch(&begin, PgCopyRows::WORD).await?;
    let rows = stream(recovering, &from, &to, request, &kept, &place).await?;
    to.client
        .batch_execute("COMMIT")
        .await
        .map_err(|error| faults::of(&error, Stage::Sent, &to.what(PgCopyRows::WORD)))
        // Done again, it comes to the same.
        .map_err(|fault| Fault {
            class: if fault.class == FaultClass::Unknown { FaultClass::Retryable } else { fault.class },
            ..fault
        })?;
    from.batch("ROLLBACK", PgCopyRows::WORD).await?;
    recovering.postgres.give_back(from);
    recovering.postgres.give_back(to);
    let names: Vec<&str> = kept.iter().map(|column| column.name.as_str()).collect();
    let generated: Vec<&str> =
        columns.iter().filter(|column| column.generated).map(|column| column.name.as_str()).collect();
    let value =
        json!({ "schema": request.into, "table": table, "rows": rows, "columns": names, "generated": generated });
    Ok(Done { value, rows: Some(rows) })
}

async fn columns(from: &Session, request: &PgCopyRows) -> Result<Vec<Column>, Fault> {
    let named: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 2] =
        [(&request.schema, Type::TEXT), (&request.table, Type::TEXT)];
    let rows = from.ask(COLUMNS, &named, PgCopyRows::WORD).await?;
    let mut columns = Vec::with_capacity(rows.len());
    for row in &rows {
        let relation: &str = column(row, 3)?;
        if !matches!(relation, "r" | "p") {
            let message = format!("{} of {} is no table", shown(request), request.from);
            return Err(Fault::fatal("copy.table", message));
        }
        columns.push(Column { name: column(row, 0)?, kind: column(row, 1)?, generated: column(row, 2)? });
    }
    if columns.iter().any(|column| !column.generated) {
        return Ok(columns);
    }
    Err(Fault::fatal("copy.table", format!("there is no table {} with columns in {}", shown(request), request.from))
        .hinted("was it made later, or called otherwise then?"))
}

async fn stream(
    recovering: &Recovering<'_>,
    from: &Session,
    to: &Session,
    request: &PgCopyRows,
    columns: &[&Column],
    place: &str,
) -> Result<u64, Fault> {
    let fault = |session: &Session| {
        let what = session.what(PgCopyRows::WORD);
        move |error: tokio_postgres::Error| faults::of(&error, Stage::Harmless, &what)
    };
    let names: Vec<String> = columns.iter().map(|column| quote::name(&column.name)).collect();
    let names = names.join(", ");
    let table = quote::qualified(&request.schema, &request.table);
    let which = request.condition.as_ref().map(|condition| format!(" WHERE ({condition}\n)")).unwrap_or_default();
    let read = format!("COPY (SELECT {names} FROM {table}{which}) TO STDOUT");
    let source = from.client.copy_out(&read).await.map_err(fault(from))?;
    let sink = to.client.copy_in(&format!("COPY {place} ({names}) FROM STDIN")).await.map_err(fault(to))?;
    tokio::pin!(source, sink);
    let (mut bytes, mut told) = (0u64, 0u64);
    while let Some(packet) = source.try_next().await.map_err(fault(from))? {
        bytes += packet.len() as u64;
        sink.feed(packet).await.map_err(fault(to))?;
        if bytes - told >= TELL {
            told = bytes;
            recovering.world.sink.event(Event::Progress {
                what: format!("bytes of {}", request.table),
                done: bytes,
                of: None,
            });
        }
    }
    sink.finish().await.map_err(fault(to))
}

fn shown(request: &PgCopyRows) -> String {
    quote::qualified(&request.schema, &request.table)
}

/// The name of a table's copy: both parts of its own, cut to what a server keeps, and then told apart by a digest.
fn staged(schema: &str, table: &str) -> String {
    let whole = format!("{schema}.{table}");
    if whole.len() <= LONGEST_NAME {
        return whole;
    }
    let end = (0..=LONGEST_NAME - 9).rev().find(|end| whole.is_char_boundary(*end)).unwrap_or(0);
    format!("{}~{}", &whole[..end], &digest::of_value(&json!([schema, table]))[..8])
}
