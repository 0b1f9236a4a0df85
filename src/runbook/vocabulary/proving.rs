//! `pg::measure`, and the checks that compare whole databases: `check::same_rows` and its family.

use super::super::unknown::Unknown;
use super::call::{Answer, Error, Options, title};
use super::check::{proof, record_as};
use super::{Call, Entry, Param, Word, param};
use crate::model::action::{Action, Resource};
use crate::model::request::Request;
use crate::model::request::proving::{Amcheck, Comparison, Measure, SameObjects, SameRows, SequencesAhead, Side};
use crate::model::verdict::CheckVerdict;
use crate::model::{Value, unknown};

/// Sessions a side when nothing is said: a server's own parallel query does the rest.
const CONNECTIONS: u64 = 2;

const LEFT: Param = param(
    "left",
    "what is taken for right: name of a target, what pg::dump answered, or what pg::measure answered; a dump that was not counted cannot be verified",
);
const RIGHT: Param = param("right", "what must equal it, the same");
const CONTENTS: Param = param("#{contents}", "true hashes every row; otherwise rows are only counted");
const TOLERANCE: Param = param(
    "#{tolerance}",
    "share by which a count on the right may be off, from 0 to 1, when the sides are not of one moment; ten rows always may, but none where there are some. Not with contents, unless there is `after`",
);
const AFTER: Param = param(
    "#{after}",
    "what pg::measure took of the left side once the right one was made: a table that changed in between is as it was before, or after, or its count lies between both (or within `tolerance` of them); every other table must be equal",
);
const SESSIONS: Param = param("#{connections}", "sessions a side that read at once, 2 unless told");
const TOLERATED: Param = param(
    "#{accept}",
    "what is tolerated by name and printed: a table (\"public.orders\"), or a kind of gap (\"foreign table\")",
);
const TOLERATED_OBJECTS: Param = param(
    "#{accept}",
    "what is tolerated by name and printed: an object (\"extension postgis\"), or a kind (\"publication\")",
);
const TARGET: Param = param("target", "name of the target");
const SIDE_ERRORS: &[(&str, &str)] = &[
    ("target.pooled", "a snapshot cannot be shared through a pooler"),
    ("measured.changed", "the file of an earlier measure is not what it was"),
    ("check.same-database", "both sides are one and the same database"),
];

pub(crate) const WORDS: &[Entry] = &[Entry {
    word: Word {
        name: "pg::measure",
        signature: "pg::measure(target, #{ contents, connections }) -> #{ measured, digest, tables, rows, at, database }",
        summary: "Counts every table at one snapshot, and takes down every other object, to be compared later. What is measured lies in a file of the state folder; the answer says where, and its digest.",
        params: &[param("target", "name of the target; a standby will do"), CONTENTS, SESSIONS],
        errors: &[("target.pooled", "a snapshot cannot be shared through a pooler")],
        example: "let before = pg::measure(params.app, #{ contents: true });",
    },
    least: 1,
    most: 2,
    run: measure,
}];

const SAME_ROWS: [Entry; 2] = proof!(
    "check::same_rows",
    "gate::same_rows",
    "(left, right, #{ contents, tolerance, after, connections, accept }) -> true or false",
    "Compares every table of two databases, each at one snapshot, both at once: ordinary and unlogged tables, leaf partitions, materialised views, large objects. A table that is missing on one side differs. What could not be compared is named and never a pass.",
    &[LEFT, RIGHT, CONTENTS, TOLERANCE, AFTER, SESSIONS, TOLERATED],
    SIDE_ERRORS,
    "(done.dump, done.scratch, #{ contents: true });",
    (2, 3),
    same_rows
);

