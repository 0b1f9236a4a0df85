//! `neon::…` that changes branches: made, dropped, deleted, put back.

use std::collections::BTreeMap;

use serde_json::json;

use super::call::{Answer, Error, Options, title};
use super::neon::{BRANCH, BRANCHES, CONFIG, KEY, MISSING, named, resource};
use super::{Call, Entry, Word, param};
use crate::model::Value;
use crate::model::action::{Action, Recovery, Resource};
use crate::model::request::Request;
use crate::model::request::neon::{
    NeonCreateBranch, NeonDeleteBranch, NeonDropBranch, NeonRecoverBranch, NeonRestoreBranch, NeonSetHistory,
    NeonSweep, NeonUpdateBranch,
};
use crate::model::{target, unknown};

const LIMIT: (&str, &str) = ("neon.limit", "the project has as many branches as it may have");
const WINDOW: (&str, &str) = ("neon.window", "the moment cannot be reached; the hint says what can");

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
            summary: "Deletes branches that this run made, and those that runs of this project made and left behind, once those are done, undone or abandoned; leaves first. What unfinished runs and other projects made, what was made to be kept, and what others begin at, is kept and named with the reason. A branch that carries no run is never touched.",
            params: &[param("#{own}", "true for this run's only")],
            errors: &[CONFIG, KEY],
            example: "step(\"sweep\", || neon::sweep());",
        },
        least: 0,
        most: 1,
        run: sweep,
    },
    Entry {
        word: Word {
            name: "neon::delete_branch",
            signature: "neon::delete_branch(branch) -> #{ deleted, gone, why, recoverable_until }",
            summary: "Deletes somebody else's branch, exactly as it was read: by its id, read again right before. One whose name, parent, creation or last change is another now, that is the default, protected, has an active compute or branches that begin at it, is kept, and `why` says so. `gone` is a branch that somebody else deleted meanwhile.",
            params: &[param("branch", "the map of neon::branches, neon::branch or neon::branch_of")],
            errors: &[CONFIG, KEY],
            example: "let answer = neon::delete_branch(neon::branch(\"preview/pr-7\"));",
        },
        least: 1,
        most: 1,
        run: delete_branch,
    },
    Entry {
        word: Word {
            name: "neon::recover_branch",
            signature: "neon::recover_branch(id) -> branch",
            summary: "Brings back a branch that was deleted in the last days; its computes sleep, and its URLs work again. One that is there already is fine.",
            params: &[param("id", "its id; names may have been given away")],
            errors: &[CONFIG, ("neon.missing", "it cannot be had back any more")],
            example: "neon::recover_branch(\"br-cold-moon-a1b2c3d4\");",
        },
        least: 1,
        most: 1,
        run: recover_branch,
    },
    Entry {
        word: Word {
            name: "neon::update_branch",
            signature: "neon::update_branch(branch, #{ name, protect, ttl | expires_at }) -> #{ id, name, parent, state, default, protected, created_at, updated_at, expires_at }",
            summary: "Renames a branch, protects it or takes the protection off, gives it an end or takes it away. What is not named stays. A branch named by its id is found with one small request, by its name with the whole list.",
            params: &[
                BRANCH,
                param("#{name}", "its new name"),
                param("#{protect}", "whether it is protected"),
                param("#{ttl}", "after which time it goes by itself; 0 for never"),
                param("#{expires_at}", "when it goes by itself, RFC 3339 with zone"),
            ],
            errors: &[
                CONFIG,
                MISSING,
                ("neon.exists", "the name is taken"),
                ("neon.refused", "such as an end for a protected branch"),
            ],
            example: "neon::update_branch(\"preview/pr-7\", #{ ttl: \"7d\" });",
        },
        least: 2,
        most: 2,
        run: update_branch,
    },
    Entry {
        word: Word {
            name: "neon::restore_branch",
            signature: "neon::restore_branch(branch, #{ at | lsn, from, preserve, target }) -> #{ preserved: #{ id, name, parent }, branch }",
            summary: "Puts a whole branch, every database of it, back to an earlier state in place, and keeps what it held until then under another name, which makes sure that it is done once. Connections are cut off, URLs stay. The lineage is read back, not assumed. A protected branch is refused.",
            params: &[
                BRANCH,
                param("#{at}", "the moment, RFC 3339 with zone"),
                param("#{lsn}", "the point of the log"),
                param("#{from}", "the branch whose history it is taken from; its own without it"),
                param("#{preserve}", "name under which the state of now is kept; demanded"),
                param(
                    "#{target}",
                    "the target on that branch: it is made sure that it is, and a plan knows that its rows change",
                ),
            ],
            errors: &[
                MISSING,
                WINDOW,
                ("neon.protected", "the branch is protected"),
                ("neon.restricted", "the service does not allow it"),
                ("neon.exists", "the name under `preserve` is taken"),
                ("neon.other-branch", "the target is on another branch"),
            ],
            example: "neon::restore_branch(neon::branch_of(params.source), #{ at: params.at, preserve: \"main_old\", target: params.source });",
        },
        least: 2,
        most: 2,
        run: restore_branch,
    },
    Entry {
        word: Word {
            name: "neon::set_history",
            signature: "neon::set_history(seconds) -> #{ before, after }",
            summary: "Sets how far back the project's history reaches, for all its branches.",
            params: &[param("seconds", "a number of seconds, or text such as \"7d\"; at most 30 days")],
            errors: &[CONFIG, KEY, ("neon.plan", "the plan does not allow it")],
            example: "let window = neon::set_history(\"7d\");",
        },
        least: 1,
        most: 1,
        run: set_history,
    },
];

