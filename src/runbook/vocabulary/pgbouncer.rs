//! `pgbouncer::…`: the pooler before a database, through its admin console.

use super::call::{Answer, title};
use super::{Call, Entry, Word, files, param};
use crate::model::action::{Action, Recovery, Resource};
use crate::model::request::Request;
use crate::model::request::pgbouncer::{
    PgbouncerPause, PgbouncerPoint, PgbouncerReconnect, PgbouncerReload, PgbouncerResume, PgbouncerShow,
};

/// What may be shown: of `SHOW FDS` a password could be read.
const SHOWN: [&str; 16] = [
    "DATABASES",
    "POOLS",
    "CLIENTS",
    "SERVERS",
    "SOCKETS",
    "ACTIVE_SOCKETS",
    "LISTS",
    "USERS",
    "STATS",
    "STATS_TOTALS",
    "STATS_AVERAGES",
    "TOTALS",
    "CONFIG",
    "MEM",
    "VERSION",
    "STATE",
];

const DATABASE: super::Param = param("database", "the name that clients connect to, as SHOW DATABASES lists it");
const NO_DATABASE: (&str, &str) = ("pgbouncer.database", "the pooler knows no database of that name");
pub(super) const NOT_CONFIGURED: (&str, &str) = ("pgbouncer.config", "there is no `[pgbouncer]` with an `admin_url`");

pub(crate) const WORDS: &[Entry] = &[
    Entry {
        word: Word {
            name: "pgbouncer::show",
            signature: "pgbouncer::show(what) -> [#{ column: value, … }, …]",
            summary: "One of the tables that the admin console of PgBouncer shows.",
            params: &[param("what", "DATABASES, POOLS, CLIENTS, SERVERS, CONFIG, STATS, …, as after SHOW")],
            errors: &[NOT_CONFIGURED],
            example: "let pools = pgbouncer::show(\"POOLS\");",
        },
        least: 1,
        most: 1,
        run: show,
    },
    Entry {
        word: Word {
            name: "pgbouncer::pause",
            signature: "pgbouncer::pause(database, #{ limit, attempts }) -> #{ attempts }",
            summary: "Makes the clients of a database wait once their transactions are over, and proves that nobody is at work. An attempt that takes longer than `limit` is given up, the clients go on, and after a moment it is tried again. Nobody resumes for a run that dies while clients wait: in a cutover give `pooler` to freeze::arm, which pauses under a watchdog.",
            params: &[
                DATABASE,
                param("#{limit}", "longest a client may take to end its transaction, an attempt; 2s without it"),
                param("#{attempts}", "how often it is tried; 3 without it"),
            ],
            errors: &[
                ("pgbouncer.busy", "somebody stayed in a transaction, and is named; clients go on"),
                ("pgbouncer.session", "it pools sessions, so that a PAUSE would never come to its end"),
                ("pgbouncer.unpaused", "PAUSE was answered, but the pooler does not show the database as paused"),
                NO_DATABASE,
                NOT_CONFIGURED,
            ],
            example: "pgbouncer::pause(\"app\", #{ limit: \"2s\", attempts: 3 });",
        },
        least: 1,
        most: 2,
        run: pause,
    },
    Entry {
        word: Word {
            name: "pgbouncer::resume",
            signature: "pgbouncer::resume(database) -> #{ resumed }",
            summary: "Lets the clients of a database go on, and proves it. One that is not paused is fine; `resumed` says whether it was.",
            params: &[DATABASE],
            errors: &[("pgbouncer.paused", "it is still paused afterwards"), NO_DATABASE, NOT_CONFIGURED],
            example: "pgbouncer::resume(\"app\");",
        },
        least: 1,
        most: 1,
        run: resume,
    },
    Entry {
        word: Word {
            name: "pgbouncer::reload",
            signature: "pgbouncer::reload()",
            summary: "Has the pooler read its configuration again.",
            params: &[],
            errors: &[NOT_CONFIGURED],
            example: "pgbouncer::reload();",
        },
        least: 0,
        most: 0,
        run: reload,
    },
    Entry {
        word: Word {
            name: "pgbouncer::reconnect",
            signature: "pgbouncer::reconnect(database)",
            summary: "Has the pooler make its connections to the server anew, each once it is free: sessions from before a change of server, role or setting go.",
            params: &[DATABASE],
            errors: &[NO_DATABASE, NOT_CONFIGURED],
            example: "pgbouncer::reconnect(\"app\");",
        },
        least: 1,
        most: 1,
        run: reconnect,
    },
    Entry {
        word: Word {
            name: "pgbouncer::point",
            signature: "pgbouncer::point(database, target, #{ config, ssh }) -> #{ database, host, port, dbname, changed }",
            summary: "Leads a database of the pooler to another server: its line below [databases] is rewritten, every other byte of the file kept, the file before kept as PATH.previous, the configuration reloaded, and what SHOW DATABASES says compared. Role and password are replaced where the line has them. Clients are neither paused nor resumed.",
            params: &[
                DATABASE,
                param("target", "target whose direct host, port and database it is to lead to"),
                param("#{config}", "path of the pooler's configuration file; owner and mode are kept"),
                param("#{ssh}", "host on which the file lies: user@host"),
            ],
            errors: &[
                ("pgbouncer.line", "the file has no line of its own for the database, or several"),
                ("pgbouncer.file", "the file cannot be replaced with its owner and mode"),
                ("pgbouncer.not-read", "the pooler does not show what the file says"),
                NO_DATABASE,
                NOT_CONFIGURED,
            ],
            example: "pgbouncer::point(\"app\", params.target, #{ config: \"/etc/pgbouncer/pgbouncer.ini\" });",
        },
        least: 3,
        most: 3,
        run: point,
    },
];

