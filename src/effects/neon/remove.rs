//! Deleting: what a run made, and what finished runs left. Never anybody else's; that is [`super::purge`].

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use super::branches::{self, Collection};
use super::http::{Api, CHANGES, path};
use super::met::met;
use super::wire::{self, Branch};
use super::{Neon, operations};
use crate::effects::postgres::stamp::Stamp;
use crate::effects::{Done, Ledger, Ticket};
use crate::model::clock::backoff;
use crate::model::fault::{Fault, FaultClass};
use crate::model::request::neon::{NeonDropBranch, NeonSweep};
use crate::model::target;

/// How long a branch may be shown after its deletion ended.
const SHOWN_YET: Duration = Duration::from_secs(30);

/// Deletes a branch and waits until it is gone. False if it was gone before. What it answers last is its recovery.
pub async fn delete(api: &Api, id: &str, what: &str) -> Result<Deleted, Fault> {
    let place = path(&["branches", id]);
    let (mut tries, mut asked) = (0, false);
    loop {
        tries += 1;
        let fault = match followed(api, id, api.change(Method::DELETE, &place, None, what).await, what).await {
            Ok(Deleted { done, recoverable_until }) => return Ok(Deleted { done: done || asked, recoverable_until }),
            Err(fault) => fault,
        };
        // From here on, a branch that is gone may be one that we deleted.
        asked = true;
        if fault.class == FaultClass::Fatal || fault.code == "neon.slow" || tries >= CHANGES {
            return Err(fault);
        }
        tokio::time::sleep(backoff(Duration::from_millis(200), Duration::from_secs(3), tries)).await;
    }
}

/// Follows what a deletion was answered until the branch is gone.
pub async fn followed(api: &Api, id: &str, answer: Result<Value, Fault>, what: &str) -> Result<Deleted, Fault> {
    let answer = match answer {
        Ok(Value::Null) => {
            met("deleting a branch that is gone", "204");
            return Ok(Deleted::default());
        }
        Err(fault) if fault.code == "neon.missing" => {
            met("deleting a branch that is gone", "404");
            return Ok(Deleted::default());
        }
        other => other?,
    };
    operations::finish(api, &answer, what).await?;
    let began = Instant::now();
    let mut tries = 0;
    while branches::by_id(api, id, what).await?.is_some() {
        if began.elapsed() > SHOWN_YET {
            let message = format!("{what}: branch {id} was deleted, and is still there");
            return Err(Fault::retryable("neon.slow", message)
                .hinted("neon::operations shows what the service is doing; status.neon.tech whether it is well"));
        }
        tries += 1;
        tokio::time::sleep(backoff(Duration::from_millis(100), Duration::from_secs(2), tries)).await;
    }
    let branch: Option<Branch> = wire::part(&answer, "branch", what).ok();
    let until = branch.and_then(|branch| branch.recovery).and_then(|recovery| recovery.recoverable_until);
    Ok(Deleted { done: true, recoverable_until: until })
}

/// What became of a deletion.
#[derive(Debug, Default)]
pub struct Deleted {
    /// Whether it was this one that deleted it.
    pub done: bool,
    /// Until when it can be had back, if the API says so.
    pub recoverable_until: Option<String>,
}

/// `neon::drop_branch`.
pub async fn drop_branch(
    neon: &Neon<'_>,
    request: &NeonDropBranch,
    ticket: &Ticket,
    ledger: &dyn Ledger,
) -> Result<Done, Fault> {
    let api = neon.api();
    let id = target::made_branch(&request.made).map_or(request.made.as_str(), |(_, branch)| branch);
    let what = format!("deleting branch {id}");
    let found = branches::by_id(api, id, &what).await?;
    if let Some((branch, stamp)) = &found {
        require_ours(branch, stamp.as_ref(), ticket)?;
    }
    let _one = api.changing.lock().await;
    ledger.intent(json!({ "branch": id }))?;
    neon.forget(id);
    let Some((branch, _)) = found else { return Ok(deleted(false)) };
    if branch.is_protected() {
        let body = json!({ "branch": { "protected": false } });
        api.repeat(Method::PATCH, &path(&["branches", id]), Some(&body), &what).await?;
    }
    delete(api, id, &what).await.map(|gone| deleted(gone.done))
}

fn deleted(done: bool) -> Done {
    Done { value: json!({ "deleted": done }), rows: None }
}

/// Refuses a branch that the run of this action did not make.
pub fn require_ours(branch: &Branch, stamp: Option<&Stamp>, ticket: &Ticket) -> Result<(), Fault> {
    if stamp.is_some_and(|stamp| stamp.is_of(ticket)) {
        return Ok(());
    }
    let maker = stamp.map_or_else(|| "no run made it".to_owned(), |stamp| format!("it was made by {stamp}"));
    Err(Fault::fatal("neon.not-ours", format!("branch `{}` ({}) is not this run's: {maker}", branch.name, branch.id))
        .hinted("a run deletes only what it made; neon::delete_branch is for others', with everything that it checks"))
}

