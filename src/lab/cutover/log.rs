//! What the application writes down of each transaction, after the server said COMMIT and never before.

use std::fmt::{Display, Formatter};
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Mutex;

use crate::lab::failed;
use crate::model::fault::Fault;

/// What became of a transaction, as the application knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// The server said that it is committed.
    Acknowledged,
    /// The connection went while COMMIT was under way.
    Unknown,
    /// It was refused before COMMIT was sent.
    Refused,
}

/// A line of the log: `BEGUN ENDED STATUS TAG KIND ITEM WHY`, times in microseconds since 1970.
#[derive(Clone, Debug)]
pub struct Line {
    /// When its first statement was sent.
    pub begun: i64,
    /// When its outcome was known.
    pub ended: i64,
    /// Its outcome.
    pub status: Status,
    /// The transaction's own name.
    pub tag: String,
    /// `insert`, `update` or `delete`.
    pub kind: String,
    /// The transaction that inserted the row it is about.
    pub item: String,
    /// Why it was refused: a SQLSTATE, or `connection`.
    pub why: String,
}

impl Display for Line {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let status = match self.status {
            Status::Acknowledged => "ok",
            Status::Unknown => "unknown",
            Status::Refused => "refused",
        };
        let Self { begun, ended, tag, kind, item, why, .. } = self;
        writeln!(f, "{begun} {ended} {status} {tag} {kind} {item} {why}")
    }
}

fn parsed(line: &str) -> Option<Line> {
    let words: Vec<&str> = line.split(' ').collect();
    let [begun, ended, status, tag, kind, item, why] = words.as_slice() else { return None };
    Some(Line {
        begun: begun.parse().ok()?,
        ended: ended.parse().ok()?,
        status: match *status {
            "ok" => Status::Acknowledged,
            "unknown" => Status::Unknown,
            "refused" => Status::Refused,
            _ => return None,
        },
        tag: (*tag).to_owned(),
        kind: (*kind).to_owned(),
        item: (*item).to_owned(),
        why: (*why).to_owned(),
    })
}

/// The log, written to.
pub struct Log(Mutex<File>);

impl Log {
    /// Opens it; what stands in it stays.
    pub fn open(path: &Path) -> Result<Self, Fault> {
        use std::os::unix::fs::OpenOptionsExt;
        let file = File::options().create(true).append(true).mode(0o600).open(path);
        Ok(Self(Mutex::new(file.map_err(|error| failed("the application's log cannot be written", &error))?)))
    }

    /// Adds a line, in one write: that survives a kill.
    pub fn add(&self, line: &Line) {
        let mut file = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        // Without its log the application is of no use; whoever waits for its lines sees that none come.
        let _ = file.write_all(line.to_string().as_bytes());
    }
}

/// The lines of a log, in the order in which outcomes were known; none where there is no log. One that is being written is left out.
pub fn read(path: &Path) -> Vec<Line> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    whole.filter_map(|line| parsed(line.trim_end_matches('\n'))).collect()
}
