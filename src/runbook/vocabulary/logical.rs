//! `logical::publish` and its kin: a live copy of a database by PostgreSQL's logical replication.

use super::call::{Answer, title};
use super::{Call, Entry, Param, Word, param};
use crate::model::action::{Action, Recovery, Resource};
use crate::model::request::Request;
use crate::model::request::logical::{
    LogicalArrived, LogicalBeat, LogicalCarries, LogicalDrain, LogicalProgress, LogicalPublish, LogicalRemove,
    LogicalSequences, LogicalStop, LogicalSubscribe, LogicalSweep,
};
use crate::model::target;

pub(super) const SOURCE: Param = param("source", "target that is copied, reached directly; its `wal_level` is logical");
pub(super) const TARGET: Param = param("target", "target that becomes the copy, with the same schema");
pub(super) const SCHEMA: Param =
    param("#{schema}", "the control schema of the copy; this run's own without it, else the only one there is");

pub(super) const BACK: Param =
    param("#{back}", "true for the stream back to the old database; found without, where only that one is there");

const BROKEN: (&str, &str) =
    ("logical.broken", "the copy applies nothing, with the reason: a conflict, a lost slot, a disabled subscription");
const NONE: (&str, &str) = ("logical.none", "there is no live copy by that schema");

pub(crate) const WORDS: &[Entry] = &[
    Entry {
        word: Word {
            name: "logical::carries",
            signature: "logical::carries(source) -> #{ tables, identity_full, partition_roots, generated, no_key, unlogged, foreign, matviews, of_extensions, large_objects }",
            summary: "What logical replication carries of a database, and what it does not, by name: `schema.table`. Carried: `tables`; of these, `identity_full` have no other key than the whole row. Not carried: `no_key` (a row cannot be told from another), `unlogged`, `large_objects` (how many), `foreign`, `matviews` (refresh them), `of_extensions`. `generated` are columns that the target computes for itself.",
            params: &[SOURCE],
            errors: &[],
            example: "let carries = logical::carries(params.source);\ngate::that(\"every table has a key\", carries.no_key.is_empty(), `${carries.no_key}`);",
        },
        least: 1,
        most: 1,
        run: carries,
    },
    Entry {
        word: Word {
            name: "logical::publish",
            signature: "logical::publish(source, #{ schema, without }) -> #{ publication, slot, tables: [name, …], lsn }",
            summary: "Makes publication, slot and heartbeat on the source, named after the run's control schema. From then on the source keeps all WAL until the copy has it: have `logical::remove` as undo or cleanup. What nothing carries is refused by name unless `without` names it. A slot waits for every transaction that is open, five minutes at most.",
            params: &[
                SOURCE,
                param("#{schema}", "what pg::control answered as `schema`; this run's own without it"),
                param("#{without}", "names of tables, and `large objects`, that are left behind"),
            ],
            errors: &[
                ("logical.wal-level", "the server's WAL does not say enough; it must be restarted"),
                ("logical.cannot-carry", "names what nothing carries"),
                ("logical.without", "`without` names what is not there"),
                ("logical.schema", "there is no control schema"),
                ("logical.not-ours", "another run made the control schema"),
                ("sql.57014", "a transaction stays open; the fault names it"),
            ],
            example: "step(\"publish\", || logical::publish(params.source)).undo(|made| logical::remove(params.source, params.target));",
        },
        least: 1,
        most: 2,
        run: publish,
    },
    Entry {
        word: Word {
            name: "logical::subscribe",
            signature: "logical::subscribe(source, target, #{ schema, copy: true }) -> #{ subscription }",
            summary: "Makes the subscription on the target, which copies every table and then follows the source. The target's server connects to the source's by the source's `replication_url`, else its direct URL; the password stands in the target's catalog until logical::remove, and nowhere else.",
            params: &[
                SOURCE,
                TARGET,
                SCHEMA,
                param("#{copy}", "false where the rows are there already: only what changes from the slot on comes"),
            ],
            errors: &[
                NONE,
                ("logical.slot-gone", "the slot of logical::publish is gone"),
                ("sql.42P01", "a table is missing in the target: copy the schema first"),
                ("sql.08006", "the target's server cannot reach the source"),
                ("target.replication", "the source is reached through a tunnel, and has no `replication_url`"),
            ],
            example: "step(\"follow\", || logical::subscribe(params.source, params.target));",
        },
        least: 2,
        most: 3,
        run: subscribe,
    },
    Entry {
        word: Word {
            name: "logical::progress",
            signature: "logical::progress(source, target, #{ schema, back }) -> #{ ready, tables: [#{ name, state, done, of }], lag_bytes, lag_seconds, slot: #{ name, active, wal_status, room }, failures, trouble, lost }",
            summary: "How far the copy has come. `state` is waiting, copying, catching up or following; `done` and `of` are rows, `of` as the source estimates them. `lag_seconds` is the time since the first heartbeat that has not arrived: beat now and then. `ready` once every table is followed. `trouble` is a sentence when something is wrong: a slot that was lost, a subscription that is disabled or fails again and again because somebody wrote to the target, a table whose copy fails. `lost` says that nothing but a new copy helps.",
            params: &[SOURCE, TARGET, SCHEMA, BACK],
            errors: &[NONE],
            example: "flow::wait_until(\"12h\", || logical::progress(params.source, params.target).ready);",
        },
        least: 2,
        most: 3,
        run: progress,
    },
    Entry {
        word: Word {
            name: "logical::beat",
            signature: "logical::beat(source, #{ schema, back }) -> #{ beat, lsn }",
            summary: "Writes a heartbeat into the source, which travels with everything else. Also where the database is read only by default.",
            params: &[SOURCE, SCHEMA, BACK],
            errors: &[NONE],
            example: "let beat = logical::beat(params.source).beat;",
        },
        least: 1,
        most: 2,
        run: beat,
    },
    Entry {
        word: Word {
            name: "logical::arrived",
            signature: "logical::arrived(target, beat, #{ schema, back }) -> bool",
            summary: "Whether a heartbeat has been applied by the copy, and with it everything that was committed before it.",
            params: &[TARGET, param("beat", "`beat` of what logical::beat answered"), SCHEMA, BACK],
            errors: &[NONE],
            example: "flow::wait_until(\"30s\", || logical::arrived(params.target, done.beat.beat));",
        },
        least: 2,
        most: 3,
        run: arrived,
    },
    Entry {
        word: Word {
            name: "logical::drain",
            signature: "logical::drain(source, target, #{ schema, back, limit: \"30s\" }) -> #{ lsn, took }",
            summary: "Waits until the copy has applied everything that was committed on the source until now, and has it on its disk. With writes frozen, both are then equal at `lsn`. `took` is in seconds.",
            params: &[SOURCE, TARGET, SCHEMA, BACK, param("#{limit}", "the longest it may take")],
            errors: &[
                NONE,
                BROKEN,
                ("logical.drain", "it took longer than the limit"),
                ("logical.not-ready", "tables are still being copied"),
                ("logical.slot-gone", "the slot is gone"),
            ],
            example: "step(\"drain\", || logical::drain(params.source, params.target, #{ limit: \"5s\" }));",
        },
        least: 2,
        most: 3,
        run: drain,
    },
    Entry {
        word: Word {
            name: "logical::sequences",
            signature: "logical::sequences(source, target, #{ gap: 1000000 }) -> #{ sequences, without_gap: [name, …] }",
            summary: "Sets every sequence of the target to where the source's stands, and a gap farther, never lower than it is; a step of more than one keeps its rhythm. One that nobody has used yet stays so. One that cycles, or has no room for the gap, is set without it and named in `without_gap`. Every owning column is looked at: a sequence behind it is an error.",
            params: &[SOURCE, TARGET, param("#{gap}", "numbers that are skipped, for what was given out and not seen")],
            errors: &[("logical.sequence", "one is missing in the target, or stays behind its column; by name")],
            example: "step(\"sequences\", || logical::sequences(params.source, params.target));",
        },
        least: 2,
        most: 3,
        run: sequences,
    },
    Entry {
        word: Word {
            name: "logical::stop",
            signature: "logical::stop(target, #{ schema, back }) -> #{ stopped }",
            summary: "Disables the subscription of a copy, and waits until nothing is applied any more. The source keeps its WAL until logical::remove.",
            params: &[TARGET, SCHEMA, BACK],
            errors: &[("logical.stop", "its workers do not end")],
            example: "step(\"stop\", || logical::stop(params.target));",
        },
        least: 1,
        most: 2,
        run: stop,
    },
    Entry {
        word: Word {
            name: "logical::remove",
            signature: "logical::remove(source, target, #{ schema }) -> #{ removed: [name, …] }",
            summary: "Removes everything that a live copy made on both sides: subscriptions, slots, publications, heartbeats, in either direction and whatever is half done. It is this run's copy, or that of a run that is over. A side that cannot be reached is named with the statements to type there; the other one is cleared.",
            params: &[SOURCE, TARGET, SCHEMA],
            errors: &[
                ("logical.left", "names what is left and why; done again, it removes the rest"),
                ("logical.not-ours", "the run that made it is not over"),
            ],
            example: "step(\"remove\", || logical::remove(params.source, params.target));",
        },
        least: 2,
        most: 3,
        run: remove,
    },
    Entry {
        word: Word {
            name: "logical::sweep",
            signature: "logical::sweep(target) -> #{ removed: [name, …], kept: [#{ name, why }, …] }",
            summary: "Removes what live copies of finished runs left in one database: subscriptions, slots, publications. What unfinished runs and other projects made is kept, and named with the reason.",
            params: &[param("target", "the database that is swept")],
            errors: &[],
            example: "step(\"sweep\", || logical::sweep(params.source));",
        },
        least: 1,
        most: 1,
        run: sweep,
    },
];

