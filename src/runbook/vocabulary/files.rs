//! `files::…`: files that a run leaves for programs, and takes away again.

use std::collections::BTreeMap;

use super::call::{Answer, Error, title};
use super::{Call, Entry, Word, param};
use crate::model::Value;
use crate::model::action::{Action, Recovery, Resource};
use crate::model::request::Request;
use crate::model::request::files::{FilesEnv, FilesHas, FilesRemove, FilesVariables};

pub(crate) const WORDS: &[Entry] = &[
    Entry {
        word: Word {
            name: "files::env",
            signature: "files::env(path, #{ NAME: text or secret, … }, #{ previous }) -> #{ path, names, fingerprints }",
            summary: "Writes an env file that only its owner may read, whole or not at all, quoted so that shells and the common readers of such files agree. Secrets are opened only into the file: the journal has their fingerprints. A file that Runsheet did not write is not overwritten unless it is kept with `previous`.",
            params: &[
                param("path", "the file, relative to the project; its folder must be there"),
                param("variables", "map of names and values"),
                param("#{previous}", "true if what was there is kept beside it, as PATH.previous"),
            ],
            errors: &[
                ("files.exists", "a file is there that Runsheet did not write, and `previous` is not given"),
                ("files.folder", "the folder is not there"),
                ("files.quote", "a value that readers of env files understand differently however it is quoted"),
                ("files.write", "the file cannot be written"),
            ],
            example: "files::env(\".env.preview\", #{ DATABASE_URL: pg::url(params.app) });",
        },
        least: 2,
        most: 3,
        run: env,
    },
    Entry {
        word: Word {
            name: "files::variables",
            signature: "files::variables(path, #{ NAME: text or secret, … }, #{ ssh, previous }) -> #{ path, names, fingerprints, previous }",
            summary: "Sets variables inside an env file that is there, whoever wrote it: its other lines stay as they are, byte for byte. Quoted as files::env does, replaced whole or not at all, kept with its owner and made readable by nobody else. What was there is kept as PATH.previous. With `ssh` its contents travel over standard input and output alone, and what was written is read back. Done again, it comes to the same.",
            params: &[
                param(
                    "path",
                    "the file, relative to the project, or with `ssh` to the home of whoever logs in; a link is followed",
                ),
                param("variables", "map of names and values"),
                param("#{ssh}", "host that it lies on: user@host or ssh://user@host:port"),
                param("#{previous}", "false where what was there is not to be kept"),
            ],
            errors: &[
                ("files.missing", "there is no such file"),
                ("files.syntax", "the file cannot be read as an env file; nothing was written"),
                ("files.quote", "a value that readers of env files understand differently however it is quoted"),
                ("files.write", "the file cannot be written"),
                ("ssh.host-key", "the host's key is not known, or another one than before"),
                ("ssh.key", "the host takes none of the keys"),
                ("ssh.unreachable", "the host cannot be reached"),
            ],
            example: "files::variables(\"/srv/app/.env\", #{ DATABASE_URL: pg::url(params.target) });",
        },
        least: 2,
        most: 3,
        run: set,
    },
    Entry {
        word: Word {
            name: "files::has",
            signature: "files::has(path, #{ NAME: text or secret, … }, #{ ssh }) -> #{ NAME: true or false, … }",
            summary: "Whether an env file sets variables to these values. They are compared without being shown: nothing of the file leaves.",
            params: &[
                param("path", "the file, relative to the project"),
                param("variables", "map of names and the values they should have"),
                param("#{ssh}", "host that it lies on"),
            ],
            errors: &[("files.missing", "there is no such file"), ("files.syntax", "it cannot be read as an env file")],
            example: "let read_back = files::has(\"/srv/app/.env\", #{ DATABASE_URL: pg::url(params.target) });",
        },
        least: 2,
        most: 3,
        run: has,
    },
    Entry {
        word: Word {
            name: "files::remove",
            signature: "files::remove(path) -> #{ removed }",
            summary: "Removes a file that this very run wrote. One that is gone already is fine; any other is refused.",
            params: &[param("path", "the file, relative to the project; or what files::env answered")],
            errors: &[("files.not-ours", "this run did not write it")],
            example: "step(\"env\", || files::env(\".env.preview\", #{ PORT: \"5432\" })).cleanup(|| files::remove(\".env.preview\"));",
        },
        least: 1,
        most: 1,
        run: remove,
    },
];

