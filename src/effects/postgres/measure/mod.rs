//! Measuring a database: rows, contents and objects at one snapshot, by several sessions at once.
//!
//! One session exports the snapshot and keeps it alive, the others import it as the first thing they do. What is measured
//! is later compared with a measure of another server, so that nothing in it may depend on settings, on OIDs, on the order
//! of rows or columns.

mod contents;
pub mod file;
mod objects;
pub mod row_hash;
mod sequences;
mod snapshot;
pub mod tables;

use std::sync::atomic::{AtomicUsize, Ordering};

use chrono::{DateTime, Utc};
use futures_util::future::try_join_all;

use super::Postgres;
use super::connect::{self, column};
use crate::model::event::Event;
use crate::model::fault::Fault;
use crate::model::measured::{FORMAT, Measured, TableMeasure};

pub use snapshot::{Exported, SETTINGS, WHAT, ask, end, read_only};

/// How a database is measured.
#[derive(Clone, Debug)]
pub struct How {
    /// Whether contents are hashed, or rows only counted.
    pub contents: bool,
    /// Sessions that measure at once, one at least.
    pub connections: usize,
}

/// Measures a database at a snapshot of now. Whoever copies it meanwhile does so at a snapshot taken by [`Exported::take`],
/// and measures at that one.
///
/// # Errors
/// When the target is reached through a pooler, or when it cannot be read. What a role may not read is no error, but a gap.
pub async fn measure(postgres: &Postgres, target: &str, how: &How) -> Result<Measured, Fault> {
    let exported = Exported::take(postgres, target).await?;
    let measured = exported.measure(postgres, how).await;
    exported.release(postgres).await;
    measured
}

/// Measures everything but rows.
pub async fn without_rows(postgres: &Postgres, target: &str) -> Result<Measured, Fault> {
    let exported = Exported::take(postgres, target).await?;
    let measured = read(postgres, &exported, None).await;
    exported.release(postgres).await;
    measured
}

/// Reads what is measured at a snapshot; without `how`, everything but rows.
async fn read(postgres: &Postgres, exported: &Exported, how: Option<&How>) -> Result<Measured, Fault> {
    let target = exported.target();
    let first = exported.import(postgres).await?;
    let rows = first.ask(MOMENT, &[], WHAT).await?;
    let row = rows.first().ok_or_else(|| Fault::fatal("server.answer", "the server did not say what it is"))?;
    let (at, database): (DateTime<Utc>, String) = (column(row, 0)?, column(row, 1)?);
    let (server, form): (i32, String) = (column(row, 2)?, column(row, 3)?);
    let (mut found, mut gaps) = tables::list(&first).await?;
    if how.is_none() {
        found.clear();
    }

    let contents = how.is_some_and(|how| how.contents);
    let batches = contents::batches(found, contents.then_some(form.as_str()));
    let total = batches.iter().map(|batch| batch.tables.len() as u64).sum();
    let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let work = |session| {
        let (batches, next, done) = (&batches, &next, &done);
        async move {
            let mut measured = Vec::new();
            while let Some(batch) = batches.get(next.fetch_add(1, Ordering::Relaxed)) {
                measured.extend(batch.read(&session).await?);
                let now = done.fetch_add(batch.tables.len(), Ordering::Relaxed) + batch.tables.len();
                let what = format!("tables of {target}");
                postgres.world.sink.event(Event::Progress { what, done: now as u64, of: Some(total) });
            }
            Ok::<_, Fault>((session, measured))
        }
    };
    let connections = how.map_or(1, |how| how.connections);
    let others =
        (1..connections.clamp(1, batches.len().max(1))).map(|_| async { work(exported.import(postgres).await?).await });
    let own = async {
        let objects = objects::read(&first, server).await?;
        Ok::<_, Fault>((objects, work(first).await?))
    };
    let (own, others) = tokio::try_join!(own, try_join_all(others))?;
    let ((objects, unverifiable), own) = own;
    gaps.extend(unverifiable);

    let mut tables: Vec<TableMeasure> = Vec::new();
    if how.is_some() {
        gaps.extend(snapshot::replaced(&own.0).await?);
    }
    for (session, measured) in others.into_iter().chain([own]) {
        snapshot::end(postgres, session).await;
        tables.extend(measured);
    }
    tables.sort_by(|a, b| (&a.schema, &a.name).cmp(&(&b.schema, &b.name)));
    gaps.sort();
    let (server, sequences) = (server.cast_unsigned(), exported.sequences.clone());
    Ok(Measured { format: FORMAT, at, database, server, tables, sequences, objects, gaps })
}

/// How a server hashes: what two servers that answer differently say of rows cannot be compared.
///
/// # Errors
/// When it cannot be asked.
pub async fn form(session: &connect::Session) -> Result<String, Fault> {
    let rows = session.ask(MOMENT, &[], WHAT).await?;
    rows.first().map_or(Ok(String::new()), |row| column(row, 3))
}

/// When, which database, which version; and how this server hashes, by an example: hashes of servers that answer
/// differently here cannot be compared.
const MOMENT: &str = "
select transaction_timestamp(), current_database()::text, current_setting('server_version_num')::int,
       current_setting('server_encoding') || '-' || to_hex(hashtextextended('runsheet', 0)
           # hashint8extended(-7411, 1) # uuid_hash_extended('00000000-0000-0000-0000-000000007411', 2)
           # hash_numeric_extended(-74.110, 3) # hashfloat4extended(0.1, 4) # hashfloat8extended(0.1, 5))";
