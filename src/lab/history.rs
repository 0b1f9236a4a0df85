//! The source's history: a base backup and an archive of its WAL, from which any later moment can be brought back.

use std::path::Path;
use std::process::Command;

use super::book::Book;
use super::cluster::SUPERUSER;
use super::load::APP;
use super::programs::Programs;
use super::psql::Login;
use super::state::Recovery;
use super::user::ServerUser;
use super::{Place, SOURCE, failed};
use crate::model::event::Event;
use crate::model::fault::Fault;

/// What the application's role may do besides: name a moment, and have the WAL up to now archived.
const RIGHTS: &str = "grant execute on function pg_switch_wal(), pg_create_restore_point(text) to app;";

/// A path as one word of a shell.
fn word(path: &str) -> String {
    shlex::try_quote(path).map_or_else(|_| path.to_owned(), std::borrow::Cow::into_owned)
}

/// The settings by which a server archives its WAL there. A segment gets its name when it is whole.
pub fn settings(archive: &Path) -> String {
    let place = word(&archive.display().to_string());
    let command = format!("test ! -f {place}/%f && cp %p {place}/.%f.new && mv {place}/.%f.new {place}/%f");
    format!("archive_mode = on\narchive_command = '{}'\n", command.replace('\'', "''"))
}

/// What `[targets.X.recovery]` takes.
pub fn recovery(book: &Book) -> Recovery {
    let archive = word(&book.archive().display().to_string());
    Recovery { base: book.base().display().to_string(), restore_command: format!("cp {archive}/%f %p") }
}

/// Takes the base backup. The archive's folder is made with the servers'.
pub fn begin(place: &Place, programs: &Programs, user: &ServerUser, book: &Book) -> Result<(), Fault> {
    place.sink.event(Event::Log("history: taking a base backup of the source".to_owned()));
    let login = Login { port: book.port(SOURCE), role: SUPERUSER, password: &book.password, database: APP };
    login.run(programs, "granting", "", RIGHTS)?;
    let mut backup: Command = user.command(programs.path("pg_basebackup"));
    let backup = backup
        .env("PGPASSWORD", &book.password)
        .arg("-D")
        .arg(book.base())
        .args(["-h", "127.0.0.1", "-U", SUPERUSER, "-p"])
        .arg(login.port.to_string())
        .args(["--checkpoint=fast", "--wal-method=none", "--no-sync"])
        .output()
        .map_err(|error| failed("pg_basebackup cannot be started", &error))?;
    if backup.status.success() {
        return Ok(());
    }
    Err(Fault::fatal("lab.basebackup", "the base backup of the source could not be taken")
        .detailed(String::from_utf8_lossy(&backup.stderr).trim().to_owned()))
}
