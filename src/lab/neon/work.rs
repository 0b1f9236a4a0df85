//! What operations really do, and what remains when they fail: nothing.

use std::sync::Arc;

use super::backing::StorageId;
use super::configure;
use super::points;
use super::state::{Branch, Project, State};
use crate::model::fault::Fault;

/// What an operation does.
#[derive(Clone, Debug)]
pub enum Work {
    /// Only takes its time.
    Nothing,
    /// A branch gets ready.
    Ready(String),
    /// A branch that was marked as deleted is gone.
    Delete(String),
    /// An endpoint's server is started.
    Start(String),
    /// An endpoint's server is stopped.
    Suspend(String),
    /// An endpoint is gone.
    DropEndpoint(String),
    /// Statements are run on a branch, each in a database; then its clients' connections end, if they should.
    Apply {
        /// The branch.
        branch: String,
        /// Databases and statements.
        statements: Vec<(String, String)>,
        /// The role that gets a password, and which.
        password: Option<(String, String)>,
        /// Whether connections end.
        cut: bool,
    },
    /// A branch gets other data, its endpoints with it.
    Restore {
        /// The branch as it was, for the case of failure.
        before: Box<Branch>,
        /// Its new data.
        storage: StorageId,
        /// The branch that keeps what was there.
        preserved: Option<String>,
        /// The children that went to it.
        moved: Vec<String>,
    },
}

/// Does it.
pub async fn perform(project: &Arc<Project>, work: &Work) -> Result<(), Fault> {
    match work {
        Work::Nothing => Ok(()),
        Work::Ready(branch) => {
            let mut state = project.state.lock().await;
            let now = project.clock.now();
            if let Some(branch) = state.branch_mut(branch) {
                branch.enter("ready", None, now);
            }
            Ok(())
        }
        Work::Delete(branch) => delete(project, branch).await,
        Work::Start(endpoint) => start(project, endpoint).await.map(drop),
        Work::Suspend(endpoint) => suspend(project, endpoint).await,
        Work::DropEndpoint(endpoint) => {
            suspend(project, endpoint).await?;
            project.state.lock().await.endpoints.remove(endpoint);
            Ok(())
        }
        Work::Apply { branch, statements, password, cut } => {
            configure::apply(project, branch, statements).await?;
            let mut state = project.state.lock().await;
            let now = project.clock.now();
            if let (Some((role, password)), Some(branch)) = (password, state.branch_mut(branch)) {
                for role in branch.roles.iter_mut().filter(|it| it.name == *role) {
                    role.password = Some(password.clone());
                    role.updated_at = now;
                }
            }
            if *cut {
                cut_branch(&state, branch);
            }
            Ok(())
        }
        Work::Restore { before, storage, .. } => restore(project, before, storage).await,
    }
}

/// Undoes what a call did to the state before its operation failed.
pub fn take_back(state: &mut State, work: &Work) {
    match work {
        Work::Ready(branch) => {
            if let Some(branch) = state.branches.get(branch).filter(|branch| branch.state == "init").cloned() {
                state.branches.remove(&branch.id);
                if let Some(last) = state.made.iter().rposition(|name| *name == branch.name) {
                    state.made.remove(last);
                }
                state.endpoints.retain(|_, endpoint| endpoint.branch != branch.id);
            }
        }
        Work::Delete(branch) => {
            if let Some(branch) = state.branches.get_mut(branch) {
                branch.deleted = None;
            }
        }
        Work::Start(endpoint) => {
            if let Some(endpoint) = state.endpoints.get_mut(endpoint) {
                endpoint.pending = None;
                endpoint.state = "idle".into();
            }
        }
        Work::Suspend(endpoint) => {
            if let Some(endpoint) = state.endpoints.get_mut(endpoint) {
                endpoint.pending = None;
            }
        }
        Work::Restore { before, preserved, moved, .. } => {
            if let Some(preserved) = preserved {
                state.branches.remove(preserved);
            }
            for child in moved {
                if let Some(child) = state.branches.get_mut(child) {
                    child.parent = Some(before.id.clone());
                }
            }
            state.branches.insert(before.id.clone(), (**before).clone());
        }
        Work::Nothing | Work::DropEndpoint(_) | Work::Apply { .. } => {}
    }
}