/// `neon::sweep`.
pub async fn sweep(neon: &Neon<'_>, request: &NeonSweep, ticket: &Ticket, ledger: &dyn Ledger) -> Result<Done, Fault> {
    let api = neon.api();
    let (leftovers, mut kept) = sorted(neon, request, &ticket.origin.stamp).await?;
    let names: Vec<&str> = leftovers.iter().map(|(branch, _)| branch.name.as_str()).collect();
    ledger.intent(json!({ "deleted": names }))?;
    let mut gone = Vec::new();
    for (branch, _) in &leftovers {
        let what = format!("deleting branch `{}`", branch.name);
        neon.forget(&branch.id);
        let _one = api.changing.lock().await;
        match delete(api, &branch.id, &what).await {
            Ok(_) => gone.push(branch.name.clone()),
            // Protected or with children since it was looked at: somebody wants it.
            Err(fault) if ["neon.protected", "neon.children"].contains(&fault.code.as_str()) => {
                kept.push((branch.name.clone(), fault.message));
            }
            Err(fault) => return Err(fault),
        }
    }
    let kept: Vec<Value> = kept.iter().map(|(name, why)| json!({ "name": name, "why": why })).collect();
    Ok(Done { value: json!({ "deleted": gone, "kept": kept }), rows: None })
}

/// What a sweep would delete, and what would stay.
pub async fn foresee(neon: &Neon<'_>, request: &NeonSweep) -> Result<Vec<String>, Fault> {
    let (leftovers, kept) = sorted(neon, request, "").await?;
    let mut notes: Vec<String> = leftovers
        .iter()
        .map(|(branch, stamp)| format!("would delete `{}` ({}), made by {stamp}", branch.name, branch.id))
        .collect();
    notes.extend(kept.iter().map(|(name, why)| format!("would keep `{name}`: {why}")));
    if notes.is_empty() {
        notes.push("there is nothing to delete".to_owned());
    }
    Ok(notes)
}

/// Branches that may be deleted with who made them, leaves first.
type Leftovers = Vec<(Branch, Stamp)>;
/// Names of branches that must stay, and why.
type Kept = Vec<(String, String)>;

/// What runs left, and what of it must stay. What carries no stamp is nobody's business here and is not named.
async fn sorted(neon: &Neon<'_>, request: &NeonSweep, own: &str) -> Result<(Leftovers, Kept), Fault> {
    let all = Collection::read(neon.api()).await?;
    let (mut leftovers, mut kept): (Leftovers, Kept) = (Vec::new(), Vec::new());
    for branch in &all.branches {
        let Some(stamp) = all.stamp(&branch.id) else { continue };
        let why = if stamp.keep {
            Some(format!("{stamp}, made it to be kept"))
        } else if request.own {
            if own.is_empty() || stamp.stamp != own {
                continue;
            }
            None
        } else {
            stamp.held(&*neon.api().world().past)
        };
        match why {
            Some(why) => kept.push((branch.name.clone(), why)),
            None if branch.is_default() => kept.push((branch.name.clone(), "it is the default branch now".into())),
            None if branch.is_protected() => kept.push((branch.name.clone(), "it is protected".into())),
            None => leftovers.push((branch.clone(), stamp)),
        }
    }
    // A branch below one that stays keeps it; what keeps another may itself be kept by a third.
    loop {
        let ids: Vec<String> = leftovers.iter().map(|(branch, _)| branch.id.clone()).collect();
        let holds = |branch: &Branch| {
            all.children(&branch.id).find(|child| !ids.contains(&child.id)).map(|child| child.name.clone())
        };
        let Some(at) = leftovers.iter().position(|(branch, _)| holds(branch).is_some()) else { break };
        let (branch, _) = leftovers.remove(at);
        let child = holds(&branch).unwrap_or_default();
        kept.push((branch.name, format!("branch `{child}` begins at it")));
    }
    leftovers.sort_by_key(|(branch, _)| std::cmp::Reverse(all.depth(branch)));
    Ok((leftovers, kept))
}

impl Neon<'_> {
    /// Forgets what is known of a branch that goes: its URLs, and the sessions to it.
    pub(super) fn forget(&self, id: &str) {
        let mut urls = self.api().urls.lock().unwrap_or_else(PoisonError::into_inner);
        urls.retain(|name, _| target::made_branch(name).is_none_or(|(_, branch)| branch != id));
        drop(urls);
        self.postgres.close_idle_of_branch(id);
    }
}
