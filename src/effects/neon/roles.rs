//! Roles, databases, passwords and URLs of a branch. Passwords go to the vault before anything else sees them.

use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use reqwest::{Method, Url};
use serde_json::{Value, json};

use super::Neon;
use super::branches::Collection;
use super::http::{Api, path, with};
use super::met::met;
use super::operations;
use super::wire::{self, Database, Role};
use crate::effects::{Done, Doubt, Ledger, Resolution};
use crate::model::clock::backoff;
use crate::model::fault::{Fault, FaultClass};
use crate::model::request::neon::{NeonCompareSchema, NeonResetPassword, NeonUrl};

/// How often a reset is asked for that failed, or was not done when its answer was lost.
const TRIES: u32 = 4;

/// The roles of a branch, without the system's details.
pub async fn roles(api: &Api, branch: &str) -> Result<Value, Fault> {
    let what = format!("listing roles of {branch}");
    let answer = api.get(&path(&["branches", branch, "roles"]), &what).await?;
    let roles: Vec<Role> = wire::list(&answer, "roles", &what)?;
    Ok(roles
        .iter()
        .map(|role| {
            json!({
                "name": role.name,
                "protected": role.protected.unwrap_or(false),
                "login": role.authentication_method.as_deref() != Some("no_login"),
            })
        })
        .collect())
}

/// The databases of a branch.
pub async fn databases(api: &Api, branch: &str) -> Result<Vec<Database>, Fault> {
    let what = format!("listing databases of {branch}");
    let answer = api.get(&path(&["branches", branch, "databases"]), &what).await?;
    wire::list(&answer, "databases", &what)
}

/// The database meant: the named one, or the only one.
async fn database(api: &Api, branch: &str, named: Option<&str>) -> Result<Database, Fault> {
    let all = databases(api, branch).await?;
    let names: Vec<&str> = all.iter().map(|it| it.name.as_str()).collect();
    let known = names.join(", ");
    match (named, all.as_slice()) {
        (Some(name), _) => all.iter().find(|it| it.name == name).cloned().ok_or_else(|| {
            Fault::fatal("neon.missing", format!("branch {branch} has no database `{name}`"))
                .hinted(format!("it has: {known}"))
        }),
        (None, [only]) => Ok(only.clone()),
        (None, []) => Err(Fault::fatal("neon.missing", format!("branch {branch} has no database"))
            .hinted("make one there first, in the Console or by SQL")),
        (None, _) => Err(Fault::fatal("neon.which", format!("branch {branch} has several databases: {known}"))
            .hinted("name one: #{ database: \"…\" }")),
    }
}

/// A role's name as part of a path. Two names would lead elsewhere.
fn safe(role: &str) -> Result<&str, Fault> {
    if role.is_empty() || role == "." || role == ".." {
        return Err(Fault::fatal("neon.role", format!("no role can be called `{role}` in a request to the API"))
            .hinted("name the role, as neon::roles lists it"));
    }
    Ok(role)
}

fn handle(api: &Api, branch: &str, role: &str, password: &str, fresh: bool) -> Value {
    let which = if fresh { "new password" } else { "password" };
    api.world().vault.keep(&format!("{which} of {role} on {branch}"), password).into()
}

/// `neon::reveal_password`.
pub async fn reveal(api: &Api, branch: &str, role: &str, fresh: bool) -> Result<Value, Fault> {
    let password = kept(api, branch, role).await?;
    let password = password.ok_or_else(|| super::faults::lacking(&reading(role), "password"))?;
    Ok(handle(api, branch, role, &password, fresh))
}

fn reading(role: &str) -> String {
    format!("reading the password of `{role}`")
}

/// The password that the service shows of a role.
async fn kept(api: &Api, branch: &str, role: &str) -> Result<Option<String>, Fault> {
    let place = path(&["branches", branch, "roles", safe(role)?, "reveal_password"]);
    Ok(api.get(&place, &reading(role)).await?["password"].as_str().map(str::to_owned))
}

