//! `logical::compare` and its kin: a live copy proved equal to its source, and the way back.

use super::call::{Answer, title};
use super::logical::{BACK, SCHEMA, SOURCE, TARGET, both, server};
use super::{Call, Entry, Param, Word, param};
use crate::model::action::{Action, Recovery, Resource};
use crate::model::request::Request;
use crate::model::request::logical::{
    LogicalChangedSince, LogicalCompare, LogicalCompareChanged, LogicalForward, LogicalGather, LogicalRetire,
    LogicalReverse, LogicalWatch,
};

const UNWATCHED: (&str, &str) = ("logical.unwatched", "logical::watch comes first");
const KEYS: (&str, &str) =
    ("logical.keys", "the file with the keys of changed rows is gone, as on another host: copy again");
const NO_WAY_BACK: (&str, &str) =
    ("logical.no-way-back", "it cannot be made, with the reason: past the flip there is only forward");
const CONNECTIONS: Param = param("#{connections}", "sessions on each side that compare at once, 2 without it");

pub(crate) const WORDS: &[Entry] = &[
    Entry {
        word: Word {
            name: "logical::watch",
            signature: "logical::watch(source, #{ schema, back }) -> #{ slot, lsn, schema_digest }",
            summary: "Makes a second slot on the source, which remembers from now on which rows change, and takes down the schema as it is. What logical::compare leaves out, logical::compare_changed compares, and logical::changed_since answers, counts from here. The source keeps its WAL for it: have logical::gather read it now and then.",
            params: &[SOURCE, SCHEMA, BACK],
            errors: &[
                ("logical.none", "nothing is published there"),
                ("sql.57014", "a transaction stays open; the fault names it"),
            ],
            example: "step(\"watch\", || logical::watch(params.source));",
        },
        least: 1,
        most: 2,
        run: watch,
    },
    Entry {
        word: Word {
            name: "logical::gather",
            signature: "logical::gather(source, #{ schema, back }) -> #{ lsn, changed, tables }",
            summary: "Reads which rows changed so far into a file of the project's state, and lets the source remove its WAL up to there. Do so just before a freeze: logical::compare_changed then has little left to read. `changed` is how many rows that are, `tables` of how many tables.",
            params: &[SOURCE, SCHEMA, BACK],
            errors: &[UNWATCHED, KEYS],
            example: "step(\"nearly\", || logical::gather(params.source));",
        },
        least: 1,
        most: 2,
        run: gather,
    },
    Entry {
        word: Word {
            name: "logical::compare",
            signature: "logical::compare(source, target, #{ schema, back, connections }) -> #{ equal, differing: [#{ table, keys: [text, …], count }], left_out: [#{ table, why }], rows, changed, lsn }",
            summary: "Compares the contents of both sides while somebody writes: every row but those that changed since logical::watch, which logical::compare_changed compares once nobody writes. Of each table that differs the first 20 rows are named by their keys: missing in the target, only there, or different. `changed` is how many rows were left for later.",
            params: &[SOURCE, TARGET, SCHEMA, BACK, CONNECTIONS],
            errors: &[
                UNWATCHED,
                KEYS,
                ("logical.broken", "the target applies nothing"),
                ("logical.not-ready", "tables are still being copied"),
            ],
            example: "let compared = logical::compare(params.source, params.target);\ngate::that(\"equal so far\", compared.equal, `${compared.differing}`);",
        },
        least: 2,
        most: 3,
        run: compare,
    },
    Entry {
        word: Word {
            name: "logical::compare_changed",
            signature: "logical::compare_changed(source, target, #{ schema, back, counts: true, limit: \"5s\", connections }) -> #{ equal, lsn, differing, left_out, rows, changed }",
            summary: "With writes frozen and the target drained: compares the rows that changed since logical::watch, then counts every table, then compares those whose changes no key tells (truncated ones, and tables without a key). What the limit does not suffice for stands in `left_out`, the largest first. With a logical::compare that was equal, this proves that both sides are equal at `lsn`.",
            params: &[
                SOURCE,
                TARGET,
                SCHEMA,
                BACK,
                param("#{counts}", "false: no table is counted"),
                param("#{limit}", "the longest it may take"),
                CONNECTIONS,
            ],
            errors: &[UNWATCHED, KEYS, ("logical.not-drained", "the target has not applied everything")],
            example: "let last = logical::compare_changed(params.source, params.target, #{ limit: \"3s\" });\ngate::that(\"equal\", last.equal && last.left_out.is_empty(), `at ${last.lsn}`);",
        },
        least: 2,
        most: 3,
        run: compare_changed,
    },
    Entry {
        word: Word {
            name: "logical::changed_since",
            signature: "logical::changed_since(source, #{ lsn, schema, back }) -> #{ changes, tables: [name, …], ddl: [name, …] }",
            summary: "How many rows anybody but the way back changed on the source behind a position, of which tables, by the change stream itself; and what of the schema is not as logical::watch found it. Tables that are not published are not in it.",
            params: &[
                SOURCE,
                param("#{lsn}", "a position, as logical::drain answers it; since logical::watch without it"),
                SCHEMA,
                BACK,
            ],
            errors: &[UNWATCHED, KEYS, ("logical.lsn", "`lsn` is no position")],
            example: "let since = logical::changed_since(params.source, #{ lsn: done.drain.lsn });\ngate::that(\"nobody wrote\", since.changes == 0 && since.ddl.is_empty(), `${since.tables} ${since.ddl}`);",
        },
        least: 1,
        most: 2,
        run: changed_since,
    },
    Entry {
        word: Word {
            name: "logical::reverse",
            signature: "logical::reverse(source, target, #{ schema, prepare, without }) -> #{ publication, slot, subscription, lsn, took }",
            summary: "Makes the old database follow the new one, so that there is a way back without loss: before traffic is let in, with both sides equal. The forward subscription is disabled first. A heartbeat of the new database must arrive in the old one.",
            params: &[
                param("source", "the old database; a read-only default there does not stop it"),
                param("target", "the new one; its `wal_level` is logical, and the old one's server reaches it"),
                SCHEMA,
                param(
                    "#{prepare}",
                    "true before the freeze: everything is made but nothing goes back yet, which takes a tenth of a second off the window",
                ),
                param("#{without}", "what is left behind where nothing was published before, by name"),
            ],
            errors: &[NO_WAY_BACK],
            example: "step(\"back\", || logical::reverse(params.source, params.target)).undo(|made| logical::forward(params.source, params.target));",
        },
        least: 2,
        most: 3,
        run: reverse,
    },
    Entry {
        word: Word {
            name: "logical::forward",
            signature: "logical::forward(source, target, #{ schema }) -> #{ subscription }",
            summary: "Takes logical::reverse back: its stream is removed, and the target follows the source again. Only while nobody has written to the target; for a freeze that did not hold.",
            params: &[SOURCE, TARGET, SCHEMA],
            errors: &[("logical.none", "there is no forward subscription")],
            example: "step(\"back\", || logical::reverse(params.source, params.target)).undo(|made| logical::forward(params.source, params.target));",
        },
        least: 2,
        most: 3,
        run: forward,
    },
    Entry {
        word: Word {
            name: "logical::retire",
            signature: "logical::retire(source, target, #{ schema }) -> #{ removed }",
            summary: "After the flip: removes the forward subscription and its slot, which would keep the old server from removing WAL for ever. The way back stays, and so does what logical::changed_since reads; have logical::gather move that on.",
            params: &[SOURCE, TARGET, SCHEMA],
            errors: &[("logical.not-ours", "the run that made it is not over")],
            example: "step(\"retire\", || logical::retire(params.source, params.target));",
        },
        least: 2,
        most: 3,
        run: retire,
    },
];

