//! `pg::artefact`: a dump that somebody made, found now, and described so that it is known again.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::json;

use super::Copying;
use super::folder::{self, broken};
use super::listing;
use super::tools;
use crate::effects::Done;
use crate::model::fault::Fault;
use crate::model::figures::size;
use crate::model::request::copying::PgArtefact;
use crate::model::{Value, digest};

/// The largest archive whose digest a preview computes.
const QUICK: u64 = 256 << 20;

/// A dump in the file system.
struct Dump {
    /// As it is named to people: the file, or the folder.
    path: PathBuf,
    /// What pg_restore reads.
    archive: PathBuf,
    modified: DateTime<Utc>,
}

/// Describes a dump.
///
/// Faults: `artefact.missing`, `artefact.empty`, `artefact.plain`, `artefact.broken`, `tool.missing`.
pub async fn perform(copying: &Copying<'_>, request: &PgArtefact) -> Result<Done, Fault> {
    let (dump, mut value) = described(copying, request).await?;
    let archive = dump.archive;
    let sum = tokio::task::spawn_blocking(move || folder::sha256(&archive)).await;
    value["sha256"] = sum.unwrap_or_else(|_| Err(Fault::fatal("artefact.broken", "it cannot be read")))?.into();
    Ok(Done { value, rows: None })
}

/// The same for a preview, which leaves out what takes long: then there is no value.
pub async fn foresee(copying: &Copying<'_>, request: &PgArtefact) -> Result<(Option<Value>, Vec<String>), Fault> {
    let (dump, value) = described(copying, request).await?;
    let bytes = folder::bytes(&dump.archive);
    let note = format!(
        "{} of {}, {}, {} tables of `{}`",
        dump.path.display(),
        dump.modified.format("%F %T UTC"),
        size(bytes),
        value["tables"],
        value["database"].as_str().unwrap_or_default()
    );
    if bytes > QUICK {
        return Ok((None, vec![note, "its digest is computed by the run".to_owned()]));
    }
    Ok((Some(perform(copying, request).await?.value), vec![note]))
}

/// Everything but its digest.
async fn described(copying: &Copying<'_>, request: &PgArtefact) -> Result<(Dump, Value), Fault> {
    let dump = find(&copying.world.project.join(&request.path))?;
    let tool = tools::find(copying, "pg_restore", 0, 0).await?;
    let listed = listing::read(copying, &tool, &dump.archive).await?;
    if listed.tables.is_empty() && !request.may_be_empty {
        let message = format!("{} holds no table ({} entries in all)", dump.path.display(), listed.entries);
        return Err(Fault::fatal("artefact.empty", message)
            .hinted("a dump of a database that is empty on purpose: #{ may_be_empty: true }"));
    }
    let age = (copying.world.clock.now() - dump.modified).num_seconds();
    let (measured, digest) = measured(&dump)?;
    let value = json!({
        "path": dump.path.display().to_string(),
        "archive": dump.archive.display().to_string(),
        "bytes": folder::bytes(&dump.archive),
        "tables": listed.tables.len(),
        "rows": Value::Null,
        "at": listed.at.map(|at| at.to_rfc3339_opts(SecondsFormat::Secs, true)),
        "database": listed.database,
        "server": listed.server,
        "tool": listed.tool,
        "compression": listed.compression,
        "format": listed.format.to_lowercase(),
        "measured": measured,
        "digest": digest,
        "modified": dump.modified.to_rfc3339_opts(SecondsFormat::Secs, true),
        "age": age,
    });
    Ok((dump, value))
}

/// What was counted when a dump of ours was made.
fn measured(dump: &Dump) -> Result<(Value, Value), Fault> {
    let path = dump.path.join("measured.json");
    if dump.path == dump.archive || !path.is_file() {
        return Ok((Value::Null, Value::Null));
    }
    let text = std::fs::read(&path).map_err(|error| broken(&path, &error))?;
    Ok((path.display().to_string().into(), digest::of_bytes(&text).into()))
}

