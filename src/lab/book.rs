//! The lab's book: what belongs to it, written down before it is made. It marks the folder as a lab's.

use std::fs::{DirBuilder, File};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::cutover;
use super::neon::daemon::DATA;
use super::pooler::{self, Ports};
use super::user::ServerUser;
use super::{SCRATCH, SOURCE, failed, rotation};
use crate::effects::files;
use crate::model::fault::Fault;

/// Version of the book's form.
const FORMAT: u32 = 1;

/// Name of the book in the lab's folder.
const NAME: &str = "lab.json";

/// Name of the file in the servers' folder that says whose it is.
const MARKER: &str = "lab-id";

/// How long the children of a server may take to end.
const ADDING: Duration = Duration::from_secs(10);

/// What a lab consists of.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Book {
    /// Version of this form.
    pub format: u32,
    /// Tells this lab from every other.
    pub id: String,
    /// Whether it was made to its end.
    pub ready: bool,
    /// Rows of the application's database, about.
    pub rows: u64,
    /// The time that its recent rows are counted back from.
    pub at: DateTime<Utc>,
    /// Password of every role.
    pub password: String,
    /// Folder with the files of both servers.
    pub servers: PathBuf,
    /// Where `source` listens.
    pub source_port: u16,
    /// Where `scratch` listens.
    pub scratch_port: u16,
    /// Whether `source` keeps its history.
    #[serde(default)]
    pub pitr: bool,
    /// Whether it has the application's own tables and no awkward ones.
    #[serde(default)]
    pub plain: bool,
    /// The world of a cutover, if it has one.
    #[serde(default)]
    pub cutover: Option<cutover::Plan>,
    /// The world of a rotation, if it has one.
    #[serde(default)]
    pub rotation: Option<rotation::Plan>,
}

impl Book {
    /// A new one of the current form.
    pub fn new(id: String, password: String, rows: u64, at: DateTime<Utc>, servers: PathBuf) -> Self {
        Self {
            format: FORMAT,
            id,
            ready: false,
            rows,
            at,
            password,
            servers,
            source_port: 0,
            scratch_port: 0,
            pitr: false,
            plain: false,
            cutover: None,
            rotation: None,
        }
    }

