//! The default store: one SQLite file for a project, in WAL mode, shared by every process that works in it.
//!
//! An append is one short transaction: it reads who may write and where the run ends, and inserts. A durable one commits
//! with `synchronous = FULL`, which syncs the write-ahead log and with it everything committed earlier by anyone; the
//! others commit with `NORMAL`, which hands the log to the operating system and survives the death of this process.
//!
//! Entries are clustered by run and place (`id` holds both), so that an append dirties one page of entries and one of the
//! index of actions, and reading a lane or a story touches nothing else.

mod error;
mod schema;

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use rusqlite::types::ValueRef;
use rusqlite::{CachedStatement, Connection, OptionalExtension, Params, Row, Transaction, TransactionBehavior, params};

use super::chain::{self, Index};
use super::entry::{Actor, Entry, Record, RunStarted};
use super::store::{Durability, Journal, JournalError, Lease, RawEntry, RunSummary};
use crate::model::ids::{Phase, RunId};

/// Bits of an entry's id that hold its place in the run; the bits above hold the run's number in the project.
const PLACE_BITS: u32 = 40;

/// A journal in one SQLite file.
pub struct SqliteJournal {
    path: PathBuf,
    /// Device and inode of the file that was opened.
    file: (u64, u64),
    writer: Mutex<Writer>,
}

/// The one connection of this process.
struct Writer {
    connection: Connection,
    /// What `synchronous` is set to; switching it costs a statement.
    durability: Durability,
}

/// Where a run ends and who may write to it.
struct Tail {
    /// Number of the run in the project.
    no: i64,
    epoch: u64,
    holder: String,
    n: u64,
    head: String,
}

impl SqliteJournal {
    /// Opens the journal at `path`, or makes it there, readable by its owner only. The folder must exist.
    ///
    /// # Errors
    /// [`JournalError::Format`] when another version wrote it, [`JournalError::Damaged`] when it is not a journal,
    /// [`JournalError::Storage`] when the file cannot be opened.
    pub fn open(path: &Path, program_version: &str) -> Result<Self, JournalError> {
        let connection = schema::open(path, program_version)?;
        let file = file_at(path).map_err(|why| JournalError::Storage { path: path.display().to_string(), why })?;
        Ok(Self {
            path: path.to_owned(),
            file,
            writer: Mutex::new(Writer { connection, durability: Durability::Synced }),
        })
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `work` in one transaction that holds the write lock from its start.
    fn write<T>(
        &self,
        durability: Durability,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, Refusal>,
    ) -> Result<T, JournalError> {
        let mut writer = self.writer();
        self.refuse_moved()?;
        let done = writer.set(durability).map_err(Refusal::from).and_then(|()| {
            let transaction = writer.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let answer = work(&transaction)?;
            transaction.commit()?;
            Ok(answer)
        });
        done.map_err(|refusal| refusal.at(&self.path))
    }

    /// SQLite would go on writing to a file that was deleted or replaced, where nobody will ever find it.
    fn refuse_moved(&self) -> Result<(), JournalError> {
        let moved = |why: String| JournalError::Storage { path: self.path.display().to_string(), why };
        match file_at(&self.path) {
            Ok(file) if file == self.file => Ok(()),
            Ok(_) => {
                Err(moved("another file was put in its place while this process used it; put the old one back".into()))
            }
            Err(why) => Err(moved(format!("it is gone, though this process uses it; put it back: {why}"))),
        }
    }

    /// Runs `work` on the connection; each statement sees one state of the file.
    fn read<T>(&self, work: impl FnOnce(&Connection) -> Result<T, Refusal>) -> Result<T, JournalError> {
        work(&self.writer().connection).map_err(|refusal| refusal.at(&self.path))
    }
}

impl Writer {
    fn set(&mut self, durability: Durability) -> rusqlite::Result<()> {
        if self.durability != durability {
            // Not cached: SQLite obeys this pragma while it is prepared, not when it is run.
            self.connection.execute_batch(match durability {
                Durability::Synced => "pragma synchronous = full",
                Durability::Unsynced => "pragma synchronous = normal",
            })?;
            self.durability = durability;
        }
        Ok(())
    }
}

/// Why a transaction was given up, before the file's name is known.
enum Refusal {
    Sqlite(rusqlite::Error),
    Journal(JournalError),
}

impl From<rusqlite::Error> for Refusal {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<JournalError> for Refusal {
    fn from(error: JournalError) -> Self {
        Self::Journal(error)
    }
}

impl Refusal {
    fn at(self, path: &Path) -> JournalError {
        match self {
            Self::Sqlite(error) => error::explain(path, &error),
            Self::Journal(error) => error,
        }
    }
}

impl Journal for SqliteJournal {
    fn create(&self, first: RunStarted, at: DateTime<Utc>) -> Result<Lease, JournalError> {
        self.write(Durability::Synced, |transaction| {
            let number: i64 = one(
                transaction,
                "select coalesce(max(number), 0) + 1 from run where runbook = ?1",
                params![first.runbook],
                |row| row.get(0),
            )?;
            let newest: Option<String> = transaction
                .prepare_cached("select run from run order by no desc limit 1")?
                .query_row([], |row| row.get(0))
                .optional()?;
            let previous = match newest.map(|run| parse(&run)).transpose()? {
                Some(run) => tail(transaction, &run)?.head,
                None => String::new(),
            };
            let run = RunId::new(&first.runbook, number.cast_unsigned());
            transaction.execute(
                "insert into run (run, runbook, number, epoch, holder) values (?1, ?2, ?3, 1, ?4)",
                params![run.as_str(), first.runbook, number, first.by.to_string()],
            )?;
            let no = transaction.last_insert_rowid();
            let entry = Entry { run: run.clone(), n: 1, at, previous, record: Record::RunStarted(Box::new(first)) };
            insert(transaction, no, &entry)?;
            Ok(Lease { run, epoch: 1 })
        })
    }

