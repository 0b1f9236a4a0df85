//! Where a file of others lies that a run edits, and how it is read and replaced there.
//!
//! Whoever edits it need not know on which host that is.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::far_file::FarFile;
use super::{World, files};
use crate::model::fault::Fault;

/// A file that is edited.
pub enum Place<'a> {
    /// On this host: the file itself, behind whatever link leads to it.
    Here(PathBuf),
    /// On another one.
    There(FarFile<'a>),
}

/// Why a file cannot be edited.
pub enum Broken {
    /// One on this host.
    Here {
        /// Which.
        path: PathBuf,
        /// What cannot be done with it: `read`.
        verb: &'static str,
        /// What the operating system says.
        error: io::Error,
    },
    /// One on another host, in words.
    There(Fault),
}

impl<'a> Place<'a> {
    /// The file of that path; a relative one begins at the project, or at the home of whoever logs in on the other host.
    pub fn of(world: &'a World, path: &str, ssh: Option<&str>) -> Result<Self, Broken> {
        if let Some(host) = ssh {
            return FarFile::new(world, host, path).map(Self::There).map_err(Broken::There);
        }
        let path = world.project.join(path);
        path.canonicalize().map(Self::Here).map_err(|error| Broken::here(&path, "found", error))
    }

    /// What is in it.
    pub async fn read(&self) -> Result<String, Broken> {
        match self {
            Self::Here(path) => std::fs::read_to_string(path).map_err(|error| Broken::here(path, "read", error)),
            Self::There(file) => file.read().await.map_err(Broken::There),
        }
    }

    /// Replaces it whole or not at all. Its owner stays; so do its group and mode, unless it is to be `private`. What was there
    /// is kept as `PATH.previous` if that is wanted.
    pub async fn replace(&self, text: &str, previous: bool, private: bool) -> Result<(), Broken> {
        let path = match self {
            Self::Here(path) => path,
            Self::There(file) => return file.replace(text, previous, private).await.map_err(Broken::There),
        };
        let read = |error| Broken::here(path, "read", error);
        let like = std::fs::metadata(path).map_err(read)?;
        let write = |path: &Path, bytes: &[u8]| {
            files::write_for(path, bytes, &like, private).map_err(|error| Broken::here(path, "written", error))
        };
        if previous {
            write(&beside(path), &std::fs::read(path).map_err(read)?)?;
        }
        write(path, text.as_bytes())
    }

    /// Takes away from everybody else what they may do with the file. It may lie open although nothing in it changes.
    pub async fn tighten(&self) -> Result<(), Broken> {
        let path = match self {
            Self::Here(path) => path,
            Self::There(file) => return file.tighten().await.map_err(Broken::There),
        };
        let tightened = std::fs::metadata(path).and_then(|about| match about.permissions().mode() & 0o077 {
            0 => Ok(()),
            _ => std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)),
        });
        tightened.map_err(|error| Broken::here(path, "kept from others", error))
    }
}

impl std::fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Here(path) => write!(f, "{}", path.display()),
            Self::There(file) => write!(f, "{file}"),
        }
    }
}

impl Broken {
    fn here(path: &Path, verb: &'static str, error: io::Error) -> Self {
        Self::Here { path: path.to_owned(), verb, error }
    }
}

/// The file in which what was there is kept.
pub fn beside(path: &Path) -> PathBuf {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".previous");
    PathBuf::from(beside)
}