fn watch(call: &Call<'_>) -> Answer {
    let source = call.text(0)?;
    let options = call.options(1, &["schema", "back"])?;
    let shown = title(&format!("watch what changes in {source}"));
    let writes = vec![server(&source)];
    let request = LogicalWatch { source, schema: options.handle("schema")?, back: options.flag("back")? };
    call.give(&call.perform(Action::change(LogicalWatch::WORD, &request, shown, Recovery::Provable, writes))?)
}

fn gather(call: &Call<'_>) -> Answer {
    let source = call.text(0)?;
    let options = call.options(1, &["schema", "back"])?;
    let shown = title(&format!("read what changed in {source}"));
    let writes = vec![server(&source)];
    let request = LogicalGather { source, schema: options.handle("schema")?, back: options.flag("back")? };
    call.give(&call.perform(Action::change(LogicalGather::WORD, &request, shown, Recovery::Repeatable, writes))?)
}

fn compare(call: &Call<'_>) -> Answer {
    let (source, target) = (call.text(0)?, call.text(1)?);
    let options = call.options(2, &["schema", "back", "connections"])?;
    let shown = title(&format!("compare {source} and {target} while they change"));
    let mut writes = vec![server(&source)];
    // It flushes the target's WAL, which changes none of its data.
    writes.push(server(&target));
    let reads = vec![Resource::database(&source), Resource::database(&target)];
    let (schema, back) = (options.handle("schema")?, options.flag("back")?);
    let connections = connections(options.whole("connections")?);
    let request = LogicalCompare { source, target, schema, back, connections };
    let mut action = Action::change(LogicalCompare::WORD, &request, shown, Recovery::Repeatable, writes);
    action.reads = reads;
    call.give(&call.perform(action)?)
}

