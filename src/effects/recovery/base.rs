//! Base backups: where they are, what they are, and the programs for them.

use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use chrono::{DateTime, Duration, Utc};

use super::label::{Label, manifest_end};
use super::place::broken;
use crate::effects::files;
use crate::effects::programs::{VERSIONS, folders};
use crate::model::fault::Fault;
use crate::model::target::{History, Target};

/// A base backup.
#[derive(Clone, Debug)]
pub struct Base {
    /// Its folder.
    pub folder: PathBuf,
    /// Folder of PostgreSQL's programs of its version.
    pub bin: PathBuf,
    /// Whom its server runs as; `None` for whoever runs this program.
    pub owner: Option<(u32, u32)>,
    /// Its system identifier.
    pub system: String,
    /// The first moment that can be reached from it.
    pub from: DateTime<Utc>,
    /// The position at which it is consistent.
    pub stop: u64,
    /// Timeline that it was taken on.
    pub timeline: u32,
    /// Bytes of its files.
    pub bytes: u64,
    /// Settings that a server recovering it must not fall below.
    pub least: Vec<(&'static str, u64)>,
}

/// How a control file names the settings that a standby must not fall below.
const LEAST: [(&str, &str); 5] = [
    ("max_connections setting", "max_connections"),
    ("max_worker_processes setting", "max_worker_processes"),
    ("max_wal_senders setting", "max_wal_senders"),
    ("max_prepared_xacts setting", "max_prepared_transactions"),
    ("max_locks_per_xact setting", "max_locks_per_transaction"),
];

/// What a target's recovery table says.
pub fn history(target: &Target) -> Result<&History, Fault> {
    target.history.as_ref().ok_or_else(|| {
        let message = format!("target `{}` has no base backup to recover from", target.name);
        Fault::fatal("recover.none", message).hinted(format!(
            "add `[targets.{0}.recovery]` with base = \"/path/to/base/backup\" and restore_command = \"cp /archive/%f %p\"",
            target.name
        ))
    })
}

/// Every base backup of a target, the oldest first: the folder that is configured, or each in it that is one.
pub fn all(history: &History) -> Result<Vec<Base>, Fault> {
    let root = &history.base;
    let is_one = |folder: &Path| folder.join("PG_VERSION").is_file();
    let entries = || std::fs::read_dir(root).map_err(|error| broken(root, &error));
    let found: Vec<PathBuf> = if is_one(root) {
        vec![root.clone()]
    } else {
        entries()?.flatten().map(|entry| entry.path()).filter(|folder| is_one(folder)).collect()
    };
    if found.is_empty() {
        let message = format!("{} is no base backup, and has none in it", root.display());
        return Err(Fault::fatal("recover.base", message).hinted(
            "a base backup is the folder that pg_basebackup -D wrote (format plain), or one of tar files unpacked",
        ));
    }
    let mut bases = found.iter().map(|folder| read(folder, history)).collect::<Result<Vec<_>, Fault>>()?;
    bases.sort_by_key(|base| (base.from, base.stop));
    Ok(bases)
}

fn wrong(folder: &Path, why: &str) -> Fault {
    Fault::fatal("recover.base", format!("the base backup {} cannot be used: {why}", folder.display()))
}

fn read(folder: &Path, history: &History) -> Result<Base, Fault> {
    let text = |name: &str| {
        let path = folder.join(name);
        std::fs::read_to_string(&path).map_err(|error| broken(&path, &error))
    };
    let version: u32 = text("PG_VERSION")?.trim().parse().map_err(|_| wrong(folder, "PG_VERSION is no number"))?;
    if version < 13 {
        return Err(wrong(folder, &format!("servers before 13 go on as a primary where WAL ends; this is {version}")));
    }
    let label = text("backup_label").map_err(|_| {
        wrong(folder, "it has no backup_label: it was not finished, or a server was started in it")
            .hinted("take another one with pg_basebackup; a copy of a running server's files is no backup")
    })?;
    let empty = |name: &str| std::fs::read_dir(folder.join(name)).map_or(true, |mut entries| entries.next().is_none());
    if !empty("pg_tblspc") || folder.join("tablespace_map").exists() {
        return Err(wrong(folder, "it has tablespaces, and those are not laid out beside the server's own yet"));
    }
    let bin = programs(history, version)?;
    let about = std::fs::metadata(folder).map_err(|error| broken(folder, &error))?;
    let owner = owner(&about)?;
    let control = control(&bin, folder, owner)?;
    let number = |name: &str| control(name).and_then(|text| text.parse::<u64>().ok());
    let missing = |name: &str| wrong(folder, &format!("pg_controldata does not say its `{name}`"));
    let system = control("Database system identifier").ok_or_else(|| missing("Database system identifier"))?;
    let segment = number("Bytes per WAL segment").ok_or_else(|| missing("Bytes per WAL segment"))?;
    let least = LEAST
        .iter()
        .map(|(told, setting)| Ok((*setting, number(told).ok_or_else(|| missing(told))?)))
        .collect::<Result<Vec<_>, Fault>>()?;
    let label = Label::read(&label).ok_or_else(|| wrong(folder, "its backup_label cannot be read"))?;
    let ended = fetch(history, folder, owner, &label.history_file(segment));
    let ended = ended.as_deref().and_then(Label::read);
    let manifest = manifest_end(folder);
    let stop = ended.as_ref().and_then(|ended| ended.stop).or(manifest).unwrap_or(label.start);
    // Times there are whole seconds, so that the one after is surely behind. Where the archive does not say it, the file
    // that is written last was written after it.
    let from = ended.and_then(|ended| ended.stop_time).map_or_else(|| last_written(folder), Ok)? + Duration::seconds(1);
    Ok(Base {
        folder: folder.to_owned(),
        bin,
        owner,
        system,
        from,
        stop,
        timeline: label.timeline.unwrap_or(1),
        bytes: files::size(folder),
        least,
    })
}

fn last_written(folder: &Path) -> Result<DateTime<Utc>, Fault> {
    let manifest = folder.join("backup_manifest");
    let path = if manifest.is_file() { manifest } else { folder.join("global/pg_control") };
    let about = std::fs::metadata(&path).and_then(|about| about.modified()).map_err(|error| broken(&path, &error))?;
    Ok(about.into())
}

fn programs(history: &History, version: u32) -> Result<PathBuf, Fault> {
    let has = |folder: &PathBuf| {
        ["postgres", "pg_controldata"].iter().all(|name| folder.join(name).is_file()) && major(folder) == Some(version)
    };
    let found = match &history.bin {
        Some(bin) => Some(bin.clone()).filter(has),
        None => folders(std::ffi::OsStr::new(""), Path::new(VERSIONS)).find(has),
    };
    found.ok_or_else(|| {
        let place = history.bin.as_ref().map_or_else(|| VERSIONS.to_owned(), |bin| bin.display().to_string());
        Fault::fatal("recover.programs", format!("there is no PostgreSQL {version} server in {place}"))
            .hinted("install it here, or say in which folder its programs lie: `bin` of the target's recovery table")
    })
}

fn major(bin: &Path) -> Option<u32> {
    let said = Command::new(bin.join("postgres")).arg("--version").env_clear().output().ok()?;
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    text.split_whitespace().nth(2)?.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// Servers refuse root: there they run as the owner of the backup, or else as one of the users that such hosts have.
fn owner(backup: &std::fs::Metadata) -> Result<Option<(u32, u32)>, Fault> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    if backup.uid() != 0 {
        return Ok(Some((backup.uid(), backup.gid())));
    }
    let user = ["postgres", "nobody"].iter().find_map(|name| nix::unistd::User::from_name(name).ok().flatten());
    user.map(|user| Some((user.uid.as_raw(), user.gid.as_raw()))).ok_or_else(|| {
        Fault::fatal("recover.user", "servers refuse to run as root, and there is no user `postgres` or `nobody`")
            .hinted("run this as an ordinary user")
    })
}

/// A program run as the server's user, with nothing of our environment.
pub fn command(program: &Path, owner: Option<(u32, u32)>) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("LC_ALL", "C").env("PATH", "/usr/local/bin:/usr/bin:/bin");
    command.current_dir("/").process_group(0);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    if let Some((user, group)) = owner {
        command.uid(user).gid(group);
    }
    command
}

