//! Other people's branches: deleted only as they were when somebody decided it, brought back, renamed, given an end.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use super::branches::{self, Collection};
use super::http::{Api, CHANGES, PATIENCE, path};
use super::wire::Branch;
use super::{Neon, create, endpoints, operations, remove};
use crate::effects::{Done, Doubt, Ledger, Resolution};
use crate::model::clock::backoff;
use crate::model::fault::{Fault, FaultClass};
use crate::model::request::neon::{NeonDeleteBranch, NeonRecoverBranch, NeonUpdateBranch};

/// What must be as it was read.
const PINNED: [&str; 4] = ["name", "parent", "created_at", "updated_at"];

/// `neon::delete_branch`.
pub async fn delete_branch(neon: &Neon<'_>, request: &NeonDeleteBranch, ledger: &dyn Ledger) -> Result<Done, Fault> {
    let api = neon.api();
    let id = id_of(&request.branch)?;
    let what = format!("deleting branch {id}");
    let _one = api.changing.lock().await;
    let began = Instant::now();
    let (mut tries, mut asked) = (0, false);
    let mut then = request.branch.clone();
    loop {
        // Read last of all, since nothing may come in between: after each wait anew, for a service that is busy may be busy
        // with what somebody else does to this very branch.
        let found = seen(api, id, &then, &what).await?;
        if tries == 0 {
            ledger.intent(json!({ "branch": id }))?;
        }
        match found {
            Seen::Gone => return Ok(answer(asked, !asked, None, None)),
            Seen::Kept(why) => return Ok(answer(false, false, Some(why), None)),
            Seen::AsItWas => {}
        }
        neon.forget(id);
        tries += 1;
        let sent = api.change_now(Method::DELETE, &path(&["branches", id]), &what).await;
        let fault = match remove::followed(api, id, sent, &what).await {
            Ok(remove::Deleted { done: true, recoverable_until }) => {
                return Ok(answer(true, false, None, recoverable_until));
            }
            Ok(_) => return Ok(answer(asked, !asked, None, None)),
            Err(fault) => fault,
        };
        let busy = ["neon.busy", "neon.rate", "neon.unavailable"].contains(&fault.code.as_str());
        match fault.code.as_str() {
            // What the service itself refuses is a reason to keep it, and no failure of the run.
            "neon.protected" | "neon.children" | "neon.refused" => {
                return Ok(answer(false, false, Some(fault.message), None));
            }
            _ if busy && began.elapsed() < PATIENCE => {}
            "neon.slow" => return Err(fault),
            _ if busy || fault.class == FaultClass::Fatal || tries >= CHANGES => return Err(fault),
            _ => {
                // A deletion of ours that came to nothing is a change, too.
                asked = true;
                if let Some(then) = then.as_object_mut() {
                    then.remove("updated_at");
                }
            }
        }
        tokio::time::sleep(backoff(Duration::from_millis(200), Duration::from_secs(5), tries.min(8))).await;
    }
}

/// How a branch was found that is to be deleted.
enum Seen {
    Gone,
    /// It must not be deleted, for this reason.
    Kept(String),
    AsItWas,
}

async fn seen(api: &Api, id: &str, then: &Value, what: &str) -> Result<Seen, Fault> {
    let Some((branch, _)) = branches::by_id(api, id, what).await? else { return Ok(Seen::Gone) };
    match objection(api, &branch, then, what).await {
        // Somebody else deletes the same branches.
        Err(fault) if fault.code == "neon.missing" => Ok(Seen::Gone),
        other => Ok(other?.map_or(Seen::AsItWas, Seen::Kept)),
    }
}

/// What became of a deletion whose answer is missing: the branch was there right before it.
pub async fn resolve(neon: &Neon<'_>, request: &NeonDeleteBranch, doubt: &Doubt) -> Result<Resolution, Fault> {
    if doubt.proof.is_none() {
        return Ok(Resolution::NotDone);
    }
    let id = id_of(&request.branch)?;
    let what = format!("looking for branch {id}");
    let works = operations::of_branch(neon.api(), id, &what).await?;
    match operations::wait(neon.api(), works, &what).await {
        Err(fault) if fault.code != "neon.operation" => return Err(fault),
        _ => {}
    }
    Ok(match branches::by_id(neon.api(), id, &what).await? {
        None => Resolution::Done(answer(true, false, None, None)),
        Some(_) => Resolution::NotDone,
    })
}

