//! `neon::…` for branches of a run's own: made, dropped, swept.

use std::collections::BTreeMap;

use serde_json::json;

use super::call::{Answer, Error, title};
use super::neon::{BRANCHES, CONFIG, KEY, TIME, WINDOW, one_of, resource};
use super::{Call, Entry, Word, param};
use crate::model::Value;
use crate::model::action::{Action, Recovery, Resource};
use crate::model::request::Request;
use crate::model::request::neon::{NeonCreateBranch, NeonDropBranch, NeonSweep};
use crate::model::target;
use crate::model::unknown;

const LIMIT: (&str, &str) = ("neon.limit", "the project has as many branches as it may have");

pub(crate) const WORDS: &[Entry] = &[
    Entry {
        word: Word {
            name: "neon::create_branch",
            signature: "neon::create_branch(#{ name, of | parent, at | lsn, ttl, compute, protect, schema_only, keep, annotation }) -> #{ id, name, parent, lsn, timestamp, endpoint, expires_at, target }",
            summary: "Makes a branch and waits until it is ready. It carries the run that made it, so that it is never made twice and is found whatever is killed when. With `of`, `target` is BASE:br-…, which goes wherever a target goes: the same database and role, on the new branch. Without `at` and `lsn` it begins at the parent's present; `timestamp` says what a moment was resolved to.",
            params: &[
                param("#{name}", "its name; without it one that tells the run"),
                param("#{of}", "the target whose branch it begins at"),
                param("#{parent}", "the branch it begins at, by id or exact name; the default branch without both"),
                param("#{at}", "the moment it begins at, RFC 3339 with zone"),
                param("#{lsn}", "the point of the log it begins at"),
                param("#{ttl}", "after which time it goes by itself, at most 30 days"),
                param("#{compute}", "false for one that cannot be connected to; true without it"),
                param("#{protect}", "true for a protected one"),
                param("#{schema_only}", "true for the schema without rows"),
                param("#{keep}", "true if it is to outlive its run: no sweep deletes it"),
                param("#{annotation}", "map of texts to write on it"),
            ],
            errors: &[
                CONFIG,
                KEY,
                LIMIT,
                WINDOW,
                ("neon.exists", "a branch of that name is there that the run did not make"),
                ("neon.not", "the target of `of` is on no branch"),
                TIME,
                ("neon.ttl", "`ttl` is over 30 days"),
                ("neon.annotation", "a key of `annotation` is one that Runsheet writes itself"),
            ],
            example: "step(\"copy\", || neon::create_branch(#{ of: params.source, ttl: \"2h\" })).cleanup(|made| neon::drop_branch(made));",
        },
        least: 0,
        most: 1,
        run: create_branch,
    },
    Entry {
        word: Word {
            name: "neon::drop_branch",
            signature: "neon::drop_branch(made) -> #{ deleted }",
            summary: "Deletes a branch that this very run made. One that is gone already is fine; any other is refused.",
            params: &[param(
                "made",
                "what neon::create_branch answered, its `target`, or an id; nothing where it never came to an answer",
            )],
            errors: &[("neon.not-ours", "this run did not make it"), ("neon.children", "a branch begins at it")],
            example: "step(\"copy\", || neon::create_branch(#{ of: params.source })).cleanup(|made| neon::drop_branch(made));",
        },
        least: 1,
        most: 1,
        run: drop_branch,
    },
    Entry {
        word: Word {
            name: "neon::sweep",
            signature: "neon::sweep(#{ own }) -> #{ deleted: [name, …], kept: [#{ name, why }, …] }",
            summary: "Deletes branches that runs of this project made and left behind, once those are done, undone or abandoned, or with `own` those that this run made; leaves first. What unfinished runs and other projects made, what was made to be kept, and what others begin at, is kept and named with the reason. A branch that carries no run is never touched.",
            params: &[param("#{own}", "true for this run's branches, and no others")],
            errors: &[CONFIG, KEY],
            example: "step(\"sweep\", || neon::sweep());",
        },
        least: 0,
        most: 1,
        run: sweep,
    },
];

