//! `pg::recover` and its kin: an earlier moment of a database beside it, and rows taken from there.

use serde_json::json;

use super::call::{Answer, Error, title};
use super::{Call, Entry, Word, param};
use crate::model::Value;
use crate::model::action::{Action, Recovery, Resource};
use crate::model::request::Request;
use crate::model::request::recovery::{
    Moment, PgCopyRows, PgDropRecovered, PgDropStaging, PgRecover, PgRecoveryWindow, PgStaging, PgSweepRecovered,
};
use crate::model::unknown;

/// The resource of all recovered servers of a project.
const RECOVERED: &str = "recovered";

pub(crate) const WORDS: &[Entry] = &[
    Entry {
        word: Word {
            name: "pg::recovery_window",
            signature: "pg::recovery_window(target) -> #{ from, to, by, bases, bytes, now }",
            summary: "From when to when a target can be recovered from its base backup and archived WAL, RFC 3339. `from` is one second after the oldest backup was finished; `to` is now where the live server can have its current segment archived, else the last archived one, `()` where nobody can say; `by` says which.",
            params: &[param("target", "a target with `[targets.X.recovery]`")],
            errors: &[
                ("recover.none", "the target has no recovery table"),
                ("recover.base", "what `base` names is no base backup that can be used"),
                ("recover.other-system", "it is a backup of another server"),
            ],
            example: "let window = pg::recovery_window(params.source);",
        },
        least: 1,
        most: 1,
        run: window,
    },
    Entry {
        word: Word {
            name: "pg::recover",
            signature: "pg::recover(target, #{ at | lsn | name }) -> #{ target: \"TARGET:pit_…\", at, lsn, base }",
            summary: "Starts a throw-away server on loopback with a copy of the target's base backup, recovers it to a moment, and leaves it standing there, to be read only. It archives nothing, replicates nothing, and starts no workers; roles and passwords are those of then (SCRAM only). `target` goes wherever a target goes that is only read; `at` and `lsn` say what was really reached: the last commit, and its position. A live server that is up is made to archive its current segment first.",
            params: &[
                param(
                    "target",
                    "a target with `[targets.X.recovery]`: base, restore_command, and perhaps bin, folder, preload",
                ),
                param(
                    "#{at}",
                    "a time with its zone: everything committed until then; or whatever a parameter of kind moment(…) gives",
                ),
                param("#{lsn}", "a position of the WAL: everything up to the record that ends there"),
                param("#{name}", "what pg_create_restore_point was given"),
            ],
            errors: &[
                ("recover.before", "the moment is before the oldest base backup was finished"),
                ("recover.future", "the moment has not come yet"),
                ("recover.beyond", "the archive ends before the moment"),
                ("recover.space", "the disk has no room for a copy"),
                ("recover.archive", "the live server does not get its current segment into the archive"),
                ("recover.programs", "there is no PostgreSQL server of the backup's version here"),
                ("recover.failed", "the server ended for another reason, with the last lines it said"),
            ],
            example: "step(\"copy\", || pg::recover(params.source, #{ at: params.at })).cleanup(|made| pg::drop_recovered(made));",
        },
        least: 2,
        most: 2,
        run: recover,
    },
    Entry {
        word: Word {
            name: "pg::drop_recovered",
            signature: "pg::drop_recovered(made) -> #{ dropped }",
            summary: "Ends a server that this very run recovered, and removes its files. One that is gone already is fine; any other is refused.",
            params: &[param(
                "made",
                "what pg::recover answered, or its `target`; nothing where it never came to an answer",
            )],
            errors: &[("recover.not-ours", "another run made it"), ("target.not-made", "it is a configured target")],
            example: "step(\"copy\", || pg::recover(params.source, #{ at: params.at })).cleanup(|made| pg::drop_recovered(made));",
        },
        least: 1,
        most: 1,
        run: drop_recovered,
    },
    Entry {
        word: Word {
            name: "pg::sweep_recovered",
            signature: "pg::sweep_recovered(#{ own }) -> #{ dropped: [name, …], kept: [#{ name, why }, …] }",
            summary: "Ends and removes the recovered servers that finished runs of this project left, or, with `own`, all that this very run made.",
            params: &[param("#{own}", "true for those of this run, as a cleanup does")],
            errors: &[],
            example: "step(\"find\", || pg::sweep_recovered()).cleanup(|| pg::sweep_recovered(#{ own: true }));",
        },
        least: 0,
        most: 1,
        run: sweep_recovered,
    },
    Entry {
        word: Word {
            name: "pg::staging",
            signature: "pg::staging(target) -> text, the name of the schema",
            summary: "Makes an empty schema of the run's own in a target, for rows on their way into its tables. It carries the run's stamp and is found again by it, whatever is killed when.",
            params: &[param("target", "its role needs CREATE on the database")],
            errors: &[
                ("staging.exists", "there is a schema of that name that the run did not make"),
                ("sql.42501", "the role may not create schemas"),
            ],
            example: "step(\"staging\", || pg::staging(params.app)).cleanup(|| pg::drop_staging(params.app));",
        },
        least: 1,
        most: 1,
        run: staging,
    },
    Entry {
        word: Word {
            name: "pg::drop_staging",
            signature: "pg::drop_staging(target) -> #{ dropped: [name, …] }",
            summary: "Drops the schemas that this run made in a target, and those that finished runs of this project left there, with everything in them. Others are left alone.",
            params: &[param("target", "where pg::staging made them")],
            errors: &[],
            example: "step(\"staging\", || pg::staging(params.app)).cleanup(|| pg::drop_staging(params.app));",
        },
        least: 1,
        most: 1,
        run: drop_staging,
    },
    Entry {
        word: Word {
            name: "pg::copy_rows",
            signature: "pg::copy_rows(from, to, #{ table, into, where, args }) -> #{ schema, table, rows, columns, generated }",
            summary: "Streams rows of a table of one target into a table of the same columns in a schema that pg::staging made in another, in one transaction; done again, it begins anew. Generated columns are left out and named.",
            params: &[
                param("from", "target that is read, such as what pg::recover answered"),
                param("to", "target with the schema"),
                param("#{table}", "`schema.table`, or #{ schema, name } where a name has a dot in it"),
                param("#{into}", "what pg::staging answered"),
                param("#{where}", "SQL condition, as a literal or sql::raw; all rows without it"),
                param("#{args}", "values of its placeholders"),
            ],
            errors: &[
                ("copy.table", "there is no such table with columns on that side"),
                ("staging.not-ours", "`into` is no schema that this run made"),
            ],
            example: "pg::copy_rows(done.copy.target, params.app, #{ table: \"public.orders\", into: done.staging, where: \"id > {{ last }}\", args: #{ last: 7 } });",
        },
        least: 3,
        most: 3,
        run: copy_rows,
    },
];

