//! The log of a storage, read by `pg_waldump`: its commits, and where it ends.

use std::path::PathBuf;

use chrono::{DateTime, NaiveDateTime, Utc};

use super::Ground;
use crate::lab::failed;
use crate::model::fault::Fault;

/// Bytes of a file of the log, as the template was made with.
pub const SEGMENT: u64 = 1 << 20;
/// Bytes of a page, and of the header that the first page of a file has and that of any other one.
const PAGE: u64 = 8192;
const HEADERS: [u64; 2] = [40, 24];
/// How far a position that a server tells may lie behind the last record: it counts the header of a page not yet begun.
pub const SLACK: u64 = HEADERS[0];

/// A commit in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Where its record starts.
    pub lsn: u64,
    /// Where its record ends: whatever starts before here includes it.
    pub end: u64,
    /// When it was made.
    pub time: DateTime<Utc>,
}

/// The log of one storage: a folder of files, one timeline of which is its own.
pub struct Log<'a> {
    /// What programs there are.
    pub ground: &'a Ground,
    /// The folder of the files.
    pub folder: PathBuf,
    /// The timeline.
    pub timeline: u32,
}

impl Log<'_> {
    /// The commits that start at or after a position, up to what is written by now.
    pub async fn commits(&self, from: u64) -> Result<Vec<Commit>, Fault> {
        let text = self.dump(from, &["--rmgr=Transaction"]).await?;
        Ok(text.lines().filter_map(commit).collect())
    }

    /// Where the log ends, as far as it is written by now; the search begins at a position in it.
    pub async fn end(&self, from: u64) -> Result<u64, Fault> {
        let text = self.dump(from, &[]).await?;
        Ok(text.lines().rev().find_map(record).map_or(from, |(lsn, length)| end(lsn, length)))
    }

    async fn dump(&self, from: u64, also: &[&str]) -> Result<String, Fault> {
        let mut dump = self.ground.user.command(self.ground.programs.path("pg_waldump"));
        dump.arg("--path").arg(&self.folder).args(["--timeline", &self.timeline.to_string(), "--start", &text(from)]);
        dump.args(also).env("TZ", "UTC").stdout(std::process::Stdio::piped());
        let said = tokio::process::Command::from(dump).output().await;
        let said = said.map_err(|error| failed("pg_waldump cannot be run", &error))?;
        // It ends with an error where the log ends, so its exit code says nothing.
        Ok(String::from_utf8_lossy(&said.stdout).into_owned())
    }
}

/// A position as PostgreSQL writes it.
pub fn text(lsn: u64) -> String {
    format!("{:X}/{:X}", lsn >> 32, lsn & 0xFFFF_FFFF)
}

/// A position as PostgreSQL writes it.
pub fn parse(text: &str) -> Option<u64> {
    let (high, low) = text.split_once('/')?;
    Some((u64::from_str_radix(high, 16).ok()? << 32) | u64::from_str_radix(low, 16).ok()?)
}

/// The start and the length of the record in a line.
fn record(line: &str) -> Option<(u64, u64)> {
    let after = |name: &str| line.split_once(name).map(|(_, rest)| rest.trim_start());
    let lsn = parse(after(" lsn: ")?.split(',').next()?)?;
    let length = after("len (rec/tot):")?.split_once('/')?.1.trim_start().split(',').next()?;
    Some((lsn, length.trim().parse().ok()?))
}

/// The commit in a line, if it is one: `… desc: COMMIT 2026-01-31 12:00:00.123456 UTC; …`.
fn commit(line: &str) -> Option<Commit> {
    let (_, what) = line.split_once(" desc: COMMIT")?;
    let what = what.split(" UTC").next()?;
    // That of a prepared one has its number before its time.
    let time = what.rsplit_once(": ").map_or(what, |(_, time)| time);
    let time = time.strip_prefix("_PREPARED").unwrap_or(time).trim();
    let time = NaiveDateTime::parse_from_str(time, "%Y-%m-%d %H:%M:%S%.f").ok()?.and_utc();
    let (lsn, length) = record(line)?;
    Some(Commit { lsn, end: end(lsn, length), time })
}

/// Where a record ends that starts here and has this length: records are aligned, and pages have headers.
pub fn end(start: u64, length: u64) -> u64 {
    let (mut at, mut left) = (start, length.next_multiple_of(8));
    loop {
        let room = PAGE - at % PAGE;
        if left <= room {
            return at + left;
        }
        at += room;
        left -= room;
        at += if at.is_multiple_of(SEGMENT) { HEADERS[0] } else { HEADERS[1] };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_read_and_written() {
        assert_eq!(parse("1/16E5F20"), Some(0x1_016E_5F20));
        assert_eq!(text(0x1_016E_5F20), "1/16E5F20");
        assert_eq!(parse("16E5F20"), None);
    }

    #[test]
    fn commits_are_told_from_all_else() {
        let line = "rmgr: Transaction len (rec/tot):     46/    46, tx:        734, lsn: 0/0151C2A8, prev 0/0151C260, \
                    desc: COMMIT 2026-11-21 13:58:24.123456 UTC; subxacts: 735";
        let found = commit(line).expect("a commit");
        assert_eq!((found.lsn, found.end), (0x0151_C2A8, 0x0151_C2A8 + 48));
        assert_eq!(found.time.to_rfc3339(), "2026-11-21T13:58:24.123456+00:00");
        let prepared = line.replace("COMMIT ", "COMMIT_PREPARED 733: ");
        assert_eq!(commit(&prepared).expect("a commit").time, found.time);
        assert_eq!(commit(&line.replace("COMMIT", "ABORT")), None);
    }

    #[test]
    fn a_record_goes_on_behind_the_header_of_the_next_page() {
        assert_eq!(end(8192 - 16, 34), 8192 + 24 + 24);
        assert_eq!(end(SEGMENT - 16, 34), SEGMENT + 40 + 24);
        assert_eq!(end(8192 - 40, 34), 8192);
    }
}