/// The file, as what is read or written.
pub(super) fn resource(path: &str) -> Vec<Resource> {
    vec![Resource::new(format!("file/{}", path.trim_start_matches("./")))]
}

/// A path and the variables inside it.
fn given(call: &Call<'_>) -> Result<(String, BTreeMap<String, String>), Error> {
    let path = call.text(0)?;
    if path.is_empty() || path.ends_with('/') {
        return Err(call.misuse("`path` must name a file"));
    }
    let Value::Object(given) = call.value(1)? else { return Err(call.misuse("`variables` must be a map")) };
    let mut variables = BTreeMap::new();
    for (name, value) in given {
        let sound = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !sound {
            return Err(call.misuse(format!("`{name}` is not the name of a variable")));
        }
        let text = match value {
            Value::String(text) => text,
            Value::Number(_) | Value::Bool(_) => value.to_string(),
            _ => return Err(call.misuse(format!("the value of `{name}` must be text or a secret"))),
        };
        variables.insert(name, text);
    }
    Ok((path, variables))
}

fn told(verb: &str, path: &str, variables: &BTreeMap<String, String>) -> String {
    let names: Vec<&str> = variables.keys().map(String::as_str).collect();
    title(&format!("{verb} {path}: {}", names.join(", ")))
}

/// A file with the host that it lies on.
pub(super) fn elsewhere(ssh: Option<&String>, path: &str) -> String {
    ssh.map_or_else(|| path.to_owned(), |host| format!("{host}:{path}"))
}

fn set(call: &Call<'_>) -> Answer {
    let (path, variables) = given(call)?;
    let options = call.options(2, &["ssh", "previous"])?;
    let previous = options.value("previous")?.is_none() || options.flag("previous")?;
    let ssh = options.text("ssh")?;
    let place = elsewhere(ssh.as_ref(), &path);
    let shown = told("set variables in", &place, &variables);
    let writes = resource(&place);
    let request = FilesVariables { path, variables, ssh, previous };
    call.give(&call.perform(Action::change(FilesVariables::WORD, &request, shown, Recovery::Repeatable, writes))?)
}

fn has(call: &Call<'_>) -> Answer {
    let (path, variables) = given(call)?;
    let ssh = call.options(2, &["ssh"])?.text("ssh")?;
    let place = elsewhere(ssh.as_ref(), &path);
    let shown = told("look into", &place, &variables);
    let reads = resource(&place);
    call.give(&call.perform(Action::read(FilesHas::WORD, &FilesHas { path, variables, ssh }, shown, reads))?)
}

fn env(call: &Call<'_>) -> Answer {
    let (path, variables) = given(call)?;
    let previous = call.options(2, &["previous"])?.flag("previous")?;
    let shown = told("write", &path, &variables);
    let writes = resource(&path);
    let request = FilesEnv { path, variables, previous };
    call.give(&call.perform(Action::change(FilesEnv::WORD, &request, shown, Recovery::Repeatable, writes))?)
}

fn remove(call: &Call<'_>) -> Answer {
    let path = match call.value(0)? {
        Value::Null => return call.give(&serde_json::json!({ "removed": false })),
        Value::Object(made) => made.get("path").and_then(Value::as_str).unwrap_or_default().to_owned(),
        _ => call.text(0)?,
    };
    if path.is_empty() {
        return Err(call.misuse("`path` must name a file"));
    }
    let shown = title(&format!("remove {path}"));
    let writes = resource(&path);
    let request = FilesRemove { path };
    call.give(&call.perform(Action::change(FilesRemove::WORD, &request, shown, Recovery::Repeatable, writes))?)
}
