//! `pg::login` and `pg::try_login`: a target as another role sees it, and whether it is let in.

use super::super::unknown::Unknown;
use super::call::{Answer, title};
use super::{Call, Entry, Word, param};
use crate::model::Value;
use crate::model::action::{Action, Resource};
use crate::model::request::Request;
use crate::model::request::login::{PgLogin, PgTryLogin};
use crate::model::{secret, target};

pub(crate) const WORDS: &[Entry] = &[
    Entry {
        word: Word {
            name: "pg::login",
            signature: "pg::login(target, name, #{ user, password }) -> text TARGET@NAME",
            summary: "A target with another role or another password in its URLs, under a name that goes wherever a target goes. The URL is rewritten as a URL: user and password percent-encoded, everything else of it kept. Nothing is contacted. It lasts as long as the process, so each step that needs it asks for it.",
            params: &[
                param("target", "the configured target"),
                param("name", "what the login is called: letters, digits, `-` and `_`"),
                param("#{user}", "the role; the one of the target's URL without it"),
                param("#{password}", "its password, a secret"),
            ],
            errors: &[("login.twice", "the name is that of another login in this run")],
            example: "step(\"try\", || pg::try_login(pg::login(params.app, \"new\", #{ password: done.password })));",
        },
        least: 3,
        most: 3,
        run: login,
    },
    Entry {
        word: Word {
            name: "pg::try_login",
            signature: "pg::try_login(target, #{ pooled, probe }) -> #{ accepted, user, address, tls, said, code, pooled, standby, lacks }",
            summary: "Whether a server lets a login in, on a connection that is opened for it and closed again, and whether it may do what the application does. Being refused is an answer (`accepted` is false, `said` and `code` tell why), not an error; a server that cannot be reached is one. `tls` is verify, no-verify or disable: there is never a fall-back to less.",
            params: &[
                param("target", "the target, or what pg::login answered"),
                param("#{pooled}", "true for `url` of the target rather than `direct_url`"),
                param(
                    "#{probe}",
                    "list of statements that it must be allowed, each tried in a transaction that is rolled back; `lacks` has those that failed, with the reason. A preview leaves them out",
                ),
            ],
            errors: &[
                ("connection.refused", "the server cannot be reached; likewise the other connection.… codes"),
                ("identity.changed", "the address leads to another database"),
            ],
            example: "let tried = pg::try_login(params.app, #{ probe: [\"select 1 from orders limit 1\"] }); gate::that(\"the application is let in\", tried.accepted, tried.user);",
        },
        least: 1,
        most: 2,
        run: try_login,
    },
];

fn login(call: &Call<'_>) -> Answer {
    let (target, name) = (call.text(0)?, call.text(1)?);
    let plain = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
    if !plain(&name) {
        return Err(call.misuse("`name` must be letters, digits, `-` and `_`"));
    }
    if target::base(&target) != target {
        return Err(call.misuse(format!("`{target}` is no configured target")));
    }
    let options = call.options(2, &["user", "password"])?;
    let user = options.text("user")?;
    // A preview knows the name of a login whose password a run would make.
    let unknown = options.given("password").is_some_and(|given| Unknown::within(&given).is_some());
    let password = match options.text("password") {
        _ if unknown => None,
        Ok(Some(password)) if secret::contains_handle(&password) => Some(password),
        _ => return Err(call.misuse("option `password` must be a secret")),
    };
    let shown = title(&format!("login {name} of {target}"));
    let request = PgLogin { target, name, user, password };
    call.give(&call.perform(Action::read(PgLogin::WORD, &request, shown, Vec::new()))?)
}

fn try_login(call: &Call<'_>) -> Answer {
    let target = call.text(0)?;
    let options = call.options(1, &["pooled", "probe"])?;
    let pooled = options.flag("pooled")?;
    let shown = title(&format!("log in as {target}{}", if pooled { ", by the URL that may be pooled" } else { "" }));
    let reads = vec![Resource::database(&target)];
    let request = PgTryLogin { target, pooled, probe: options.texts("probe")?.unwrap_or_default() };
    let value: Value = call.perform(Action::read(PgTryLogin::WORD, &request, shown, reads))?;
    call.give(&value)
}
