//! What a base backup says of itself: where it begins and ends.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use chrono::{DateTime, NaiveDateTime, Utc};

use crate::model::lsn;

/// How much of the end of a manifest is read: what is asked of it stands there.
const MANIFEST_END: u64 = 4096;

/// What a backup's label and its history file in the archive say.
pub struct Label {
    /// Where it begins.
    pub start: u64,
    file: String,
    /// Where it ends.
    pub stop: Option<u64>,
    /// When it ended.
    pub stop_time: Option<DateTime<Utc>>,
    /// On which timeline it was taken.
    pub timeline: Option<u32>,
}

impl Label {
    /// Reads either file.
    pub fn read(text: &str) -> Option<Self> {
        let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let start = field("START WAL LOCATION:")?;
        let (position, file) = start.split_once(" (file ")?;
        let stop = field("STOP WAL LOCATION:").and_then(|stop| lsn::read(stop.split(' ').next()?));
        Some(Self {
            start: lsn::read(position)?,
            file: file.trim_end_matches(')').to_owned(),
            stop,
            stop_time: field("STOP TIME:").and_then(utc),
            timeline: field("START TIMELINE:").and_then(|text| text.parse().ok()),
        })
    }

    /// Name of the file that an archive gets when a backup has ended.
    pub fn history_file(&self, segment: u64) -> String {
        format!("{}.{:08X}.backup", self.file, self.start % segment.max(1))
    }
}

/// A time as servers write it into labels, in a zone that has one meaning only.
fn utc(text: &str) -> Option<DateTime<Utc>> {
    let (time, zone) = text.rsplit_once(' ')?;
    matches!(zone, "UTC" | "GMT" | "Z")
        .then(|| NaiveDateTime::parse_from_str(time, "%F %T").ok())
        .flatten()
        .map(|time| time.and_utc())
}

/// Where a backup ends, by its manifest.
pub fn manifest_end(folder: &Path) -> Option<u64> {
    let mut file = File::open(folder.join("backup_manifest")).ok()?;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(MANIFEST_END))).ok()?;
    let mut end = Vec::new();
    file.read_to_end(&mut end).ok()?;
    let text = String::from_utf8_lossy(&end).into_owned();
    let (_, stop) = text.rsplit_once("\"End-LSN\": \"")?;
    lsn::read(stop.split('"').next()?)
}
