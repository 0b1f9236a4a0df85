//! Taking a lab down: what its book names is stopped and removed, and nothing else.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::book::Book;
use super::neon::daemon;
use super::programs::Programs;
use super::user::ServerUser;
use super::{Place, cutover, failed, pooler, rotation, up, writer};
use crate::model::fault::Fault;

/// Files of a lab beside its book and its servers' folder.
const FILES: [&str; 8] = [
    "source.log",
    "scratch.log",
    "writer.log",
    "writer.json",
    "writer.json.new",
    "writer.lock",
    "lab.json.new",
    pooler::LOG,
];

/// What became of a lab.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removed {
    /// Whether there was one.
    pub found: bool,
    /// What lies in its folder that it did not make; it was left there.
    pub left: Vec<PathBuf>,
}

/// Stops and removes the lab.
///
/// Fails with `lab.busy` while another command works on it, and with `lab.folder`, having touched nothing, where a folder is
/// no lab's.
pub fn down(place: &Place) -> Result<Removed, Fault> {
    if !place.folder.exists() {
        return Ok(Removed { found: false, left: Vec::new() });
    }
    let book = Book::read(&place.folder)?;
    let lock = up::lock(place)?;
    if let Some(book) = &book {
        clear(place, book)?;
        Book::remove(&place.folder)?;
    }
    remove(&place.folder.join("lock"))?;
    drop(lock);
    let entries = std::fs::read_dir(&place.folder).into_iter().flatten().flatten();
    let left: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    if left.is_empty() {
        std::fs::remove_dir(&place.folder)
            .map_err(|error| failed(format_args!("{} cannot be removed", place.folder.display()), &error))?;
    }
    Ok(Removed { found: book.is_some(), left })
}

/// Stops and removes everything but the book, which goes on saying what belongs to the lab.
pub fn clear(place: &Place, book: &Book) -> Result<(), Fault> {
    // Whatever happens from here on, it is no whole lab any more.
    Book { ready: false, ..book.clone() }.write(&place.folder)?;
    writer::stop(place)?;
    cutover::app::PROCESS.stop(&place.folder)?;
    rotation::client::PROCESS.stop(&place.folder)?;
    daemon::stop(place, book)?;
    pooler::stop(book)?;
    // What runs is found without PostgreSQL's programs and its user, who may be gone by now.
    let (programs, user) = (Programs::none(), ServerUser::none());
    for cluster in up::clusters(place, book, &programs, &user) {
        cluster.stop()?;
    }
    book.remove_servers_folder()?;
    let beside = daemon::FILES.iter().chain(&cutover::FILES).chain(&rotation::FILES);
    FILES.iter().chain(beside).try_for_each(|name| remove(&place.folder.join(name)))
}

fn remove(path: &Path) -> Result<(), Fault> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(failed(format_args!("{} cannot be removed", path.display()), &error))
        }
        _ => Ok(()),
    }
}
