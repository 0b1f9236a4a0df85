//! `pg::dump`, `pg::restore` and what belongs to them: copies of whole databases.

use super::call::{Answer, Error, title};
use super::{Call, Entry, Word, param};
use crate::model::action::{Action, Recovery, Resource};
use crate::model::request::Request;
use crate::model::request::copying::{
    PgAnalyze, PgArtefact, PgCopySchema, PgDropDump, PgDump, PgRestore, PgSabotage, Seal,
};
use crate::model::{Value, unknown};

/// Tables at once where nothing is said.
const JOBS: u64 = 4;

/// More would only get in each other's way.
const MOST_JOBS: u64 = 64;

/// Where the dumps of runs lie, as a resource.
const DUMPS: &str = "file/dumps";

pub(crate) const WORDS: &[Entry] = &[
    Entry {
        word: Word {
            name: "pg::dump",
            signature: "pg::dump(target, #{ jobs, count, compress }) -> #{ path, bytes, tables, rows, at, database, server, tool, compression, measured, digest, … }",
            summary: "Dumps a database by pg_dump, in directory format, into a folder of this run that only its owner may enter. A session of its own exports the snapshot; with `count` every row is counted and hashed at that same snapshot while the dump goes on. Owners, privileges and subscriptions are left out. Cut off, it is done again as a whole.",
            params: &[
                param("target", "what is dumped, by its direct URL; only read. A standby will do"),
                param("#{jobs}", "tables dumped at once; 4 without it"),
                param("#{count}", "true if rows are counted and hashed, so that a copy can be proved against the dump"),
                param(
                    "#{compress}",
                    "\"auto\" (the fastest that fits), \"none\", \"gzip:1\", and from pg_dump 16 on \"lz4\" and \"zstd\"",
                ),
            ],
            errors: &[
                ("tool.missing", "there is no pg_dump"),
                ("tool.old", "it is older than the server"),
                ("disk.full", "the disk has or had no room"),
                ("target.pooled", "the target is reached through a pooler"),
                ("dump.lost", "pg_dump ended well, but left something out"),
                ("dump.failed", "what pg_dump said"),
            ],
            example: "step(\"dump\", || pg::dump(params.source, #{ jobs: 4, count: true })).cleanup(|made| pg::drop_dump(made));",
        },
        least: 1,
        most: 2,
        run: dump,
    },
    Entry {
        word: Word {
            name: "pg::artefact",
            signature: "pg::artefact(path, #{ may_be_empty }) -> #{ path, bytes, tables, at, database, server, tool, format, modified, age, sha256, … }",
            summary: "Describes a dump that somebody made: an archive of pg_dump -Fc, a folder of pg_dump -Fd, or a folder of such dumps, of which the newest is taken, as it is now. `age` is in seconds. Nothing there, or nothing in it, is an error.",
            params: &[
                param("path", "file or folder, relative to the project"),
                param("#{may_be_empty}", "true if a dump without a table is as it should be"),
            ],
            errors: &[
                ("artefact.missing", "there is no such path"),
                ("artefact.empty", "no dump in the folder, or no table in the dump"),
                ("artefact.plain", "plain SQL, or something compressed"),
                ("artefact.broken", "pg_restore cannot read it"),
            ],
            example: "let backup = pg::artefact(\"/var/backups/app\"); gate::that(\"backup is of today\", backup.age < 86400, `${backup.age} s`);",
        },
        least: 1,
        most: 2,
        run: artefact,
    },
    Entry {
        word: Word {
            name: "pg::restore",
            signature: "pg::restore(made, dump, #{ jobs, accept, analyze }) -> #{ database, tables, warnings, left_out, analyzed, tool }",
            summary: "Restores a dump by pg_restore into a database that this run made, or into a target that it claimed by pg::control(…, #{ empty: true }), and only there. The dump must still be what it was when it was described. Owners, privileges, tablespaces, publications and subscriptions are left out, comments on extensions of another role are left out and named; any error, and any warning that lost something, is a failure. Done again, it begins with an empty database.",
            params: &[
                param("made", "what pg::scratch answered, or a target that this run claimed"),
                param("dump", "what pg::dump, pg::artefact or pg::sabotage answered"),
                param("#{jobs}", "tables and indexes restored at once; 4 without it"),
                param("#{accept}", "event triggers that may be left out if the role may not make any"),
                param("#{analyze}", "whether every table is analyzed afterwards; a claimed target's are without it"),
            ],
            errors: &[
                ("scratch.not-ours", "this run did not make the database"),
                ("scratch.gone", "somebody dropped the database"),
                ("dump.gone", "somebody removed the dump"),
                ("artefact.changed", "the dump is not what it was"),
                ("artefact.broken", "the dump is cut off or damaged"),
                ("target.not-made", "it is a configured target that this run has not claimed"),
                ("control.not-claimed", "the target was not empty, or has been released"),
                ("restore.right", "the role may not make the event triggers of the dump"),
                ("extension.missing", "the server lacks an extension that the dump needs"),
                ("restore.lost", "pg_restore ended well, but left something out"),
                ("restore.failed", "what pg_restore said"),
                ("tool.missing", "there is no pg_restore"),
                ("tool.old", "it is older than the server or than the dump"),
                ("disk.full", "the server's disk has no room"),
            ],
            example: "step(\"restore\", || pg::restore(done.scratch, done.dump, #{ jobs: 4 }));",
        },
        least: 2,
        most: 3,
        run: restore,
    },
    Entry {
        word: Word {
            name: "pg::copy_schema",
            signature: "pg::copy_schema(source, target, #{ jobs, accept }) -> #{ database, objects, warnings, left_out, tool }",
            summary: "Copies everything of a database but its rows (tables, indexes, constraints, triggers, views, functions, extensions) into a target that this run claimed by pg::control(…, #{ empty: true }), or into a database that it made. Left out as by pg::restore, and so are the schemas of runs. Materialised views come unpopulated, and sequences stand at their beginning. Done again, it begins with an empty database.",
            params: &[
                param("source", "target that is read"),
                param("target", "target that this run claimed, or what pg::scratch answered"),
                param("#{jobs}", "objects made at once; 4 without it"),
                param("#{accept}", "event triggers that may be left out if the role may not make any"),
            ],
            errors: &[
                ("target.not-made", "it is a configured target that this run has not claimed"),
                ("control.not-claimed", "the target was not empty, or has been released"),
                ("scratch.not-ours", "this run did not make the database"),
                ("restore.right", "the role may not make the event triggers of the source"),
                ("extension.missing", "the server lacks an extension that the source has"),
                ("restore.failed", "what pg_restore said"),
                ("tool.missing", "there is no pg_dump or pg_restore"),
                ("tool.old", "it is older than a server"),
            ],
            example: "step(\"schema\", || pg::copy_schema(params.source, params.target, #{ jobs: 4 }));",
        },
        least: 2,
        most: 3,
        run: copy_schema,
    },
    Entry {
        word: Word {
            name: "pg::analyze",
            signature: "pg::analyze(target, #{ jobs }) -> #{ tables }",
            summary: "Has the server look at every table anew that the role owns, the biggest first, so that its planner knows what a copy brought. Schemas of runs are left out.",
            params: &[param("target", "the target"), param("#{jobs}", "tables at once; 4 without it")],
            errors: &[],
            example: "step(\"analyze\", || pg::analyze(params.target, #{ jobs: 4 }));",
        },
        least: 1,
        most: 2,
        run: analyze,
    },
    Entry {
        word: Word {
            name: "pg::sabotage",
            signature: "pg::sabotage(dump) -> dump",
            summary: "The negative control: a copy of an uncompressed dump in directory format in which the biggest table lacks one row, such that it restores without a complaint and only a proof of its rows can notice. The dump itself stays whole.",
            params: &[param("dump", "what pg::dump or pg::artefact answered")],
            errors: &[
                ("sabotage.format", "a compressed dump, or one that is not in directory format"),
                ("sabotage.empty", "no table has a row that could be missing"),
            ],
            example: "step(\"broken\", || pg::sabotage(done.dump)).cleanup(|made| pg::drop_dump(made));",
        },
        least: 1,
        most: 1,
        run: sabotage,
    },
    Entry {
        word: Word {
            name: "pg::drop_dump",
            signature: "pg::drop_dump(dump) -> #{ dropped }",
            summary: "Removes the folder of a dump that this very run made. One that is gone already is fine; any other is refused.",
            params: &[param(
                "dump",
                "what pg::dump or pg::sabotage answered; nothing where it never came to an answer",
            )],
            errors: &[("dump.not-ours", "this run did not make it")],
            example: "step(\"dump\", || pg::dump(params.source)).cleanup(|made| pg::drop_dump(made));",
        },
        least: 1,
        most: 1,
        run: drop_dump,
    },
];