fn compare_changed(call: &Call<'_>) -> Answer {
    let (source, target) = (call.text(0)?, call.text(1)?);
    let options = call.options(2, &["schema", "back", "counts", "limit", "connections"])?;
    let shown = title(&format!("compare what changed in {source} and {target}"));
    let reads = both(&source).into_iter().chain(both(&target)).collect();
    let request = LogicalCompareChanged {
        source,
        target,
        schema: options.handle("schema")?,
        back: options.flag("back")?,
        counts: if options.given("counts").is_some() { options.flag("counts")? } else { true },
        limit: options.seconds("limit")?.unwrap_or(5.0),
        connections: connections(options.whole("connections")?),
    };
    call.give(&call.perform(Action::read(LogicalCompareChanged::WORD, &request, shown, reads))?)
}

fn connections(given: Option<u64>) -> usize {
    given.and_then(|given| usize::try_from(given).ok()).unwrap_or(2).clamp(1, 64)
}

fn changed_since(call: &Call<'_>) -> Answer {
    let source = call.text(0)?;
    let options = call.options(1, &["lsn", "schema", "back"])?;
    let shown = title(&format!("who wrote to {source} since"));
    let reads = both(&source).to_vec();
    let (schema, back) = (options.handle("schema")?, options.flag("back")?);
    let request = LogicalChangedSince { source, schema, back, lsn: options.handle("lsn")? };
    call.give(&call.perform(Action::read(LogicalChangedSince::WORD, &request, shown, reads))?)
}

fn reverse(call: &Call<'_>) -> Answer {
    let (source, target) = (call.text(0)?, call.text(1)?);
    let options = call.options(2, &["schema", "without", "prepare"])?;
    let prepare = options.flag("prepare")?;
    let shown =
        if prepare { format!("prepare {source} to follow {target}") } else { format!("have {source} follow {target}") };
    let shown = title(&shown);
    let writes = vec![server(&target), server(&source)];
    let without = options.texts("without")?.unwrap_or_default();
    let request = LogicalReverse { target, source, schema: options.handle("schema")?, without, prepare };
    call.give(&call.perform(Action::change(LogicalReverse::WORD, &request, shown, Recovery::Repeatable, writes))?)
}

fn forward(call: &Call<'_>) -> Answer {
    let (source, target) = (call.text(0)?, call.text(1)?);
    let options = call.options(2, &["schema"])?;
    let shown = title(&format!("have {target} follow {source} again"));
    let writes = both(&target).into_iter().chain([server(&source)]).collect();
    let request = LogicalForward { target, source, schema: options.handle("schema")? };
    call.give(&call.perform(Action::change(LogicalForward::WORD, &request, shown, Recovery::Repeatable, writes))?)
}

fn retire(call: &Call<'_>) -> Answer {
    let (source, target) = (call.text(0)?, call.text(1)?);
    let options = call.options(2, &["schema"])?;
    let shown = title(&format!("{target} never follows {source} again"));
    let writes = both(&target).into_iter().chain([server(&source)]).collect();
    let request = LogicalRetire { target, source, schema: options.handle("schema")? };
    call.give(&call.perform(Action::change(LogicalRetire::WORD, &request, shown, Recovery::Repeatable, writes))?)
}
