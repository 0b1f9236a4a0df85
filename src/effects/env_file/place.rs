//! Where an env file of others lies, and how it is read and replaced there.
//!
//! Whoever edits it need not know on which host that is.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use super::{beside, broken};
use crate::effects::far_file::FarFile;
use crate::effects::{World, files};
use crate::model::fault::Fault;

/// A file that is edited.
pub enum Place<'a> {
    /// On this host.
    Here(PathBuf),
    /// On another one.
    There(FarFile<'a>),
}

impl<'a> Place<'a> {
    /// The place of a path. A link is followed: what it leads to is the file.
    pub fn of(world: &'a World, path: &str, ssh: Option<&str>) -> Result<Self, Fault> {
        if let Some(host) = ssh {
            return FarFile::new(world, host, path).map(Self::There);
        }
        let path = world.project.join(path);
        match path.canonicalize() {
            Ok(path) => Ok(Self::Here(path)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(Fault::fatal("files.missing", format!("there is no {}", path.display()))
                    .hinted("only variables inside a file that is there are edited; files::env writes a new one"))
            }
            Err(error) => Err(broken(&path, &error)),
        }
    }

    /// The bytes that are there, as text.
    pub async fn read(&self) -> Result<String, Fault> {
        let path = match self {
            Self::Here(path) => path,
            Self::There(file) => return file.read().await,
        };
        let bytes = std::fs::read(path).map_err(|error| broken(path, &error))?;
        String::from_utf8(bytes).map_err(|_| Fault::fatal("files.syntax", format!("{} is no UTF-8", path.display())))
    }

    /// Replaces the file whole or not at all, for its owner only; what was there is kept as `PATH.previous` if
    /// that is wanted.
    pub async fn write(&self, text: &str, previous: bool) -> Result<(), Fault> {
        let path = match self {
            Self::Here(path) => path,
            Self::There(file) => return file.replace(text, previous, true).await,
        };
        let cannot = |error: &io::Error| broken(path, error);
        let owner = std::fs::metadata(path).map_err(|error| cannot(&error))?;
        if previous {
            let kept = beside(path);
            let bytes = std::fs::read(path).map_err(|error| cannot(&error))?;
            files::write_for(&kept, &bytes, Some(&owner)).map_err(|error| broken(&kept, &error))?;
        }
        files::write_for(path, text.as_bytes(), Some(&owner)).map_err(|error| cannot(&error))
    }

    /// Takes away from everybody else what they may do with the file. It may lie open although nothing in it changes.
    pub async fn tighten(&self) -> Result<(), Fault> {
        let path = match self {
            Self::Here(path) => path,
            Self::There(file) => return file.tighten().await,
        };
        let mode = std::fs::metadata(path).map_err(|error| broken(path, &error))?.permissions().mode();
        if mode & 0o077 != 0 {
            let owners = std::fs::Permissions::from_mode(0o600);
            std::fs::set_permissions(path, owners).map_err(|error| broken(path, &error))?;
        }
        Ok(())
    }
}