/// The option `jobs`.
fn jobs(call: &Call<'_>, options: &super::call::Options<'_, '_>) -> Result<u64, Error> {
    let jobs = options.whole("jobs")?.unwrap_or(JOBS);
    match jobs {
        1..=MOST_JOBS => Ok(jobs),
        _ => Err(call.misuse(format!("option `jobs` must be from 1 to {MOST_JOBS}"))),
    }
}

fn dump(call: &Call<'_>) -> Answer {
    let target = call.text(0)?;
    let options = call.options(1, &["jobs", "count", "compress"])?;
    let request = PgDump {
        target: target.clone(),
        jobs: jobs(call, &options)?,
        count: options.flag("count")?,
        compress: options.text("compress")?.unwrap_or_else(|| "auto".to_owned()),
    };
    let shown = title(&format!("dump {target}{}", if request.count { ", counting and hashing every row" } else { "" }));
    let writes = vec![Resource::new(DUMPS)];
    let mut action = Action::change(PgDump::WORD, &request, shown, Recovery::Repeatable, writes);
    action.reads = vec![Resource::database(&target)];
    call.give(&call.perform(action)?)
}

fn artefact(call: &Call<'_>) -> Answer {
    let path = call.text(0)?;
    let may_be_empty = call.options(1, &["may_be_empty"])?.flag("may_be_empty")?;
    let shown = title(&format!("the dump at {path}"));
    let reads = vec![Resource::new(format!("file/{}", path.trim_start_matches('/')))];
    call.give(&call.perform(Action::read(PgArtefact::WORD, &PgArtefact { path, may_be_empty }, shown, reads))?)
}

