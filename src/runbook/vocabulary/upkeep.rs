//! `neon::…` for what was there before the run: other people's branches deleted, brought back, changed, put back to their
//! past, and how far that past reaches.

use serde_json::json;

use super::call::{Answer, title};
use super::neon::{BRANCH, BRANCHES, CONFIG, KEY, MISSING, TIME, WINDOW, named, one_of, resource};
use super::{Call, Entry, Word, param};
use crate::model::Value;
use crate::model::action::{Action, Recovery, Resource};
use crate::model::request::Request;
use crate::model::request::neon::{
    NeonDeleteBranch, NeonRecoverBranch, NeonRestoreBranch, NeonSetHistory, NeonUpdateBranch,
};
use crate::model::{target, unknown};

pub(crate) const WORDS: &[Entry] = &[
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
                TIME,
                ("neon.moment", "neither `at` nor `lsn` is given, and nothing else to restore from"),
                ("neon.exists", "the name under `preserve` is taken"),
                ("neon.other-branch", "the target is on another branch"),
                ("neon.lineage", "it was restored, and what was to be preserved is not there"),
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
