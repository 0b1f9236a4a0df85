//! The application's process: so many connections at work, until it is told to stop.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::log::Log;
use super::work::Worker;
use super::{ENV, LOG};
use crate::lab::beside::{Beside, over};
use crate::lab::book::Book;
use crate::lab::{Place, env};
use crate::model::clock::SharedClock;
use crate::model::digest;
use crate::model::fault::Fault;

/// The process.
pub const PROCESS: Beside =
    Beside { name: "the application", code: "lab.app", argument: "__app", record: "app.json", lock: "app.lock" };

/// Starts it, if it is not at work. It reads where its database is.
pub fn start(place: &Place) -> Result<(), Fault> {
    if Book::read(&place.folder)?.is_none_or(|book| book.cutover.is_none()) {
        return Err(
            Fault::fatal("lab.app", "this lab has no application").hinted("`runsheet lab up --cutover` makes one")
        );
    }
    PROCESS.start(place)
}

/// What its process does, until it is told to stop or the lab is gone.
pub fn run(folder: &Path, clock: SharedClock) -> Result<(), Fault> {
    let Some(book) = Book::read(folder)? else { return Ok(()) };
    let Some(_lock) = PROCESS.begin(folder)? else { return Ok(()) };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.map_err(|error| PROCESS.cannot(&error))?;
    let worked = runtime.block_on(work(folder, &book, &clock));
    runtime.shutdown_background();
    worked
}

async fn work(folder: &Path, book: &Book, clock: &SharedClock) -> Result<(), Fault> {
    let Some(plan) = &book.cutover else { return Ok(()) };
    let mut told = signal(SignalKind::terminate()).map_err(|error| PROCESS.cannot(&error))?;
    let log = Arc::new(Log::open(&folder.join(LOG))?);
    let url = env::variable(&folder.join(ENV), "DATABASE_URL").unwrap_or_default();
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
    PROCESS.show(folder)?;
    tokio::select! {
        _ = told.recv() => {}
        () = over(folder, book) => {}
    }
    let _ = stop.send(true);
    for worker in workers {
        let _ = worker.await;
    }
    Ok(())
}
