//! Making a lab, finishing one that was begun, starting one that was stopped.

use std::path::Path;
use std::time::Instant;

use chrono::{DateTime, SubsecRound, Utc};

use super::book::Book;
use super::cluster::Cluster;
use super::down::clear;
use super::history;
use super::load::{Load, both};
use super::lock::Lock;
use super::neon::daemon;
use super::programs::Programs;
use super::user::ServerUser;
use super::{Lab, Place, SCRATCH, SOURCE, cutover, failed, pooler, rotation, state, writer};
use crate::effects::{files, programs};
use crate::model::digest;
use crate::model::event::Event;
use crate::model::fault::Fault;

/// Rows of a lab for which nothing else is wished.
const ROWS: u64 = 2_000_000;
/// Rows of a small lab.
pub const SMALL_ROWS: u64 = 4_000;
/// Fewer rows do not fill every table, more do not fit a small machine.
const ROWS_ALLOWED: std::ops::RangeInclusive<u64> = 1_000..=1_000_000_000;

/// What a lab should be like. What is not wished is as it is in a lab that is there, or else as usual.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    /// Rows in all, about.
    pub rows: Option<u64>,
    /// The time that recent rows are counted back from; the time of its making is usual.
    pub at: Option<DateTime<Utc>>,
    /// Whether a writer is at work.
    pub writer: bool,
    /// Whether there is a stand-in for Neon.
    pub neon: bool,
    /// Whether the source keeps its history: a base backup and every segment of its WAL.
    pub pitr: bool,
    /// Whether it has the application's own tables and no awkward ones.
    pub plain: bool,
    /// Whether it is the world of a cutover.
    pub cutover: Option<Traffic>,
    /// Whether it is the world of a rotation.
    pub rotation: Option<Traffic>,
}

/// What the application of such a world does.
#[derive(Clone, Copy, Debug, Default)]
pub struct Traffic {
    /// Transactions or logins a second.
    pub rate: Option<u32>,
    /// Its connections.
    pub connections: Option<u32>,
}

/// Brings the lab up, whatever is there of it already.
///
/// Fails with `lab.busy` while another command works on it, `lab.other` when there is a lab of another kind, `lab.options`,
/// `lab.programs`, `lab.folder`.
pub fn up(place: &Place, wish: &Wish) -> Result<Lab, Fault> {
    if let Some(rows) = wish.rows.filter(|rows| !ROWS_ALLOWED.contains(rows)) {
        let (least, most) = (ROWS_ALLOWED.start(), ROWS_ALLOWED.end());
        return Err(Fault::fatal("lab.options", format!("a lab has {least} to {most} rows, not {rows}")));
    }
    let find = if wish.pitr { Programs::with_history } else { Programs::find };
    let programs = find(&place.path, Path::new(programs::VERSIONS))?;
    let user = ServerUser::choose()?;
    files::make_folder(&place.folder)
        .map_err(|error| failed(format_args!("{} cannot be made", place.folder.display()), &error))?;
    let _lock = lock(place)?;
    let mut book = match Book::read(&place.folder)? {
        Some(book) if book.ready => {
            refuse_other(&book, wish)?;
            book
        }
        found => {
            if let Some(begun) = found {
                say(place, "beginning anew: the last `runsheet lab up` did not come to its end".to_owned());
                clear(place, &begun)?;
            }
            make(place, &programs, &user, wish)?
        }
    };
    start(place, &programs, &user, &mut book)?;
    if let Some(traffic) = &wish.cutover {
        cutover::make(place, &programs, &mut book, traffic)?;
    }
    if let Some(traffic) = &wish.rotation {
        rotation::make(place, &programs, &mut book, traffic)?;
    }
    rotation::follow(place, &book)?;
    pooler::start(place, &user, &mut book)?;
    if wish.cutover.is_some() {
        cutover::point(place, &book)?;
        cutover::app::start(place)?;
    }
    if book.rotation.is_some() {
        rotation::point(place, &book)?;
        rotation::client::PROCESS.start(place)?;
    }
    if wish.writer {
        writer::start(place)?;
    }
    if wish.neon {
        daemon::start(place, &book)?;
    }
    Ok(state::look(place, &book))
}

/// The lock of the command that works on a lab.
pub fn lock(place: &Place) -> Result<Lock, Fault> {
    Lock::take(&place.folder.join("lock"))?.ok_or_else(|| {
        Fault::fatal("lab.busy", format!("another `runsheet lab` is at work on {}", place.folder.display()))
            .hinted("wait until it is done")
    })
}

