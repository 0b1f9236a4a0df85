//! Sessions that all see the same moment, with settings that make the same value the same text everywhere.

use std::fmt::Write as _;

use tokio_postgres::Row;

use super::super::Postgres;
use super::super::connect::{Session, column};
use super::super::quote;
use super::{How, read, sequences};
use crate::model::fault::Fault;
use crate::model::measured::{Gap, Measured, SequenceMeasure};

/// What messages call the work.
pub const WHAT: &str = "measuring";

/// How sessions are called on the server's list.
const APPLICATION: &str = "runsheet measure";

/// For the length of a transaction. Time limits would end a snapshot that waits for others to finish; the rest decides what
/// text a value has, or which rows a role sees: with `row_security` off a policy is an error instead of a filter. Newer servers
/// also limit transactions, and notice while they compute that their client has died.
pub const SETTINGS: &str = "
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
    /// Where sequences stood at once after it was taken: no snapshot holds them. A copy that is made at this snapshot, later
    /// than that, has them no further behind.
    pub(super) sequences: Vec<SequenceMeasure>,
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
        let id = column(row, 0)?;
        Ok(Self { id, sequences: sequences::read(&session).await?, session })
    }

    /// Measures at this snapshot, while something else may be done at it.
    ///
    /// # Errors
    /// Those of [`super::measure`], and that of a snapshot whose session has ended.
    pub async fn measure(&self, postgres: &Postgres, how: &How) -> Result<Measured, Fault> {
        read(postgres, self, Some(how)).await
    }

    /// The target that it is of.
    pub fn target(&self) -> &str {
        &self.session.target
    }

    /// A session that sees what this snapshot shows.
    pub async fn import(&self, postgres: &Postgres) -> Result<Session, Fault> {
        begin(postgres, self.target(), Some(&self.id)).await
    }

    /// Ends the snapshot; sessions that imported it keep theirs.
    pub async fn release(self, postgres: &Postgres) {
        end(postgres, self.session).await;
    }
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
        let _ = write!(sql, "SET TRANSACTION SNAPSHOT {}; ", quote::literal(id));
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

/// Asks within a savepoint that is taken back: what a transaction locks it otherwise keeps to its end, and a server has room
/// for the locks of a few thousand tables. The three messages travel together.
pub async fn ask(session: &Session, sql: &str) -> Result<Vec<Row>, Fault> {
    let (begun, rows, ended) = tokio::join!(
        session.batch("SAVEPOINT one", WHAT),
        session.ask(sql, &[], WHAT),
        session.batch("ROLLBACK TO one", WHAT)
    );
    begun?;
    let rows = rows?;
    ended?;
    Ok(rows)
}

/// Tables that were truncated, rewritten or dropped after the snapshot, which it does not protect from: they have another
/// file now than the snapshot shows.
pub async fn replaced(session: &Session) -> Result<Vec<Gap>, Fault> {
    let rows = session.ask(REPLACED, &[], WHAT).await?;
    let gap = |row: &Row| {
        let why = "it was truncated, rewritten or dropped while it was measured".to_owned();
        Ok(Gap { kind: "replaced table".to_owned(), name: column(row, 0)?, why })
    };
    rows.iter().map(gap).collect()
}

/// `pg_class` is seen as of the snapshot; the function answers what is true now.
const REPLACED: &str = "
select n.nspname || '.' || c.relname
  from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
 where c.relkind in ('r', 'm') and c.relpersistence <> 't' and c.relfilenode <> 0
   and n.nspname not in ('pg_catalog', 'information_schema') and n.nspname !~ '^pg_toast'
   and pg_catalog.pg_relation_filenode(c.oid) is distinct from c.relfilenode";