/// `neon::reset_password`.
pub async fn reset(
    neon: &Neon<'_>,
    request: &NeonResetPassword,
    branch: &str,
    ledger: &dyn Ledger,
) -> Result<Done, Fault> {
    let api = neon.api();
    let role = safe(&request.role)?;
    let what = format!("resetting the password of `{role}`");
    let place = path(&["branches", branch, "roles", role, "reset_password"]);
    let _one = api.changing.lock().await;
    let before = match stored(api, branch, role).await? {
        Some(password) => fingerprint(api, role, &password),
        None => None,
    };
    let proof = json!({ "branch": branch, "role": role, "before": before });
    ledger.intent(proof.clone())?;
    let doubt = Doubt { holds: None, proof: Some(proof) };
    // The new one works when the last operation is over, and not before. One that is not in the answer can be read.
    let mut tries = 0;
    let answer = loop {
        tries += 1;
        let fault = match api.change(Method::POST, &place, None, &what).await {
            Ok(answer) => match operations::finish(api, &answer, &what).await {
                Ok(()) => break answer,
                Err(fault) => fault,
            },
            Err(fault) => fault,
        };
        if fault.class == FaultClass::Fatal || tries >= TRIES {
            return Err(fault);
        }
        if fault.class == FaultClass::Unknown
            && let Resolution::Done(done) = resolve_reset(neon, &doubt).await?
        {
            return Ok(done);
        }
        tokio::time::sleep(backoff(Duration::from_millis(200), Duration::from_secs(3), tries)).await;
    };
    let changed: Role = wire::part(&answer, "role", &what)?;
    neon.forget(branch);
    let value = match &changed.password {
        Some(password) => handle(api, branch, role, password, true),
        None => reveal(api, branch, role, true).await?,
    };
    Ok(Done { value, rows: None })
}

/// What became of a reset whose answer is missing. A second one would cut everybody off a second time, so what the service
/// keeps is compared with what it kept before.
pub async fn resolve_reset(neon: &Neon<'_>, doubt: &Doubt) -> Result<Resolution, Fault> {
    let api = neon.api();
    let Some(proof) = &doubt.proof else { return Ok(Resolution::NotDone) };
    let (Some(branch), Some(role)) = (proof["branch"].as_str(), proof["role"].as_str()) else {
        return Ok(Resolution::NotDone);
    };
    let what = format!("looking what became of the password of `{role}`");
    let works = operations::of_branch(api, branch, &what).await?;
    match operations::wait(api, works, &what).await {
        Err(fault) if fault.code != "neon.operation" => return Err(fault),
        _ => {}
    }
    // Without a fingerprint from before there is nothing to compare: another reset is safe, only louder.
    let (Some(before), Some(now)) = (proof["before"].as_str(), stored(api, branch, role).await?) else {
        return Ok(Resolution::NotDone);
    };
    if fingerprint(api, role, &now).as_deref() == Some(before) {
        return Ok(Resolution::NotDone);
    }
    neon.forget(branch);
    Ok(Resolution::Done(Done { value: handle(api, branch, role, &now, true), rows: None }))
}

/// The password that the service keeps of a role; none where it keeps none.
async fn stored(api: &Api, branch: &str, role: &str) -> Result<Option<String>, Fault> {
    match kept(api, branch, role).await {
        // A project may keep none, and a role may have none yet.
        Err(fault) if fault.class == FaultClass::Fatal => Ok(None),
        kept => kept,
    }
}

/// What a password is known by, without saying anything of it.
fn fingerprint(api: &Api, role: &str, password: &str) -> Option<String> {
    let vault = &api.world().vault;
    let name = format!("kept password of {role}");
    vault.keep(&name, password);
    vault.fingerprint(&name)
}

