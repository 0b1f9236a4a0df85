//! What `pg_restore --list` says of an archive: where it comes from and what it holds.

use std::path::Path;

use chrono::{DateTime, NaiveDateTime, Utc};

use super::Copying;
use super::tools::{self, Tool};
use crate::model::fault::Fault;

/// An archive's table of contents.
#[derive(Debug, Default, PartialEq)]
pub struct Listing {
    /// Name of the database that was dumped.
    pub database: String,
    /// Version of its server: `15.18`.
    pub server: String,
    /// Version of the pg_dump that wrote it.
    pub tool: String,
    /// When it was begun.
    pub at: Option<DateTime<Utc>>,
    /// `none`, `gzip`, `zstd`, `lz4`, or the level that older versions give.
    pub compression: String,
    /// `CUSTOM`, `DIRECTORY` or `TAR`.
    pub format: String,
    /// Entries in all.
    pub entries: usize,
    /// Their numbers, in order.
    pub numbers: Vec<u32>,
    /// Tables whose rows it holds: number of the entry, schema and name.
    pub tables: Vec<(u32, String)>,
    /// Extensions that it creates.
    pub extensions: Vec<String>,
    /// Comments on extensions: number of the entry, and the extension.
    pub extension_comments: Vec<(u32, String)>,
    /// Event triggers and comments on them: number of the entry, and the trigger.
    pub event_triggers: Vec<(u32, String)>,
}

/// Reads the table of contents of an archive.
pub async fn read(copying: &Copying<'_>, tool: &Tool, archive: &Path) -> Result<Listing, Fault> {
    let answered = tools::ask(copying, tool, &["--list", &archive.display().to_string()]).await?;
    answered.map(|text| parse(&text)).map_err(|said| unreadable(archive, &said))
}

/// The fault of an archive of which pg_restore said this.
pub fn unreadable(archive: &Path, said: &str) -> Fault {
    let message = format!("{} cannot be read as a dump: {}", archive.display(), said.lines().next().unwrap_or(said));
    let fault = Fault::fatal("artefact.broken", message).detailed(said.to_owned());
    fault.hinted("it may be cut off, or written by a newer pg_dump than the pg_restore here; take another dump")
}

/// The listing in the words of pg_restore.
fn parse(text: &str) -> Listing {
    let mut listing = Listing::default();
    for line in text.lines() {
        if let Some(comment) = line.strip_prefix(';') {
            let comment = comment.trim();
            if let Some(at) = comment.strip_prefix("Archive created at ") {
                let at = at.trim_end_matches(" UTC");
                listing.at = NaiveDateTime::parse_from_str(at, "%F %T").ok().map(|at| at.and_utc());
            }
            let Some((name, value)) = comment.split_once(": ") else { continue };
            let first = || value.split_whitespace().next().unwrap_or_default().to_owned();
            match name {
                "dbname" => listing.database = value.to_owned(),
                "Compression" => listing.compression = compression(value),
                "Format" => listing.format = value.to_owned(),
                "Dumped from database version" => listing.server = first(),
                "Dumped by pg_dump version" => listing.tool = first(),
                _ => {}
            }
            continue;
        }
        // NUMBER; CATALOG OID KIND SCHEMA NAME OWNER
        let Some((number, rest)) = line.split_once("; ") else { continue };
        let Some((_, rest)) = rest.split_once(' ').and_then(|(_, rest)| rest.split_once(' ')) else { continue };
        listing.entries += 1;
        let number: u32 = number.parse().unwrap_or_default();
        listing.numbers.push(number);
        let without_owner = |rest: &str| rest.rsplit_once(' ').map_or(rest, |(name, _owner)| name).trim().to_owned();
        if let Some(table) = rest.strip_prefix("TABLE DATA ") {
            listing.tables.push((number, without_owner(table).replacen(' ', ".", 1)));
        } else if let Some(extension) = rest.strip_prefix("EXTENSION - ") {
            listing.extensions.push(extension.trim().to_owned());
        } else if let Some(extension) = rest.strip_prefix("COMMENT - EXTENSION ") {
            listing.extension_comments.push((number, without_owner(extension)));
        } else if let Some(trigger) =
            rest.strip_prefix("EVENT TRIGGER - ").or(rest.strip_prefix("COMMENT - EVENT TRIGGER "))
        {
            listing.event_triggers.push((number, without_owner(trigger)));
        }
    }
    listing
}

fn compression(value: &str) -> String {
    match value {
        "0" => "none".to_owned(),
        "-1" => "gzip".to_owned(),
        level if level.parse::<i32>().is_ok() => format!("gzip:{level}"),
        name => name.to_owned(),
    }
}
