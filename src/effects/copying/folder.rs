//! Where dumps lie: a folder an attempt, made under another name, renamed when complete, and nobody else's to read.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde_json::json;
use sha2::{Digest, Sha256};

use super::Copying;
use crate::effects::{Done, Ledger, Ticket, World, files};
use crate::model::digest;
use crate::model::fault::Fault;
use crate::model::ids::{ActionKey, Phase};
use crate::model::request::copying::PgDropDump;

/// Ends the name of a folder that is not complete.
const PARTIAL: &str = ".partial";

/// The fault of a file that could not be read or written.
pub fn broken(path: &Path, error: &io::Error) -> Fault {
    let why = format!("{}: {error}", path.display());
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => full(&why),
        _ => Fault::fatal("dump.file", why),
    }
}

/// The fault of a disk without room.
pub fn full(why: &str) -> Fault {
    Fault::fatal("disk.full", why).hinted("make room, or move the state folder with --state")
}

/// The folder of all dumps of a run.
fn of_run(world: &World, ticket: &Ticket) -> PathBuf {
    let run = ticket.run_name();
    world.state.join("dumps").join(run)
}

/// The folder of an attempt, once complete.
pub fn of_attempt(world: &World, ticket: &Ticket) -> PathBuf {
    of_run(world, ticket).join(format!("{}{}", beginning(&ticket.key), ticket.attempt))
}

/// The same while it is being filled.
pub fn partial(complete: &Path) -> PathBuf {
    let mut name = complete.as_os_str().to_owned();
    name.push(PARTIAL);
    name.into()
}

/// What the names of all attempts of an action begin with.
fn beginning(key: &ActionKey) -> String {
    let plain: String = key.step.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' }).collect();
    let told = key.phase == Phase::Perform && key.lane.is_empty() && plain == key.step;
    let apart = if told { String::new() } else { format!("-{}", &digest::of_bytes(key.to_string().as_bytes())[..8]) };
    format!("{plain}{apart}-{}-a", key.seq)
}

/// Removes what earlier attempts of an action left.
pub fn clear(world: &World, ticket: &Ticket) -> Result<(), Fault> {
    let (folder, beginning) = (of_run(world, ticket), beginning(&ticket.key));
    let Ok(entries) = std::fs::read_dir(&folder) else { return Ok(()) };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let attempt = name.to_str().and_then(|name| name.strip_prefix(&beginning));
        if attempt.is_some_and(|rest| rest.trim_end_matches(PARTIAL).chars().all(|c| c.is_ascii_digit())) {
            remove(&entry.path())?;
        }
    }
    Ok(())
}

/// Makes a folder that only its owner may enter, with those above it.
pub fn make(path: &Path) -> Result<(), Fault> {
    files::make_folder(path).map_err(|error| broken(path, &error))
}

/// Removes a folder with everything in it; one that is gone is fine.
pub fn remove(path: &Path) -> Result<(), Fault> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(broken(path, &error)),
        _ => Ok(()),
    }
}

/// Gives a complete folder its name, for good.
pub fn complete(partial: &Path, complete: &Path) -> Result<(), Fault> {
    let sync = |path: &Path| File::open(path).and_then(|file| file.sync_all()).map_err(|error| broken(path, &error));
    sync(partial)?;
    std::fs::rename(partial, complete).map_err(|error| broken(complete, &error))?;
    complete.parent().map_or(Ok(()), sync)
}

/// Bytes free for us on the disk of `path`, or of the nearest folder above it that is there.
pub fn free(path: &Path) -> Result<u64, Fault> {
    let place = path.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
    let found = rustix::fs::statvfs(place).map_err(|error| broken(place, &error.into()))?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

/// Regular files of an archive with their sizes, by name; a single file has the empty name.
pub fn files(archive: &Path) -> Result<Vec<(String, u64)>, Fault> {
    let fail = |error: io::Error| broken(archive, &error);
    let own = std::fs::metadata(archive).map_err(fail)?;
    if own.is_file() {
        return Ok(vec![(String::new(), own.len())]);
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(archive).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        let about = std::fs::metadata(entry.path()).map_err(fail)?;
        if about.is_file() {
            files.push((entry.file_name().to_string_lossy().into_owned(), about.len()));
        }
    }
    files.sort();
    Ok(files)
}

/// Size of an archive in bytes.
pub fn bytes(archive: &Path) -> u64 {
    files(archive).unwrap_or_default().iter().map(|(_, size)| size).sum()
}

/// What shows at once whether a dump is still whole: digest over names and sizes of its files, and over its table of contents.
pub fn manifest(archive: &Path) -> Result<String, Fault> {
    let contents = of_file(&archive.join("toc.dat"))?;
    Ok(digest::of_value(&json!([files(archive)?, contents])))
}

/// SHA-256 of a file; of a folder, over the names and digests of its files.
pub fn sha256(archive: &Path) -> Result<String, Fault> {
    if archive.is_file() {
        return of_file(archive);
    }
    let files = files(archive)?;
    let digests = files.iter().map(|(name, _)| Ok((name, of_file(&archive.join(name))?)));
    Ok(digest::of_value(&json!(digests.collect::<Result<Vec<_>, Fault>>()?)))
}

fn of_file(path: &Path) -> Result<String, Fault> {
    let mut file = File::open(path).map_err(|error| broken(path, &error))?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 18];
    loop {
        match file.read(&mut buffer).map_err(|error| broken(path, &error))? {
            0 => return Ok(digest::hex(&hasher.finalize())),
            read => hasher.update(&buffer[..read]),
        }
    }
}

/// `pg::drop_dump`: removes the folder of a dump that this run made.
///
/// Faults: `dump.not-ours`.
pub fn perform(
    copying: &Copying<'_>,
    request: &PgDropDump,
    ticket: &Ticket,
    ledger: &dyn Ledger,
) -> Result<Done, Fault> {
    let (path, own) = (Path::new(&request.path), of_run(copying.world, ticket));
    // Compared as it is written: what lies behind a link was not made here.
    let ours = path.parent() == Some(own.as_path()) && path.file_name().is_some();
    if !ours {
        let message = format!("{} is not a dump that this run made", path.display());
        return Err(Fault::fatal("dump.not-ours", message)
            .hinted("a run removes only its own dumps; those of pg::artefact belong to somebody else"));
    }
    let there = path.symlink_metadata().is_ok();
    ledger.intent(json!({ "path": request.path }))?;
    remove(path)?;
    remove(&partial(path))?;
    // Succeeds only when nothing else is left in it.
    let _ = std::fs::remove_dir(&own);
    Ok(Done { value: json!({ "dropped": there }), rows: None })
}
