//! Where a file of the pooler lies, and how it is read and replaced there: its configuration, its user list.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};

use crate::effects::World;
use crate::effects::far_file::FarFile;
use crate::model::fault::Fault;

/// A file of the pooler, here or on its host.
pub enum Place<'a> {
    /// The file itself, behind whatever link leads to it.
    Here(PathBuf),
    /// On another host.
    There(FarFile<'a>),
}

impl<'a> Place<'a> {
    /// The file of that path; a relative one begins at the project, or at the home of whoever logs in on the other host.
    pub fn of(world: &'a World, path: &str, ssh: Option<&str>) -> Result<Self, Fault> {
        if let Some(host) = ssh {
            return FarFile::new(world, host, path).map(Self::There);
        }
        let path = world.project.join(path);
        path.canonicalize().map(Self::Here).map_err(|error| broken(&path, "found", &error))
    }

    /// What is in it.
    pub async fn read(&self) -> Result<String, Fault> {
        match self {
            Self::Here(path) => std::fs::read_to_string(path).map_err(|error| broken(path, "read", &error)),
            Self::There(file) => file.read().await,
        }
    }

    /// Replaces it, whole or not at all; what is given as `previous` is kept beside it, as PATH.previous. Owner and mode stay:
    /// the pooler must still be able to read it, and nobody else.
    pub async fn replace(&self, new: &str, previous: Option<&str>) -> Result<(), Fault> {
        match self {
            Self::Here(path) => replace(path, new, previous),
            Self::There(file) => file.replace(new, previous.is_some(), false).await,
        }
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

fn replace(path: &Path, new: &str, previous: Option<&str>) -> Result<(), Fault> {
    let about = std::fs::metadata(path).map_err(|error| broken(path, "read", &error))?;
    for (suffix, text) in previous.map(|text| (".previous", text)).into_iter().chain([("", new)]) {
        let named = |suffix: &str| {
            let mut name = path.as_os_str().to_owned();
            name.push(suffix);
            PathBuf::from(name)
        };
        let (place, draft) = (named(suffix), named(".new"));
        let written = || -> io::Result<()> {
            match std::fs::remove_file(&draft) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let mut file = File::options().write(true).create_new(true).mode(0o600).open(&draft)?;
            file.write_all(text.as_bytes())?;
            let ours = file.metadata()?;
            if (ours.uid(), ours.gid()) != (about.uid(), about.gid()) {
                fchown(&file, Some(about.uid()), Some(about.gid()))?;
            }
            file.set_permissions(about.permissions())?;
            file.sync_all()?;
            std::fs::rename(&draft, &place)
        };
        written().map_err(|error| {
            let _ = std::fs::remove_file(&draft);
            broken(&place, "written", &error)
        })?;
    }
    Ok(())
}

fn broken(path: &Path, verb: &str, error: &io::Error) -> Fault {
    Fault::fatal("pgbouncer.file", format!("{} cannot be {verb}: {error}", path.display()))
        .hinted("it is replaced in its folder, with its owner and mode; run as its owner, or as root")
}
