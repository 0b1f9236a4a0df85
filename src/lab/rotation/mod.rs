//! The world of a credential rotation: two login roles of the application's database, of which one is in use, a PgBouncer before
//! it that knows that one by its verifier, and two files that tell an application where its database is.
//!
//! A client reads those files and logs in anew all the while. Its log lies outside the database and tells afterwards whether a
//! login ever failed.

pub mod client;
mod describe;
mod log;
mod roles;

pub use describe::{Rotation, describe};

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::book::Book;
use super::load::APP;
use super::neon::storage::pooler::program;
use super::pooler::Ports;
use super::programs::Programs;
use super::up::Traffic;
use super::{Place, SOURCE, env, failed};
use crate::effects::files;
use crate::model::digest;
use crate::model::fault::Fault;

/// The login role that is in use at first.
pub const FIRST: &str = "app_a";
/// The one that is idle then.
pub const SECOND: &str = "app_b";
/// What tells one part of the application where its database is: through the pooler.
const WEB: &str = "web.env";
/// What tells the other: through the pooler, and directly.
const WORKER: &str = "worker.env";
/// The variable of the URL through the pooler.
const POOLED: &str = "DATABASE_URL";
/// The variable of the direct one.
const DIRECT: &str = "DIRECT_DATABASE_URL";
/// The client's log.
const LOG: &str = "logins.log";
/// Logins a second, unless told.
const RATE: u32 = 5;

/// Files of it in the lab's folder.
pub const FILES: [&str; 10] = [
    WEB,
    "web.env.new",
    "web.env.previous",
    WORKER,
    "worker.env.new",
    "worker.env.previous",
    LOG,
    "logins.json",
    "logins.json.new",
    "logins.lock",
];

/// What a lab's book says of it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Plan {
    /// Those of the pooler.
    #[serde(flatten)]
    pub ports: Ports,
    /// Logins a second.
    pub rate: u32,
    /// The password that the first role began with, which nobody else has.
    pub password: String,
    /// What the server keeps of it.
    pub verifier: String,
}

/// The URLs that the application is told today.
pub struct Today {
    /// Through the pooler.
    pub pooled: String,
    /// Directly.
    pub direct: String,
}

/// Makes what a lab has not yet of it. The servers run.
pub fn make(place: &Place, programs: &Programs, book: &mut Book, traffic: &Traffic) -> Result<(), Fault> {
    let rate = traffic.rate.or(book.rotation.as_ref().map(|plan| plan.rate)).unwrap_or(RATE);
    if !(1..=100).contains(&rate) {
        return Err(Fault::fatal("lab.options", "a client logs in 1 to 100 times a second"));
    }
    let plan = match book.rotation.take() {
        Some(plan) => Plan { rate, ..plan },
        None => {
            program(&place.path)?;
            let mut password = [0; 16];
            place.clock.random(&mut password);
            let password = digest::hex(&password);
            let verifier = roles::make(programs, book, &password)?;
            Plan { ports: Ports::default(), rate, password, verifier }
        }
    };
    book.rotation = Some(plan);
    book.write(&place.folder)
}

/// Has the direct URL follow a server that found its port taken. Called before the pooler is told.
pub fn follow(place: &Place, book: &Book) -> Result<(), Fault> {
    let before = book.rotation.as_ref().map_or(0, |plan| plan.ports.source);
    let path = place.folder.join(WORKER);
    if before == 0 || before == book.source_port || !path.exists() {
        return Ok(());
    }
    let cannot = |error: std::io::Error| failed(format_args!("{} cannot be changed", path.display()), &error);
    let text = std::fs::read_to_string(&path).map_err(cannot)?;
    let moved = text.replace(&format!("127.0.0.1:{before}/"), &format!("127.0.0.1:{}/", book.source_port));
    files::write_whole(&path, moved.as_bytes()).map_err(cannot)
}

/// Writes the application's files, each unless it is there: a runbook may have changed it.
pub fn point(place: &Place, book: &Book) -> Result<(), Fault> {
    let Some(plan) = &book.rotation else { return Ok(()) };
    let url = |port: u16| format!("postgresql://{FIRST}:{}@127.0.0.1:{port}/{APP}", plan.password);
    let pooled = format!("{POOLED}='{}'\n", url(plan.ports.pooler));
    let direct = format!("{DIRECT}='{}'\n", url(book.port(SOURCE)));
    for (name, text) in [(WEB, pooled.clone()), (WORKER, format!("{pooled}{direct}"))] {
        let path = place.folder.join(name);
        if !path.exists() {
            files::write_whole(&path, text.as_bytes())
                .map_err(|error| failed(format_args!("{} cannot be written", path.display()), &error))?;
        }
    }
    Ok(())
}

/// What the worker's file says now; `None` where the lab is no such world.
pub fn today(folder: &Path) -> Option<Today> {
    let file = folder.join(WORKER);
    Some(Today { pooled: env::variable(&file, POOLED)?, direct: env::variable(&file, DIRECT)? })
}