fn create_branch(call: &Call<'_>) -> Answer {
    let known =
        &["name", "of", "parent", "at", "lsn", "ttl", "compute", "protect", "schema_only", "keep", "annotation"];
    let options = call.options(0, known)?;
    one_of(call, &options, "of", "parent")?;
    one_of(call, &options, "at", "lsn")?;
    let annotation = match options.value("annotation")? {
        None => BTreeMap::new(),
        Some(given) => serde_json::from_value(given).map_err(|_| call.misuse("`annotation` must be a map of texts"))?,
    };
    let request = NeonCreateBranch {
        name: options.text("name")?,
        of: options.text("of")?,
        parent: options.text("parent")?,
        at: options.text("at")?,
        lsn: options.text("lsn")?,
        ttl: options.seconds("ttl")?,
        compute: options.value("compute")?.is_none() || options.flag("compute")?,
        protected: options.flag("protect")?,
        schema_only: options.flag("schema_only")?,
        keep: options.flag("keep")?,
        annotation,
    };
    let of = request.of.as_ref().or(request.parent.as_ref()).map(|of| format!(" of {of}")).unwrap_or_default();
    let when = request.at.as_ref().or(request.lsn.as_ref()).map(|at| format!(" at {at}")).unwrap_or_default();
    let named = request.name.as_ref().map(|name| format!(" {name}")).unwrap_or_default();
    let shown = title(&format!("a branch{named}{of}{when}"));
    // The new one is nobody's yet: reading another one stays true.
    let writes = vec![Resource::new(format!("{BRANCHES}/new"))];
    let mut action = Action::change(NeonCreateBranch::WORD, &request, shown, Recovery::Provable, writes);
    action.reads = request.of.iter().map(|target| Resource::server(target)).collect();
    call.give(&call.perform(action)?)
}

/// What a step made, as id or target; nothing where it made nothing.
fn made(call: &Call<'_>) -> Result<Option<String>, Error> {
    match call.value(0)? {
        Value::Null => Ok(None),
        Value::Object(map) => match map.get("target").or_else(|| map.get("id")) {
            Some(Value::String(name)) => Ok(Some(name.clone())),
            _ => Err(call.misuse("the map has no `id`, so it is no branch")),
        },
        _ => {
            let text = call.text(0)?;
            // A name would be looked for among the ids, not be found, and so pass for gone.
            let is_id = text.starts_with("br-") || target::made_branch(&text).is_some();
            if is_id || unknown::first(&text).is_some() {
                return Ok(Some(text));
            }
            Err(call.misuse(format!("`{text}` is no id of a branch: give what neon::create_branch answered")))
        }
    }
}

fn drop_branch(call: &Call<'_>) -> Answer {
    let Some(made) = made(call)? else { return call.give(&json!({ "deleted": false })) };
    let shown = title(&format!("delete branch {made}"));
    let mut writes = vec![resource(&made)];
    if made.contains(':') && unknown::first(&made).is_none() {
        writes.push(Resource::database(&made));
    }
    let request = NeonDropBranch { made };
    call.give(&call.perform(Action::change(NeonDropBranch::WORD, &request, shown, Recovery::Repeatable, writes))?)
}

fn sweep(call: &Call<'_>) -> Answer {
    let request = NeonSweep { own: call.options(0, &["own"])?.flag("own")? };
    let shown = if request.own { "delete this run's branches" } else { "sweep branches that finished runs left" };
    // Only what runs made goes, and no other branch is changed by it.
    let writes = vec![Resource::new(format!("{BRANCHES}/new"))];
    call.give(&call.perform(Action::change(NeonSweep::WORD, &request, shown, Recovery::Repeatable, writes))?)
}
