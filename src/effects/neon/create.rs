//! `neon::create_branch`: a branch that carries its run from the moment it is there, and so is never made twice.

use std::time::Duration;

use chrono::SecondsFormat;
use reqwest::Method;
use serde_json::{Value, json};

use super::branches::{self, Collection};
use super::http::{Api, CHANGES, path};
use super::moment::{instant, outside};
use super::wire::{self, Branch, Endpoint};
use super::{Neon, operations, project};
use crate::effects::postgres::stamp::Stamp;
use crate::effects::{Done, Doubt, Ledger, Resolution, Ticket};
use crate::model::fault::{Fault, FaultClass};
use crate::model::request::neon::NeonCreateBranch;

/// The longest that a branch may live by itself.
const LONGEST_TTL: f64 = 30.0 * 86400.0;
/// Looks, further and further apart, before a branch whose creation got no answer counts as not made.
const LOOKS: u32 = 7;

/// The name of what this action makes: known before it is made, and again after a crash.
pub fn name(request: &NeonCreateBranch, ticket: &Ticket) -> String {
    request.name.clone().unwrap_or_else(|| {
        let run = ticket.run_name();
        format!("runsheet/{run}/{}", ticket.unique())
    })
}

/// Makes it.
pub async fn perform(
    neon: &Neon<'_>,
    request: &NeonCreateBranch,
    ticket: &Ticket,
    ledger: &dyn Ledger,
) -> Result<Done, Fault> {
    let api = neon.api();
    let stamp = branches::new_stamp(api, ticket, request.keep)?;
    let name = name(request, ticket);
    let what = format!("making branch `{name}`");
    let all = Collection::read(api).await?;
    if let Some(there) = all.find(&name)? {
        return match all.stamp(&there.id).is_some_and(|stamp| stamp.is_of(ticket)) {
            // It may begin elsewhere, at another moment.
            true if all.made_by_another(&there.id, &ticket.unique()) => Err(made_before(&name)),
            true => {
                ledger.intent(json!({ "name": name }))?;
                answer(api, request, &there.id, &what).await.map(done)
            }
            false => Err(exists(&name)),
        };
    }
    let parent = parent(neon, request, &all).await?;
    let body = body(api, request, &name, &parent, &stamp, &ticket.unique())?;
    let _one = api.changing.lock().await;
    ledger.intent(json!({ "name": name, "parent": parent }))?;
    let intended = Doubt { holds: None, proof: Some(Value::Null) };
    let mut tries = 0;
    loop {
        tries += 1;
        let fault = match post(api, request, &body, &what).await {
            Ok(value) => return Ok(done(value)),
            Err(fault) => fault,
        };
        // A name that is taken may have been taken by a request of ours whose answer got lost.
        let unclear = fault.class != FaultClass::Fatal || fault.code == "neon.exists";
        if !unclear {
            return Err(explained(api, request, &all, &parent, fault).await);
        }
        // What cannot be asked now is asked again by whoever gets the fault.
        let Ok(found) = resolve(neon, request, ticket, &intended).await else {
            return Err(Fault { class: FaultClass::Unknown, ..fault });
        };
        match found {
            Resolution::Done(done) => return Ok(done),
            Resolution::Unknown(_) => return Err(exists(&name)),
            Resolution::NotDone if tries < CHANGES && fault.code != "neon.unreachable" => {}
            Resolution::NotDone => return Err(Fault { class: FaultClass::Retryable, ..fault }),
        }
    }
}

/// Asks for it once.
async fn post(api: &Api, request: &NeonCreateBranch, body: &Value, what: &str) -> Result<Value, Fault> {
    let made = api.change(Method::POST, &path(&["branches"]), Some(body), what).await?;
    let maybe = |fault: Fault| Fault { class: FaultClass::Unknown, ..fault };
    let branch: Branch = wire::part(&made, "branch", what).map_err(maybe)?;
    operations::finish(api, &made, what).await?;
    answer(api, request, &branch.id, what).await.map_err(maybe)
}

