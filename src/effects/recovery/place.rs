//! The book of recovered servers: a file in the state folder for each, written before anything of the server is there and
//! removed when nothing of it is left. What no file names is never touched.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Recovering, server};
use crate::effects::postgres::stamp::Stamp;
use crate::effects::{Done, Ledger, Ticket, World, files};
use crate::model::Value;
use crate::model::fault::Fault;
use crate::model::request::recovery::{PgDropRecovered, PgSweepRecovered};
use crate::model::target;

/// Begins the name of every recovered server.
pub const PREFIX: &str = "pit_";

/// One recovered server, or one that is being made.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Entry {
    /// `pit_…`, unique to the action that makes it.
    pub name: String,
    /// The target whose history it is.
    pub target: String,
    /// The folder with all its files.
    pub folder: PathBuf,
    /// Where it listens on loopback; 0 before it does.
    pub port: u16,
    /// Who made it.
    pub stamp: Stamp,
    /// What the action answers, once the server stands where it should.
    #[serde(default)]
    pub answer: Option<Value>,
}

impl Entry {
    /// The name as a target.
    pub fn target_name(&self) -> String {
        format!("{}:{}", self.target, self.name)
    }

    /// Folder of the server's data.
    pub fn data(&self) -> PathBuf {
        self.folder.join("data")
    }
}

fn folder(world: &World) -> PathBuf {
    world.state.join("recovered")
}

fn file(world: &World, name: &str) -> PathBuf {
    folder(world).join(format!("{name}.json"))
}

/// The fault of a file that could not be read or written.
pub fn broken(path: &Path, error: &std::io::Error) -> Fault {
    use std::io::ErrorKind;
    let why = format!("{}: {error}", path.display());
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Fault::fatal("recover.space", why)
            .hinted("make room, or name a roomier place as `folder` of the target's recovery table"),
        _ => Fault::fatal("recover.file", why),
    }
}

/// Server and database of a target's name, when it names a recovered server.
pub fn named(target: &str) -> Option<&str> {
    target::made(target).map(|(_, name)| name).filter(|name| is_name(name))
}

/// Only such names are looked for in the file system.
fn is_name(name: &str) -> bool {
    name.strip_prefix(PREFIX).is_some_and(|rest| !rest.is_empty() && rest.chars().all(|c| c.is_ascii_hexdigit()))
}

/// The server of that name, if the book has it.
pub fn find(world: &World, name: &str) -> Result<Option<Entry>, Fault> {
    let path = file(world, name);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(broken(&path, &error)),
    };
    let entry = serde_json::from_str(&text)
        .map_err(|error| Fault::fatal("recover.file", format!("{} cannot be read: {error}", path.display())))?;
    Ok(Some(entry))
}

/// Writes a server down, whole or not at all.
pub fn write(world: &World, entry: &Entry) -> Result<(), Fault> {
    let path = file(world, &entry.name);
    let text = serde_json::to_string_pretty(entry).unwrap_or_default();
    files::make_folder(&folder(world))
        .and_then(|()| files::write_whole(&path, text.as_bytes()))
        .map_err(|error| broken(&path, &error))
}

/// Ends a server, removes its files, and last its page in the book.
pub async fn clear(world: &World, entry: &Entry) -> Result<(), Fault> {
    let gone = entry.clone();
    let ended = tokio::task::spawn_blocking(move || server::remove(&gone)).await;
    ended.unwrap_or_else(|_| Err(Fault::fatal("recover.failed", "removing a recovered server broke down")))?;
    let path = file(world, &entry.name);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(broken(&path, &error)),
        _ => {
            // Succeeds only when nothing else is left in it.
            let _ = std::fs::remove_dir(folder(world));
            Ok(())
        }
    }
}

/// `pg::drop_recovered`.
pub async fn drop(
    recovering: &Recovering<'_>,
    request: &PgDropRecovered,
    ticket: &Ticket,
    ledger: &dyn Ledger,
) -> Result<Done, Fault> {
    let name = named(&request.made).ok_or_else(|| {
        Fault::fatal("target.not-made", format!("`{}` is not a server that a run recovered", request.made))
            .hinted("give what pg::recover answered; nothing that is configured is ever stopped or removed")
    })?;
    let found = find(recovering.world, name)?;
    if let Some(entry) = found.as_ref().filter(|entry| !entry.stamp.is_of(ticket)) {
        let message = format!("`{}` was not made by this run but by {}", request.made, entry.stamp);
        return Err(Fault::fatal("recover.not-ours", message)
            .hinted("pg::sweep_recovered() removes what finished runs of this project left"));
    }
    ledger.intent(json!({ "name": name }))?;
    recovering.postgres.close_idle(&request.made);
    if let Some(entry) = &found {
        clear(recovering.world, entry).await?;
    }
    Ok(Done { value: json!({ "dropped": found.is_some() }), rows: None })
}

/// `pg::sweep_recovered`.
pub async fn sweep(
    recovering: &Recovering<'_>,
    request: &PgSweepRecovered,
    ticket: &Ticket,
    ledger: &dyn Ledger,
) -> Result<Done, Fault> {
    let (leftovers, kept) = sorted(recovering.world, request, &ticket.origin.stamp)?;
    let names: Vec<String> = leftovers.iter().map(Entry::target_name).collect();
    ledger.intent(json!({ "dropped": names }))?;
    for entry in &leftovers {
        recovering.postgres.close_idle(&entry.target_name());
        clear(recovering.world, entry).await?;
    }
    let kept: Vec<Value> = kept.iter().map(|(name, why)| json!({ "name": name, "why": why })).collect();
    Ok(Done { value: json!({ "dropped": names, "kept": kept }), rows: None })
}

/// What a sweep would remove, and what it would keep.
pub fn foresee(world: &World, request: &PgSweepRecovered) -> Result<Vec<String>, Fault> {
    let (leftovers, kept) = sorted(world, request, "")?;
    let mut notes: Vec<String> = leftovers
        .iter()
        .map(|entry| format!("would remove {}, made by {}", entry.target_name(), entry.stamp))
        .collect();
    notes.extend(kept.iter().map(|(name, why)| format!("would keep {name}: {why}")));
    if notes.is_empty() {
        notes.push("there is no recovered server".to_owned());
    }
    Ok(notes)
}

/// What may be removed, and what must stay with the reason. `own` is the stamp of the run that asks.
type Sorted = (Vec<Entry>, Vec<(String, String)>);

fn sorted(world: &World, request: &PgSweepRecovered, own: &str) -> Result<Sorted, Fault> {
    let (mut leftovers, mut kept) = (Vec::new(), Vec::new());
    let mut names: Vec<String> = std::fs::read_dir(folder(world))
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.strip_suffix(".json").map(str::to_owned))
        .filter(|name| is_name(name))
        .collect();
    names.sort();
    for name in names {
        let Some(entry) = find(world, &name)? else { continue };
        let ours = !own.is_empty() && entry.stamp.stamp == own;
        let why = match (ours, request.own) {
            (true, true) => None,
            (true, false) => Some("this run made it".to_owned()),
            (false, true) => Some(format!("made by {}", entry.stamp)),
            (false, false) => entry.stamp.held(&*world.past),
        };
        match why {
            None => leftovers.push(entry),
            Some(why) => kept.push((entry.target_name(), why)),
        }
    }
    Ok((leftovers, kept))
}