/// Starts an endpoint's server, and answers its port.
pub async fn start(project: &Arc<Project>, id: &str) -> Result<u16, Fault> {
    let storage = {
        let mut state = project.state.lock().await;
        let gone = || Fault::fatal("lab.neon", format!("endpoint {id} is gone"));
        let branch = state.endpoints.get(id).map(|endpoint| endpoint.branch.clone()).ok_or_else(gone)?;
        points::storage(project, &mut state, &branch).await?
    };
    let port = project.storages.start(&storage).await?.port;
    configure::bring_up(project, id).await?;
    let mut state = project.state.lock().await;
    let now = project.clock.now();
    if let Some(endpoint) = state.endpoints.get_mut(id) {
        if endpoint.state != "active" {
            endpoint.started_at = Some(now);
            endpoint.updated_at = now;
        }
        endpoint.state = "active".into();
        endpoint.pending = None;
        endpoint.last_active = Some(now);
    }
    Ok(port)
}

/// Stops an endpoint's server.
pub async fn suspend(project: &Arc<Project>, id: &str) -> Result<(), Fault> {
    let storage = {
        let state = project.state.lock().await;
        let Some(endpoint) = state.endpoints.get(id) else { return Ok(()) };
        state.branches.get(&endpoint.branch).and_then(|branch| branch.storage.clone())
    };
    if let Some(storage) = storage {
        project.storages.stop(&storage).await?;
    }
    let mut state = project.state.lock().await;
    let now = project.clock.now();
    if let Some(endpoint) = state.endpoints.get_mut(id) {
        for address in [&endpoint.direct, &endpoint.pooled].into_iter().flatten() {
            address.cut();
        }
        endpoint.state = "idle".into();
        endpoint.pending = None;
        endpoint.suspended_at = Some(now);
        endpoint.updated_at = now;
    }
    Ok(())
}

/// Ends the connections of a branch's clients.
pub fn cut_branch(state: &State, branch: &str) {
    for endpoint in state.endpoints.values().filter(|endpoint| endpoint.branch == branch) {
        for address in [&endpoint.direct, &endpoint.pooled].into_iter().flatten() {
            address.cut();
        }
    }
}

async fn delete(project: &Arc<Project>, id: &str) -> Result<(), Fault> {
    let endpoints: Vec<String> = {
        let state = project.state.lock().await;
        state.endpoints.values().filter(|endpoint| endpoint.branch == id).map(|endpoint| endpoint.id.clone()).collect()
    };
    for endpoint in &endpoints {
        suspend(project, endpoint).await?;
    }
    let mut state = project.state.lock().await;
    if let Some(name) = state.branches.get(id).map(|branch| branch.name.clone()) {
        state.removed.push(name);
    }
    if state.knobs.soft_delete {
        return Ok(());
    }
    let storage = state.branches.remove(id).and_then(|branch| branch.storage);
    state.endpoints.retain(|_, endpoint| endpoint.branch != id);
    drop(state);
    match storage {
        Some(storage) => project.storages.remove(&storage).await,
        None => Ok(()),
    }
}

async fn restore(project: &Arc<Project>, before: &Branch, storage: &StorageId) -> Result<(), Fault> {
    let endpoints: Vec<(String, bool)> = {
        let state = project.state.lock().await;
        let of = state.endpoints_of(&before.id);
        of.map(|endpoint| (endpoint.id.clone(), endpoint.state == "active")).collect()
    };
    if let Some(old) = &before.storage {
        project.storages.stop(old).await?;
    }
    {
        let mut state = project.state.lock().await;
        cut_branch(&state, &before.id);
        let now = project.clock.now();
        if let Some(branch) = state.branch_mut(&before.id) {
            branch.storage = Some(storage.clone());
            branch.enter("ready", None, now);
        }
    }
    for (endpoint, active) in endpoints {
        if active {
            start(project, &endpoint).await?;
        }
    }
    Ok(())
}