    /// The book in a lab's folder; `None` if there is no lab. A folder with other things in it is refused.
    pub fn read(folder: &Path) -> Result<Option<Self>, Fault> {
        let path = folder.join(NAME);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let strange = |name: &std::ffi::OsStr| name != "lock" && name != "lab.json.new";
                let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
                return match entries.map(|entry| entry.file_name()).find(|name| strange(name)) {
                    None => Ok(None),
                    Some(name) => Err(Fault::fatal(
                        "lab.folder",
                        format!("{} is no lab, and has {} in it", folder.display(), name.display()),
                    )
                    .hinted(
                        "it was made by somebody else, so it is left alone; choose another folder by `--state DIR`",
                    )),
                };
            }
            Err(error) => return Err(failed(format_args!("{} cannot be read", path.display()), &error)),
        };
        let book: Self = serde_json::from_str(&text).map_err(|error| {
            Fault::fatal("lab.folder", format!("{} cannot be read: {error}", path.display()))
                .hinted("it was changed by hand or by a newer version; use that version, or put it right")
        })?;
        if book.format == FORMAT {
            return Ok(Some(book));
        }
        Err(Fault::fatal("lab.folder", format!("{} has form {}, not {FORMAT}", path.display(), book.format))
            .hinted("the lab was made by another version of Runsheet; use that one to take it down"))
    }

    /// Writes the book, whole or not at all.
    pub fn write(&self, folder: &Path) -> Result<(), Fault> {
        write_whole(&folder.join(NAME), self)
    }

    /// Removes the book, after which the folder is no lab any more.
    pub fn remove(folder: &Path) -> Result<(), Fault> {
        let path = folder.join(NAME);
        std::fs::remove_file(&path)
            .map_err(|error| failed(format_args!("{} cannot be removed", path.display()), &error))
    }

    /// Folder of a server's files.
    pub fn data(&self, server: &str) -> PathBuf {
        self.servers.join(server)
    }

    /// Where the source's WAL is archived.
    pub fn archive(&self) -> PathBuf {
        self.servers.join("archive")
    }

    /// The source's base backup.
    pub fn base(&self) -> PathBuf {
        self.servers.join("base")
    }

    /// Port of a server.
    pub fn port(&self, server: &str) -> u16 {
        if server == SOURCE { self.source_port } else { self.scratch_port }
    }

    /// Gives a server another port.
    pub fn set_port(&mut self, server: &str, port: u16) {
        *(if server == SOURCE { &mut self.source_port } else { &mut self.scratch_port }) = port;
    }

    /// Ports of the pooler before the source, if the lab has one.
    pub fn pooler(&self) -> Option<Ports> {
        let cutover = self.cutover.as_ref().map(|plan| plan.ports);
        cutover.or_else(|| self.rotation.as_ref().map(|plan| plan.ports))
    }

    /// Notes them.
    pub fn set_pooler(&mut self, ports: Ports) {
        if let Some(plan) = &mut self.cutover {
            plan.ports = ports;
        }
        if let Some(plan) = &mut self.rotation {
            plan.ports = ports;
        }
    }

    /// The URL of a database of a server for a role.
    pub fn url(&self, server: &str, role: &str, database: &str) -> String {
        self.url_at(self.port(server), role, database)
    }

    /// The same by the port.
    pub fn url_at(&self, port: u16, role: &str, database: &str) -> String {
        format!("postgresql://{role}:{}@127.0.0.1:{port}/{database}", self.password)
    }

    /// Makes the servers' folder, marked as this lab's and theirs to write, with a file that has the password.
    pub fn make_servers_folder(&self, user: &ServerUser) -> Result<PathBuf, Fault> {
        let cannot = |error: std::io::Error| failed(format_args!("{} cannot be made", self.servers.display()), &error);
        DirBuilder::new().mode(0o700).create(&self.servers).map_err(cannot)?;
        let mut paths = Vec::new();
        for (name, text) in [(MARKER, &self.id), ("password", &self.password)] {
            let path = self.servers.join(name);
            let mut file = File::options().write(true).create_new(true).mode(0o600).open(&path).map_err(cannot)?;
            file.write_all(text.as_bytes()).map_err(cannot)?;
            paths.push(path);
        }
        for path in &paths {
            user.give(path)?;
        }
        if self.pitr {
            DirBuilder::new().mode(0o700).create(self.archive()).map_err(cannot)?;
            user.give(&self.archive())?;
        }
        user.give(&self.servers)?;
        Ok(self.servers.join("password"))
    }

    /// Removes the servers' folder. One that is not marked as this lab's is refused, unless it is empty.
    pub fn remove_servers_folder(&self) -> Result<(), Fault> {
        let cannot =
            |error: &std::io::Error| failed(format_args!("{} cannot be removed", self.servers.display()), error);
        let marker = self.servers.join(MARKER);
        match std::fs::read_to_string(&marker) {
            Ok(id) if id == self.id => {}
            // An earlier removal, or the making of it, was cut short; what is not empty is then refused.
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return match std::fs::remove_dir(&self.servers) {
                    Err(error) if error.kind() != ErrorKind::NotFound => Err(cannot(&error)),
                    _ => Ok(()),
                };
            }
            _ => {
                return Err(Fault::fatal("lab.folder", format!("{} is another lab's", self.servers.display()))
                    .hinted("it is left alone; look what it is before you remove it by hand"));
            }
        }
        let entries = std::fs::read_dir(&self.servers).into_iter().flatten().flatten();
        let of_neon = entries.filter(|entry| entry.file_name().as_encoded_bytes().starts_with(DATA.as_bytes()));
        let of_neon: Vec<PathBuf> = of_neon.map(|entry| entry.path()).collect();
        let own = [SOURCE, SCRATCH, "base", "archive", pooler::FOLDER].map(|name| self.servers.join(name));
        for folder in own.into_iter().chain(of_neon) {
            remove_folder(&folder).map_err(|error| cannot(&error))?;
        }
        let _ = std::fs::remove_file(self.servers.join("password"));
        // The marker goes last, so that a removal that is cut short can be taken up again.
        std::fs::remove_file(&marker).and_then(|()| std::fs::remove_dir(&self.servers)).map_err(|error| cannot(&error))
    }
}

/// Removes a folder. A child of a server that was ended just now may still add to it for a moment.
fn remove_folder(folder: &Path) -> std::io::Result<()> {
    let begun = Instant::now();
    loop {
        match std::fs::remove_dir_all(folder) {
            Err(error) if error.kind() == ErrorKind::NotFound && !folder.exists() => return Ok(()),
            Err(error)
                if begun.elapsed() < ADDING
                    && matches!(error.kind(), ErrorKind::DirectoryNotEmpty | ErrorKind::NotFound) => {}
            removed => return removed,
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Writes data as a file that is there whole or not at all, also after a power loss.
pub fn write_whole(path: &Path, data: &impl Serialize) -> Result<(), Fault> {
    let text = serde_json::to_string_pretty(data).unwrap_or_default();
    files::write_whole(path, text.as_bytes())
        .map_err(|error| failed(format_args!("{} cannot be written", path.display()), &error))
}