    fn take(&self, run: &RunId, by: Actor, command: &str, at: DateTime<Utc>) -> Result<Lease, JournalError> {
        self.write(Durability::Synced, |transaction| {
            let mut tail = tail(transaction, run)?;
            let epoch = tail.epoch + 1;
            transaction.execute(
                "update run set epoch = ?2, holder = ?3 where no = ?1",
                params![tail.no, epoch.cast_signed(), by.to_string()],
            )?;
            push(transaction, run, &mut tail, Record::RunResumed { by, command: command.to_owned() }, at)?;
            Ok(Lease { run: run.clone(), epoch })
        })
    }

    fn append_all(
        &self,
        lease: &Lease,
        records: Vec<(DateTime<Utc>, Record)>,
        durability: Durability,
    ) -> Result<String, JournalError> {
        self.write(durability, |transaction| {
            let mut tail = tail(transaction, &lease.run)?;
            if tail.epoch != lease.epoch {
                return Err(JournalError::Fenced { run: lease.run.clone(), by: tail.holder }.into());
            }
            for (at, record) in records {
                push(transaction, &lease.run, &mut tail, record, at)?;
            }
            Ok(tail.head)
        })
    }

    /// By syncing the log itself: a commit that changes nothing would sync nothing.
    fn sync(&self) -> Result<(), JournalError> {
        let mut log = self.path.clone().into_os_string();
        log.push("-wal");
        let synced = std::fs::File::open(&log).and_then(|log| log.sync_data());
        synced
            .map_err(|error| JournalError::Storage { path: log.to_string_lossy().into_owned(), why: error.to_string() })
    }

    fn decide(&self, run: &RunId, record: Record, at: DateTime<Utc>) -> Result<String, JournalError> {
        self.write(Durability::Synced, |transaction| {
            let mut tail = tail(transaction, run)?;
            push(transaction, run, &mut tail, record, at)?;
            Ok(tail.head)
        })
    }

    fn runs(&self) -> Result<Vec<RunSummary>, JournalError> {
        self.run_ids()?.iter().map(|run| self.summary(run)).collect()
    }

    fn run_ids(&self) -> Result<Vec<RunId>, JournalError> {
        let ids: Vec<String> =
            self.read(|connection| all(connection, "select run from run order by no", [], |row| row.get(0)))?;
        ids.iter().map(|run| parse(run)).collect()
    }

    /// Without opening the finished ones, of which there may be thousands. What is damaged counts as unfinished, so that it is met.
    fn unfinished(&self) -> Result<Vec<RunSummary>, JournalError> {
        let sql = "
            select run.run from run where not coalesce((
                select json_valid(text) and text ->> 'state' in ('done', 'undone', 'abandoned')
                from entry indexed by story
                where entry.run = run.no and lane is null and kind in ('run_started', 'run_resumed', 'run_ended')
                order by id desc limit 1), false)
            order by no";
        let ids: Vec<String> = self.read(|connection| all(connection, sql, [], |row| row.get(0)))?;
        ids.iter().map(|run| self.summary(&parse(run)?)).collect()
    }

