//! `neon::…` around a branch: its computes, its roles and databases, its passwords and URLs.

use super::call::{Answer, title};
use super::neon::{BRANCH, CONFIG, MISSING, named, resource};
use super::{Call, Entry, Word, param};
use crate::model::action::{Action, Recovery, Resource};
use crate::model::request::Request;
use crate::model::request::neon::{
    NeonDatabases, NeonDisableEndpoint, NeonEndpoints, NeonResetPassword, NeonRevealPassword, NeonRoles,
    NeonStartEndpoint, NeonSuspendEndpoint, NeonUrl,
};

const ENDPOINT: super::Param = param("id", "id of the compute: ep-…");
const NO_COMPUTE: (&str, &str) = ("neon.missing", "there is no such compute, or the key may not see it");

pub(crate) const WORDS: &[Entry] = &[
    Entry {
        word: Word {
            name: "neon::endpoints",
            signature: "neon::endpoints(branch) -> [#{ id, branch, host, type, state, active, disabled, last_active, min_cu, max_cu, suspend_after }, …]",
            summary: "The computes of a branch.",
            params: &[BRANCH],
            errors: &[CONFIG, MISSING],
            example: "let computes = neon::endpoints(neon::branch_of(params.source));",
        },
        least: 1,
        most: 1,
        run: endpoints,
    },
    Entry {
        word: Word {
            name: "neon::start_endpoint",
            signature: "neon::start_endpoint(id) -> endpoint",
            summary: "Starts a compute and waits until it is active. One that is active already is left alone.",
            params: &[ENDPOINT],
            errors: &[CONFIG, NO_COMPUTE, ("neon.disabled", "it is disabled, so it cannot start")],
            example: "neon::start_endpoint(\"ep-blue-lake-a1b2c3d4\");",
        },
        least: 1,
        most: 1,
        run: start_endpoint,
    },
    Entry {
        word: Word {
            name: "neon::suspend_endpoint",
            signature: "neon::suspend_endpoint(id) -> endpoint",
            summary: "Puts a compute to sleep, which cuts off its connections. The next connection wakes it again; neon::disable_endpoint keeps it asleep.",
            params: &[ENDPOINT],
            errors: &[CONFIG, NO_COMPUTE],
            example: "neon::suspend_endpoint(\"ep-blue-lake-a1b2c3d4\");",
        },
        least: 1,
        most: 1,
        run: suspend_endpoint,
    },
    Entry {
        word: Word {
            name: "neon::disable_endpoint",
            signature: "neon::disable_endpoint(id, disabled) -> endpoint",
            summary: "Keeps a compute from starting, connections and wake-ups included, or lets it start again.",
            params: &[ENDPOINT, param("disabled", "true to keep it from starting, false to let it")],
            errors: &[CONFIG, NO_COMPUTE],
            example: "neon::disable_endpoint(\"ep-blue-lake-a1b2c3d4\", true);",
        },
        least: 2,
        most: 2,
        run: disable_endpoint,
    },
    Entry {
        word: Word {
            name: "neon::roles",
            signature: "neon::roles(branch) -> [#{ name, protected, login }, …]",
            summary: "The roles of a branch that the API knows, without passwords.",
            params: &[BRANCH],
            errors: &[CONFIG, MISSING],
            example: "let roles = neon::roles(\"main\");",
        },
        least: 1,
        most: 1,
        run: roles,
    },
    Entry {
        word: Word {
            name: "neon::databases",
            signature: "neon::databases(branch) -> [#{ name, owner }, …]",
            summary: "The databases of a branch that the API knows.",
            params: &[BRANCH],
            errors: &[CONFIG, MISSING],
            example: "let databases = neon::databases(\"main\");",
        },
        least: 1,
        most: 1,
        run: databases,
    },
    Entry {
        word: Word {
            name: "neon::reset_password",
            signature: "neon::reset_password(branch, role) -> secret",
            summary: "Gives a role another password, which the service chooses, on this branch only; branches that begin at it keep the old one. The old one is valid until the end, then the compute's connections are cut off. The script holds a handle.",
            params: &[BRANCH, param("role", "name of the role")],
            errors: &[MISSING, ("neon.operation", "the service could not set it")],
            example: "let password = neon::reset_password(\"preview/pr-7\", \"app_owner\");",
        },
        least: 2,
        most: 2,
        run: reset_password,
    },
    Entry {
        word: Word {
            name: "neon::reveal_password",
            signature: "neon::reveal_password(branch, role) -> secret",
            summary: "The password of a role, as the service keeps it. One that was set by SQL may be another. The script holds a handle.",
            params: &[BRANCH, param("role", "name of the role")],
            errors: &[MISSING, ("neon.plan", "the project does not store passwords")],
            example: "let password = neon::reveal_password(\"main\", \"app_owner\");",
        },
        least: 2,
        most: 2,
        run: reveal_password,
    },
    Entry {
        word: Word {
            name: "neon::url",
            signature: "neon::url(branch, #{ database, role, pooled, schema }) -> secret",
            summary: "A URL of a branch, as the API gives it, for a program that connects by itself. The script holds a handle.",
            params: &[
                BRANCH,
                param("#{database}", "the database; may be left away where there is one"),
                param("#{role}", "the role; the database's owner without it"),
                param("#{pooled}", "true for the pooler's"),
                param("#{schema}", "what to add as `?schema=`, which some programs read"),
            ],
            errors: &[CONFIG, MISSING, ("neon.which", "there are several databases, and none is named")],
            example: "command::run([\"migrate\"], #{ env: #{ DATABASE_URL: neon::url(\"preview/pr-7\") }, repeatable: true });",
        },
        least: 1,
        most: 2,
        run: url,
    },
];

