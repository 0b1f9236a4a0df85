//! What the client writes down of each login, after it knows what became of it.

use std::fmt::{Display, Formatter};
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use serde::Serialize;

use crate::lab::failed;
use crate::model::fault::Fault;

/// A line of the log: `TIME PATH ROLE ok`, or `TIME PATH ROLE failed CODE TEXT`.
pub struct Line<'a> {
    /// When its outcome was known.
    pub at: String,
    /// `pooled` or `direct`.
    pub path: &'a str,
    /// Whom the server took it for; where it failed, whom the URL names, or `-`.
    pub role: String,
    /// Why it failed: a SQLSTATE, `connection`, `timeout` or `config`; and what was said.
    pub failed: Option<(String, String)>,
}

impl Display for Line<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let Self { at, path, role, failed } = self;
        match failed {
            None => writeln!(f, "{at} {path} {role} ok"),
            Some((why, said)) => writeln!(f, "{at} {path} {role} failed {why} {said}"),
        }
    }
}

/// The log, written to.
pub struct Log(File);

impl Log {
    /// Opens it; what stands in it stays.
    pub fn open(path: &Path) -> Result<Self, Fault> {
        let file = File::options().create(true).append(true).mode(0o600).open(path);
        Ok(Self(file.map_err(|error| failed("the client's log cannot be written", &error))?))
    }

    /// Adds a line, in one write: that survives a kill.
    pub fn add(&mut self, line: &Line<'_>) {
        // Whoever waits for its lines sees that none come.
        let _ = self.0.write_all(line.to_string().as_bytes());
    }
}

/// What came of all logins until now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Logins {
    /// How many there were.
    pub attempts: usize,
    /// How many of them failed.
    pub failures: usize,
    /// The newest line of one that failed.
    pub last_failure: Option<String>,
    /// Whom the server took the newest one for that did not.
    pub last_role: Option<String>,
}

/// Reads a log; one that is not there has no lines. A line that is being written is left out.
pub fn read(path: &Path) -> Logins {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let mut logins = Logins::default();
    for line in text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')) {
        logins.attempts += 1;
        match line.split(' ').collect::<Vec<_>>().as_slice() {
            [_, _, role, "ok"] => logins.last_role = Some((*role).to_owned()),
            _ => {
                logins.failures += 1;
                logins.last_failure = Some(line.to_owned());
            }
        }
    }
    logins
}
