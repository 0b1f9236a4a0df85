//! `pg::measure`, and the checks that compare whole databases: `check::same_rows` and its family.

use super::super::unknown::Unknown;
use super::call::{Answer, Error, Options, title};
use super::check::{proof, record_as};
use super::{Call, Entry, Param, Word, param};
use crate::model::action::{Action, Resource};
use crate::model::request::Request;
use crate::model::request::proving::{Comparison, Measure, SameRows, Side};
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
const SESSIONS: Param = param("#{connections}", "sessions a side that read at once, 2 unless told");
const TOLERATED: Param = param(
    "#{accept}",
    "what is tolerated by name and printed: a table (\"public.orders\"), or a kind of gap (\"foreign table\")",
);
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
    "(left, right, #{ contents, connections, accept }) -> true or false",
    "Compares every table of two databases, each at one snapshot, both at once: ordinary and unlogged tables, leaf partitions, materialised views, large objects. A table that is missing on one side differs. What could not be compared is named and never a pass.",
    &[LEFT, RIGHT, CONTENTS, SESSIONS, TOLERATED],
    SIDE_ERRORS,
    "(done.dump, done.scratch, #{ contents: true });",
    (2, 3),
    same_rows
);

const fn table() -> [Entry; 2] {
    let [a, b] = SAME_ROWS;
    [a, b]
}

pub(crate) static CHECKS: [Entry; 2] = table();

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
    match call.value(index)? {
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
    let options = call.options(2, &["contents", "connections", "accept"])?;
    let ((left, mut reads), (right, others)) = (side(call, 0)?, side(call, 1)?);
    reads.extend(others);
    let contents = options.flag("contents")?;
    let connections = connections(call, &options)?;
    let accept = options.texts("accept")?.unwrap_or_default();
    let shown =
        title(&format!("compare {} of {left} and {right}", if contents { "rows and contents" } else { "rows" }));
    let request = SameRows { left, right, contents, connections, accept };
    compare(call, &options, "same rows", Action::read(SameRows::WORD, &request, shown, reads))
}