    fn summary(&self, run: &RunId) -> Result<RunSummary, JournalError> {
        self.read(|connection| {
            let no = number(connection, run)?;
            let newest = |kinds: &str| {
                let sql = format!(
                    "select id, text from entry indexed by story
                     where run = ?1 and lane is null and kind in ({kinds}) order by id desc limit 1"
                );
                let found = connection.prepare_cached(&sql)?.query_row([no], text).optional()?;
                Ok::<_, Refusal>(found.map(|(n, text)| chain::open(run, n, &text)).transpose()?)
            };
            let (n, first) = one(connection, "select id, text from entry where id = ?1", [place(no, 1)], text)?;
            let first = chain::open(run, n, &first)?;
            let taken = newest("'run_resumed'")?;
            let life = newest("'run_started', 'run_resumed', 'run_ended'")?;
            let tail = tail(connection, run)?;
            let (n, last) = one(connection, "select id, text from entry where id = ?1", [place(no, tail.n)], text)?;
            let last_at = chain::open(run, n, &last)?.at;
            Ok(chain::summarise(first, taken, life, last_at, tail.head)?)
        })
    }

    fn story(&self, run: &RunId) -> Result<Vec<Entry>, JournalError> {
        self.read(|connection| {
            let sql = "select id, text from entry indexed by story where run = ?1 and lane is null order by id";
            entries(connection, run, sql, params![number(connection, run)?])
        })
    }