/// What of a copy lies in a database, and what lies on its whole server.
pub(super) fn both(target: &str) -> [Resource; 2] {
    [Resource::database(target), server(target)]
}

/// Slots and the like, on the server of a target.
pub(super) fn server(name: &str) -> Resource {
    Resource::made_on(target::base(name))
}

fn carries(call: &Call<'_>) -> Answer {
    let source = call.text(0)?;
    let shown = title(&format!("what logical replication carries of {source}"));
    let reads = vec![Resource::database(&source)];
    call.give(&call.perform(Action::read(LogicalCarries::WORD, &LogicalCarries { source }, shown, reads))?)
}

fn publish(call: &Call<'_>) -> Answer {
    let source = call.text(0)?;
    let options = call.options(1, &["schema", "without"])?;
    let shown = title(&format!("publish {source}"));
    let writes = vec![server(&source)];
    let request = LogicalPublish {
        source,
        schema: options.handle("schema")?,
        without: options.texts("without")?.unwrap_or_default(),
    };
    call.give(&call.perform(Action::change(LogicalPublish::WORD, &request, shown, Recovery::Provable, writes))?)
}

fn subscribe(call: &Call<'_>) -> Answer {
    let (source, target) = (call.text(0)?, call.text(1)?);
    let options = call.options(2, &["schema", "copy"])?;
    let copy = if options.given("copy").is_some() { options.flag("copy")? } else { true };
    let shown = title(&format!("have {target} follow {source}"));
    let writes = both(&target).into_iter().chain([server(&source)]).collect();
    let request = LogicalSubscribe { target, source: source.clone(), schema: options.handle("schema")?, copy };
    let mut action = Action::change(LogicalSubscribe::WORD, &request, shown, Recovery::Provable, writes);
    action.reads = vec![Resource::database(&source)];
    call.give(&call.perform(action)?)
}

