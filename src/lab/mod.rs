//! A world to rehearse in: two PostgreSQL servers of its own on loopback, one with an application's database, one empty.
//!
//! `source` has the database `app`, made by the scripts in `sql/`, always the same but for the one time that it is given;
//! on `scratch` copies of it are made. Everything lies in one folder and the lab's book in it says so before anything is
//! made; what the book does not name is never touched. Whatever of it is killed, the next [`up`] finishes it or begins anew.

mod beside;
mod book;
mod cluster;
pub mod cutover;
mod down;
mod env;
mod history;
mod load;
mod lock;
pub mod neon;
pub mod platforms;
pub mod pooler;
mod processes;
pub mod programs;
mod psql;
pub mod rotation;
mod session;
mod state;
mod up;
mod user;
pub mod writer;

use std::ffi::OsString;
use std::path::PathBuf;

pub use down::{Removed, down};
pub use state::{Condition, Lab, Neon, Server, Writer, status};
pub use up::{SMALL_ROWS, Traffic, Wish, up};

use crate::model::clock::SharedClock;
use crate::model::event::SharedSink;
use crate::model::fault::Fault;

/// The server with the application's database.
pub const SOURCE: &str = "source";
/// The server on which copies are made.
pub const SCRATCH: &str = "scratch";

/// Where a lab lies and what it needs of its surroundings.
pub struct Place {
    /// The lab's own folder.
    pub folder: PathBuf,
    /// Where the servers' files lie when the servers run as another user, who cannot enter the folder.
    pub elsewhere: PathBuf,
    /// Where programs are looked for first, as in `PATH`.
    pub path: OsString,
    /// This program, which is started again as the writer.
    pub program: PathBuf,
    /// Gets progress.
    pub sink: SharedSink,
    /// Time and randomness.
    pub clock: SharedClock,
}

/// A failure to read, write or start something.
fn failed(what: impl std::fmt::Display, error: &std::io::Error) -> Fault {
    Fault::fatal("lab.failed", format!("{what}: {error}"))
}
