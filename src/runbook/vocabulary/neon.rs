//! `neon::…` that reads: the project, its branches, and what they are used by.

use super::call::{Answer, Error, Options, title};
use super::{Call, Entry, Param, Word, param};
use crate::model::Value;
use crate::model::action::{Action, Resource};
use crate::model::request::Request;
use crate::model::request::neon::{
    NeonBranch, NeonBranchOf, NeonBranches, NeonCompareSchema, NeonHosts, NeonOperations, NeonProject,
};
use crate::model::{target, unknown};

/// The resource of all branches of the project.
pub(super) const BRANCHES: &str = "neon/branches";

/// Codes that every word of the family may end with.
pub(super) const CONFIG: (&str, &str) = ("neon.config", "`[neon]` is missing in runsheet.toml, or cannot be used");
pub(super) const KEY: (&str, &str) = ("neon.key", "the API refuses the key; `neon.denied` when it lacks a right");
pub(super) const MISSING: (&str, &str) = ("neon.missing", "there is no such branch, or the key may not see it");

pub(super) const WINDOW: (&str, &str) = ("neon.window", "the moment cannot be reached; the hint says what can");
pub(super) const TIME: (&str, &str) = ("neon.time", "a time has no zone, or is none");

pub(super) const BRANCH: Param = param("branch", "id or exact name of a branch, or its map; also BASE:br-…");

pub(crate) const WORDS: &[Entry] = &[
    Entry {
        word: Word {
            name: "neon::project",
            signature: "neon::project() -> #{ id, name, pg_version, region, history_seconds, branches_limit, quota, default_branch, … }",
            summary: "The Neon project of `[neon]`: how far back its history reaches, how many branches it may have (`()` where the API does not say), its quota, and the id of its default branch. Also `name_expected` (whether `expect_project_name` was configured, and so holds), `subscription`, `logical_replication`, `store_passwords`, `created_at`.",
            params: &[],
            errors: &[CONFIG, KEY, ("neon.project", "it is not called as `expect_project_name` says")],
            example: "let window = neon::project().history_seconds;",
        },
        least: 0,
        most: 0,
        run: project,
    },
    Entry {
        word: Word {
            name: "neon::branches",
            signature: "neon::branches(#{ prefix }) -> [branch, …]",
            summary: "All branches of the project, oldest first, or those whose name begins so. Each is #{ id, name, parent, state, default, protected, created_at, updated_at, used_at, expires_at, active, children, annotation, lsn, timestamp, schema_only, restricted }: `used_at` is the later of its creation and its computes' last use, `active` whether a compute runs, `children` the ids of the branches that begin at it, `restricted` what may not be done with it. What is absent is `()`; `default` and `protected` are read as branch[\"protected\"].",
            params: &[param("#{prefix}", "how their names begin; compared exactly")],
            errors: &[CONFIG, KEY],
            example: "let previews = neon::branches(#{ prefix: \"preview/\" });",
        },
        least: 0,
        most: 1,
        run: branches,
    },
    Entry {
        word: Word {
            name: "neon::branch",
            signature: "neon::branch(id_or_name) -> branch, or ()",
            summary: "One branch as neon::branches shows it, or nothing when there is none of that id or exactly that name.",
            params: &[param("id_or_name", "its id, or its exact name")],
            errors: &[CONFIG, KEY, ("neon.ambiguous", "two branches have that name")],
            example: "let main = neon::branch(\"main\");",
        },
        least: 1,
        most: 1,
        run: branch,
    },
    Entry {
        word: Word {
            name: "neon::branch_of",
            signature: "neon::branch_of(target) -> branch",
            summary: "The branch that a target is on: of a configured target by the compute in its URL, of one that a run made by its name BASE:br-….",
            params: &[param("target", "name of the target")],
            errors: &[CONFIG, KEY, ("neon.not", "the target is on no branch of the configured project")],
            example: "let production = neon::branch_of(params.source);",
        },
        least: 1,
        most: 1,
        run: branch_of,
    },
    Entry {
        word: Word {
            name: "neon::hosts",
            signature: "neon::hosts(target) -> bool",
            summary: "Whether a target is on a Neon branch, by its URL and the configuration alone; nothing is contacted.",
            params: &[param("target", "name of the target")],
            errors: &[],
            example: "if neon::hosts(params.source) { neon::branch_of(params.source) }",
        },
        least: 1,
        most: 1,
        run: hosts,
    },
    Entry {
        word: Word {
            name: "neon::operations",
            signature: "neon::operations(#{ branch, limit }) -> [#{ id, action, status, error, branch, endpoint, created_at, updated_at }, …]",
            summary: "What the service is doing and did, newest first.",
            params: &[
                param("#{branch}", "only what worked on this branch, among the newest thousand"),
                param("#{limit}", "at most so many; 100 without it"),
            ],
            errors: &[CONFIG, KEY],
            example: "log::info(`${neon::operations(#{ limit: 10 }).len()} operations`);",
        },
        least: 0,
        most: 1,
        run: operations,
    },
    Entry {
        word: Word {
            name: "neon::compare_schema",
            signature: "neon::compare_schema(branch, #{ base, database, at, base_at }) -> text",
            summary: "How the schema of a branch differs from that of its parent or another branch, as a unified diff; empty when it does not.",
            params: &[
                BRANCH,
                param("#{base}", "the branch to compare with; its parent without it"),
                param("#{database}", "the database; may be left away where there is one"),
                param("#{at}", "the branch as it was then, RFC 3339 with zone"),
                param("#{base_at}", "the other one as it was then"),
            ],
            errors: &[CONFIG, MISSING, TIME, ("neon.which", "there are several databases, and none is named")],
            example: "check::that(\"schema unchanged\", neon::compare_schema(\"preview/pr-7\") == \"\", \"\");",
        },
        least: 1,
        most: 2,
        run: compare_schema,
    },
];

