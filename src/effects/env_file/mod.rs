//! Env files for programs: secrets are opened into a file of mode 0600 and nowhere else, and what a run wrote it can
//! take away again.

mod edit;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::path::Path;

use serde_json::json;

use super::place::{Broken, Place, beside};
use super::{Done, Ledger, Ticket, World, files};
use crate::model::Value;
use crate::model::action::Action;
use crate::model::fault::Fault;
use crate::model::preview::{Level, Previewed};
use crate::model::request::Request;
use crate::model::request::files::{FilesEnv, FilesHas, FilesRemove, FilesVariables};
use crate::model::secret;

/// Words performed here. After a crash each is simply performed again.
pub const WORDS: [&str; 4] = [FilesEnv::WORD, FilesRemove::WORD, FilesVariables::WORD, FilesHas::WORD];

/// How every file begins that is written here; the run that wrote it follows.
const MARK: &str = "# written by runsheet, run ";

/// Performs one of [`WORDS`].
pub async fn perform(world: &World, action: &Action, ticket: &Ticket, ledger: &dyn Ledger) -> Result<Done, Fault> {
    let mark = mark(ticket);
    let value = match action.word.as_str() {
        FilesEnv::WORD => {
            let request = FilesEnv::of(action)?;
            let path = world.project.join(&request.path);
            let there = look(&path)?;
            refuse_stranger(&path, there.as_deref(), request.previous)?;
            let text = format!("{mark}\n{}", lines(world, &request)?);
            ledger.intent(Value::Null)?;
            if request.previous {
                keep(&path, there.as_deref(), &text)?;
            }
            files::write_whole(&path, text.as_bytes()).map_err(|error| broken(&path, &error))?;
            answer(world, &request.path, &request.variables)
        }
        FilesVariables::WORD => {
            let request = FilesVariables::of(action)?;
            let place = Place::of(world, &request.path, request.ssh.as_deref()).map_err(unedited)?;
            let _turn = files::turn().await;
            let (there, text) = edited(world, &place, &request).await?;
            ledger.intent(Value::Null)?;
            // Done again after a kill, it must not take what it wrote itself for what was there before.
            if there == text {
                place.tighten().await.map_err(unedited)?;
            } else {
                place.replace(&text, request.previous, true).await.map_err(unedited)?;
            }
            let mut value = answer(world, &request.path, &request.variables);
            value["previous"] =
                if request.previous { format!("{}.previous", request.path).into() } else { Value::Null };
            value
        }
        FilesHas::WORD => has(world, &FilesHas::of(action)?).await?,
        _ => {
            let path = world.project.join(FilesRemove::of(action)?.path);
            let there = look(&path)?;
            if let Some(text) = &there
                && text.lines().next() != Some(&mark)
            {
                return Err(Fault::fatal("files.not-ours", format!("{} was not written by this run", path.display()))
                    .hinted("look what it is, and remove it by hand if nobody needs it"));
            }
            ledger.intent(Value::Null)?;
            match std::fs::remove_file(&path) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(broken(&path, &error)),
            }
            json!({ "removed": there.is_some() })
        }
    };
    Ok(Done { value, rows: None })
}

/// Says what would be refused.
pub async fn preview(world: &World, action: &Action) -> Result<Previewed, Fault> {
    match action.word.as_str() {
        FilesEnv::WORD => {
            let request = FilesEnv::of(action)?;
            let path = world.project.join(&request.path);
            refuse_stranger(&path, look(&path)?.as_deref(), request.previous)?;
        }
        FilesVariables::WORD => {
            let request = FilesVariables::of(action)?;
            let place = Place::of(world, &request.path, request.ssh.as_deref()).map_err(unedited)?;
            edited(world, &place, &request).await?;
        }
        FilesHas::WORD => {
            let value = Some(has(world, &FilesHas::of(action)?).await?);
            return Ok(Previewed { level: Level::Read, value, by_hand: Vec::new(), notes: Vec::new() });
        }
        _ => {}
    }
    Ok(Previewed { level: Level::Rendered, value: None, by_hand: Vec::new(), notes: Vec::new() })
}

/// What is there, and what it becomes.
async fn edited(world: &World, place: &Place<'_>, request: &FilesVariables) -> Result<(String, String), Fault> {
    let there = place.read().await.map_err(unedited)?;
    let mut values = BTreeMap::new();
    for (name, value) in &request.variables {
        values.insert(name.as_str(), written(world, name, value)?);
    }
    let text = edit::set(&there, &values)?;
    Ok((there, text))
}