/// What `pg::dump` and its kin answered; in a preview, perhaps something that is only known later.
fn description(call: &Call<'_>, index: usize) -> Result<Value, Error> {
    let value = call.value(index)?;
    if unknown::whole(&value).is_some() || value["archive"].is_string() {
        return Ok(value);
    }
    Err(call.misuse("`dump` must be what pg::dump, pg::artefact or pg::sabotage answered"))
}

/// A text of a description.
fn part(description: &Value, key: &str) -> Option<String> {
    let value = if description.is_string() { description } else { &description[key] };
    value.as_str().map(str::to_owned)
}

fn restore(call: &Call<'_>) -> Answer {
    let database = call.text(0)?;
    let dump = description(call, 1)?;
    let options = call.options(2, &["jobs", "accept", "analyze"])?;
    let (jobs, accept) = (jobs(call, &options)?, options.texts("accept")?.unwrap_or_default());
    let analyze = options.given("analyze").map(|_| options.flag("analyze")).transpose()?;
    let seal = Seal { sha256: part(&dump, "sha256"), manifest: part(&dump, "manifest") };
    let request = PgRestore {
        database: database.clone(),
        archive: part(&dump, "archive").unwrap_or_default(),
        seal,
        jobs,
        accept,
        analyze,
    };
    let shown = title(&format!("restore into {database}"));
    let writes = vec![Resource::database(&database)];
    let mut action = Action::change(PgRestore::WORD, &request, shown, Recovery::Repeatable, writes);
    action.reads = vec![Resource::new(DUMPS)];
    call.give(&call.perform(action)?)
}

fn copy_schema(call: &Call<'_>) -> Answer {
    let (source, target) = (call.text(0)?, call.text(1)?);
    let options = call.options(2, &["jobs", "accept"])?;
    let accept = options.texts("accept")?.unwrap_or_default();
    let request = PgCopySchema { source: source.clone(), target: target.clone(), jobs: jobs(call, &options)?, accept };
    let shown = title(&format!("schema of {source} into {target}"));
    let writes = vec![Resource::database(&target)];
    let mut action = Action::change(PgCopySchema::WORD, &request, shown, Recovery::Repeatable, writes);
    action.reads = vec![Resource::database(&source)];
    call.give(&call.perform(action)?)
}

fn analyze(call: &Call<'_>) -> Answer {
    let target = call.text(0)?;
    let request = PgAnalyze { target: target.clone(), jobs: jobs(call, &call.options(1, &["jobs"])?)? };
    let shown = title(&format!("analyze every table of {target}"));
    let writes = vec![Resource::database(&target)];
    call.give(&call.perform(Action::change(PgAnalyze::WORD, &request, shown, Recovery::Repeatable, writes))?)
}

fn sabotage(call: &Call<'_>) -> Answer {
    let request = PgSabotage { dump: description(call, 0)? };
    let writes = vec![Resource::new(DUMPS)];
    let shown = "SABOTAGE: a copy of the dump with one row less";
    call.give(&call.perform(Action::change(PgSabotage::WORD, &request, shown, Recovery::Repeatable, writes))?)
}

fn drop_dump(call: &Call<'_>) -> Answer {
    if call.value(0)? == Value::Null {
        return call.give(&serde_json::json!({ "dropped": false }));
    }
    let path = part(&description(call, 0)?, "path").unwrap_or_default();
    let shown = title(&format!("remove the dump {path}"));
    let writes = vec![Resource::new(DUMPS)];
    let request = PgDropDump { path };
    call.give(&call.perform(Action::change(PgDropDump::WORD, &request, shown, Recovery::Repeatable, writes))?)
}