fn window(call: &Call<'_>) -> Answer {
    let target = call.text(0)?;
    let shown = title(&format!("from when to when {target} can be recovered"));
    let reads = vec![Resource::server(&target)];
    let request = PgRecoveryWindow { target };
    call.give(&call.perform(Action::read(PgRecoveryWindow::WORD, &request, shown, reads))?)
}

fn recover(call: &Call<'_>) -> Answer {
    let target = call.text(0)?;
    let options = call.options(1, &["at", "lsn", "name"])?;
    let given = [
        options.text("at")?.map(moment),
        options.text("lsn")?.map(Moment::Lsn),
        options.text("name")?.map(Moment::Name),
    ];
    let mut given = given.into_iter().flatten();
    let (Some(moment), None) = (given.next(), given.next()) else {
        return Err(call.misuse("give one of `at`, `lsn` and `name`"));
    };
    let shown = title(&format!("{target} as it was at {moment}"));
    let request = PgRecover { target: target.clone(), moment };
    let writes = vec![Resource::new(RECOVERED)];
    let mut action = Action::change(PgRecover::WORD, &request, shown, Recovery::Provable, writes);
    action.reads = vec![Resource::database(&target)];
    call.give(&call.perform(action)?)
}

/// A moment as a parameter of that kind gives it.
fn moment(text: String) -> Moment {
    match text.strip_prefix("name:") {
        Some(name) => Moment::Name(name.to_owned()),
        None if text.contains('/') => Moment::Lsn(text),
        None => Moment::At(text),
    }
}