/// What became of an attempt: looked up by its name, and known by its stamp.
pub async fn resolve(
    neon: &Neon<'_>,
    request: &NeonCreateBranch,
    ticket: &Ticket,
    doubt: &Doubt,
) -> Result<Resolution, Fault> {
    if doubt.proof.is_none() {
        return Ok(Resolution::NotDone);
    }
    let api = neon.api();
    let name = name(request, ticket);
    let what = format!("looking for branch `{name}`");
    for look in 1..=LOOKS {
        let all = Collection::read(api).await?;
        let Some(found) = all.find(&name)? else {
            // A proxy may have given up on a request that the service is still at.
            if look < LOOKS {
                tokio::time::sleep(Duration::from_millis(100 * u64::from(look))).await;
            }
            continue;
        };
        if all.made_by_another(&found.id, &ticket.unique())
            || !all.stamp(&found.id).is_some_and(|stamp| stamp.is_of(ticket))
        {
            return Ok(Resolution::Unknown(format!(
                "there is a branch `{name}` ({}), and it does not carry the stamp of this action",
                found.id
            )));
        }
        let works = operations::of_branch(api, &found.id, &what).await?;
        if let Err(fault) = operations::wait(api, works, &what).await {
            if fault.code != "neon.operation" {
                return Err(fault);
            }
            super::remove::delete(api, &found.id, &what).await?;
            return Ok(Resolution::NotDone);
        }
        return answer(api, request, &found.id, &what).await.map(|value| Resolution::Done(done(value)));
    }
    Ok(Resolution::NotDone)
}

/// Looks whether it could be made. Answers what a reviewer should know.
pub async fn foresee(neon: &Neon<'_>, request: &NeonCreateBranch) -> Result<Vec<String>, Fault> {
    let api = neon.api();
    let all = Collection::read(api).await?;
    let mut notes = Vec::new();
    match &request.name {
        Some(name) if all.find(name)?.is_some() => return Err(exists(name)),
        Some(_) => {}
        None => notes.push("it is named after the run: runsheet/RUN/…".to_owned()),
    }
    let parent = parent(neon, request, &all).await?;
    let named = all.get(&parent)?.name.clone();
    notes.push(format!("a child of `{named}` ({parent})"));
    let time = moment(api, request)?;
    match project::branches_limit(api).await? {
        Some(limit) if all.branches.len() as u64 >= limit => return Err(limit_reached(all.branches.len(), limit)),
        Some(limit) => notes.push(format!("{} of {limit} branches are there", all.branches.len())),
        None => notes.push("the API does not say how many branches there may be".to_owned()),
    }
    if time.is_some() || request.lsn.is_some() {
        notes.push("whether the history still reaches back to that point is known when it is made".to_owned());
    }
    if request.compute {
        notes.push("its compute costs while it is active".to_owned());
    }
    Ok(notes)
}

fn done(value: Value) -> Done {
    Done { value, rows: None }
}

/// Id of the branch that it begins at.
async fn parent(neon: &Neon<'_>, request: &NeonCreateBranch, all: &Collection) -> Result<String, Fault> {
    if let Some(target) = &request.of {
        return neon.branch_id_of(target).await;
    }
    match &request.parent {
        Some(parent) => all.get(parent).map(|branch| branch.id.clone()),
        None => all.default().map(|branch| branch.id.clone()).ok_or_else(|| {
            Fault::fatal("neon.missing", "the project shows no default branch").hinted("name the `parent`")
        }),
    }
}

