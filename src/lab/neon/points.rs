//! Points in a branch's history, found and refused.

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::BoxFuture;

use super::backing::{At, Resolved, StorageError, StorageId};
use super::refusal::Refusal;
use super::state::{Branch, Project, State};
use crate::model::fault::Fault;

/// The data of a branch; one that a test put there gets its data now.
pub fn storage<'a>(project: &'a Project, state: &'a mut State, id: &'a str) -> BoxFuture<'a, Result<StorageId, Fault>> {
    Box::pin(async move {
        let gone = || Fault::fatal("lab.neon", format!("branch {id} is gone"));
        let branch = state.branches.get(id).ok_or_else(gone)?;
        if let Some(storage) = &branch.storage {
            return Ok(storage.clone());
        }
        let storage = match branch.parent.clone().filter(|parent| state.branches.contains_key(parent)) {
            None => project.storages.root().await?,
            Some(parent) => {
                let parent = self::storage(project, state, &parent).await?;
                let resolved = project.storages.resolve(&parent, At::Head).await.map_err(fault)?;
                project.storages.fork(&parent, &resolved).await.map_err(fault)?
            }
        };
        if let Some(branch) = state.branches.get_mut(id) {
            branch.storage = Some(storage.clone());
        }
        Ok(storage)
    })
}

fn fault(error: StorageError) -> Fault {
    match error {
        StorageError::Failed(fault) => fault,
        StorageError::OutOfHistory { earliest, latest } => {
            Fault::fatal("lab.neon", format!("a head outside of {earliest} to {latest}"))
        }
    }
}

/// Finds a point of a branch, given as the API gives it: a time as shown, a position, or neither for the head.
pub async fn resolve(
    project: &Project,
    state: &mut State,
    branch: &str,
    at: At,
) -> Result<(StorageId, Resolved), Refusal> {
    let real = match at {
        At::Time(shown) => At::Time(state.stretch.real(shown)),
        other => other,
    };
    let source = state.existing(branch)?.clone();
    if let At::Time(time) = real {
        within(project, state, &source, time)?;
    }
    let storage = storage(project, state, branch).await?;
    let resolved = project.storages.resolve(&storage, real).await.map_err(|error| match error {
        StorageError::OutOfHistory { .. } => outside(project, state, &source),
        other @ StorageError::Failed(_) => other.into(),
    })?;
    if let (At::Lsn(_), Some(time)) = (real, resolved.time) {
        within(project, state, &source, time)?;
    }
    Ok((storage, resolved))
}

/// The earliest point of a branch that can be had.
fn earliest(project: &Project, state: &State, source: &Branch) -> DateTime<Utc> {
    let window = state.stretch.real(project.clock.now() - TimeDelta::seconds(state.history));
    window.max(source.history_from)
}

fn within(project: &Project, state: &State, source: &Branch, time: DateTime<Utc>) -> Result<(), Refusal> {
    if time < earliest(project, state, source) || time > project.clock.now() {
        return Err(outside(project, state, source));
    }
    Ok(())
}

// The service's own words for this are not known.
fn outside(project: &Project, state: &State, source: &Branch) -> Refusal {
    let text = |time| state.stretch.text(time);
    Refusal::new(
        state.knobs.history_status,
        format!(
            "the requested point in time is outside of the history of branch {}: {} to {}",
            source.id,
            text(earliest(project, state, source)),
            text(project.clock.now())
        ),
    )
}
