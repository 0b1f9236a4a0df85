//! Neon: branches as copies of a database, through its API.
//!
//! One file for how requests are made ([`http`]), one for waiting until work is over ([`operations`]), one for what is
//! answered ([`wire`]), and one a group of words. Every change is followed to the end of all its operations, and what it
//! changed is read back.

mod branches;
mod by_hand;
mod create;
mod endpoints;
mod faults;
pub mod http;
mod met;
mod moment;
mod operations;
pub(in crate::effects) mod place;
mod preview;
mod project;
mod purge;
mod remove;
mod restore;
mod roles;
mod wire;

use serde_json::{Value, json};

use branches::Collection;
use endpoints::Wish;
use http::Api;

use super::postgres::Postgres;
use super::{Done, Doubt, Ledger, Resolution, Ticket};
use crate::model::action::Action;
use crate::model::fault::Fault;
use crate::model::request::Request;
use crate::model::request::neon::{
    NeonBranch, NeonBranchOf, NeonBranches, NeonCompareSchema, NeonCreateBranch, NeonDatabases, NeonDeleteBranch,
    NeonDisableEndpoint, NeonDropBranch, NeonEndpoints, NeonHosts, NeonOperations, NeonProject, NeonRecoverBranch,
    NeonResetPassword, NeonRestoreBranch, NeonRevealPassword, NeonRoles, NeonSetHistory, NeonStartEndpoint,
    NeonSuspendEndpoint, NeonSweep, NeonUpdateBranch, NeonUrl,
};
use crate::model::target;

pub use by_hand::by_hand;
pub use preview::preview;

/// The API with the databases behind it.
pub struct Neon<'a> {
    /// Sessions and targets.
    pub postgres: &'a Postgres,
}

impl Neon<'_> {
    fn api(&self) -> &Api {
        self.postgres.neon()
    }

    /// Id of the branch of a target, or `neon.not`.
    async fn branch_id_of(&self, target: &str) -> Result<String, Fault> {
        place::id_of(self.postgres, target).await
    }

    /// Id of the branch of that id or exact name.
    async fn id_of(&self, id_or_name: &str) -> Result<String, Fault> {
        if target::made_branch(id_or_name).is_some() {
            return self.branch_id_of(id_or_name).await;
        }
        // The whole list is for names; an id is one small request, unless a branch is called like an id.
        if branches::is_id(id_or_name)
            && branches::by_id(self.api(), id_or_name, &format!("looking for branch {id_or_name}")).await?.is_some()
        {
            return Ok(id_or_name.to_owned());
        }
        Ok(Collection::read(self.api()).await?.get(id_or_name)?.id.clone())
    }
}

/// Performs a word once.
pub async fn perform(neon: &Neon<'_>, action: &Action, ticket: &Ticket, ledger: &dyn Ledger) -> Result<Done, Fault> {
    match action.word.as_str() {
        NeonCreateBranch::WORD => create::perform(neon, &NeonCreateBranch::of(action)?, ticket, ledger).await,
        NeonDropBranch::WORD => remove::drop_branch(neon, &NeonDropBranch::of(action)?, ticket, ledger).await,
        NeonSweep::WORD => remove::sweep(neon, &NeonSweep::of(action)?, ticket, ledger).await,
        NeonDeleteBranch::WORD => purge::delete_branch(neon, &NeonDeleteBranch::of(action)?, ledger).await,
        NeonRecoverBranch::WORD => purge::recover(neon, &NeonRecoverBranch::of(action)?, ledger).await,
        NeonUpdateBranch::WORD => purge::update(neon, &NeonUpdateBranch::of(action)?, ledger).await,
        NeonRestoreBranch::WORD => restore::perform(neon, &NeonRestoreBranch::of(action)?, ledger).await,
        NeonStartEndpoint::WORD => {
            endpoints::bring(neon, &NeonStartEndpoint::of(action)?.endpoint, Wish::Active, ledger).await
        }
        NeonSuspendEndpoint::WORD => {
            endpoints::bring(neon, &NeonSuspendEndpoint::of(action)?.endpoint, Wish::Idle, ledger).await
        }
        NeonDisableEndpoint::WORD => {
            let request = NeonDisableEndpoint::of(action)?;
            let wish = if request.disabled { Wish::Disabled } else { Wish::Enabled };
            endpoints::bring(neon, &request.endpoint, wish, ledger).await
        }
        NeonResetPassword::WORD => {
            let request = NeonResetPassword::of(action)?;
            let branch = neon.id_of(&request.branch).await?;
            roles::reset(neon, &request, &branch, ledger).await
        }
        NeonSetHistory::WORD => {
            let seconds = NeonSetHistory::of(action)?.seconds;
            let before = project::history_seconds(neon.api()).await?.unwrap_or_default();
            ledger.intent(json!({ "before": before }))?;
            let value = project::set_history(neon.api(), seconds, before).await?;
            Ok(Done { value, rows: None })
        }
        _ => read(neon, action).await.map(|value| Done { value, rows: None }),
    }
}

