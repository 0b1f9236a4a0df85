//! `pgbouncer::admit`, `dismiss`, `admits`: who may log in at the pooler, by its user list.

use super::call::{Answer, Error, title};
use super::pgbouncer::{NOT_CONFIGURED, resource};
use super::{Call, Entry, Word, files, param};
use crate::model::action::{Action, Recovery, Resource};
use crate::model::request::Request;
use crate::model::request::pgbouncer::{PgbouncerAdmit, PgbouncerAdmits, PgbouncerDismiss};
use crate::model::{secret, unknown};

const USER: super::Param = param("user", "the login, as clients name it");
const PASSWORD: super::Param = param("password", "its password, a secret");
const AUTH_FILE: super::Param = param("#{auth_file}", "path of the pooler's user list; owner and mode are kept");
const SSH: super::Param = param("#{ssh}", "host on which the file lies: user@host");
const BROKEN_LIST: (&str, &str) = (
    "pgbouncer.user-list",
    "PgBouncer could not read the list, which locks out everybody behind that place; nothing is written",
);
const NO_FILE: (&str, &str) = (
    "pgbouncer.file",
    "the file is not there, or cannot be replaced with its owner and mode; files.missing on another host",
);

pub(crate) const WORDS: &[Entry] = &[
    Entry {
        word: Word {
            name: "pgbouncer::admit",
            signature: "pgbouncer::admit(user, password, #{ auth_file, ssh }) -> #{ user, changed }",
            summary: "Lets a user log in at the pooler with a password: its line of the user list gets the SCRAM verifier, whatever stood there, every other byte of the file is kept, and the pooler reads it. It is the same verifier that `{{ password | scram }}` sets at a server, to the byte, without which PgBouncer cannot log in there for its clients. Clients that are logged in stay. The keys of an old password stay with PgBouncer until somebody logs in with the new one: do that at once, and `pgbouncer::reconnect` after it, or a new connection is refused and the whole pool waits for `server_login_retry`.",
            params: &[USER, PASSWORD, AUTH_FILE, SSH],
            errors: &[
                (
                    "pgbouncer.in-use",
                    "PgBouncer itself logs in at a server with that line's clear text, or this run at its console",
                ),
                BROKEN_LIST,
                NO_FILE,
                (
                    "pgbouncer.not-read",
                    "the pooler does not know the user afterwards: it reads another file, or may not read this one",
                ),
                NOT_CONFIGURED,
            ],
            example: "pgbouncer::admit(\"app_b\", params.pw, #{ auth_file: \"/etc/pgbouncer/userlist.txt\" });",
        },
        least: 3,
        most: 3,
        run: admit,
    },
    Entry {
        word: Word {
            name: "pgbouncer::dismiss",
            signature: "pgbouncer::dismiss(user, #{ auth_file, ssh }) -> #{ user, removed }",
            summary: "Lets a user log in at the pooler no more: its line of the user list goes, every other byte of the file is kept, and the pooler reads it. Clients that are logged in stay, and PgBouncer even makes new connections for them while the server takes their old password. A user without a line is fine; `removed` says whether it had one.",
            params: &[USER, AUTH_FILE, SSH],
            errors: &[
                (
                    "pgbouncer.in-use",
                    "it stands in `admin_users` or `stats_users`, or PgBouncer itself logs in at a server as it",
                ),
                BROKEN_LIST,
                NO_FILE,
                NOT_CONFIGURED,
            ],
            example: "pgbouncer::dismiss(\"app_a\", #{ auth_file: \"/etc/pgbouncer/userlist.txt\" });",
        },
        least: 2,
        most: 2,
        run: dismiss,
    },
    Entry {
        word: Word {
            name: "pgbouncer::admits",
            signature: "pgbouncer::admits(user, password, #{ auth_file, ssh }) -> bool",
            summary: "Whether a user's line of the pooler's user list has the SCRAM verifier that pgbouncer::admit would write, to the byte. They are compared without being shown: nothing of the file leaves.",
            params: &[USER, PASSWORD, AUTH_FILE, SSH],
            errors: &[BROKEN_LIST, NO_FILE, NOT_CONFIGURED],
            example: "let known = pgbouncer::admits(\"app_b\", params.pw, #{ auth_file: \"/etc/pgbouncer/userlist.txt\" });",
        },
        least: 3,
        most: 3,
        run: admits,
    },
];

fn user(call: &Call<'_>) -> Result<String, Error> {
    let user = call.text(0)?;
    let known = unknown::first(&user).is_none();
    if user.is_empty()
        || secret::contains_handle(&user)
        || (known && (user.len() > 63 || user.contains(char::is_control)))
    {
        return Err(call.misuse("`user` must be the name of a role: 1 to 63 bytes in a line"));
    }
    Ok(user)
}

/// A password, as its handle and nothing else.
fn password(call: &Call<'_>) -> Result<String, Error> {
    let password = call.text(1)?;
    if secret::whole(&password).is_none() && unknown::first(&password).is_none() {
        return Err(call.misuse("`password` must be a secret: a parameter `secret(…)`, env(…) or random::password(…)"));
    }
    Ok(password)
}

/// The user list with its host, and what is read or written with it.
fn user_list(call: &Call<'_>, index: usize) -> Result<(String, Option<String>, Vec<Resource>), Error> {
    let options = call.options(index, &["auth_file", "ssh"])?;
    let file = options.text("auth_file")?.filter(|path| !path.is_empty());
    let file = file.ok_or_else(|| call.misuse("option `auth_file` must be the path of the pooler's user list"))?;
    let ssh = options.text("ssh")?;
    let touched = [vec![resource(None)], files::resource(&files::elsewhere(ssh.as_ref(), &file))].concat();
    Ok((file, ssh, touched))
}

fn admit(call: &Call<'_>) -> Answer {
    let (user, password) = (user(call)?, password(call)?);
    let (auth_file, ssh, writes) = user_list(call, 2)?;
    let shown = title(&format!("let {user} log in at the pooler"));
    let request = PgbouncerAdmit { user, password, auth_file, ssh };
    call.give(&call.perform(Action::change(PgbouncerAdmit::WORD, &request, shown, Recovery::Repeatable, writes))?)
}

fn dismiss(call: &Call<'_>) -> Answer {
    let user = user(call)?;
    let (auth_file, ssh, writes) = user_list(call, 1)?;
    let shown = title(&format!("let {user} log in at the pooler no more"));
    let request = PgbouncerDismiss { user, auth_file, ssh };
    call.give(&call.perform(Action::change(PgbouncerDismiss::WORD, &request, shown, Recovery::Repeatable, writes))?)
}

fn admits(call: &Call<'_>) -> Answer {
    let (user, password) = (user(call)?, password(call)?);
    let (auth_file, ssh, reads) = user_list(call, 2)?;
    let shown = title(&format!("whether {user} may log in at the pooler"));
    let request = PgbouncerAdmits { user, password, auth_file, ssh };
    call.give(&call.perform(Action::read(PgbouncerAdmits::WORD, &request, shown, reads))?)
}