/// What a control file says, by the names that pg_controldata gives.
fn control(
    bin: &Path,
    folder: &Path,
    owner: Option<(u32, u32)>,
) -> Result<impl Fn(&str) -> Option<String> + use<>, Fault> {
    let ran = command(&bin.join("pg_controldata"), owner).arg(folder).stdout(Stdio::piped()).output();
    let said = ran.map_err(|error| wrong(folder, &format!("pg_controldata cannot be run: {error}")))?;
    if !said.status.success() {
        return Err(wrong(folder, "pg_controldata cannot read it"));
    }
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    Ok(move |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        Some(line.trim().to_owned())
    })
}

/// A file of the archive, by the target's own restore command.
fn fetch(history: &History, base: &Path, owner: Option<(u32, u32)>, name: &str) -> Option<String> {
    let folder = tempfile::Builder::new().prefix("runsheet-pit-").tempdir().ok()?;
    if let Some((user, group)) = owner {
        chown(folder.path(), Some(user), Some(group)).ok()?;
    }
    let place = folder.path().join("fetched");
    let line = restore_line(&history.restore_command, name, &place.display().to_string());
    let mut shell = command(Path::new("/bin/sh"), owner);
    // Servers run it in their own data folder.
    shell.arg("-c").arg(line).current_dir(if owner.is_none() { base } else { folder.path() });
    let fetched = shell.status().is_ok_and(|status| status.success());
    if fetched { std::fs::read_to_string(&place).ok() } else { None }
}

/// A restore command with its placeholders filled in.
fn restore_line(command: &str, file: &str, path: &str) -> String {
    let (mut line, mut rest) = (String::new(), command);
    while let Some((before, after)) = rest.split_once('%') {
        line.push_str(before);
        let mut signs = after.chars();
        match signs.next() {
            Some('f') => line.push_str(file),
            Some('p') => line.push_str(path),
            Some('r') => line.push_str("000000000000000000000000"),
            Some('%') => line.push('%'),
            other => line.extend(['%'].into_iter().chain(other)),
        }
        rest = signs.as_str();
    }
    line + rest
}