/// The servers of a lab.
pub fn clusters<'a>(place: &Place, book: &Book, programs: &'a Programs, user: &'a ServerUser) -> [Cluster<'a>; 2] {
    [SOURCE, SCRATCH].map(|name| Cluster {
        name,
        data: book.data(name),
        archive: (book.pitr && name == SOURCE).then(|| book.archive()),
        log: place.folder.join(format!("{name}.log")),
        programs,
        user,
    })
}

fn refuse_other(book: &Book, wish: &Wish) -> Result<(), Fault> {
    let other = match wish {
        Wish { rows: Some(rows), .. } if *rows != book.rows => format!("{} rows, not {rows}", book.rows),
        Wish { at: Some(at), .. } if *at != book.at => format!("rows counted back from {}, not from {at}", book.at),
        Wish { plain: true, .. } if !book.plain => "awkward tables".to_owned(),
        Wish { pitr: true, .. } if !book.pitr => "no history: no base backup, and no archive of its WAL".to_owned(),
        Wish { cutover: Some(_), .. } if book.rotation.is_some() => "the world of a rotation".to_owned(),
        Wish { rotation: Some(_), .. } if book.cutover.is_some() => "the world of a cutover".to_owned(),
        _ => return Ok(()),
    };
    Err(Fault::fatal("lab.other", format!("the lab that is up has {other}")).hinted("take it down first"))
}

/// Makes everything of a lab but what runs beside its servers.
fn make(place: &Place, programs: &Programs, user: &ServerUser, wish: &Wish) -> Result<Book, Fault> {
    let word = |bytes: &mut [u8]| {
        place.clock.random(bytes);
        digest::hex(bytes)
    };
    let id = word(&mut [0; 8]);
    let servers = match user.other() {
        None => place.folder.join("servers"),
        // Another user cannot enter a folder that is closed to all but its owner.
        Some(name) => {
            let servers = place.elsewhere.join(format!("runsheet-lab-{id}"));
            say(place, format!("root: the servers run as {name}, with their files in {}", servers.display()));
            servers
        }
    };
    let at = wish.at.unwrap_or_else(|| place.clock.now().trunc_subsecs(0));
    let mut book = Book::new(id, word(&mut [0; 16]), wish.rows.unwrap_or(ROWS), at, servers);
    (book.pitr, book.plain) = (wish.pitr, wish.plain);
    book.write(&place.folder)?;

    step(place, 1, "servers", || {
        let password = book.make_servers_folder(user)?;
        let [source, scratch] = clusters(place, &book, programs, user);
        both(|| source.make(&password), || scratch.make(&password))
    })?;
    start(place, programs, user, &mut book)?;
    let load = Load { book: &book, programs };
    step(place, 2, "tables", || load.roles().and_then(|()| load.tables()))?;
    step(place, 3, "rows", || load.rows())?;
    step(place, 4, "indexes", || load.indexes())?;
    step(place, 5, "functions and views", || load.behaviour())?;
    if book.pitr {
        history::begin(place, programs, user, &book)?;
    }
    book.ready = true;
    book.write(&place.folder)?;
    Ok(book)
}

/// Starts the servers that do not run, and writes down where they listen.
fn start(place: &Place, programs: &Programs, user: &ServerUser, book: &mut Book) -> Result<(), Fault> {
    for cluster in clusters(place, book, programs, user) {
        if cluster.ready() {
            continue;
        }
        // One that is half up, or of whose processes some live on, is ended first.
        cluster.stop()?;
        let port = cluster.start(book.port(cluster.name))?;
        if port != book.port(cluster.name) {
            book.set_port(cluster.name, port);
            book.write(&place.folder)?;
        }
    }
    Ok(())
}

fn step(place: &Place, number: usize, name: &str, work: impl FnOnce() -> Result<(), Fault>) -> Result<(), Fault> {
    let name = name.to_owned();
    place.sink.event(Event::StepStarted { step: name.clone(), number, of: 5 });
    let begun = Instant::now();
    let worked = work();
    place.sink.event(match &worked {
        Ok(()) => Event::StepDone { step: name, took: begun.elapsed().as_secs_f64() },
        Err(fault) => Event::StepFailed { step: name, why: fault.message.clone() },
    });
    worked
}

fn say(place: &Place, text: String) {
    place.sink.event(Event::Log(text));
}
