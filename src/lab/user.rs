//! As whom servers run: they refuse root, so root's lab runs them as somebody else.

use std::ffi::OsStr;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::unistd::User;

use super::failed;
use crate::model::fault::Fault;

/// The users that are tried, in this order.
const CANDIDATES: [&str; 2] = ["postgres", "nobody"];

/// The user whom servers run as.
#[derive(Clone, Debug)]
pub struct ServerUser(Option<User>);

impl ServerUser {
    /// Whoever runs this program, unless that is root.
    pub fn choose() -> Result<Self, Fault> {
        if !rustix::process::geteuid().is_root() {
            return Ok(Self(None));
        }
        let found = CANDIDATES.iter().find_map(|name| User::from_name(name).ok().flatten());
        found.map(|user| Self(Some(user))).ok_or_else(|| {
            Fault::fatal("lab.user", "PostgreSQL refuses to run as root, and there is no user `postgres` or `nobody`")
                .hinted("run this as an ordinary user")
        })
    }

    /// Nobody in particular, for what only looks and ends.
    pub fn none() -> Self {
        Self(None)
    }

    /// The name, if it is not whoever runs this program.
    pub fn other(&self) -> Option<&str> {
        self.0.as_ref().map(|user| user.name.as_str())
    }

    /// A command that runs as that user, away from the terminal's signals, with nothing of our environment.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("LC_ALL", "C").env("PATH", "/usr/local/bin:/usr/bin:/bin");
        // The current folder may be one that this user cannot enter.
        command.current_dir("/").process_group(0);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        if let Some(user) = &self.0 {
            command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
        }
        command
    }

    /// Gives a file or folder to that user.
    pub fn give(&self, path: &Path) -> Result<(), Fault> {
        let Some(user) = &self.0 else { return Ok(()) };
        std::os::unix::fs::chown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw()))
            .map_err(|error| failed(format_args!("{} cannot be given to {}", path.display(), user.name), &error))
    }
}