const OLDER: Param = param(
    "#{older}",
    "true when the right side is older than the left one, as a backup is than its source: where sequences stand and how many large objects there are is not compared then",
);
const SAME_OBJECTS: [Entry; 2] = proof!(
    "check::same_objects",
    "gate::same_objects",
    "(left, right, #{ grants, older, accept }) -> true or false",
    "Compares everything of two databases that is no row: columns, types, views, functions, triggers and whether they are enabled, constraints, indexes, sequences (the right one must not be behind), policies, extensions with their versions, comments, large objects by number. Kinds that are not compared are named, and never a pass.",
    &[LEFT, RIGHT, param("#{grants}", "true compares owners and grants too"), OLDER, TOLERATED_OBJECTS],
    &[
        ("measured.changed", "the file of an earlier measure is not what it was"),
        ("check.same-database", "both sides are one and the same database"),
    ],
    "(done.dump, done.scratch, #{ accept: [\"publication\"] });",
    (2, 3),
    same_objects
);
const SEQUENCES_AHEAD: [Entry; 2] = proof!(
    "check::sequences_ahead",
    "gate::sequences_ahead",
    "(target, #{ accept }) -> true or false",
    "Compares the value that each sequence gives out next with the greatest one in every column that it fills. A sequence that is behind would give out values that are taken.",
    &[TARGET, param("#{accept}", "sequences that are tolerated by name and printed")],
    &[],
    "(done.scratch);",
    (1, 2),
    sequences_ahead
);
const AMCHECK: [Entry; 2] = proof!(
    "check::amcheck",
    "gate::amcheck",
    "(target, #{ accept }) -> true or false",
    "Reads every page of every table and B-tree index by the extension amcheck, and proves that each row is in its indexes. In a database that a run made, the extension is lent for the length of the check, and indexes are checked more deeply, which keeps writers out; elsewhere it must be installed. Indexes of other kinds are named as not checked.",
    &[
        TARGET,
        param("#{accept}", "what is tolerated by name and printed: an index, or a kind of them such as \"gin index\"")
    ],
    &[],
    "(done.scratch, #{ accept: [\"gin index\"] });",
    (1, 2),
    amcheck
);

const fn table() -> [Entry; 8] {
    let ([a, b], [c, d], [e, f], [g, h]) = (SAME_ROWS, SAME_OBJECTS, SEQUENCES_AHEAD, AMCHECK);
    [a, b, c, d, e, f, g, h]
}

pub(crate) static CHECKS: [Entry; 8] = table();

fn connections(call: &Call<'_>, options: &Options<'_, '_>) -> Result<usize, Error> {
    let given = options.whole("connections")?.unwrap_or(CONNECTIONS);
    match usize::try_from(given) {
        Ok(number @ 1..=64) => Ok(number),
        _ => Err(call.misuse(format!("option `connections` must be from 1 to 64, not {given}"))),
    }
}

fn measure(call: &Call<'_>) -> Answer {
    let options = call.options(1, &["contents", "connections"])?;
    let target = call.text(0)?;
    let contents = options.flag("contents")?;
    let connections = connections(call, &options)?;
    let shown = title(&format!("measure {}{target}", if contents { "rows and contents of " } else { "rows of " }));
    let reads = vec![Resource::database(&target)];
    let request = Measure { target, contents, connections };
    call.give(&call.perform(Action::read(Measure::WORD, &request, shown, reads))?)
}

/// A side of a comparison, and what reading it reads.
fn side(call: &Call<'_>, index: usize) -> Result<(Side, Vec<Resource>), Error> {
    a_side(call, call.value(index)?)
}

fn a_side(call: &Call<'_>, given: Value) -> Result<(Side, Vec<Resource>), Error> {
    match given {
        // What is known only later names no database yet.
        Value::String(name) if unknown::first_in(&name.clone().into()).is_some() => {
            Ok((Side::Target(name), Vec::new()))
        }
        Value::String(name) => Ok((Side::Target(name.clone()), vec![Resource::database(&name)])),
        Value::Object(map) if map.contains_key("measured") => match (map.get("measured"), map.get("digest")) {
            (Some(Value::String(path)), Some(Value::String(digest))) => {
                let reads = vec![Resource::new(format!("file/{path}"))];
                Ok((Side::File { path: path.into(), digest: digest.clone() }, reads))
            }
            _ => {
                let why = "nothing was counted when the dump was made: dump with `count: true`";
                Ok((Side::Nothing(why.to_owned()), Vec::new()))
            }
        },
        _ => Err(call.misuse("a side is the name of a target, or what pg::dump or pg::measure answered")),
    }
}

