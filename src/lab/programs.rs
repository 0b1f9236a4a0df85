//! PostgreSQL's own programs, as this machine has them.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::model::fault::Fault;

/// What a lab needs; all of one version.
const NEEDED: [&str; 3] = ["initdb", "postgres", "psql"];

/// Where Debian keeps versions side by side, off the path.
pub const DEBIAN: &str = "/usr/lib/postgresql";

/// A folder that has all the programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Programs {
    folder: PathBuf,
}

impl Programs {
    /// Looks through `path` (as in `PATH`), then below `versions` for the newest, a folder like [`DEBIAN`].
    ///
    /// Fails with `lab.programs` where no folder has them all.
    pub fn find(path: &OsStr, versions: &Path) -> Result<Self, Fault> {
        let number = |path: &Path| path.file_name()?.to_str()?.parse::<u32>().ok();
        let mut side_by_side: Vec<PathBuf> =
            std::fs::read_dir(versions).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        side_by_side.sort_by_key(|folder| std::cmp::Reverse(number(folder)));
        let folders = path.as_encoded_bytes().split(|byte| *byte == b':').filter(|folder| !folder.is_empty());
        folders
            .map(|folder| PathBuf::from(String::from_utf8_lossy(folder).into_owned()))
            .chain(side_by_side.into_iter().map(|folder| folder.join("bin")))
            .find(|folder| NEEDED.iter().all(|name| folder.join(name).is_file()))
            .map(|folder| Self { folder })
            .ok_or_else(|| {
                let needed = NEEDED.join(", ");
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
