//! `pg::control` and its kin: a run's own schema in a database, and whether all of that database is the run's.

use super::call::{Answer, title};
use super::{Call, Entry, Word, param};
use crate::model::action::{Action, Recovery, Resource};
use crate::model::request::Request;
use crate::model::request::control::{PgControl, PgDropControl, PgRelease};

pub(crate) const WORDS: &[Entry] = &[
    Entry {
        word: Word {
            name: "pg::control",
            signature: "pg::control(target, #{ empty, accept }) -> #{ schema, empty, kept }",
            summary: "Makes the schema in which this run keeps its own things in a database: of the same name wherever the run makes one, and with the run's stamp as its comment. What measures, compares and dumps leaves it out. With `empty` the database must hold nothing else; until pg::release the run may then restore into it, and empty it again. `kept` names what the provider of the server put there, and what was accepted.",
            params: &[
                param("target", "its role needs CREATE on the database"),
                param(
                    "#{empty}",
                    "true if nothing else may be there: no tables, types, functions, schemas, extensions, large objects",
                ),
                param("#{accept}", "extensions, schemas and event triggers that may be there all the same, and stay"),
            ],
            errors: &[
                ("control.not-empty", "something is there, and it is named"),
                ("control.not-ours", "there is a schema of that name that this run did not make"),
                ("sql.42501", "the role may not create schemas"),
            ],
            example: "step(\"claim\", || pg::control(params.target, #{ empty: true })).cleanup(|| pg::drop_control(params.target, #{ contents: true }));",
        },
        least: 1,
        most: 2,
        run: control,
    },
    Entry {
        word: Word {
            name: "pg::release",
            signature: "pg::release(target) -> #{ released }",
            summary: "Gives up the claim of pg::control(…, #{ empty: true }): from now on what is in the database belongs to whoever uses it, and this run neither restores into it nor empties it. To be said before the first user is let in. The run's schema stays.",
            params: &[param("target", "where pg::control made the run's schema")],
            errors: &[("control.none", "this run has no schema there")],
            example: "step(\"open\", || pg::release(params.target)).point_of_no_return(\"the application writes to the new side\");",
        },
        least: 1,
        most: 1,
        run: release,
    },
    Entry {
        word: Word {
            name: "pg::drop_control",
            signature: "pg::drop_control(target, #{ contents, run }) -> #{ dropped, objects }",
            summary: "Drops the run's schema with everything in it; one that is gone already, or never was, is fine. With `contents` the database is emptied first if the run's stamp says that it was empty and has not been released, and left as it is otherwise; whatever was accepted or provided stays. With `run` it is the schema of another run of this project that is over.",
            params: &[
                param("target", "where pg::control made it"),
                param("#{contents}", "true to empty the database too"),
                param("#{run}", "id of a finished run, instead of this one"),
            ],
            errors: &[
                ("control.not-ours", "there is a schema of that name that this run did not make"),
                ("control.unfinished", "that run is not over, or this project does not know it"),
                ("control.replicated", "the database still publishes or subscribes"),
                ("control.left", "something in it does not go"),
            ],
            example: "step(\"claim\", || pg::control(params.target, #{ empty: true })).cleanup(|| pg::drop_control(params.target, #{ contents: true }));",
        },
        least: 1,
        most: 2,
        run: drop_control,
    },
];

fn control(call: &Call<'_>) -> Answer {
    let target = call.text(0)?;
    let options = call.options(1, &["empty", "accept"])?;
    let request = PgControl {
        target: target.clone(),
        empty: options.flag("empty")?,
        accept: options.texts("accept")?.unwrap_or_default(),
    };
    if !request.empty && !request.accept.is_empty() {
        return Err(call.misuse("option `accept` goes with `empty: true`"));
    }
    let shown = if request.empty {
        format!("claim {target}, which must be empty")
    } else {
        format!("the run's schema in {target}")
    };
    give(call, PgControl::WORD, &request, &shown, &target)
}

fn release(call: &Call<'_>) -> Answer {
    let target = call.text(0)?;
    let request = PgRelease { target: target.clone() };
    give(call, PgRelease::WORD, &request, &format!("release {target}: what is in it is no longer the run's"), &target)
}

fn drop_control(call: &Call<'_>) -> Answer {
    let target = call.text(0)?;
    let options = call.options(1, &["contents", "run"])?;
    let request =
        PgDropControl { target: target.clone(), contents: options.flag("contents")?, run: options.handle("run")? };
    let shown = match (&request.run, request.contents) {
        (Some(_), true) => {
            return Err(call.misuse("only this run's own contents are emptied: give `contents` or `run`"));
        }
        (Some(run), false) => format!("drop the schema of {run} in {target}"),
        (None, true) => format!("empty {target} of what this run brought, and drop its schema"),
        (None, false) => format!("drop the run's schema in {target}"),
    };
    give(call, PgDropControl::WORD, &request, &shown, &target)
}

fn give(call: &Call<'_>, word: &str, request: &impl serde::Serialize, shown: &str, target: &str) -> Answer {
    let writes = vec![Resource::database(target)];
    call.give(&call.perform(Action::change(word, request, title(shown), Recovery::Repeatable, writes))?)
}