/// What a step made, as the name of a target; nothing where it made nothing.
fn made(call: &Call<'_>) -> Result<Option<String>, Error> {
    match call.value(0)? {
        Value::Null => Ok(None),
        Value::Object(map) => match map.get("target") {
            Some(Value::String(target)) => Ok(Some(target.clone())),
            _ => Err(call.misuse("`made` must be what pg::recover answered")),
        },
        _ => call.text(0).map(Some),
    }
}

fn drop_recovered(call: &Call<'_>) -> Answer {
    let Some(made) = made(call)? else { return call.give(&json!({ "dropped": false })) };
    let shown = title(&format!("drop {}", unknown::readable(&made)));
    let request = PgDropRecovered { made };
    let writes = vec![Resource::new(RECOVERED)];
    call.give(&call.perform(Action::change(PgDropRecovered::WORD, &request, shown, Recovery::Repeatable, writes))?)
}

fn sweep_recovered(call: &Call<'_>) -> Answer {
    let own = call.options(0, &["own"])?.flag("own")?;
    let shown = if own { "drop the recovered servers of this run" } else { "sweep recovered servers of finished runs" };
    let request = PgSweepRecovered { own };
    let writes = vec![Resource::new(RECOVERED)];
    call.give(&call.perform(Action::change(PgSweepRecovered::WORD, &request, shown, Recovery::Repeatable, writes))?)
}

fn staging(call: &Call<'_>) -> Answer {
    let target = call.text(0)?;
    let shown = title(&format!("a staging schema in {target}"));
    let writes = vec![Resource::database(&target)];
    let request = PgStaging { target };
    call.give(&call.perform(Action::change(PgStaging::WORD, &request, shown, Recovery::Provable, writes))?)
}

fn drop_staging(call: &Call<'_>) -> Answer {
    let target = call.text(0)?;
    let shown = title(&format!("drop this run's staging schemas in {target}"));
    let writes = vec![Resource::database(&target)];
    let request = PgDropStaging { target };
    call.give(&call.perform(Action::change(PgDropStaging::WORD, &request, shown, Recovery::Repeatable, writes))?)
}

fn copy_rows(call: &Call<'_>) -> Answer {
    let (from, to) = (call.text(0)?, call.text(1)?);
    let options = call.options(2, &["table", "into", "where", "args"])?;
    let table = options.value("table")?.unwrap_or_default();
    let named = match &table {
        Value::String(text) => text.split_once('.').filter(|(_, name)| !name.contains('.')),
        Value::Object(map) => map.get("schema").and_then(Value::as_str).zip(map.get("name").and_then(Value::as_str)),
        _ => None,
    };
    let (schema, name) = named.ok_or_else(|| {
        call.misuse("option `table` must be `schema.table`, or #{ schema, name } where a name has a dot in it")
    })?;
    let into = options.text("into")?.ok_or_else(|| call.misuse("option `into` must be what pg::staging answered"))?;
    let (condition, raw) = match options.given("where") {
        None => (None, None),
        Some(condition) => {
            let values = options.value("args")?.unwrap_or_else(|| json!({}));
            let mut rendered = call.sql_of(&condition, &values)?;
            match (rendered.statements.pop(), rendered.statements.is_empty()) {
                (Some(only), true) => (Some(only.sql), rendered.raw),
                _ => return Err(call.misuse("option `where` must be one condition")),
            }
        }
    };
    let shown = title(&format!("rows of {schema}.{name} from {from} into {into} on {to}"));
    let writes = vec![Resource::database(&to)];
    let request =
        PgCopyRows { from: from.clone(), to, schema: schema.to_owned(), table: name.to_owned(), into, condition, raw };
    let mut action = Action::change(PgCopyRows::WORD, &request, shown, Recovery::Repeatable, writes);
    action.reads = vec![Resource::database(&from)];
    call.give(&call.perform(action)?)
}
