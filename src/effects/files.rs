//! Files and folders that only their owner may enter or read, there whole or not at all.

use std::fs::{DirBuilder, File, Metadata};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, fchown};
use std::path::Path;

use tokio::sync::{Mutex, MutexGuard};

static TURN: Mutex<()> = Mutex::const_new(());

/// A turn at reading a file, changing it and putting it back: what two lanes change may lie in one file.
pub async fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().await
}

/// Makes a folder, with those above it. One that is there is left as it is.
pub fn make_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Writes a file under the name `PATH.new`, and renames it when it would survive a power loss.
///
/// What lies there under that name is left from a kill, or was put there by somebody: it is never written into, since it
/// may be everybody's to read, or lead elsewhere.
pub fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write_for(path, bytes, None)
}

/// The same for the owner of another file, who must be able to read it from the moment that it is there.
pub fn write_for(path: &Path, bytes: &[u8], like: Option<&Metadata>) -> io::Result<()> {
    let mut draft = path.as_os_str().to_owned();
    draft.push(".new");
    match std::fs::remove_file(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(&draft)?;
    file.write_all(bytes)?;
    if let Some(like) = like {
        let own = file.metadata()?;
        let given = fchown(&file, Some(like.uid()), Some(like.gid()));
        // Nothing is said about a group, which may do nothing with it.
        if own.uid() != like.uid()
            && let Err(error) = given
        {
            drop(std::fs::remove_file(&draft));
            return Err(io::Error::new(error.kind(), "it belongs to another user, who could not read it afterwards"));
        }
    }
    file.sync_all()?;
    std::fs::rename(&draft, path)
}

/// Bytes of all files below a folder; what vanishes meanwhile does not count.
pub fn size(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let bytes = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(about) if about.is_dir() => size(&entry.path()),
        Ok(about) => about.len(),
        Err(_) => 0,
    };
    entries.map(bytes).sum()
}
