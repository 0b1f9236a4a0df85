//! What SQLite's refusals mean to the person who reads them.

use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::path::Path;

use rusqlite::{Error, ErrorCode};

use crate::journal::store::JournalError;

/// Free space below which an input or output error is taken for a full disk, in bytes: SQLite says so itself only of
/// some of its files.
const FULL: u64 = 64 * 1024;

/// SQLite's error as one of ours, naming the file and what to do.
pub(super) fn explain(path: &Path, error: &Error) -> JournalError {
    let file = path.display().to_string();
    let storage = |why: String| JournalError::Storage { path: file.clone(), why };
    let damaged = |why: &str| JournalError::Damaged { place: file.clone(), why: why.to_owned() };
    let Error::SqliteFailure(failure, detail) = error else {
        return JournalError::Damaged { place: file, why: format!("it holds something unexpected: {error}") };
    };
    match failure.code {
        ErrorCode::DiskFull => storage("disk full; make room, then resume the run".into()),
        ErrorCode::SystemIoFailure if full(path) => storage("disk full; make room, then resume the run".into()),
        ErrorCode::SystemIoFailure => storage(format!("the disk answered with an input or output error ({failure})")),
        ErrorCode::ReadOnly => {
            storage("it is read-only: the file, its folder or the file system may not be written".into())
        }
        ErrorCode::PermissionDenied | ErrorCode::AuthorizationForStatementDenied => storage("permission denied".into()),
        ErrorCode::CannotOpen => storage(match OpenOptions::new().append(true).open(path) {
            Err(cause) if cause.kind() == ErrorKind::ReadOnlyFilesystem => format!("it is read-only: {cause}"),
            Err(cause) => cause.to_string(),
            Ok(_) => "the files `-wal` and `-shm` beside it cannot be opened or made; is its folder writable?".into(),
        }),
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => {
            storage("another process has kept it locked for 10 seconds; find it with `fuser` and try again".into())
        }
        ErrorCode::NotADatabase => {
            damaged("it is not a journal: its first bytes are not those of SQLite; it was left as it is")
        }
        ErrorCode::DatabaseCorrupt => damaged("SQLite finds it corrupt; keep a copy, and restore it from a backup"),
        _ => storage(detail.clone().unwrap_or_else(|| failure.to_string())),
    }
}

/// Whether the file system of `path` has no room left.
fn full(path: &Path) -> bool {
    rustix::fs::statvfs(path).is_ok_and(|room| room.f_bavail.saturating_mul(room.f_frsize) < FULL)
}