fn progress(call: &Call<'_>) -> Answer {
    let (source, target) = (call.text(0)?, call.text(1)?);
    let options = call.options(2, &["schema", "back"])?;
    let (schema, back) = (options.handle("schema")?, options.flag("back")?);
    let shown = title(&format!("how far {target} follows {source}"));
    let reads = both(&target).into_iter().chain(both(&source)).collect();
    let request = LogicalProgress { target, source, schema, back };
    call.give(&call.perform(Action::read(LogicalProgress::WORD, &request, shown, reads))?)
}

fn beat(call: &Call<'_>) -> Answer {
    let source = call.text(0)?;
    let options = call.options(1, &["schema", "back"])?;
    let (schema, back) = (options.handle("schema")?, options.flag("back")?);
    let shown = title(&format!("a heartbeat of {source}"));
    let writes = vec![server(&source)];
    let request = LogicalBeat { source, schema, back };
    call.give(&call.perform(Action::change(LogicalBeat::WORD, &request, shown, Recovery::Repeatable, writes))?)
}

fn arrived(call: &Call<'_>) -> Answer {
    let target = call.text(0)?;
    let beat = call.value(1)?;
    if !beat.is_i64() && call.unknown(1).is_none() {
        return Err(call.misuse("`beat` must be the number `beat` of what logical::beat answered"));
    }
    let options = call.options(2, &["schema", "back"])?;
    let (schema, back) = (options.handle("schema")?, options.flag("back")?);
    let shown = title(&format!("whether a heartbeat is in {target}"));
    let reads = vec![Resource::database(&target)];
    let request = LogicalArrived { target, beat, schema, back };
    call.give(&call.perform(Action::read(LogicalArrived::WORD, &request, shown, reads))?)
}

