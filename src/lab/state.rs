//! What there is of a lab, and what runs.

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::book::Book;
use super::cluster::SUPERUSER;
use super::cutover::Cutover;
use super::load::APP;
use super::neon::daemon;
use super::programs::Programs;
use super::rotation::Rotation;
use super::user::ServerUser;
use super::{Place, SCRATCH, SOURCE, cutover, history, rotation, up, writer};
use crate::effects::files;
use crate::model::fault::Fault;

/// Where a lab stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Condition {
    /// Made, and both servers run.
    Up,
    /// Made, and a server does not run.
    Stopped,
    /// Begun, and not made to its end.
    Unfinished,
}

/// A lab.
#[derive(Clone, Debug, Serialize)]
pub struct Lab {
    /// Where it stands.
    pub state: Condition,
    /// Its folder.
    pub folder: String,
    /// Rows of the application's database, about.
    pub rows: u64,
    /// The time that its recent rows are counted back from.
    pub at: DateTime<Utc>,
    /// The server with the application's database. Its `url` is the application's own role.
    pub source: Server,
    /// The server on which copies are made. Its `url` is the superuser.
    pub scratch: Server,
    /// The writer.
    pub writer: Writer,
    /// The stand-in for Neon, if one is at work.
    pub neon: Option<Neon>,
    /// What brings the source back to an earlier moment, where the lab keeps its history.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recovery: Option<Recovery>,
    /// The world of a cutover, where the lab is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cutover: Option<Cutover>,
    /// The world of a rotation, where the lab is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rotation: Option<Rotation>,
}

/// The stand-in for Neon of a lab: what `[neon]` and `[github]` take.
#[derive(Clone, Debug, Serialize)]
pub struct Neon {
    /// Its process.
    pub pid: u32,
    /// Where its API begins.
    pub api_base: String,
    /// A key that may do everything.
    pub api_key: String,
    /// Id of its first project.
    pub project: String,
    /// URL of that project's default branch.
    pub url: String,
    /// Where its GitHub begins.
    pub github_api_base: String,
    /// A repository there.
    pub github_repo: String,
    /// A token for it.
    pub github_token: String,
    /// Entries of `[[consumers]]` on its Railway and its Hyperdrive, for a runsheet.toml.
    pub consumers: String,
}

/// What `[targets.X.recovery]` takes.
#[derive(Clone, Debug, Serialize)]
pub struct Recovery {
    /// Folder of the base backup.
    pub base: String,
    /// The command that fetches a segment of WAL.
    pub restore_command: String,
}

/// A server of a lab.
#[derive(Clone, Debug, Serialize)]
pub struct Server {
    /// What a runbook's target takes.
    pub url: String,
    /// The superuser's URL.
    pub superuser_url: String,
    /// Where it listens on loopback.
    pub port: u16,
    /// Whether it takes connections.
    pub running: bool,
    /// Its version, such as `15`; empty while it has no files.
    pub version: String,
    /// Folder of its files.
    pub data: String,
    /// Bytes of its files.
    pub bytes: u64,
}

/// The writer of a lab.
#[derive(Clone, Debug, Serialize)]
pub struct Writer {
    /// Whether it is at work.
    pub running: bool,
    /// Its process.
    pub pid: Option<u32>,
    /// Where it writes down each row that was acknowledged: `TABLE ID`.
    pub log: String,
    /// Rows in that file.
    pub rows: u64,
}

/// What there is; `None` if there is no lab. Changes nothing.
pub fn status(place: &Place) -> Result<Option<Lab>, Fault> {
    Ok(Book::read(&place.folder)?.map(|book| look(place, &book)))
}

/// What there is of the lab of this book.
pub fn look(place: &Place, book: &Book) -> Lab {
    let (programs, user) = (Programs::none(), ServerUser::none());
    let [source, scratch] = up::clusters(place, book, &programs, &user).map(|cluster| {
        let superuser_url = book.url(cluster.name, SUPERUSER, if cluster.name == SOURCE { APP } else { "postgres" });
        let version = std::fs::read_to_string(cluster.data.join("PG_VERSION")).unwrap_or_default();
        Server {
            url: if cluster.name == SCRATCH { superuser_url.clone() } else { book.url(SOURCE, APP, APP) },
            superuser_url,
            port: book.port(cluster.name),
            running: cluster.ready(),
            version: version.trim().to_owned(),
            data: cluster.data.display().to_string(),
            bytes: files::size(&cluster.data),
        }
    });
    let state = match (book.ready, source.running && scratch.running) {
        (false, _) => Condition::Unfinished,
        (true, false) => Condition::Stopped,
        (true, true) => Condition::Up,
    };
    let at_work = writer::at_work(place);
    let log = place.folder.join(writer::LOG);
    let rows = std::fs::read(&log).map_or(0, |text| text.iter().filter(|byte| **byte == b'\n').count());
    let writer = Writer {
        running: at_work.is_some(),
        pid: at_work.map(|session| session.session),
        log: log.display().to_string(),
        rows: u64::try_from(rows).unwrap_or(u64::MAX),
    };
    let folder = place.folder.display().to_string();
    let neon = daemon::at_work(&place.folder).map(|record| daemon::described(&record));
    let recovery = book.pitr.then(|| history::recovery(book));
    let cutover = cutover::describe(place, book);
    let rotation = rotation::describe(place, book);
    Lab { state, folder, rows: book.rows, at: book.at, source, scratch, writer, neon, recovery, cutover, rotation }
}