/// The dump at a path, or the newest in a folder of dumps.
fn find(path: &Path) -> Result<Dump, Fault> {
    if !path.exists() {
        return Err(Fault::fatal("artefact.missing", format!("there is no {}", path.display()))
            .hinted("paths are relative to the project's folder"));
    }
    if let Some(dump) = dump_at(path)? {
        return Ok(dump);
    }
    if path.is_file() {
        return Err(refused(path)?);
    }
    let entries = std::fs::read_dir(path).map_err(|error| broken(path, &error))?;
    let mut dumps = Vec::new();
    let mut others = 0;
    for entry in entries.flatten().filter(|entry| !entry.file_name().to_string_lossy().starts_with('.')) {
        // What goes by the name of something unfinished is somebody's work in progress.
        let name = entry.file_name().to_string_lossy().into_owned();
        let unfinished = [".partial", ".tmp", ".part"].iter().any(|end| name.ends_with(end));
        match dump_at(&entry.path())?.filter(|_| !unfinished) {
            Some(dump) => dumps.push(dump),
            None => others += 1,
        }
    }
    dumps.into_iter().max_by(|one, other| (one.modified, &one.path).cmp(&(other.modified, &other.path))).ok_or_else(
        || {
            let besides = if others == 0 { "it is empty".to_owned() } else { format!("{others} entries are none") };
            Fault::fatal("artefact.empty", format!("there is no dump in {}: {besides}", path.display()))
                .hinted("a wrong folder, or backups that are not made any more; pg_dump -Fc and -Fd make dumps")
        },
    )
}

/// The dump that a path is, if it is one: a custom or tar archive, a folder in directory format, or one of our own.
fn dump_at(path: &Path) -> Result<Option<Dump>, Fault> {
    let dated = |archive: PathBuf, file: &Path| -> Result<Option<Dump>, Fault> {
        let modified =
            std::fs::metadata(file).and_then(|about| about.modified()).map_err(|error| broken(file, &error))?;
        Ok(Some(Dump { path: path.to_owned(), archive, modified: time(modified) }))
    };
    if path.is_file() {
        let archive = matches!(kind(path)?, Kind::Custom | Kind::Tar);
        return if archive { dated(path.to_owned(), path) } else { Ok(None) };
    }
    for archive in [path.to_owned(), path.join("data")] {
        let contents = archive.join("toc.dat");
        if contents.is_file() {
            return dated(archive, &contents);
        }
    }
    Ok(None)
}

fn time(time: SystemTime) -> DateTime<Utc> {
    time.into()
}

enum Kind {
    Custom,
    Tar,
    Compressed,
    Other,
}

fn kind(path: &Path) -> Result<Kind, Fault> {
    let mut head = Vec::new();
    let read = File::open(path).and_then(|file| file.take(512).read_to_end(&mut head));
    read.map_err(|error| broken(path, &error))?;
    Ok(match head.as_slice() {
        bytes if bytes.starts_with(b"PGDMP") => Kind::Custom,
        bytes if bytes.get(257..262) == Some(b"ustar") => Kind::Tar,
        [0x1f, 0x8b, ..] | [0x28, 0xb5, 0x2f, 0xfd, ..] | [b'B', b'Z', b'h', ..] => Kind::Compressed,
        [] => return Err(Fault::fatal("artefact.empty", format!("{} is empty", path.display()))),
        _ => Kind::Other,
    })
}

/// Why a file is no dump that could be proved.
fn refused(path: &Path) -> Result<Fault, Fault> {
    let why = match kind(path)? {
        Kind::Compressed => "is a compressed file, not an archive of pg_dump",
        _ => "is not an archive of pg_dump: plain SQL does whatever it says, and says nothing of what it holds",
    };
    Ok(Fault::fatal("artefact.plain", format!("{} {why}", path.display()))
        .hinted("dump with pg_dump -Fc or -Fd; what is compressed around an archive must be unpacked first"))
}
