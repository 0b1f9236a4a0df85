//! PostgreSQL's own programs, as this machine has them.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::effects::programs::folders;
use crate::model::fault::Fault;

/// What a lab needs; all of one version.
const NEEDED: [&str; 4] = ["initdb", "postgres", "psql", "pg_waldump"];
/// What one with history needs besides.
const NEEDED_FOR_HISTORY: &str = "pg_basebackup";

/// A folder that has all the programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Programs {
    folder: PathBuf,
}

impl Programs {
    /// Looks through `path` (as in `PATH`), then below `versions` for the newest, as [`folders`] does.
    ///
    /// Fails with `lab.programs` where no folder has them all.
    pub fn find(path: &OsStr, versions: &Path) -> Result<Self, Fault> {
        Self::having(&NEEDED, path, versions)
    }

    /// The same for a lab that keeps its history.
    pub fn with_history(path: &OsStr, versions: &Path) -> Result<Self, Fault> {
        Self::having(&[NEEDED.as_slice(), &[NEEDED_FOR_HISTORY]].concat(), path, versions)
    }

    fn having(needed: &[&str], path: &OsStr, versions: &Path) -> Result<Self, Fault> {
        folders(path, versions)
            .find(|folder| needed.iter().all(|name| folder.join(name).is_file()))
            .map(|folder| Self { folder })
            .ok_or_else(|| {
                let needed = needed.join(", ");
                Fault::fatal(
                    "lab.programs",
                    format!(
                        "PostgreSQL's server programs ({needed}) are neither on the path nor in {}/*/bin",
                        versions.display()
                    ),
                )
                .hinted("install the server; no server needs to run: `apt-get install postgresql` (Debian, Ubuntu), `dnf install postgresql-server` (Fedora)")
            })
    }

    /// None at all, for what only looks and ends.
    pub fn none() -> Self {
        Self { folder: PathBuf::new() }
    }

    /// One of them.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}
