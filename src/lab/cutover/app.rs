//! The application's process: started beside a lab, told to stop by SIGTERM, found again by the lock that it holds.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::log::Log;
use super::work::{Worker, url_of};
use super::{ENV, LAST, LOG};
use crate::effects::process::Session;
use crate::lab::book::{Book, write_whole};
use crate::lab::lock::Lock;
use crate::lab::{Place, failed, writer};
use crate::model::clock::SharedClock;
use crate::model::digest;
use crate::model::fault::Fault;

/// The hidden argument of `runsheet lab` that makes this program the application.
pub const ARGUMENT: &str = "__app";

/// Its process, as a session that can be ended.
const RECORD: &str = "app.json";
/// The lock that it holds while it lives.
const LOCK: &str = "app.lock";
/// How long it may take to get to work.
const STARTING: Duration = Duration::from_secs(10);
/// Between two looks at something that is waited for.
const LOOK: Duration = Duration::from_millis(10);

/// Starts it, if it is not at work. It reads where its database is.
pub fn start(place: &Place) -> Result<(), Fault> {
    let folder = &place.folder;
    let has = Book::read(folder)?.is_some_and(|book| book.cutover.is_some());
    if !has {
        return Err(
            Fault::fatal("lab.app", "this lab has no application").hinted("`runsheet lab up --cutover` makes one")
        );
    }
    if at_work(folder).is_some() {
        return Ok(());
    }
    let mut command = Command::new(&place.program);
    command.args([&OsString::from("lab"), &OsString::from(ARGUMENT), folder.as_os_str()]);
    command.env_clear().env("PATH", &place.path).current_dir("/");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(|error| failed("the application cannot be started", &error))?;
    let begun = Instant::now();
    while at_work(folder).is_none() {
        // One that found another at work has ended, and that other one will show itself.
        let ended = child.try_wait().is_ok_and(|status| status.is_some_and(|status| !status.success()));
        if ended || begun.elapsed() > STARTING {
            return Err(Fault::fatal("lab.app", "the application did not get to work"));
        }
        std::thread::sleep(LOOK);
    }
    Ok(())
}

/// Stops it, if it is at work: what is under way is brought to its end, if that comes soon.
pub fn stop(folder: &Path) -> Result<(), Fault> {
    let begun = Instant::now();
    let mut told = None;
    while Lock::is_held(&folder.join(LOCK)) {
        if let Some(session) = at_work(folder) {
            if begun.elapsed() > LAST * 2 {
                session.end();
            } else if told != Some(session.session) {
                terminate(&session);
                told = Some(session.session);
            }
        }
        if begun.elapsed() > STARTING * 2 {
            return Err(
                Fault::fatal("lab.app", "the application does not end").hinted("end it by hand, then try again")
            );
        }
        std::thread::sleep(LOOK);
    }
    Ok(())
}

/// The application that is at work.
pub fn at_work(folder: &Path) -> Option<Session> {
    // Its number alone proves nothing: only a living one holds the lock.
    if !Lock::is_held(&folder.join(LOCK)) {
        return None;
    }
    let session: Session = serde_json::from_slice(&std::fs::read(folder.join(RECORD)).ok()?).ok()?;
    // The record of one that was killed lies there until the next one has written its own.
    (Session::of(session.session).ok()? == session).then_some(session)
}

fn terminate(session: &Session) {
    let pid = i32::try_from(session.session).ok().and_then(Pid::from_raw);
    let Some(handle) = pid.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok()) else { return };
    if Session::of(session.session).is_ok_and(|now| now == *session) {
        let _ = pidfd_send_signal(handle, Signal::TERM);
    }
}

/// What its process does, until it is told to stop or the lab is gone.
pub fn run(folder: &Path, clock: SharedClock) -> Result<(), Fault> {
    let Some(book) = Book::read(folder)? else { return Ok(()) };
    // Away from the terminal and from whoever started it; and all of it can be ended as one.
    rustix::process::setsid().map_err(|error| failed("the application cannot lead a session", &error.into()))?;
    let Some(_lock) = writer::only_one(&folder.join(LOCK))? else { return Ok(()) };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.map_err(|error| failed("the application cannot be started", &error))?;
    let worked = runtime.block_on(work(folder, &book, &clock));
    runtime.shutdown_background();
    worked
}

async fn work(folder: &Path, book: &Book, clock: &SharedClock) -> Result<(), Fault> {
    let Some(plan) = &book.cutover else { return Ok(()) };
    let cannot = |error: &std::io::Error| failed("the application cannot be started", error);
    let mut told = signal(SignalKind::terminate()).map_err(|error| cannot(&error))?;
    let session = Session::of(std::process::id()).map_err(|error| cannot(&error))?;
    let log = Arc::new(Log::open(&folder.join(LOG))?);
    let url = url_of(&folder.join(ENV)).unwrap_or_default();
    let mut generation = [0; 4];
    clock.random(&mut generation);
    let (stop, stopped) = watch::channel(false);
    let workers: Vec<_> = (0..plan.connections)
        .map(|number| {
            let worker = Worker {
                url: url.clone(),
                name: format!("{}-{number}", digest::hex(&generation)),
                pace: Duration::from_secs(1) * plan.connections / plan.rate,
                rows: book.rows,
                log: Arc::clone(&log),
                clock: Arc::clone(clock),
                stop: stopped.clone(),
            };
            tokio::spawn(worker.run())
        })
        .collect();
    write_whole(&folder.join(RECORD), &session)?;
    let over = async {
        while matches!(Book::read(folder), Ok(Some(now)) if now.id == book.id) {
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    tokio::select! {
        _ = told.recv() => {}
        () = over => {}
    }
    let _ = stop.send(true);
    for worker in workers {
        let _ = worker.await;
    }
    Ok(())
}