/// Which variables a file sets to these values. They are compared here: nothing of the file leaves.
async fn has(world: &World, request: &FilesHas) -> Result<Value, Fault> {
    let place = Place::of(world, &request.path, request.ssh.as_deref()).map_err(unedited)?;
    let set = edit::values(&place.read().await.map_err(unedited)?)?;
    let mut same = serde_json::Map::new();
    for (name, value) in &request.variables {
        let value = world.vault.open(value)?;
        same.insert(name.clone(), (set.get(name) == Some(&value)).into());
    }
    Ok(Value::Object(same))
}

/// The first line of what a run writes.
fn mark(ticket: &Ticket) -> String {
    let run = ticket.run_name();
    format!("{MARK}{run} {}", ticket.origin.stamp.get(..12).unwrap_or(&ticket.origin.stamp))
}

/// What is there, if anything is.
fn look(path: &Path) -> Result<Option<String>, Fault> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() && !folder.is_dir() => {
                Err(Fault::fatal("files.folder", format!("there is no folder {}", folder.display()))
                    .hinted("make it first; paths are relative to the project"))
            }
            _ => Ok(None),
        },
        Err(error) => Err(broken(path, &error)),
    }
}

fn refuse_stranger(path: &Path, there: Option<&str>, previous: bool) -> Result<(), Fault> {
    match there {
        Some(text) if !text.starts_with(MARK) && !previous => {
            Err(Fault::fatal("files.exists", format!("{} is there, and Runsheet did not write it", path.display()))
                .hinted("move it away, or let it be kept beside the new one with `previous: true`"))
        }
        _ => Ok(()),
    }
}

/// Keeps what is there under the name `PATH.previous`. What somebody else wrote is never lost to what we did.
fn keep(path: &Path, there: Option<&str>, new: &str) -> Result<(), Fault> {
    let body = |text: &str| text.split_once('\n').map(|(_, body)| body.to_owned());
    let Some(there) = there.filter(|there| !there.starts_with(MARK) || body(there) != body(new)) else {
        return Ok(());
    };
    let beside = beside(path);
    let kept = look(&beside)?;
    if there.starts_with(MARK) && kept.is_some_and(|kept| !kept.starts_with(MARK)) {
        return Ok(());
    }
    let bytes = std::fs::read(path).map_err(|error| broken(path, &error))?;
    files::write_whole(&beside, &bytes).map_err(|error| broken(&beside, &error))
}

fn lines(world: &World, request: &FilesEnv) -> Result<String, Fault> {
    let mut text = String::new();
    for (name, value) in &request.variables {
        let _ = writeln!(text, "{name}={}", written(world, name, value)?);
    }
    Ok(text)
}

/// A value opened and quoted.
fn written(world: &World, name: &str, value: &str) -> Result<String, Fault> {
    quoted(&world.vault.open(value)?).ok_or_else(|| {
        Fault::fatal("files.quote", format!("no quoting of the value of {name} is read alike everywhere"))
            .hinted("it holds a single quote together with `$`, a backtick, a backslash or a line end")
    })
}

/// A value as shells, Runsheet and the common readers of env files read it back.
fn quoted(value: &str) -> Option<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_./:@%+,-".contains(c);
    if !value.is_empty() && value.chars().all(plain) {
        return Some(value.to_owned());
    }
    if !value.contains('\'') {
        return Some(format!("'{value}'"));
    }
    (!value.contains(['$', '`', '\\', '\n', '\r'])).then(|| format!("\"{}\"", value.replace('"', "\\\"")))
}

/// What the journal gets: names, and fingerprints of the secrets.
fn answer(world: &World, path: &str, variables: &BTreeMap<String, String>) -> Value {
    let names: Vec<&String> = variables.keys().collect();
    let fingerprints: serde_json::Map<String, Value> = variables
        .iter()
        .filter_map(|(name, value)| Some((name.clone(), world.vault.fingerprint(secret::whole(value)?)?.into())))
        .collect();
    json!({ "path": path, "names": names, "fingerprints": fingerprints })
}

fn broken(path: &Path, error: &io::Error) -> Fault {
    Fault::fatal("files.write", format!("{}: {error}", path.display()))
}

/// A file of others that cannot be edited, in words.
fn unedited(broken: Broken) -> Fault {
    match broken {
        Broken::There(fault) => fault,
        Broken::Here { path, error, .. } => match error.kind() {
            io::ErrorKind::NotFound => Fault::fatal("files.missing", format!("there is no {}", path.display()))
                .hinted("only variables inside a file that is there are edited; files::env writes a new one"),
            io::ErrorKind::InvalidData => Fault::fatal("files.syntax", format!("{} is no UTF-8", path.display())),
            _ => self::broken(&path, &error),
        },
    }
}