fn answer(deleted: bool, gone: bool, why: Option<String>, until: Option<String>) -> Done {
    let value = json!({ "deleted": deleted, "gone": gone, "why": why, "recoverable_until": until });
    Done { value, rows: None }
}

fn id_of(branch: &Value) -> Result<&str, Fault> {
    branch["id"]
        .as_str()
        .filter(|id| !id.is_empty())
        .ok_or_else(|| Fault::fatal("action.shape", "the branch map has no `id`"))
}

/// Why a branch must not be deleted, as it is now and as it was when that was decided.
async fn objection(api: &Api, now: &Branch, then: &Value, what: &str) -> Result<Option<String>, Fault> {
    if now.is_default() {
        return Ok(Some("it is the default branch".to_owned()));
    }
    if now.is_protected() {
        return Ok(Some("it is protected".to_owned()));
    }
    let fields =
        [Some(now.name.as_str()), now.parent_id.as_deref(), now.created_at.as_deref(), now.updated_at.as_deref()];
    for (key, found) in PINNED.iter().zip(fields) {
        let expected = then.get(*key);
        if expected.is_some_and(|expected| expected.as_str() != found) {
            return Ok(Some(format!(
                "its {} was {} and is {} now",
                key.replace('_', " "),
                expected.and_then(Value::as_str).unwrap_or("missing"),
                found.unwrap_or("missing")
            )));
        }
    }
    if let Some(active) = endpoints::active_of(api, &now.id, what).await? {
        return Ok(Some(format!("its compute {active} is active")));
    }
    // Children are refused by the service itself; listing a thousand branches for each of a thousand would not do.
    Ok(None)
}

/// `neon::recover_branch`.
pub async fn recover(neon: &Neon<'_>, request: &NeonRecoverBranch, ledger: &dyn Ledger) -> Result<Done, Fault> {
    let api = neon.api();
    let id = &request.branch;
    let what = format!("recovering branch {id}");
    let there = branches::by_id(api, id, &what).await?.is_some();
    let _one = api.changing.lock().await;
    ledger.intent(json!({ "branch": id }))?;
    if !there {
        api.repeat(Method::POST, &path(&["branches", id, "recover"]), None, &what).await?;
    }
    map(api, id, &what).await
}

/// `neon::update_branch`.
pub async fn update(neon: &Neon<'_>, request: &NeonUpdateBranch, ledger: &dyn Ledger) -> Result<Done, Fault> {
    let api = neon.api();
    let what = format!("changing branch {}", request.branch);
    let id = neon.id_of(&request.branch).await?;
    let mut change = json!({});
    if let Some(name) = &request.name {
        change["name"] = json!(name);
    }
    if let Some(protected) = request.protected {
        change["protected"] = json!(protected);
    }
    match (request.ttl, &request.expires_at) {
        (Some(0.0), _) => change["expires_at"] = Value::Null,
        (Some(ttl), _) => change["expires_at"] = json!(create::expiry(api, ttl)?),
        (None, Some(at)) => change["expires_at"] = json!(at),
        (None, None) => {}
    }
    let _one = api.changing.lock().await;
    ledger.intent(json!({ "branch": id }))?;
    let body = json!({ "branch": change });
    api.repeat(Method::PATCH, &path(&["branches", &id]), Some(&body), &what).await?;
    let now = branches::ready(api, &id, &what).await?;
    let taken = |kept: bool, asked: &str| {
        (!kept)
            .then(|| Fault::fatal("neon.answer", format!("{what}: it was accepted, and the branch shows no {asked}")))
    };
    let broken = [
        request.name.as_ref().and_then(|name| taken(now.name == *name, "new name")),
        request.protected.and_then(|protected| taken(now.is_protected() == protected, "change of its protection")),
    ];
    if let Some(fault) = broken.into_iter().flatten().next() {
        return Err(fault);
    }
    // What the branch says of itself: its children and computes would be the whole list once more.
    let value = json!({
        "id": now.id,
        "name": now.name,
        "parent": now.parent_id,
        "state": now.current_state,
        "default": now.is_default(),
        "protected": now.is_protected(),
        "created_at": now.created_at,
        "updated_at": now.updated_at,
        "expires_at": now.expires_at,
    });
    Ok(Done { value, rows: None })
}

/// The map of a branch that is ready.
async fn map(api: &Api, id: &str, what: &str) -> Result<Done, Fault> {
    branches::ready(api, id, what).await?;
    let all = Collection::read(api).await?;
    Ok(Done { value: all.map(all.get(id)?), rows: None })
}
