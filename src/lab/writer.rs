//! The writer: a process beside the lab that keeps inserting and writes down each row that the server acknowledged.
//!
//! What stands in its log is in the database, whatever happens to the server; a row whose acknowledgement was lost stands
//! not in it. It ends when the lab's book is gone.

use std::ffi::OsString;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::book::{Book, write_whole};
use super::load::APP;
use super::lock::Lock;
use super::programs::Programs;
use super::psql::Login;
use super::{Place, failed};
use crate::effects::process::Session;
use crate::effects::programs;
use crate::model::fault::Fault;

/// Name of its log in the lab's folder: a line `TABLE ID` for each row.
pub const LOG: &str = "writer.log";
/// The hidden argument of `runsheet lab` that makes this program the writer.
pub const ARGUMENT: &str = "__write";

/// Its process, as a session that can be ended.
const RECORD: &str = "writer.json";
/// The lock that it holds while it lives.
const LOCK: &str = "writer.lock";
/// Between two rows: 200 a second.
const PACE: Duration = Duration::from_millis(5);
/// Every so many rows it adds a user, and looks whether the lab is still there.
const USER_EVERY: u64 = 50;
/// Before it connects again.
const AGAIN: Duration = Duration::from_millis(100);
/// How long a writer may take to get to work.
const STARTING: Duration = Duration::from_secs(10);

/// Starts the writer of a lab, if none is at work.
pub fn start(place: &Place) -> Result<(), Fault> {
    if at_work(place).is_some() {
        return Ok(());
    }
    // One that was killed has left its record.
    let _ = std::fs::remove_file(place.folder.join(RECORD));
    let mut command = Command::new(&place.program);
    command.args(["lab", ARGUMENT]).arg(&place.folder).env_clear().env("PATH", &place.path).current_dir("/");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(|error| failed("the writer cannot be started", &error))?;
    let begun = Instant::now();
    while at_work(place).is_none() {
        let ended = child.try_wait().is_ok_and(|status| status.is_some());
        if ended || begun.elapsed() > STARTING {
            return Err(Fault::fatal("lab.writer", "the writer did not get to work"));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// Ends the writer and the session it has, if one is at work.
pub fn stop(place: &Place) -> Result<(), Fault> {
    let begun = Instant::now();
    while Lock::is_held(&place.folder.join(LOCK)) {
        if let Some(session) = at_work(place) {
            session.end();
        }
        if begun.elapsed() > STARTING {
            return Err(Fault::fatal("lab.writer", "the writer does not end").hinted("end it by hand, then try again"));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// The writer that is at work.
pub fn at_work(place: &Place) -> Option<Session> {
    // Its number alone proves nothing: only a living writer holds the lock.
    if !Lock::is_held(&place.folder.join(LOCK)) {
        return None;
    }
    serde_json::from_slice(&std::fs::read(place.folder.join(RECORD)).ok()?).ok()
}

/// What the writer's process does, until the lab is gone.
pub fn run(folder: &Path, path: &OsString) -> Result<(), Fault> {
    let Some(book) = Book::read(folder)? else { return Ok(()) };
    // Away from the terminal and its Ctrl-C; and all of it can be ended as one.
    rustix::process::setsid().map_err(|error| failed("the writer cannot lead a session", &error.into()))?;
    let Some(_lock) = only_one(&folder.join(LOCK))? else { return Ok(()) };
    let session = Session::of(std::process::id()).map_err(|error| failed("the writer does not find itself", &error))?;
    write_whole(&folder.join(RECORD), &session)?;
    let programs = Programs::find(path, Path::new(programs::VERSIONS))?;
    let log = File::options().create(true).append(true).mode(0o600).open(folder.join(LOG));
    let mut log = log.map_err(|error| failed("the writer's log cannot be written", &error))?;
    let mut number = 0;
    // The server may be gone for a while and come back, even on another port.
    while let Some(now) = Book::read(folder)?.filter(|now| now.id == book.id) {
        let login = Login { port: now.source_port, role: APP, password: &now.password, database: APP };
        let mut psql = login.psql(&programs);
        let psql = psql.stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let mut psql = psql.map_err(|error| failed("psql cannot be run", &error))?;
        let told = insert(&mut psql, &now, folder, &mut log, &mut number);
        let _ = psql.kill();
        let _ = psql.wait();
        told.map_err(|error| failed("the writer's log cannot be written", &error))?;
        std::thread::sleep(AGAIN);
    }
    Ok(())
}

/// The lock of a process of which there is one; `None` if another one is at work.
pub fn only_one(file: &Path) -> Result<Option<Lock>, Fault> {
    let begun = Instant::now();
    loop {
        let lock = Lock::take(file)?;
        // Whoever looks whether it is held, holds it for a moment.
        if lock.is_some() || begun.elapsed() > Duration::from_secs(1) {
            return Ok(lock);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Inserts row after row, until the connection breaks or the lab is gone. Fails only when its log cannot be written.
fn insert(psql: &mut Child, book: &Book, folder: &Path, log: &mut File, number: &mut u64) -> std::io::Result<()> {
    let (Some(stdin), Some(stdout)) = (psql.stdin.as_mut(), psql.stdout.as_mut()) else { return Ok(()) };
    let mut answers = BufReader::new(stdout).lines();
    let mut due = Instant::now();
    loop {
        *number += 1;
        let statement = if number.is_multiple_of(USER_EVERY) {
            if !matches!(Book::read(folder), Ok(Some(now)) if now.id == book.id) {
                return Ok(());
            }
            user()
        } else {
            issue(*number, book.rows)
        };
        if writeln!(stdin, "{statement}").and_then(|()| stdin.flush()).is_err() {
            return Ok(());
        }
        // psql prints the row once the server has said that the transaction is committed, not before.
        let Some(Ok(row)) = answers.next() else { return Ok(()) };
        log.write_all(format!("{row}\n").as_bytes())?;
        due += PACE;
        match due.checked_duration_since(Instant::now()) {
            Some(wait) => std::thread::sleep(wait),
            None => due = Instant::now(),
        }
    }
}

/// An issue of one of the users and cycles that were made with the lab.
fn issue(number: u64, rows: u64) -> String {
    let (cycle, reporter) = (1 + number % (rows * 25 / 1000), 1 + number * 7919 % (rows * 50 / 1000));
    format!(
        "insert into issues (cycle_id, reporter_id, severity, title) values ({cycle}, {reporter}, {}, \
         'Written beside: {number}') returning 'issues ' || id;",
        1 + number % 5
    )
}

/// A user, who takes the next number.
fn user() -> String {
    "insert into users (email, name) select 'writer' || n || '@example.org', 'Writer ' || n \
     from (select last_value as n from users_id_seq) as s returning 'users ' || id;"
        .to_owned()
}
