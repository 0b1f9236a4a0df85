//! `neon::restore_branch`: a rewind in place, done once. The name under which the present is kept is the guard: while it is
//! not there nothing was restored, and once it is there nothing is restored again.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::branches::{self, Collection};
use super::http::{CHANGES, path};
use super::met::met;
use super::wire::Branch;
use super::{Neon, create, operations};
use crate::effects::{Done, Doubt, Ledger, Resolution};
use crate::model::fault::{Fault, FaultClass};
use crate::model::request::neon::NeonRestoreBranch;

/// Looks, further and further apart, before a restore that got no answer counts as not done.
const LOOKS: u32 = 7;

/// Does it.
pub async fn perform(neon: &Neon<'_>, request: &NeonRestoreBranch, ledger: &dyn Ledger) -> Result<Done, Fault> {
    let api = neon.api();
    let (branch, body, source) = prepared(neon, request).await?;
    let what = what(request);
    let all = Collection::read(api).await?;
    let _one = api.changing.lock().await;
    let proof = json!({
        "branch": branch.id, "preserve": request.preserve, "parent": branch.parent_id, "reset": branch.last_reset_at,
    });
    ledger.intent(proof.clone())?;
    // Sessions to what is put away would only be cut off.
    neon.postgres.close_idle_all();
    let place = path(&["branches", &branch.id, "restore"]);
    let intended = Doubt { holds: None, proof: Some(proof) };
    let mut tries = 0;
    loop {
        tries += 1;
        let accepted = match api.change(Method::POST, &place, Some(&body), &what).await {
            Ok(answer) => operations::finish(api, &answer, &what).await,
            Err(fault) => Err(fault),
        };
        let Err(fault) = accepted else { break };
        if matches!(fault.code.as_str(), "neon.refused" | "neon.missing") {
            return Err(create::outside(api, &all, &source, fault).await);
        }
        if fault.class == FaultClass::Fatal && fault.code != "neon.exists" {
            return Err(fault);
        }
        match resolve(neon, request, &intended).await {
            Ok(Resolution::Done(done)) => return Ok(done),
            Ok(Resolution::Unknown(_)) if fault.code == "neon.exists" => return Err(taken(&request.preserve, None)),
            Ok(Resolution::Unknown(why)) => {
                return Err(Fault {
                    class: FaultClass::Unknown,
                    message: format!("{}; {why}", fault.message),
                    ..fault
                });
            }
            Ok(Resolution::NotDone) if tries < CHANGES => {}
            Ok(_) => return Err(Fault { class: FaultClass::Retryable, ..fault }),
            Err(_) => return Err(Fault { class: FaultClass::Unknown, ..fault }),
        }
    }
    let maybe = |fault: Fault| match fault.code.as_str() {
        "neon.lineage" => fault,
        _ => Fault { class: FaultClass::Unknown, ..fault },
    };
    outcome(neon, request, &branch.id).await.map_err(maybe)
}

/// What became of an attempt: the preserved branch is there, or nothing was restored.
pub async fn resolve(neon: &Neon<'_>, request: &NeonRestoreBranch, doubt: &Doubt) -> Result<Resolution, Fault> {
    let Some((proof, id)) = doubt.proof.as_ref().and_then(|proof| Some((proof, proof["branch"].as_str()?))) else {
        return Ok(Resolution::NotDone);
    };
    let mut strange = None;
    let what = what(request);
    for look in 1..=LOOKS {
        let works = operations::of_branch(neon.api(), id, &what).await?;
        operations::wait(neon.api(), works, &what).await.or_else(|fault| match fault.code.as_str() {
            "neon.operation" => Ok(()),
            _ => Err(fault),
        })?;
        let all = Collection::read(neon.api()).await?;
        strange = match all.find(&request.preserve)? {
            Some(kept) if is_kept(all.get(id)?, kept, proof) => {
                return outcome(neon, request, id).await.map(Resolution::Done);
            }
            found => found.map(|kept| kept.id.clone()),
        };
        if look < LOOKS {
            tokio::time::sleep(Duration::from_millis(100 * u64::from(look))).await;
        }
    }
    Ok(strange.map_or(Resolution::NotDone, |kept| {
        let name = &request.preserve;
        Resolution::Unknown(format!(
            "there is a branch `{name}` ({kept}), and nothing else says that branch {id} was put back: somebody may have given that name to another"
        ))
    }))
}

/// Whether a branch under the preserve name is what a restore kept there, and not what somebody else called so meanwhile.
/// `proof` is what the branch was before: see the table of lineages in Neon's documentation of instant restore.
fn is_kept(now: &Branch, kept: &Branch, proof: &Value) -> bool {
    let before = proof["parent"].as_str();
    if now.parent_id.as_deref() == Some(kept.id.as_str()) {
        return true;
    }
    let reset = now.last_reset_at.as_deref() != proof["reset"].as_str();
    let moved = now.parent_id.as_deref() != before;
    // It takes the place of the branch. A root that somebody makes is one of schemas only, or imported.
    let rooted = before.is_none() && kept.init_source.as_deref().is_none_or(|source| source == "parent-data");
    kept.parent_id.as_deref() == before && (rooted || moved || reset)
}

