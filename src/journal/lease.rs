//! Locks of this host: whoever works on a run or a target holds a lock that dies with the process, however it dies.
//!
//! A lock is a file under the state folder, locked with `flock` and naming its holder. The file is removed when the lock is
//! let go, and stays behind a killed process; only the lock on it counts, never its presence.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::store::JournalError;
use crate::model::digest;
use crate::model::ids::RunId;

/// How often a lock is asked for before it counts as held: asking whether a run is alive holds its lock for an instant.
const TRIES: u32 = 10;
/// The wait between two of them.
const PAUSE: Duration = Duration::from_millis(10);
/// A holder's file is a line; what is longer was not written by us.
const LONGEST: u64 = 4096;

/// Where the locks of a project lie.
#[derive(Clone, Debug)]
pub struct LockDir {
    folder: PathBuf,
}

/// The right to work on a run, while it lives.
#[derive(Debug)]
#[must_use = "the lock is let go when this is dropped"]
pub struct RunLock {
    run: RunId,
    _held: Held,
}

/// The right to work on a target, while it lives.
#[derive(Debug)]
#[must_use = "the lock is let go when this is dropped"]
pub struct TargetLock {
    identity: String,
    _held: Held,
}

/// Who holds a lock, as the holder wrote it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Process id.
    pub pid: u32,
    /// Name of the host; the state folder may lie on a disk that several share.
    pub host: String,
    /// What it works on, such as `cutover-7`.
    pub work: String,
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (process {} on {})", self.work, self.pid, self.host)
    }
}

impl RunLock {
    /// The run.
    pub fn run(&self) -> &RunId {
        &self.run
    }
}

impl TargetLock {
    /// Identity key of the target.
    pub fn identity(&self) -> &str {
        &self.identity
    }
}

impl LockDir {
    /// The locks below a project's state folder; makes `locks/` there, for its owner only.
    pub fn new(state_dir: &Path) -> Result<Self, JournalError> {
        let folder = state_dir.join("locks");
        DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(|error| refused(&folder, &error))?;
        Ok(Self { folder })
    }

    /// Locks a run, or answers `None` when another process (or this one) works on it.
    pub fn try_run(&self, run: &RunId) -> Result<Option<RunLock>, JournalError> {
        let held = self.acquire(&self.run_file(run), run.as_str())?;
        Ok(held.map(|held| RunLock { run: run.clone(), _held: held }))
    }

    /// Locks a target, by its identity key, for `work`, a run's id or the runbook of one that is about to begin; or
    /// answers `None` when it is locked.
    pub fn try_target(&self, identity: &str, work: &str) -> Result<Option<TargetLock>, JournalError> {
        let held = self.acquire(&self.target_file(identity), work)?;
        Ok(held.map(|held| TargetLock { identity: identity.to_owned(), _held: held }))
    }

    /// Whether some process on this host works on the run.
    pub fn is_alive(&self, run: &RunId) -> Result<bool, JournalError> {
        let path = self.run_file(run);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(refused(&path, &error)),
        };
        match file.try_lock_shared() {
            Ok(()) => Ok(false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(error)) => Err(refused(&path, &error)),
        }
    }

    /// Who works on the run, as far as its lock's file tells. A killed holder stays named: see [`Self::is_alive`].
    pub fn run_holder(&self, run: &RunId) -> Option<Holder> {
        read(&self.run_file(run))
    }

    /// Who has locked the target, as far as its lock's file tells.
    pub fn target_holder(&self, identity: &str) -> Option<Holder> {
        read(&self.target_file(identity))
    }

    fn run_file(&self, run: &RunId) -> PathBuf {
        self.file("run", run.as_str())
    }

    fn target_file(&self, identity: &str) -> PathBuf {
        self.file("target", identity)
    }

    /// A file name that any key is safe in: what is readable of it, and a digest that tells keys apart.
    fn file(&self, kind: &str, key: &str) -> PathBuf {
        let readable: String =
            key.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).take(60).collect();
        self.folder.join(format!("{kind}-{readable}-{}.lock", &digest::of_bytes(key.as_bytes())[..12]))
    }

    fn acquire(&self, path: &Path, work: &str) -> Result<Option<Held>, JournalError> {
        for attempt in 1..=TRIES {
            match lock(path).map_err(|error| refused(path, &error))? {
                Attempt::Locked(file) => {
                    let mut held = Held { path: path.to_owned(), file };
                    held.sign(work).map_err(|error| refused(path, &error))?;
                    return Ok(Some(held));
                }
                Attempt::Refused if attempt < TRIES => thread::sleep(PAUSE),
                Attempt::Refused => {}
                // The file was removed by the holder before; the next look finds or makes a new one.
                Attempt::Gone => {}
            }
        }
        Ok(None)
    }
}

enum Attempt {
    Locked(File),
    Refused,
    Gone,
}

/// One look: a lock on a file that was removed meanwhile is a lock on nothing.
fn lock(path: &Path) -> io::Result<Attempt> {
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(Attempt::Refused),
        Err(TryLockError::Error(error)) => return Err(error),
    }
    let mine = file.metadata()?;
    let there = match std::fs::metadata(path) {
        Ok(there) => there,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Attempt::Gone),
        Err(error) => return Err(error),
    };
    let same = (mine.dev(), mine.ino()) == (there.dev(), there.ino());
    Ok(if same { Attempt::Locked(file) } else { Attempt::Gone })
}

/// A locked file; the lock goes with it.
#[derive(Debug)]
struct Held {
    path: PathBuf,
    file: File,
}

impl Held {
    fn sign(&mut self, work: &str) -> io::Result<()> {
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let holder = Holder { pid: std::process::id(), host, work: work.to_owned() };
        self.file.set_len(0)?;
        self.file.rewind()?;
        serde_json::to_writer(&mut self.file, &holder)?;
        self.file.write_all(b"\n")
    }
}

impl Drop for Held {
    /// Removes the file while it is still locked, so that nobody who locks it afterwards takes it for the real one.
    /// A file that cannot be removed does no harm.
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

fn read(path: &Path) -> Option<Holder> {
    let mut text = String::new();
    File::open(path).ok()?.take(LONGEST).read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

fn refused(path: &Path, error: &io::Error) -> JournalError {
    JournalError::Storage { path: path.display().to_string(), why: format!("it cannot be locked: {error}") }
}
