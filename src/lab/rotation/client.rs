//! The client's process: every so often it reads where the application's database is, logs in anew, inserts a row, and goes.
//!
//! It keeps no connection and no URL, as the many short-lived processes of an application do: what is published takes effect
//! with its next login, and one that is refused shows at once.

use std::cell::RefCell;
use std::path::Path;
use std::time::{Duration, Instant};

use chrono::SecondsFormat;
use tokio::signal::unix::{SignalKind, signal};

use super::log::{Line, Log};
use super::{DIRECT, LOG, POOLED, WEB, WORKER};
use crate::lab::beside::{Beside, over};
use crate::lab::book::Book;
use crate::lab::env;
use crate::lab::session::{Login, Refusal, Session};
use crate::model::clock::SharedClock;
use crate::model::fault::Fault;

/// The process.
pub const PROCESS: Beside =
    Beside { name: "the client", code: "lab.client", argument: "__logins", record: "logins.json", lock: "logins.lock" };

/// What takes longer has failed, whatever becomes of it.
const LIMIT: Duration = Duration::from_secs(20);

/// A way to the database: what it is called, and the file and the variable that lead there.
type Way = (&'static str, &'static str, &'static str);

const THROUGH_POOLER: Way = ("pooled", WEB, POOLED);
const DIRECTLY: Way = ("direct", WORKER, DIRECT);

/// What its process does, until it is told to stop or the lab is gone.
pub fn run(folder: &Path, clock: SharedClock) -> Result<(), Fault> {
    let Some(book) = Book::read(folder)? else { return Ok(()) };
    let Some(_lock) = PROCESS.begin(folder)? else { return Ok(()) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| PROCESS.cannot(&error))?;
    runtime.block_on(async {
        let mut told = signal(SignalKind::terminate()).map_err(|error| PROCESS.cannot(&error))?;
        let log = RefCell::new(Log::open(&folder.join(LOG))?);
        PROCESS.show(folder)?;
        // A login that is cut off here was neither let in nor refused, and has no line.
        tokio::select! {
            _ = told.recv() => {}
            () = over(folder, &book) => {}
            // Each on its own: a pooler has its clients wait for a server that is gone.
            () = work(folder, THROUGH_POOLER, 1, &log, &clock) => {}
            () = work(folder, DIRECTLY, 2, &log, &clock) => {}
        }
        Ok(())
    })
}

/// Logs in on one way, at the book's rate or every so many times of it. The book is read anew each time, since `lab up` may have
/// changed the rate.
async fn work(folder: &Path, way: Way, every: u32, log: &RefCell<Log>, clock: &SharedClock) {
    let mut due = Instant::now();
    while let Ok(Some(rate)) = Book::read(folder).map(|book| book?.rotation.map(|plan| plan.rate)) {
        let line = attempt(folder, way, clock).await;
        log.borrow_mut().add(&line);
        due = Instant::now().max(due + Duration::from_secs(1) * every / rate.max(1));
        tokio::time::sleep_until(due.into()).await;
    }
}

/// One login, from the file to the row.
async fn attempt(folder: &Path, way: Way, clock: &SharedClock) -> Line<'static> {
    let (path, file, variable) = way;
    let url = env::variable(&folder.join(file), variable);
    let named = url.as_deref().and_then(Login::of).map_or_else(|| "-".to_owned(), |login| login.role);
    let outcome = match url {
        None => Err(("config".to_owned(), format!("{file} has no {variable}"))),
        Some(url) => match tokio::time::timeout(LIMIT, login(&url, path)).await {
            Ok(outcome) => outcome.map_err(|Refusal { why, said, .. }| (why, said)),
            Err(_) => Err(("timeout".to_owned(), format!("no answer within {} s", LIMIT.as_secs()))),
        },
    };
    let at = clock.now().to_rfc3339_opts(SecondsFormat::Micros, true);
    match outcome {
        Ok(role) => Line { at, path, role, failed: None },
        Err(failed) => Line { at, path, role: named, failed: Some(failed) },
    }
}

/// Answers whom the server takes the client for.
async fn login(url: &str, path: &str) -> Result<String, Refusal> {
    let session = Session::open(url).await?;
    let rows = session.run("select current_user").await?;
    session.run(&format!("insert into logins (role, path) values (current_user, '{path}')")).await?;
    Ok(rows.into_iter().flatten().next().unwrap_or_default())
}
