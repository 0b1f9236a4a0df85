//! Files and folders that only their owner may enter or read, there whole or not at all.

use std::fs::{DirBuilder, File, Metadata};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, fchown};
use std::path::Path;

use tokio::sync::{Mutex, MutexGuard};

static TURN: Mutex<()> = Mutex::const_new(());

/// See [`turn`].
pub type Turn = MutexGuard<'static, ()>;

/// A turn at reading a file, changing it and putting it back: what two lanes change may lie in one file.
pub async fn turn() -> Turn {
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
    write(path, bytes, |_| Ok(()))
}

/// The same for the owner of another file, who must be able to read it from the moment that it is there. It gets that one's
/// group and mode too, unless it is to be `private`.
pub fn write_for(path: &Path, bytes: &[u8], like: &Metadata, private: bool) -> io::Result<()> {
    write(path, bytes, |file| {
        let own = file.metadata()?;
        if (own.uid(), own.gid()) != (like.uid(), like.gid()) {
            match fchown(file, Some(like.uid()), Some(like.gid())) {
                Err(error) if own.uid() != like.uid() => {
                    let why = "it belongs to another user, who could not read it afterwards";
                    return Err(io::Error::new(error.kind(), why));
                }
                // Nothing is said about a group that may do nothing with it.
                Err(error) if !private => return Err(error),
                _ => {}
            }
        }
        if private { Ok(()) } else { file.set_permissions(like.permissions()) }
    })
}

fn write(path: &Path, bytes: &[u8], like: impl FnOnce(&File) -> io::Result<()>) -> io::Result<()> {
    let mut draft = path.as_os_str().to_owned();
    draft.push(".new");
    match std::fs::remove_file(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let written = || -> io::Result<()> {
        let mut file = File::options().write(true).create_new(true).mode(0o600).open(&draft)?;
        file.write_all(bytes)?;
        like(&file)?;
        file.sync_all()?;
        std::fs::rename(&draft, path)
    };
    written().inspect_err(|_| drop(std::fs::remove_file(&draft)))
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
