//! `pg::…`: whole databases, made, copied and dropped.

use std::collections::BTreeMap;

use super::call::{Answer, Error, title};
use super::{Call, Entry, Word, param};
use crate::model::Value;
use crate::model::action::{Action, Recovery, Resource};
use crate::model::request::Request;
use crate::model::request::copying::{PgAddress, PgDropScratch, PgScratch, PgSweep, PgUrl};

const MADE: super::Param = param("made", "what pg::scratch answered; nothing where it never came to an answer");

pub(crate) const WORDS: &[Entry] = &[
    Entry {
        word: Word {
            name: "pg::scratch",
            signature: "pg::scratch(server, #{ like, apart, same_server, keep }) -> text SERVER:DATABASE",
            summary: "Makes an empty database of the run's own on a server, and answers its name, which goes wherever a target goes. It is stamped with the run, closed to everybody but the role that made it, and found again by its stamp, whatever is killed when.",
            params: &[
                param("server", "target on whose server it is made; its role needs CREATEDB"),
                param(
                    "#{like}",
                    "target whose encoding and locale it gets, so that both sort alike; the server's own without it",
                ),
                param("#{apart}", "target, or list of targets, that must not lie on that server"),
                param("#{same_server}", "true if they may all the same"),
                param("#{keep}", "true if it is to outlive its run: no sweep drops it, only a person"),
            ],
            errors: &[
                ("scratch.same-server", "the server is that of a target in `apart`"),
                ("scratch.exists", "a database of that name is there that the run did not make"),
                ("sql.42501", "the role may not create databases"),
            ],
            example: "step(\"scratch\", || pg::scratch(params.server, #{ apart: params.source })).cleanup(|made| pg::drop_scratch(made));",
        },
        least: 1,
        most: 2,
        run: scratch,
    },
    Entry {
        word: Word {
            name: "pg::drop_scratch",
            signature: "pg::drop_scratch(made) -> #{ dropped }",
            summary: "Drops a database that this very run made, whoever is connected to it. One that is gone already is fine; any other is refused.",
            params: &[MADE],
            errors: &[
                ("scratch.not-ours", "this run did not make it"),
                ("target.not-made", "it is a configured target"),
            ],
            example: "step(\"scratch\", || pg::scratch(params.server)).cleanup(|made| pg::drop_scratch(made));",
        },
        least: 1,
        most: 1,
        run: drop_scratch,
    },
    Entry {
        word: Word {
            name: "pg::sweep",
            signature: "pg::sweep(server) -> #{ dropped: [name, …], kept: [#{ name, why }, …] }",
            summary: "Drops databases on a server that runs of this project made and left behind, once those runs are done, undone or abandoned. What unfinished runs and other projects made is kept, and named with the reason.",
            params: &[param("server", "target whose server is swept")],
            errors: &[("sql.42501", "the role may not drop one of them")],
            example: "step(\"sweep\", || pg::sweep(params.server));",
        },
        least: 1,
        most: 1,
        run: sweep,
    },
    Entry {
        word: Word {
            name: "pg::url",
            signature: "pg::url(target, #{ pooled, database, parameters }) -> secret",
            summary: "The direct URL of a target, also of a database that pg::scratch made, for a program that connects by itself, or with `pooled` the one that may be pooled. The script holds a handle. Parameters that are not PostgreSQL's (`schema`, `pgbouncer`) are kept.",
            params: &[
                param("target", "name of the target"),
                param("#{pooled}", "true for `url` of the target rather than `direct_url`"),
                param("#{database}", "another database of the same server"),
                param("#{parameters}", "map of what stands behind the question mark: set, or removed by `()`"),
            ],
            errors: &[("target.not-made", "a name SERVER:DATABASE of a database that no run made")],
            example: "command::run([\"migrate\"], #{ env: #{ DATABASE_URL: pg::url(done.scratch, #{ parameters: #{ schema: \"public\" } }) }, repeatable: true });",
        },
        least: 1,
        most: 2,
        run: url,
    },
    Entry {
        word: Word {
            name: "pg::address",
            signature: "pg::address(target, #{ pooled, database }) -> #{ host, port, database, user, password, ssl_mode, ca_cert }",
            summary: "The parts of a target's URL, for those who take them one by one. The password is a secret. `ssl_mode` is verify, no-verify or disable, as DB_SSL_MODE says it; `ca_cert` the PEM text of the authorities to trust, empty for the system's.",
            params: &[
                param("target", "name of the target"),
                param("#{pooled}", "true for `url` of the target rather than `direct_url`"),
                param("#{database}", "another database of the same server"),
            ],
            errors: &[("target.url", "the URL cannot be read")],
            example: "files::variables(\".env\", #{ DB_SSL_MODE: pg::address(params.target).ssl_mode });",
        },
        least: 1,
        most: 2,
        run: address,
    },
];