/// Either of two options, not both.
fn one_of(call: &Call<'_>, options: &Options<'_, '_>, one: &str, other: &str) -> Result<(), Error> {
    match options.text(one)?.is_some() && options.text(other)?.is_some() {
        true => Err(call.misuse(format!("`{one}` and `{other}` exclude each other"))),
        false => Ok(()),
    }
}

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

fn delete_branch(call: &Call<'_>) -> Answer {
    let given = call.value(0)?;
    let branch = match &given {
        // Without these it could be another by now.
        Value::Object(map)
            if ["id", "name", "created_at"].iter().all(|key| map.get(*key).is_some_and(Value::is_string)) =>
        {
            let mut pinned = json!({ "id": map["id"], "parent": map.get("parent") });
            for key in ["name", "created_at", "updated_at"] {
                if let Some(value) = map.get(key).filter(|value| !value.is_null()) {
                    pinned[key] = value.clone();
                }
            }
            pinned
        }
        _ if unknown::whole(&given).is_some() => given.clone(),
        _ => return Err(call.misuse("`branch` must be the map of a branch, as neon::branches answers it")),
    };
    let id = branch["id"].as_str().unwrap_or("(unknown)").to_owned();
    let name = branch["name"].as_str().unwrap_or_default().to_owned();
    let writes = vec![resource(&id)];
    let request = NeonDeleteBranch { branch };
    let shown = title(&format!("delete branch {id}: {name}"));
    call.give(&call.perform(Action::change(NeonDeleteBranch::WORD, &request, shown, Recovery::Repeatable, writes))?)
}

fn recover_branch(call: &Call<'_>) -> Answer {
    let branch = named(call, 0)?;
    let (shown, writes) = (title(&format!("recover branch {branch}")), vec![resource(&branch)]);
    let request = NeonRecoverBranch { branch };
    call.give(&call.perform(Action::change(NeonRecoverBranch::WORD, &request, shown, Recovery::Repeatable, writes))?)
}

fn update_branch(call: &Call<'_>) -> Answer {
    let options = call.options(1, &["name", "protect", "ttl", "expires_at"])?;
    let protected = match options.value("protect")? {
        None => None,
        Some(_) => Some(options.flag("protect")?),
    };
    let request = NeonUpdateBranch {
        branch: named(call, 0)?,
        name: options.text("name")?,
        protected,
        ttl: options.seconds("ttl")?,
        expires_at: options.text("expires_at")?,
    };
    if request.ttl.is_some() && request.expires_at.is_some() {
        return Err(call.misuse("`ttl` and `expires_at` exclude each other"));
    }
    let (shown, writes) = (title(&format!("change branch {}", request.branch)), vec![resource(&request.branch)]);
    call.give(&call.perform(Action::change(NeonUpdateBranch::WORD, &request, shown, Recovery::Repeatable, writes))?)
}

fn restore_branch(call: &Call<'_>) -> Answer {
    let options = call.options(1, &["from", "at", "lsn", "preserve", "target"])?;
    one_of(call, &options, "at", "lsn")?;
    let preserve = options.text("preserve")?.filter(|name| !name.is_empty());
    let preserve =
        preserve.ok_or_else(|| call.misuse("`preserve` names what the branch holds now, and must be given"))?;
    let request = NeonRestoreBranch {
        branch: named(call, 0)?,
        from: options.text("from")?,
        at: options.text("at")?,
        lsn: options.text("lsn")?,
        preserve,
        target: options.text("target")?,
    };
    let when = request.at.as_ref().or(request.lsn.as_ref()).map(|at| format!(" to {at}")).unwrap_or_default();
    let shown = title(&format!("put branch {} back{when}", request.branch));
    let mut writes = vec![Resource::new(BRANCHES)];
    for target in request.target.iter().chain(target::made_branch(&request.branch).map(|_| &request.branch)) {
        writes.extend([Resource::database(target), Resource::server(target)]);
    }
    call.give(&call.perform(Action::change(NeonRestoreBranch::WORD, &request, shown, Recovery::Provable, writes))?)
}

fn set_history(call: &Call<'_>) -> Answer {
    let seconds = call.seconds(0)?;
    if !(0.0..=2_592_000.0).contains(&seconds) {
        return Err(call.misuse("a history reaches back at most 30 days"));
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 30 days")]
    let request = NeonSetHistory { seconds: seconds as u64 };
    let shown = format!("keep {} s of history", request.seconds);
    let writes = vec![Resource::new("neon/project")];
    call.give(&call.perform(Action::change(NeonSetHistory::WORD, &request, shown, Recovery::Repeatable, writes))?)
}
