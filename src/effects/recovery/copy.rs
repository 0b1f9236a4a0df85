//! A copy of a base backup, for a server of ours to live on.

use std::fs::DirBuilder;
use std::os::unix::fs::{DirBuilderExt, chown};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use super::base::Base;
use super::place::broken;
use crate::model::fault::Fault;

/// What is made anew by every server, and must not be taken over from another one.
const LEFT_OUT: [&str; 5] =
    ["postmaster.pid", "postmaster.opts", "postgresql.auto.conf", "recovery.signal", "standby.signal"];

/// Copies a base backup; given up between two files once `stop` is set. The system shares the blocks of both where it can.
pub fn copy(base: &Base, to: &Path, stop: &AtomicBool) -> Result<(), Fault> {
    copy_folder(&base.folder, to, base.owner, stop, true)
}

/// Makes a folder that only the server's user may enter.
pub fn make_folder(path: &Path, owner: Option<(u32, u32)>) -> Result<(), Fault> {
    DirBuilder::new().mode(0o700).create(path).and_then(|()| give(path, owner)).map_err(|error| broken(path, &error))
}

/// Gives a file or folder to the server's user.
pub fn give(path: &Path, owner: Option<(u32, u32)>) -> std::io::Result<()> {
    owner.map_or(Ok(()), |(user, group)| chown(path, Some(user), Some(group)))
}

fn copy_folder(from: &Path, to: &Path, owner: Option<(u32, u32)>, stop: &AtomicBool, top: bool) -> Result<(), Fault> {
    make_folder(to, owner)?;
    for entry in std::fs::read_dir(from).map_err(|error| broken(from, &error))? {
        let entry = entry.map_err(|error| broken(from, &error))?;
        let (path, name) = (entry.path(), entry.file_name());
        if stop.load(Ordering::Relaxed) {
            return Err(Fault::fatal("recover.failed", "given up"));
        }
        if top && LEFT_OUT.iter().any(|left| name == *left) {
            continue;
        }
        // Of a link what it leads to: a backup's WAL may lie elsewhere.
        let about = std::fs::metadata(&path).map_err(|error| broken(&path, &error))?;
        let place = to.join(&name);
        if about.is_dir() {
            copy_folder(&path, &place, owner, stop, false)?;
        } else if about.is_file() {
            std::fs::copy(&path, &place).and_then(|_| give(&place, owner)).map_err(|error| broken(&place, &error))?;
        }
    }
    Ok(())
}