fn scratch(call: &Call<'_>) -> Answer {
    let server = call.text(0)?;
    let options = call.options(1, &["like", "apart", "same_server", "keep"])?;
    let request = PgScratch {
        server: server.clone(),
        like: options.text("like")?,
        apart: options.texts("apart")?.unwrap_or_default(),
        same_server: options.flag("same_server")?,
        keep: options.flag("keep")?,
    };
    let shown = title(&format!("a scratch database on {server}"));
    let writes = vec![Resource::made_on(&server)];
    let mut action = Action::change(PgScratch::WORD, &request, shown, Recovery::Provable, writes);
    action.reads = request.like.iter().chain(&request.apart).map(|target| Resource::database(target)).collect();
    call.give(&call.perform(action)?)
}

/// What a step made, as text; nothing where it made nothing.
fn made(call: &Call<'_>) -> Result<Option<String>, Error> {
    match call.value(0)? {
        Value::Null => Ok(None),
        _ => call.text(0).map(Some),
    }
}

fn drop_scratch(call: &Call<'_>) -> Answer {
    let Some(made) = made(call)? else { return call.give(&serde_json::json!({ "dropped": false })) };
    let shown = title(&format!("drop {made}"));
    let writes = vec![Resource::database(&made)];
    let request = PgDropScratch { made };
    call.give(&call.perform(Action::change(PgDropScratch::WORD, &request, shown, Recovery::Repeatable, writes))?)
}

fn sweep(call: &Call<'_>) -> Answer {
    let server = call.text(0)?;
    let shown = title(&format!("sweep leftovers of finished runs on {server}"));
    let writes = vec![Resource::made_on(&server)];
    let request = PgSweep { server };
    call.give(&call.perform(Action::change(PgSweep::WORD, &request, shown, Recovery::Repeatable, writes))?)
}

fn address(call: &Call<'_>) -> Answer {
    let target = call.text(0)?;
    let options = call.options(1, &["pooled", "database"])?;
    let shown = title(&format!("where {target} is"));
    let reads = vec![Resource::database(&target)];
    let request = PgAddress { target, pooled: options.flag("pooled")?, database: options.text("database")? };
    call.give(&call.perform(Action::read(PgAddress::WORD, &request, shown, reads))?)
}

fn url(call: &Call<'_>) -> Answer {
    let target = call.text(0)?;
    let options = call.options(1, &["pooled", "database", "parameters"])?;
    let mut parameters = BTreeMap::new();
    for (key, value) in options.value("parameters")?.iter().filter_map(Value::as_object).flatten() {
        let text = match value {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
            _ => return Err(call.misuse(format!("parameter `{key}` must be text"))),
        };
        parameters.insert(key.clone(), text);
    }
    let shown = title(&format!("the URL of {target}"));
    let reads = vec![Resource::database(&target)];
    let (pooled, database) = (options.flag("pooled")?, options.text("database")?);
    let request = PgUrl { target, pooled, database, parameters };
    call.give(&call.perform(Action::read(PgUrl::WORD, &request, shown, reads))?)
}