/// The resource of one database at the pooler, or of all.
pub(super) fn resource(database: Option<&str>) -> Resource {
    Resource::new(database.map_or_else(|| "pgbouncer".to_owned(), |name| format!("pgbouncer/{name}")))
}

fn change(word: &str, request: &impl serde::Serialize, shown: &str, database: Option<&str>) -> Action {
    Action::change(word, request, title(shown), Recovery::Repeatable, vec![resource(database)])
}

fn show(call: &Call<'_>) -> Answer {
    let what = call.text(0)?.trim().to_uppercase();
    if !SHOWN.contains(&what.as_str()) {
        return Err(call.misuse(format!("`what` is one of {}", SHOWN.join(", "))));
    }
    let shown = title(&format!("{what} of PgBouncer"));
    let request = PgbouncerShow { what };
    call.give(&call.perform(Action::read(PgbouncerShow::WORD, &request, shown, vec![resource(None)]))?)
}

fn pause(call: &Call<'_>) -> Answer {
    let database = call.text(0)?;
    let options = call.options(1, &["limit", "attempts"])?;
    let limit = options.seconds("limit")?.unwrap_or(2.0);
    let attempts = options.whole("attempts")?.unwrap_or(3);
    if limit <= 0.0 || attempts == 0 {
        return Err(call.misuse("`limit` and `attempts` must be more than nothing"));
    }
    let request = PgbouncerPause { database, limit, attempts: u32::try_from(attempts).unwrap_or(u32::MAX) };
    let shown = format!("pause {} at the pooler", request.database);
    call.give(&call.perform(change(PgbouncerPause::WORD, &request, &shown, Some(&request.database)))?)
}

fn resume(call: &Call<'_>) -> Answer {
    let request = PgbouncerResume { database: call.text(0)? };
    let shown = format!("resume {} at the pooler", request.database);
    call.give(&call.perform(change(PgbouncerResume::WORD, &request, &shown, Some(&request.database)))?)
}

fn reload(call: &Call<'_>) -> Answer {
    call.give(&call.perform(change(PgbouncerReload::WORD, &PgbouncerReload {}, "reload the pooler", None))?)
}

fn reconnect(call: &Call<'_>) -> Answer {
    let request = PgbouncerReconnect { database: call.text(0)? };
    let shown = format!("reconnect {} at the pooler", request.database);
    call.give(&call.perform(change(PgbouncerReconnect::WORD, &request, &shown, Some(&request.database)))?)
}

fn point(call: &Call<'_>) -> Answer {
    let (database, target) = (call.text(0)?, call.text(1)?);
    let options = call.options(2, &["config", "ssh"])?;
    let config =
        options.text("config")?.ok_or_else(|| call.misuse("option `config` must be the path of the pooler's file"))?;
    let request = PgbouncerPoint { database, target, config, ssh: options.text("ssh")? };
    let shown = format!("lead {} at the pooler to {}", request.database, request.target);
    let mut action = change(PgbouncerPoint::WORD, &request, &shown, Some(&request.database));
    action.writes.extend(files::resource(&files::elsewhere(request.ssh.as_ref(), &request.config)));
    call.give(&call.perform(action)?)
}
