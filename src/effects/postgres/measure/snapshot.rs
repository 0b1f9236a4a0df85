//! Sessions that all see the same moment, with settings that make the same value the same text everywhere.

use std::fmt::Write as _;

use super::super::connect::{Session, column};
use super::super::{Postgres, faults};
use super::Table;
use crate::model::fault::Fault;

/// What messages call the work.
pub const WHAT: &str = "measuring";

/// How sessions are called on the server's list.
const APPLICATION: &str = "runsheet measure";

/// For the length of a transaction. Time limits would end a snapshot that waits for others to finish; the rest decides what
/// text a value has, or which rows a role sees: with `row_security` off a policy is an error instead of a filter. Newer servers
/// also limit transactions, and notice while they compute that their client has died.
const SETTINGS: &str = "
SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0;
SET LOCAL search_path = ''; SET LOCAL row_security = off; SET LOCAL lc_monetary = 'C'; SET LOCAL xmlbinary = 'base64';
SET LOCAL DateStyle = 'ISO, MDY'; SET LOCAL IntervalStyle = 'iso_8601'; SET LOCAL TimeZone = 'UTC';
SET LOCAL extra_float_digits = 1; SET LOCAL bytea_output = 'hex'; SET LOCAL quote_all_identifiers = off;
SET LOCAL jit = off;
select set_config(name, case name when 'transaction_timeout' then '0' else '10s' end, true) from pg_catalog.pg_settings
 where name = 'transaction_timeout' or name = 'client_connection_check_interval' and version() like '%linux%'";

/// A snapshot that a session of ours exported and keeps alive.
pub struct Exported {
    /// What the others import.
    pub id: String,
    session: Session,
}

impl Exported {
    /// Takes a snapshot of now. It lives until [`Self::release`], or until this is dropped.
    ///
    /// # Errors
    /// When the target is reached through a pooler, or cannot be reached.
    pub async fn take(postgres: &Postgres, target: &str) -> Result<Self, Fault> {
        let session = begin(postgres, target, None).await?;
        let rows = session.ask("select pg_export_snapshot()", &[], WHAT).await?;
        let row = rows.first().ok_or_else(|| Fault::fatal("server.answer", "the server exported no snapshot"))?;
        Ok(Self { id: column(row, 0)?, session })
    }

    /// Ends the snapshot; sessions that imported it keep theirs.
    pub async fn release(self, postgres: &Postgres) {
        end(postgres, self.session).await;
    }
}

/// A session that sees what the exported snapshot `id` shows.
pub async fn import(postgres: &Postgres, target: &str, id: &str) -> Result<Session, Fault> {
    begin(postgres, target, Some(id)).await
}

/// A session that sees one moment of its own, with the same settings.
pub async fn read_only(postgres: &Postgres, target: &str) -> Result<Session, Fault> {
    begin(postgres, target, None).await
}

/// Ends the transaction of a session and keeps the session for later work.
pub async fn end(postgres: &Postgres, session: Session) {
    if session.client.batch_execute("ROLLBACK").await.is_ok() {
        postgres.give_back(session);
    }
}

async fn begin(postgres: &Postgres, target: &str, import: Option<&str>) -> Result<Session, Fault> {
    let session = postgres.session(target, APPLICATION).await?;
    session.require_direct("a snapshot is shared by sessions of one's own")?;
    let mut sql = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; ".to_owned();
    if let Some(id) = import {
        let _ = write!(sql, "SET TRANSACTION SNAPSHOT '{}'; ", id.replace('\'', "''"));
    }
    sql.push_str(SETTINGS);
    session.batch(&sql, WHAT).await.map_err(|fault| match (import, fault.code.as_str()) {
        (Some(_), "sql.22023" | "sql.42704") => {
            fault.hinted("the session that exported the snapshot has ended; take a new snapshot and start again")
        }
        _ => fault,
    })?;
    Ok(session)
}

/// Locks tables against what no snapshot protects from: a truncated table is empty for everyone. pg_dump does the same.
pub async fn keep_from_truncation(session: &Session, tables: &[Table]) -> Result<(), Fault> {
    let names: Vec<String> =
        tables.iter().filter(|table| table.lockable()).map(|table| format!("ONLY {}", table.quoted())).collect();
    for chunk in names.chunks(200) {
        let lock = format!("LOCK TABLE {} IN ACCESS SHARE MODE", chunk.join(", "));
        session.client.batch_execute(&lock).await.map_err(|error| {
            let fault = faults::of(&error, faults::Stage::Harmless, &session.what(WHAT));
            match fault.code.as_str() {
                "sql.53200" => fault.hinted("raise max_locks_per_transaction on that server: each table takes a lock"),
                _ => fault,
            }
        })?;
    }
    Ok(())
}
