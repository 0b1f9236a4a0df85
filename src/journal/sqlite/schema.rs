//! The file: how it is made, what lies in it, and which files are refused.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, TransactionBehavior, params};

use super::error::explain;
use crate::journal::entry::FORMAT;
use crate::journal::store::JournalError;

/// Marks an SQLite file as a journal of ours: `RSHT`.
const APPLICATION_ID: i32 = 0x5253_4854;

/// How long another process's short transaction is waited for. Appends take milliseconds; a disk may stall for longer.
const PATIENCE: Duration = Duration::from_secs(10);

/// The wait before a file that is just being made is tried again.
const PAUSE: Duration = Duration::from_millis(10);

/// Pages after which the write-ahead log is moved into the file and begun anew. Overwriting a log syncs faster than
/// letting it grow: at SQLite's own 1,000 pages, synced appends take a third longer.
const LOG_PAGES: i64 = 250;

/// `entry.id` is `run.no << 40 | n`. The columns beside `text` follow from it and are there to be searched.
/// `lane` and `seq` stand beside records of actions only, so that a run's story is what has no lane.
const SCHEMA: &str = "
    create table meta (key text primary key, value text not null) without rowid;
    create table run (
        no      integer primary key,
        run     text not null unique,
        runbook text not null,
        number  integer not null,
        epoch   integer not null,
        holder  text not null
    );
    create index run_number on run (runbook, number);
    create table entry (
        id    integer primary key,
        run   integer not null references run (no),
        kind  text not null,
        step  text,
        phase text,
        lane  text,
        seq   integer,
        hash  text not null,
        text  text not null
    );
    create index story on entry (run) where lane is null;
    create index action on entry (run, step, phase, lane) where lane is not null;
";

/// Opens or makes the file and refuses what is not a journal of this format.
pub(super) fn open(path: &Path, program_version: &str) -> Result<Connection, JournalError> {
    create_private(path)?;
    let begun = Instant::now();
    let prepared = loop {
        match prepare(path, program_version) {
            // While another process makes the file, SQLite answers so at once, however patient it was told to be.
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && begun.elapsed() < PATIENCE => {
                std::thread::sleep(PAUSE);
            }
            prepared => break prepared,
        }
    };
    let connection = prepared.map_err(|error| explain(path, &error))?;
    check_format(path, &connection)?;
    Ok(connection)
}

fn prepare(path: &Path, program_version: &str) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(path, flags).and_then(|mut connection| {
        connection.busy_timeout(PATIENCE)?;
        connection.set_prepared_statement_cache_capacity(32);
        // One plan for a statement, whatever is bound to it: otherwise each new value prepares it anew, since the
        // indexes are partial, and that costs more than the statement.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        connection.pragma_update(None, "wal_autocheckpoint", LOG_PAGES)?;
        let application: i32 = connection.query_row("pragma application_id", [], |row| row.get(0))?;
        let objects: i64 = connection.query_row("select count(*) from sqlite_schema", [], |row| row.get(0))?;
        if application == 0 && objects == 0 {
            make(&mut connection, program_version)?;
        }
        Ok(connection)
    })
}

/// Makes the file before SQLite does, which would leave it readable by others; its companions take over its mode.
fn create_private(path: &Path) -> Result<(), JournalError> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => {
            let why = match error.kind() {
                std::io::ErrorKind::NotFound => "the folder does not exist".to_owned(),
                _ => error.to_string(),
            };
            Err(JournalError::Storage { path: path.display().to_string(), why })
        }
    }
}

/// Lays out an empty file. Two processes may come here at once: the second finds the work done.
fn make(connection: &mut Connection, program_version: &str) -> rusqlite::Result<()> {
    connection.pragma_update(None, "journal_mode", "wal")?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let objects: i64 = transaction.query_row("select count(*) from sqlite_schema", [], |row| row.get(0))?;
    if objects == 0 {
        transaction.execute_batch(SCHEMA)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.execute(
            "insert into meta (key, value) values ('format', ?1), ('written_by', ?2)",
            params![FORMAT.to_string(), program_version],
        )?;
    }
    transaction.commit()
}

fn check_format(path: &Path, connection: &Connection) -> Result<(), JournalError> {
    let damaged = |why: &str| JournalError::Damaged { place: path.display().to_string(), why: why.to_owned() };
    let application: i32 =
        connection.query_row("pragma application_id", [], |row| row.get(0)).map_err(|error| explain(path, &error))?;
    if application != APPLICATION_ID {
        return Err(damaged(
            "it is an SQLite file of another program, not a journal of Runsheet; it was left as it is",
        ));
    }
    let meta = |key: &str| {
        connection
            .query_row("select value from meta where key = ?1", [key], |row| row.get::<_, String>(0))
            .optional()
            .map_err(|error| explain(path, &error))
    };
    let written_by = meta("written_by")?.unwrap_or_else(|| "of an unknown version".into());
    let Some(found) = meta("format")?.and_then(|format| format.parse().ok()) else {
        return Err(damaged("it does not say which format it has; restore it from a backup"));
    };
    if found != FORMAT {
        return Err(JournalError::Format { found, known: FORMAT, written_by });
    }
    Ok(())
}