/// A branch as text: the text itself, or the id in a map.
pub(super) fn named(call: &Call<'_>, index: usize) -> Result<String, Error> {
    match call.value(index)? {
        Value::Object(map) => match map.get("id").and_then(Value::as_str) {
            Some(id) => Ok(id.to_owned()),
            None => Err(call.misuse("the map has no `id`, so it is no branch")),
        },
        _ => call.text(index),
    }
}

/// Either of two options, not both.
pub(super) fn one_of(call: &Call<'_>, options: &Options<'_, '_>, one: &str, other: &str) -> Result<(), Error> {
    match options.text(one)?.is_some() && options.text(other)?.is_some() {
        true => Err(call.misuse(format!("`{one}` and `{other}` exclude each other"))),
        false => Ok(()),
    }
}

/// The resource of one branch, as far as it is known by now.
pub(super) fn resource(branch: &str) -> Resource {
    let id = target::made_branch(branch).map_or(branch, |(_, id)| id);
    // A name may be another branch's: only an id stands for itself.
    let one = id.starts_with("br-") && !id.contains('/') && unknown::first(id).is_none();
    Resource::new(if one { format!("{BRANCHES}/{id}") } else { BRANCHES.to_owned() })
}

fn project(call: &Call<'_>) -> Answer {
    let reads = vec![Resource::new("neon/project")];
    call.give(&call.perform(Action::read(NeonProject::WORD, &NeonProject {}, "the Neon project", reads))?)
}

fn branches(call: &Call<'_>) -> Answer {
    let prefix = call.options(0, &["prefix"])?.text("prefix")?.unwrap_or_default();
    let shown = if prefix.is_empty() { "branches".to_owned() } else { format!("branches named {prefix}…") };
    let reads = vec![Resource::new(BRANCHES)];
    call.give(&call.perform(Action::read(NeonBranches::WORD, &NeonBranches { prefix }, title(&shown), reads))?)
}

fn branch(call: &Call<'_>) -> Answer {
    let branch = named(call, 0)?;
    let (shown, reads) = (title(&format!("branch {branch}")), vec![resource(&branch)]);
    call.give(&call.perform(Action::read(NeonBranch::WORD, &NeonBranch { branch }, shown, reads))?)
}

fn branch_of(call: &Call<'_>) -> Answer {
    let target = call.text(0)?;
    let shown = title(&format!("the branch of {target}"));
    // Which branch it is on no step changes; what the branch shows of itself may be changed by any.
    let reads = vec![Resource::server(&target)];
    call.give(&call.perform(Action::read(NeonBranchOf::WORD, &NeonBranchOf { target }, shown, reads))?)
}

fn hosts(call: &Call<'_>) -> Answer {
    let target = call.text(0)?;
    let shown = title(&format!("whether {target} is on a branch"));
    call.give(&call.perform(Action::read(NeonHosts::WORD, &NeonHosts { target }, shown, Vec::new()))?)
}

fn operations(call: &Call<'_>) -> Answer {
    let options = call.options(0, &["branch", "limit"])?;
    let request = NeonOperations { branch: options.text("branch")?, limit: options.whole("limit")?.unwrap_or(100) };
    if !(1..=10_000).contains(&request.limit) {
        return Err(call.misuse("option `limit` must be from 1 to 10000"));
    }
    let reads = vec![Resource::new("neon")];
    call.give(&call.perform(Action::read(NeonOperations::WORD, &request, "operations of the project", reads))?)
}

fn compare_schema(call: &Call<'_>) -> Answer {
    let options = call.options(1, &["base", "database", "at", "base_at"])?;
    let request = NeonCompareSchema {
        branch: named(call, 0)?,
        base: options.text("base")?,
        database: options.text("database")?,
        at: options.text("at")?,
        base_at: options.text("base_at")?,
    };
    let shown = title(&format!("compare the schema of {}", request.branch));
    let reads = std::iter::once(&request.branch).chain(&request.base).map(|branch| resource(branch)).collect();
    call.give(&call.perform(Action::read(NeonCompareSchema::WORD, &request, shown, reads))?)
}