    fn lane(
        &self,
        run: &RunId,
        step: &str,
        phase: Phase,
        lane: &str,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Entry>, JournalError> {
        self.read(|connection| {
            let no = number(connection, run)?;
            let sql = "select id, text from entry indexed by action
                       where run = ?1 and step = ?2 and phase = ?3 and lane = ?4 and id > ?5 order by id limit ?6";
            let page =
                entries(connection, run, sql, params![no, step, phase.as_str(), lane, place(no, after), count(limit)])?;
            Ok(ascending(run, after, page, |entry| entry.n)?)
        })
    }

    fn lanes(
        &self,
        run: &RunId,
        step: &str,
        phase: Phase,
        prefix: &str,
        after: u64,
    ) -> Result<Vec<String>, JournalError> {
        // Names below `1/a` are those from `1/a/` to before `1/a0`, since `0` is the character behind `/`.
        let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
        let (from, to) = if prefix.is_empty() {
            (String::new(), "\u{10FFFF}".to_owned())
        } else {
            (format!("{prefix}/"), format!("{prefix}0"))
        };
        self.read(|connection| {
            let no = number(connection, run)?;
            let sql = "select distinct lane from entry indexed by action
                       where run = ?1 and step = ?2 and phase = ?3 and lane >= ?4 and lane < ?5 and id > ?6 order by lane";
            all(connection, sql, params![no, step, phase.as_str(), from, to, place(no, after)], |row| row.get(0))
        })
    }

    fn raw(&self, run: &RunId, after: u64, limit: usize) -> Result<Vec<RawEntry>, JournalError> {
        self.read(|connection| {
            let no = number(connection, run)?;
            let sql = "select id, text, hash, kind, step, phase, lane, seq from entry
                       where id > ?1 and id < ?2 and +run = ?4 order by id limit ?3";
            let page = all(connection, sql, params![place(no, after), place(no + 1, 0), count(limit), no], |row| {
                // Damage must reach the audit, not stop it.
                let index = Index {
                    kind: lenient(row, 3)?.unwrap_or_default(),
                    step: lenient(row, 4)?,
                    phase: lenient(row, 5)?,
                    lane: lenient(row, 6)?,
                    seq: row.get_ref(7)?.as_i64_or_null().unwrap_or(Some(-1)).map(i64::cast_unsigned),
                };
                let text = lenient(row, 1)?.unwrap_or_default();
                Ok(RawEntry { n: n_of(row)?, text, hash: lenient(row, 2)?.unwrap_or_default(), index: Some(index) })
            })?;
            Ok(ascending(run, after, page, |entry| entry.n)?)
        })
    }
}

/// Which file lies at `path` now.
fn file_at(path: &Path) -> Result<(u64, u64), String> {
    std::fs::metadata(path).map(|file| (file.dev(), file.ino())).map_err(|error| error.to_string())
}

/// The id of the `n`th entry of the project's `no`th run.
fn place(no: i64, n: u64) -> i64 {
    (no << PLACE_BITS) | n.cast_signed()
}

/// A limit as SQLite takes it.
fn count(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// The place in its run of the entry whose id stands first in a row.
fn n_of(row: &Row<'_>) -> rusqlite::Result<u64> {
    let id: i64 = row.get(0)?;
    Ok((id & ((1 << PLACE_BITS) - 1)).cast_unsigned())
}

/// Place and text of an entry.
fn text(row: &Row<'_>) -> rusqlite::Result<(u64, String)> {
    Ok((n_of(row)?, row.get(1)?))
}

/// A text column that may have been damaged: what is no text any more is shown as it is, under a different digest.
fn lenient(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<String>> {
    Ok(match row.get_ref(column)? {
        ValueRef::Null => None,
        ValueRef::Text(bytes) => Some(match std::str::from_utf8(bytes) {
            Ok(text) => text.to_owned(),
            Err(_) => format!("(not UTF-8) {}", String::from_utf8_lossy(bytes)),
        }),
        other => Some(format!("(not text) {other:?}")),
    })
}

/// A run id that stands in the store.
fn parse(run: &str) -> Result<RunId, JournalError> {
    run.parse().map_err(|why| JournalError::Damaged { place: "the list of runs".into(), why })
}

/// The number of a run in the project.
fn number(connection: &Connection, run: &RunId) -> Result<i64, Refusal> {
    let found = connection
        .prepare_cached("select no from run where run = ?1")?
        .query_row([run.as_str()], |row| row.get(0))
        .optional()?;
    found.ok_or_else(|| JournalError::NoSuchRun(run.clone()).into())
}

/// Where a run ends. Read anew for each append, since a decision may be appended by a process that has no lease.
fn tail(connection: &Connection, run: &RunId) -> Result<Tail, Refusal> {
    let sql = "select no, epoch, holder, id, hash from run
               join entry on id = (select max(id) from entry where id < (no + 1) << 40)
               where run.run = ?1";
    let found = connection
        .prepare_cached(sql)?
        .query_row([run.as_str()], |row| {
            let no: i64 = row.get(0)?;
            let id: i64 = row.get(3)?;
            let epoch = row.get::<_, i64>(1)?.cast_unsigned();
            let n = (id - place(no, 0)).cast_unsigned();
            Ok(Tail { no, epoch, holder: row.get(2)?, n, head: row.get(4)? })
        })
        .optional()?;
    found.ok_or_else(|| JournalError::NoSuchRun(run.clone()).into())
}

/// Chains a record to the end of its run, which is behind it then.
fn push(
    transaction: &Transaction<'_>,
    run: &RunId,
    tail: &mut Tail,
    record: Record,
    at: DateTime<Utc>,
) -> Result<(), Refusal> {
    tail.n += 1;
    let previous = std::mem::take(&mut tail.head);
    tail.head = insert(transaction, tail.no, &Entry { run: run.clone(), n: tail.n, at, previous, record })?;
    Ok(())
}

fn insert(transaction: &Transaction<'_>, no: i64, entry: &Entry) -> Result<String, Refusal> {
    let sealed = chain::seal(entry)?;
    let index = sealed.index.unwrap_or_default();
    let sql = "insert into entry (id, run, kind, step, phase, lane, seq, hash, text) values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    transaction.prepare_cached(sql)?.execute(params![
        place(no, entry.n),
        no,
        index.kind,
        index.step,
        index.phase,
        index.lane,
        index.seq.map(u64::cast_signed),
        sealed.hash,
        sealed.text
    ])?;
    Ok(sealed.hash)
}

/// The entries that a query of id and text finds.
fn entries(connection: &Connection, run: &RunId, sql: &str, params: impl Params) -> Result<Vec<Entry>, Refusal> {
    let mut statement: CachedStatement<'_> = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let (n, text) = text(row)?;
        found.push(chain::open(run, n, &text)?);
    }
    Ok(found)
}

/// The part of a page that goes on behind `after` in rising order. A damaged file may answer with the same page for ever,
/// and whoever reads page by page would never end: when nothing of a page goes on, it is refused.
fn ascending<T>(run: &RunId, after: u64, mut page: Vec<T>, n_of: impl Fn(&T) -> u64) -> Result<Vec<T>, JournalError> {
    let mut last = after;
    let rising = page.iter().take_while(|entry| std::mem::replace(&mut last, n_of(entry)) < n_of(entry)).count();
    if rising == 0 && !page.is_empty() {
        let why = "the file answers with entries out of their order; keep a copy, and restore it from a backup";
        return Err(JournalError::Damaged { place: format!("run {run}, behind entry {after}"), why: why.into() });
    }
    page.truncate(rising);
    Ok(page)
}

fn one<T>(
    connection: &Connection,
    sql: &str,
    params: impl Params,
    read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<T, Refusal> {
    Ok(connection.prepare_cached(sql)?.query_row(params, read)?)
}

fn all<T>(
    connection: &Connection,
    sql: &str,
    params: impl Params,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Vec<T>, Refusal> {
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map(params, read)?;
    Ok(rows.collect::<Result<_, _>>()?)
}