/// Performs a comparison and records its verdict under `name`.
fn compare(call: &Call<'_>, options: &Options<'_, '_>, name: &str, action: Action) -> Answer {
    let answer = call.perform(action)?;
    if let Some(step) = unknown::first_in(&answer) {
        return record_as(call, options, name.to_owned(), Err(Unknown::new(step)), String::new());
    }
    let comparison: Comparison =
        serde_json::from_value(answer).map_err(|error| call.misuse(format!("the answer cannot be read: {error}")))?;
    let verdict = match comparison.verdict {
        CheckVerdict::Pass => Some(true),
        CheckVerdict::Fail => Some(false),
        CheckVerdict::CouldNotVerify => None,
    };
    record_as(call, options, name.to_owned(), Ok(verdict), comparison.detail)
}

fn same_rows(call: &Call<'_>) -> Answer {
    let options = call.options(2, &["contents", "tolerance", "after", "connections", "accept"])?;
    let ((left, mut reads), (right, others)) = (side(call, 0)?, side(call, 1)?);
    reads.extend(others);
    let after = match options.value("after")? {
        None => None,
        Some(after) => {
            let (after, others) = a_side(call, after)?;
            reads.extend(others);
            Some(after)
        }
    };
    let contents = options.flag("contents")?;
    let tolerance = options.number("tolerance")?.unwrap_or_default();
    if !(0.0..=1.0).contains(&tolerance) || contents && tolerance > 0.0 && after.is_none() {
        return Err(call.misuse("option `tolerance` is a share from 0 to 1, and contents are equal or not"));
    }
    let connections = connections(call, &options)?;
    let accept = options.texts("accept")?.unwrap_or_default();
    let shown =
        title(&format!("compare {} of {left} and {right}", if contents { "rows and contents" } else { "rows" }));
    let request = SameRows { left, right, contents, after, tolerance, connections, accept };
    compare(call, &options, "same rows", Action::read(SameRows::WORD, &request, shown, reads))
}

fn same_objects(call: &Call<'_>) -> Answer {
    let options = call.options(2, &["grants", "older", "accept"])?;
    let ((left, mut reads), (right, others)) = (side(call, 0)?, side(call, 1)?);
    reads.extend(others);
    let (grants, older) = (options.flag("grants")?, options.flag("older")?);
    let accept = options.texts("accept")?.unwrap_or_default();
    let shown = title(&format!("compare objects of {left} and {right}"));
    let request = SameObjects { left, right, grants, older, accept };
    compare(call, &options, "same objects", Action::read(SameObjects::WORD, &request, shown, reads))
}

/// A target and what is tolerated of it.
fn one(call: &Call<'_>) -> Result<(String, Vec<Resource>, Vec<String>), Error> {
    let options = call.options(1, &["accept"])?;
    let target = call.text(0)?;
    let reads = if call.unknown(0).is_some() { Vec::new() } else { vec![Resource::database(&target)] };
    Ok((target, reads, options.texts("accept")?.unwrap_or_default()))
}

fn sequences_ahead(call: &Call<'_>) -> Answer {
    let (target, reads, accept) = one(call)?;
    let shown = title(&format!("compare sequences of {target} with their columns"));
    let action = Action::read(SequencesAhead::WORD, &SequencesAhead { target, accept }, shown, reads);
    compare(call, &call.options(1, &["accept"])?, "sequences ahead", action)
}

fn amcheck(call: &Call<'_>) -> Answer {
    let (target, reads, accept) = one(call)?;
    let shown = title(&format!("check tables and indexes of {target}"));
    let action = Action::read(Amcheck::WORD, &Amcheck { target, accept }, shown, reads);
    compare(call, &call.options(1, &["accept"])?, "amcheck", action)
}