fn endpoints(call: &Call<'_>) -> Answer {
    let branch = named(call, 0)?;
    let shown = title(&format!("computes of {branch}"));
    let reads = vec![resource(&branch), Resource::new("neon/endpoints")];
    call.give(&call.perform(Action::read(NeonEndpoints::WORD, &NeonEndpoints { branch }, shown, reads))?)
}

/// A change of one compute, which its branch shows too.
fn change(call: &Call<'_>, verb: &str, endpoint: &str, request: &impl Request) -> Answer {
    fn word<R: Request>(_: &R) -> &'static str {
        R::WORD
    }
    let shown = title(&format!("{verb} compute {endpoint}"));
    let writes = vec![Resource::new(format!("neon/endpoints/{endpoint}"))];
    call.give(&call.perform(Action::change(word(request), request, shown, Recovery::Repeatable, writes))?)
}

fn start_endpoint(call: &Call<'_>) -> Answer {
    let endpoint = named(call, 0)?;
    change(call, "start", &endpoint.clone(), &NeonStartEndpoint { endpoint })
}

fn suspend_endpoint(call: &Call<'_>) -> Answer {
    let endpoint = named(call, 0)?;
    change(call, "suspend", &endpoint.clone(), &NeonSuspendEndpoint { endpoint })
}

fn disable_endpoint(call: &Call<'_>) -> Answer {
    let endpoint = named(call, 0)?;
    let disabled = call.value(1)?.as_bool().ok_or_else(|| call.misuse("`disabled` must be true or false"))?;
    let verb = if disabled { "disable" } else { "enable" };
    change(call, verb, &endpoint.clone(), &NeonDisableEndpoint { endpoint, disabled })
}

fn roles(call: &Call<'_>) -> Answer {
    let branch = named(call, 0)?;
    let (shown, reads) = (title(&format!("roles of {branch}")), vec![resource(&branch)]);
    call.give(&call.perform(Action::read(NeonRoles::WORD, &NeonRoles { branch }, shown, reads))?)
}

fn databases(call: &Call<'_>) -> Answer {
    let branch = named(call, 0)?;
    let (shown, reads) = (title(&format!("databases of {branch}")), vec![resource(&branch)]);
    call.give(&call.perform(Action::read(NeonDatabases::WORD, &NeonDatabases { branch }, shown, reads))?)
}

/// The resource of a role's password.
fn password(branch: &str, role: &str) -> Resource {
    Resource::new(format!("neon/roles/{}/{}", branch.replace('/', "%"), role.replace('/', "%")))
}

fn reset_password(call: &Call<'_>) -> Answer {
    let request = NeonResetPassword { branch: named(call, 0)?, role: call.text(1)? };
    let shown = title(&format!("reset the password of {} on {}", request.role, request.branch));
    let writes = vec![password(&request.branch, &request.role)];
    call.give(&call.perform(Action::change(NeonResetPassword::WORD, &request, shown, Recovery::Repeatable, writes))?)
}

fn reveal_password(call: &Call<'_>) -> Answer {
    let request = NeonRevealPassword { branch: named(call, 0)?, role: call.text(1)?, fresh: false };
    let shown = title(&format!("the password of {} on {}", request.role, request.branch));
    let reads = vec![resource(&request.branch), password(&request.branch, &request.role)];
    call.give(&call.perform(Action::read(NeonRevealPassword::WORD, &request, shown, reads))?)
}

fn url(call: &Call<'_>) -> Answer {
    let options = call.options(1, &["database", "role", "pooled", "schema"])?;
    let request = NeonUrl {
        branch: named(call, 0)?,
        database: options.text("database")?,
        role: options.text("role")?,
        pooled: options.flag("pooled")?,
        schema: options.text("schema")?,
    };
    let shown = title(&format!("the URL of {}", request.branch));
    let reads = vec![resource(&request.branch)];
    call.give(&call.perform(Action::read(NeonUrl::WORD, &request, shown, reads))?)
}
