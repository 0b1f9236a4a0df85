//! Targets on branches: which branch a target is on, and how a branch that a run made becomes a target.

use std::collections::BTreeSet;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use tokio_postgres::config::Host;

use super::http::Api;
use super::{branches, endpoints, roles};
use crate::effects::Ticket;
use crate::effects::postgres::{Postgres, url};
use crate::model::action::{Action, Resource};
use crate::model::fault::Fault;
use crate::model::identity::{BranchIdentity, ExpectedIdentity};
use crate::model::target::{self, Target};

/// For how long the branch of a compute is believed: sessions open in bursts, and no compute moves within seconds.
const BELIEVED: Duration = Duration::from_secs(10);

/// The compute that a target's URL names, if it is one of Neon's and Neon is configured.
pub fn endpoint(api: &Api, target: &Target) -> Option<String> {
    if !api.world().providers.mentions("neon") {
        return None;
    }
    let config = url::config(target).ok()?;
    let host = config.get_hosts().iter().find_map(|host| match host {
        Host::Tcp(name) => Some(name.clone()),
        Host::Unix(_) => None,
    })?;
    let label = host.split('.').next()?;
    let label = label.strip_suffix("-pooler").unwrap_or(label);
    (label.starts_with("ep-") && label.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-'))
        .then(|| label.to_ascii_lowercase())
}

/// The branch that a target is on; nothing when it is none of this project's.
pub async fn branch(api: &Api, target: &Target) -> Result<Option<BranchIdentity>, Fault> {
    let of = |branch: String| -> Result<Option<BranchIdentity>, Fault> {
        Ok(Some(BranchIdentity { project: api.access()?.project.clone(), branch }))
    };
    if let Some((_, branch)) = target::made_branch(&target.name) {
        return of(branch.to_owned());
    }
    let Some(endpoint) = endpoint(api, target) else { return Ok(None) };
    let known = api.places.lock().unwrap_or_else(PoisonError::into_inner).get(&endpoint).cloned();
    if let Some((_, found)) = known.filter(|(at, _)| at.elapsed() < BELIEVED) {
        return found.map_or(Ok(None), of);
    }
    let what = format!("asking which branch target `{}` is on", target.name);
    let found = match endpoints::by_id(api, &endpoint, &what).await {
        Ok(found) => Some(found.branch_id),
        // A database of another project: a cutover has two.
        Err(fault) if fault.code == "neon.missing" => None,
        Err(fault) => return Err(fault),
    };
    api.places.lock().unwrap_or_else(PoisonError::into_inner).insert(endpoint, (Instant::now(), found.clone()));
    found.map_or(Ok(None), of)
}

/// The target `BASE:br-…`: the database and role of `base`, on a branch that a run made. Its URL is asked for, never built.
pub async fn made(api: &Api, base: &Target, name: &str, branch: &str) -> Result<Target, Fault> {
    let not_made = |why: String| {
        Fault::fatal("target.not-made", format!("`{name}` is not a branch that a run made: {why}"))
            .hinted("BASE:br-… is only for what neon::create_branch answered; configure any other branch as a target")
    };
    let known = api.urls.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
    let config = url::config(base)?;
    let role = config.get_user().unwrap_or_default();
    let database = config.get_dbname().unwrap_or(role);
    let uri = match known {
        Some((uri, _)) => uri,
        None => {
            if endpoint(api, base).is_none() {
                return Err(not_made(format!("target `{}` is on no branch", base.name)));
            }
            let what = format!("looking at branch {branch}");
            let stamp = match branches::by_id(api, branch, &what).await? {
                None => return Err(not_made("there is none of that id any more".to_owned())),
                Some((_, None)) => return Err(not_made("it carries no stamp of a run".to_owned())),
                Some((_, Some(stamp))) => stamp,
            };
            let uri = roles::uri(api, branch, database, role, false).await?;
            api.urls.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), (uri.clone(), stamp));
            uri
        }
    };
    let place = BranchIdentity { project: api.access()?.project.clone(), branch: branch.to_owned() };
    Ok(Target {
        name: name.to_owned(),
        url: uri,
        direct_url: None,
        tunnel: None,
        tools: None,
        replication_url: None,
        protected: false,
        identity: Some(ExpectedIdentity::Branch { branch: place, database: database.to_owned() }),
        ..base.clone()
    })
}

/// Refuses an action on a branch that another run made: `BASE:br-…` is what this very run made, and nothing else.
pub async fn require_own(postgres: &Postgres, action: &Action, ticket: &Ticket) -> Result<(), Fault> {
    let targets: BTreeSet<&str> = action.reads.iter().chain(&action.writes).filter_map(Resource::target).collect();
    for name in targets.into_iter().filter(|name| ticket.run.is_some() && target::made_branch(name).is_some()) {
        postgres.target(name).await?;
        let known = postgres.neon().urls.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        if let Some((_, stamp)) = known.filter(|(_, stamp)| !stamp.is_of(ticket)) {
            let message = format!("`{name}` is not a branch that this run made: it was made by {stamp}");
            return Err(Fault::fatal("target.not-made", message)
                .hinted("configure it as a target of its own, or have this run make a branch of it"));
        }
    }
    Ok(())
}

/// Id of the branch of a target, or `neon.not`.
pub async fn id_of(postgres: &Postgres, name: &str) -> Result<String, Fault> {
    let api = postgres.neon();
    api.access()?;
    let target = postgres.target(name).await?;
    let found = branch(api, &target).await?;
    found.map(|place| place.branch).ok_or_else(|| {
        let why = match endpoint(api, &target) {
            Some(endpoint) => format!("compute {endpoint} is none of the configured project's"),
            None => "its host is no compute of Neon's (ep-…)".to_owned(),
        };
        Fault::fatal("neon.not", format!("target `{name}` is on no branch: {why}"))
            .hinted("check the target's URL, and `neon.project`")
    })
}