/// What became of an attempt whose outcome is missing. What may be done again is.
pub async fn resolve(neon: &Neon<'_>, action: &Action, ticket: &Ticket, doubt: &Doubt) -> Result<Resolution, Fault> {
    match action.word.as_str() {
        NeonCreateBranch::WORD => create::resolve(neon, &NeonCreateBranch::of(action)?, ticket, doubt).await,
        NeonRestoreBranch::WORD => restore::resolve(neon, &NeonRestoreBranch::of(action)?, doubt).await,
        NeonDeleteBranch::WORD => purge::resolve(neon, &NeonDeleteBranch::of(action)?, doubt).await,
        NeonResetPassword::WORD => roles::resolve_reset(neon, doubt).await,
        _ => Ok(Resolution::NotDone),
    }
}

/// The answer of a word that changes nothing.
async fn read(neon: &Neon<'_>, action: &Action) -> Result<Value, Fault> {
    let api = neon.api();
    match action.word.as_str() {
        NeonProject::WORD => project::read(api).await,
        NeonBranches::WORD => {
            let prefix = NeonBranches::of(action)?.prefix;
            let all = Collection::read(api).await?;
            Ok(all.branches.iter().filter(|it| it.name.starts_with(&prefix)).map(|it| all.map(it)).collect())
        }
        NeonBranch::WORD => {
            let all = Collection::read(api).await?;
            Ok(all.find(&NeonBranch::of(action)?.branch)?.map_or(Value::Null, |branch| all.map(branch)))
        }
        NeonBranchOf::WORD => {
            let id = neon.branch_id_of(&NeonBranchOf::of(action)?.target).await?;
            let all = Collection::read(api).await?;
            Ok(all.map(all.get(&id)?))
        }
        NeonHosts::WORD => {
            let name = NeonHosts::of(action)?.target;
            // A database or server that a run made beside the branch is on none.
            let beside = target::made(&name).is_some() && target::made_branch(&name).is_none();
            let base = api.world().targets.get(target::base(&name));
            let on = base.is_some_and(|base| place::endpoint(api, base).is_some());
            Ok(Value::Bool(on && !beside))
        }
        NeonEndpoints::WORD => endpoints::of_branch(api, &neon.id_of(&NeonEndpoints::of(action)?.branch).await?).await,
        NeonRoles::WORD => roles::roles(api, &neon.id_of(&NeonRoles::of(action)?.branch).await?).await,
        NeonDatabases::WORD => {
            let branch = neon.id_of(&NeonDatabases::of(action)?.branch).await?;
            let all = roles::databases(api, &branch).await?;
            Ok(all.iter().map(|it| json!({ "name": it.name, "owner": it.owner_name })).collect())
        }
        NeonRevealPassword::WORD => {
            let request = NeonRevealPassword::of(action)?;
            roles::reveal(api, &neon.id_of(&request.branch).await?, &request.role, request.fresh).await
        }
        NeonUrl::WORD => {
            let request = NeonUrl::of(action)?;
            roles::url(api, &request, &neon.id_of(&request.branch).await?).await
        }
        NeonOperations::WORD => listed_operations(neon, &NeonOperations::of(action)?).await,
        NeonCompareSchema::WORD => {
            roles::compare(api, &NeonCompareSchema::of(action)?, &Collection::read(api).await?).await
        }
        word => Err(super::no_such_word(word)),
    }
}

async fn listed_operations(neon: &Neon<'_>, request: &NeonOperations) -> Result<Value, Fault> {
    let branch = match &request.branch {
        Some(branch) => Some(neon.id_of(branch).await?),
        None => None,
    };
    let limit = usize::try_from(request.limit).unwrap_or(usize::MAX);
    // Those of one branch are looked for among the newest thousand.
    let read = if branch.is_some() { limit.max(1000) } else { limit };
    let found = operations::newest(neon.api(), read, "listing operations").await?;
    Ok(found
        .iter()
        .filter(|it| branch.as_deref().is_none_or(|branch| it["branch_id"] == branch))
        .take(limit)
        .map(|it| {
            json!({
                "id": it["id"], "action": it["action"], "status": it["status"], "error": it["error"],
                "branch": it["branch_id"], "endpoint": it["endpoint_id"],
                "created_at": it["created_at"], "updated_at": it["updated_at"],
            })
        })
        .collect())
}