fn body(
    api: &Api,
    request: &NeonCreateBranch,
    name: &str,
    parent: &str,
    stamp: &Stamp,
    action: &str,
) -> Result<Value, Fault> {
    let mut branch = json!({ "name": name, "parent_id": parent });
    if let Some(at) = moment(api, request)? {
        branch["parent_timestamp"] = json!(at);
    }
    if let Some(lsn) = &request.lsn {
        branch["parent_lsn"] = json!(lsn);
    }
    if let Some(ttl) = request.ttl {
        branch["expires_at"] = json!(expiry(api, ttl)?);
    }
    if request.protected {
        branch["protected"] = json!(true);
    }
    if request.schema_only {
        branch["init_source"] = json!("schema-only");
    }
    let mut annotation = branches::annotation(stamp);
    annotation.insert(branches::ACTION.into(), json!(action));
    for (key, value) in &request.annotation {
        if annotation.contains_key(key) || key == "keep" {
            return Err(Fault::fatal("neon.annotation", format!("`{key}` of an annotation is written by Runsheet"))
                .hinted("choose another name for it"));
        }
        annotation.insert(key.clone(), json!(value));
    }
    let mut body = json!({ "branch": branch, "annotation_value": annotation });
    if request.compute {
        body["endpoints"] = json!([{ "type": "read_write" }]);
    }
    Ok(body)
}

/// When a branch of this length of life goes, to the second.
pub fn expiry(api: &Api, ttl: f64) -> Result<String, Fault> {
    if !(1.0..=LONGEST_TTL).contains(&ttl) {
        return Err(Fault::fatal("neon.ttl", format!("a branch cannot be kept for {ttl} s"))
            .hinted("the longest is 30 days; without `ttl` it stays until it is deleted"));
    }
    let span = chrono::TimeDelta::try_milliseconds((ttl * 1000.0) as i64).unwrap_or_default();
    Ok((api.world().clock.now() + span).to_rfc3339_opts(SecondsFormat::Secs, true))
}

/// The moment asked for, in UTC.
fn moment(api: &Api, request: &NeonCreateBranch) -> Result<Option<String>, Fault> {
    request.at.as_deref().map(|text| instant(api, text)).transpose()
}

fn exists(name: &str) -> Fault {
    Fault::fatal("neon.exists", format!("there is a branch `{name}` that this run did not make"))
        .hinted("look who made it; give this one another name, or none")
}

fn made_before(name: &str) -> Fault {
    Fault::fatal("neon.exists", format!("this run made a branch `{name}` already, in another action"))
        .hinted("give this one another name, or none; or drop the first before")
}

fn limit_reached(there: usize, limit: u64) -> Fault {
    Fault::fatal("neon.limit", format!("the project has {there} branches, and may have {limit}"))
        .hinted("delete branches that nobody needs (`runsheet plan branch-purge`), or raise the limit of the plan")
}

/// A refusal with what makes it understandable: the headroom, or the interval that can be reached.
async fn explained(api: &Api, request: &NeonCreateBranch, all: &Collection, parent: &str, fault: Fault) -> Fault {
    if fault.code == "neon.limit" {
        return match project::branches_limit(api).await {
            Ok(Some(limit)) => Fault { detail: fault.detail, ..limit_reached(all.branches.len(), limit) },
            _ => fault,
        };
    }
    let asked = request.at.is_some() || request.lsn.is_some();
    if asked && matches!(fault.code.as_str(), "neon.refused" | "neon.missing") {
        return outside(api, all, parent, fault).await;
    }
    fault
}

/// What the word answers, once the branch is ready.
async fn answer(api: &Api, request: &NeonCreateBranch, id: &str, what: &str) -> Result<Value, Fault> {
    let branch = branches::ready(api, id, what).await?;
    let listed = api.get(&path(&["branches", id, "endpoints"]), what).await?;
    let endpoints: Vec<Endpoint> = wire::list(&listed, "endpoints", what)?;
    let mut value = json!({
        "id": branch.id,
        "name": branch.name,
        "parent": branch.parent_id,
        "lsn": branch.parent_lsn,
        "timestamp": branch.parent_timestamp,
        "endpoint": endpoints.first().map(|endpoint| endpoint.id.clone()),
        "expires_at": branch.expires_at,
    });
    if let Some(target) = &request.of {
        value["target"] = json!(format!("{}:{}", crate::model::target::base(target), branch.id));
    }
    Ok(value)
}