fn taken(name: &str, id: Option<&str>) -> Fault {
    let id = id.map(|id| format!(" ({id})")).unwrap_or_default();
    let message = format!("there is a branch `{name}`{id} already, so nothing can be preserved under that name");
    Fault::fatal("neon.exists", message)
        .hinted("give `preserve` a name that nobody had yet, such as one with the run and the time in it")
}

/// Looks whether it could be done.
pub async fn foresee(neon: &Neon<'_>, request: &NeonRestoreBranch) -> Result<Vec<String>, Fault> {
    let (branch, _, source) = prepared(neon, request).await?;
    let all = Collection::read(neon.api()).await?;
    let mut notes = vec![
        format!("overwrites every database of `{}` ({}) from {source}", branch.name, branch.id),
        "connections to it are cut off, and its replication slots are gone afterwards".to_owned(),
        format!("what it holds until then is kept as `{}`", request.preserve),
    ];
    let children: Vec<&str> = all.children(&branch.id).map(|child| child.name.as_str()).collect();
    if !children.is_empty() {
        notes.push(format!("moves below `{}`: {}", request.preserve, children.join(", ")));
    }
    notes.push("whether the history still reaches back to that point is known when it is done".to_owned());
    Ok(notes)
}

fn what(request: &NeonRestoreBranch) -> String {
    format!("restoring branch `{}`", request.branch)
}

/// The branch, the request to send, and the id of the branch whose history is used.
async fn prepared(neon: &Neon<'_>, request: &NeonRestoreBranch) -> Result<(Branch, Value, String), Fault> {
    let api = neon.api();
    let all = Collection::read(api).await?;
    let branch = all.get(&request.branch)?.clone();
    if let Some(target) = &request.target {
        let on = neon.branch_id_of(target).await?;
        if on != branch.id {
            return Err(Fault::fatal(
                "neon.other-branch",
                format!("target `{target}` is on branch {on}, and `{}` is {}", request.branch, branch.id),
            )
            .hinted("name the branch of the target: neon::branch_of(target).id"));
        }
    }
    if branch.is_protected() {
        return Err(Fault::fatal("neon.protected", format!("branch `{}` is protected", branch.name)).hinted(
            "take the protection off first, restore, put it back: neon::update_branch(id, #{ protect: false })",
        ));
    }
    if let Some(why) = branch.restricted_actions.iter().flatten().find(|action| action.name == "restore") {
        let why = why.reason.as_deref().unwrap_or("no reason is given");
        return Err(Fault::fatal("neon.restricted", format!("branch `{}` may not be restored: {why}", branch.name)));
    }
    if let Some(other) = all.find(&request.preserve)? {
        return Err(taken(&other.name, Some(&other.id)));
    }
    let source = match &request.from {
        Some(from) => all.get(from)?.id.clone(),
        None => branch.id.clone(),
    };
    let mut body = json!({ "source_branch_id": source, "preserve_under_name": request.preserve });
    match (&request.at, &request.lsn) {
        (Some(at), _) => body["source_timestamp"] = json!(create::instant(api, at)?),
        (None, Some(lsn)) => body["source_lsn"] = json!(lsn),
        (None, None) if source == branch.id => {
            return Err(Fault::fatal(
                "neon.moment",
                "a branch put back to its own past needs the point: `at` or `lsn`",
            ));
        }
        (None, None) => {}
    }
    Ok((branch, body, source))
}

/// What the word answers, read back: where everything hangs now is never assumed.
async fn outcome(neon: &Neon<'_>, request: &NeonRestoreBranch, id: &str) -> Result<Done, Fault> {
    let what = what(request);
    branches::ready(neon.api(), id, &what).await?;
    neon.forget(id);
    let all = Collection::read(neon.api()).await?;
    let preserved = all.find(&request.preserve)?.ok_or_else(|| {
        Fault::fatal("neon.lineage", format!("{what}: it is restored, and there is no branch `{}`", request.preserve))
            .hinted("what the branch held before may be lost: do not delete anything, and ask Neon's support")
    })?;
    let now = all.get(id)?;
    let told = |parent: &Option<String>| parent.clone().unwrap_or_else(|| "none".to_owned());
    met(
        "the parents after a restore",
        format_args!("restored {}, preserved {}", told(&now.parent_id), told(&preserved.parent_id)),
    );
    let value = json!({
        "preserved": { "id": preserved.id, "name": preserved.name, "parent": preserved.parent_id },
        "branch": all.map(now),
    });
    Ok(Done { value, rows: None })
}