fn drain(call: &Call<'_>) -> Answer {
    let (source, target) = (call.text(0)?, call.text(1)?);
    let options = call.options(2, &["schema", "back", "limit"])?;
    let shown = title(&format!("drain {source} into {target}"));
    let writes = vec![server(&source), server(&target), Resource::database(&target)];
    let limit = options.seconds("limit")?.unwrap_or(30.0);
    let (schema, back) = (options.handle("schema")?, options.flag("back")?);
    let request = LogicalDrain { source: source.clone(), target, schema, back, limit };
    let mut action = Action::change(LogicalDrain::WORD, &request, shown, Recovery::Repeatable, writes);
    action.reads = vec![Resource::database(&source)];
    call.give(&call.perform(action)?)
}

fn sequences(call: &Call<'_>) -> Answer {
    let (source, target) = (call.text(0)?, call.text(1)?);
    let gap = call.options(2, &["gap"])?.whole("gap")?.unwrap_or(1_000_000);
    let shown = title(&format!("sequences of {target} ahead of {source}"));
    let writes = vec![Resource::database(&target)];
    let request = LogicalSequences { source: source.clone(), target, gap };
    let mut action = Action::change(LogicalSequences::WORD, &request, shown, Recovery::Repeatable, writes);
    action.reads = vec![Resource::database(&source)];
    call.give(&call.perform(action)?)
}

fn stop(call: &Call<'_>) -> Answer {
    let target = call.text(0)?;
    let options = call.options(1, &["schema", "back"])?;
    let (schema, back) = (options.handle("schema")?, options.flag("back")?);
    let shown = title(&format!("{target} follows no more"));
    let writes = both(&target).to_vec();
    let request = LogicalStop { target, schema, back };
    call.give(&call.perform(Action::change(LogicalStop::WORD, &request, shown, Recovery::Repeatable, writes))?)
}

fn remove(call: &Call<'_>) -> Answer {
    let (source, target) = (call.text(0)?, call.text(1)?);
    let schema = call.options(2, &["schema"])?.handle("schema")?;
    let shown = title(&format!("remove the live copy of {source} in {target}"));
    let writes = both(&target).into_iter().chain(both(&source)).collect();
    let request = LogicalRemove { target, source, schema };
    call.give(&call.perform(Action::change(LogicalRemove::WORD, &request, shown, Recovery::Repeatable, writes))?)
}

fn sweep(call: &Call<'_>) -> Answer {
    let target = call.text(0)?;
    let shown = title(&format!("sweep live copies of finished runs in {target}"));
    let writes = both(&target).to_vec();
    let request = LogicalSweep { target };
    call.give(&call.perform(Action::change(LogicalSweep::WORD, &request, shown, Recovery::Repeatable, writes))?)
}