/// The URL of a database of a branch, as the API gives it.
pub async fn uri(api: &Api, branch: &str, database: &str, role: &str, pooled: bool) -> Result<String, Fault> {
    let what = format!("asking for the URL of `{database}` on {branch}");
    let query = [
        ("branch_id", Some(branch)),
        ("database_name", Some(database)),
        ("role_name", Some(role)),
        ("pooled", pooled.then_some("true")),
    ];
    let answer = api.get(&with(path(&["connection_uri"]), &query), &what).await?;
    let uri = answer["uri"].as_str().ok_or_else(|| super::faults::lacking(&what, "uri"))?;
    let parsed = Url::parse(uri).map_err(|_| super::faults::lacking(&what, "uri"))?;
    if let Some(password) = parsed.password() {
        let name = format!("password of {role} on {branch}");
        api.world().vault.hide(&name, password);
        api.world().vault.hide(&name, &percent_decode_str(password).decode_utf8_lossy());
    }
    Ok(uri.to_owned())
}

/// `neon::url`.
pub async fn url(api: &Api, request: &NeonUrl, branch: &str) -> Result<Value, Fault> {
    let database = database(api, branch, request.database.as_deref()).await?;
    let role = request.role.as_deref().or(database.owner_name.as_deref()).ok_or_else(|| {
        Fault::fatal("neon.which", format!("database `{}` shows no owner", database.name)).hinted("name the `role`")
    })?;
    let mut uri = uri(api, branch, &database.name, role, request.pooled).await?;
    let mut name = format!("url:neon/{branch}/{}/{role}", database.name);
    if request.pooled {
        name.push_str("/pooled");
    }
    if let Some(schema) = &request.schema {
        uri = with_schema(&uri, schema).ok_or_else(|| super::faults::lacking("asking for a URL", "uri"))?;
        name = format!("{name}?schema={schema}");
    }
    Ok(api.world().vault.keep(&name, uri).into())
}

/// A URL with `schema` among its parameters, in the place of one that is there.
fn with_schema(uri: &str, schema: &str) -> Option<String> {
    let mut url = Url::parse(uri).ok()?;
    // The rest stays as it is written: the parser would turn spaces into `+`, which PostgreSQL takes literally.
    let kept = url.query().into_iter().flat_map(|query| query.split('&'));
    let mut pairs: Vec<String> =
        kept.filter(|pair| !pair.is_empty() && !pair.starts_with("schema=")).map(str::to_owned).collect();
    pairs.push(format!("schema={}", utf8_percent_encode(schema, NON_ALPHANUMERIC)));
    url.set_query(Some(&pairs.join("&")));
    Some(url.into())
}

/// `neon::compare_schema`.
pub async fn compare(api: &Api, request: &NeonCompareSchema, all: &Collection) -> Result<Value, Fault> {
    let branch = all.get(&request.branch)?.id.clone();
    let base = request.base.as_deref().map(|base| all.get(base).map(|it| it.id.clone())).transpose()?;
    let what = format!("comparing the schema of `{}`", request.branch);
    let database = database(api, &branch, request.database.as_deref()).await?;
    let moment = |text: &Option<String>| text.as_deref().map(|text| super::moment::instant(api, text)).transpose();
    let (at, base_at) = (moment(&request.at)?, moment(&request.base_at)?);
    let query = [
        ("db_name", Some(database.name.as_str())),
        ("base_branch_id", base.as_deref()),
        ("timestamp", at.as_deref()),
        ("base_timestamp", base_at.as_deref()),
    ];
    let answer = api.get(&with(path(&["branches", &branch, "compare_schema"]), &query), &what).await?;
    // No difference is an empty text, or none at all.
    if answer["diff"].as_str().is_none_or(str::is_empty) {
        met("two schemas that are the same", if answer["diff"].is_null() { "no diff" } else { "an empty diff" });
    }
    Ok(json!(answer["diff"].as_str().unwrap_or_default()))
}
