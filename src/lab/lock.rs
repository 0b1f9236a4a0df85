//! Locks that die with their process: one command at a time works on a lab, and one writer.

use std::fs::{File, TryLockError};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use super::failed;
use crate::model::fault::Fault;

/// A lock that is held until it is dropped.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "held open: the lock is the file's")] File);

impl Lock {
    /// Takes the lock of this file; `None` if another process has it.
    pub fn take(path: &Path) -> Result<Option<Self>, Fault> {
        let cannot = |error: &std::io::Error| failed(format_args!("{} cannot be locked", path.display()), error);
        loop {
            let mut options = File::options();
            options.read(true).write(true).create(true).truncate(false).mode(0o600);
            let file = options.open(path).map_err(|error| cannot(&error))?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => return Err(cannot(&error)),
            }
            // Whoever removed the file meanwhile removed the lock with it: only the file that lies there counts.
            let ours = file.metadata().map_err(|error| cannot(&error))?;
            if std::fs::metadata(path).is_ok_and(|there| there.ino() == ours.ino() && there.dev() == ours.dev()) {
                return Ok(Some(Self(file)));
            }
        }
    }

    /// Whether a process has the lock of this file.
    pub fn is_held(path: &Path) -> bool {
        File::open(path).is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
    }
}
