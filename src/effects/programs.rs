//! Where PostgreSQL's own programs lie.

use std::cmp::Reverse;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Where Debian keeps the programs of every major version, off the path.
pub const VERSIONS: &str = "/usr/lib/postgresql";

/// Folders to look for them in: those of `path` (as in `PATH`), then those below `versions` (as in [`VERSIONS`]), the newest first.
pub fn folders(path: &OsStr, versions: &Path) -> impl Iterator<Item = PathBuf> {
    let number = |path: &Path| path.file_name()?.to_str()?.parse::<u32>().ok();
    let mut installed: Vec<PathBuf> =
        std::fs::read_dir(versions).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    installed.sort_by_key(|folder| Reverse(number(folder)));
    let on_path = path.as_bytes().split(|byte| *byte == b':').filter(|folder| !folder.is_empty());
    let on_path = on_path.map(|folder| PathBuf::from(OsStr::from_bytes(folder)));
    on_path.chain(installed.into_iter().map(|folder| folder.join("bin")))
}
