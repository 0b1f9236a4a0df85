//! Branches as a test wants them to be, past every rule of the service.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::clock;
use super::making::planted;
use super::names;
use super::refusal::Refusal;
use super::state::{Branch, Project, State};

/// A branch, or what is to be changed of one. Times are RFC 3339, as shown.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Seed {
    /// Its id; a new one if it has none.
    pub id: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// Its parent, by id or name; the default branch if none is given, none if it is the empty text.
    pub parent: Option<String>,
    created_at: Option<String>,
    updated_at: Option<String>,
    expires_at: Option<String>,
    /// When its endpoint was last used; it has one then.
    last_active: Option<String>,
    /// Whether its endpoint is active; it has one then.
    active: Option<bool>,
    protected: Option<bool>,
    default: Option<bool>,
    state: Option<String>,
    init_source: Option<String>,
    annotation: Option<Map<String, Value>>,
    /// `[[action, reason], …]`.
    restricted: Option<Vec<(String, String)>>,
    /// Whether it is gone, without operations.
    removed: bool,
}

/// Finds a branch by id or name.
pub fn find(state: &State, which: &str) -> Option<String> {
    let found = state.branch(which).or_else(|| state.living().find(|branch| branch.name == which));
    found.map(|branch| branch.id.clone())
}

/// Puts a branch there, and answers its id.
pub async fn plant(project: &Arc<Project>, state: &mut State, seed: &Seed) -> Result<String, Refusal> {
    let parent = match seed.parent.as_deref() {
        Some("") => None,
        Some(which) => Some(find(state, which).ok_or_else(|| Refusal::missing("parent branch"))?),
        None => state.default_branch().map(|branch| branch.id.clone()),
    };
    let id = seed.id.clone().unwrap_or_else(|| names::id(&*project.clock, "br"));
    let name = seed.name.clone().unwrap_or_else(|| id.clone());
    let mut branch = Branch::new(id.clone(), name, parent, project.clock.now());
    if let Some(parent) = branch.parent.as_ref().and_then(|parent| state.branches.get(parent)) {
        branch.roles.clone_from(&parent.roles);
        branch.databases.clone_from(&parent.databases);
        branch.unconfigured = true;
    }
    state.branches.insert(id.clone(), branch);
    alter(project, state, &id, seed).await?;
    // What was made at a time was not changed later, unless that is said.
    if let Some(branch) = state.branches.get_mut(&id)
        && seed.updated_at.is_none()
    {
        branch.updated_at = branch.created_at;
        branch.state_changed_at = branch.created_at;
        branch.parent_time = branch.parent.as_ref().map(|_| branch.created_at);
    }
    Ok(id)
}

/// Changes what the seed says of a branch.
pub async fn alter(project: &Arc<Project>, state: &mut State, id: &str, seed: &Seed) -> Result<(), Refusal> {
    let stretch = state.stretch;
    let time = |text: &Option<String>| -> Result<Option<DateTime<Utc>>, Refusal> {
        let Some(text) = text else { return Ok(None) };
        let shown = clock::parse(text).ok_or_else(|| Refusal::new(400, format!("{text:?} is no time")))?;
        Ok(Some(stretch.real(shown)))
    };
    if seed.removed {
        if let Some(branch) = state.branches.remove(id) {
            state.removed.push(branch.name);
        }
        state.endpoints.retain(|_, endpoint| endpoint.branch != id);
        return Ok(());
    }
    let parent = seed.parent.as_deref().filter(|parent| !parent.is_empty()).and_then(|parent| find(state, parent));
    let Some(branch) = state.branches.get_mut(id) else { return Err(Refusal::missing("branch")) };
    branch.updated_at = project.clock.now();
    if let Some(created_at) = time(&seed.created_at)? {
        (branch.created_at, branch.history_from) = (created_at, created_at);
    }
    if let Some(updated_at) = time(&seed.updated_at)? {
        branch.updated_at = updated_at;
    }
    if let Some(expires_at) = time(&seed.expires_at)? {
        branch.expires_at = Some(expires_at);
    }
    if parent.is_some() {
        branch.parent = parent;
    }
    for (field, wanted) in
        [(&mut branch.name, &seed.name), (&mut branch.state, &seed.state), (&mut branch.init_source, &seed.init_source)]
    {
        if let Some(wanted) = wanted {
            field.clone_from(wanted);
        }
    }
    branch.protected = seed.protected.unwrap_or(branch.protected);
    branch.default = seed.default.unwrap_or(branch.default);
    if let Some(annotation) = &seed.annotation {
        branch.annotation = Some(annotation.clone());
    }
    if let Some(restricted) = &seed.restricted {
        branch.restricted.clone_from(restricted);
    }
    if seed.default == Some(true) {
        for other in state.branches.values_mut() {
            other.default = other.id == id;
        }
    }
    let last_active = time(&seed.last_active)?;
    if last_active.is_none() && seed.active.is_none() {
        return Ok(());
    }
    let there = state.endpoints.values().find(|endpoint| endpoint.branch == id).map(|endpoint| endpoint.id.clone());
    let endpoint = match there {
        Some(endpoint) => endpoint,
        None => planted(project, state, id, seed.active == Some(true)).await?,
    };
    if let Some(endpoint) = state.endpoints.get_mut(&endpoint) {
        if let Some(active) = seed.active {
            endpoint.state = if active { "active" } else { "idle" }.into();
        }
        endpoint.last_active = last_active.or(endpoint.last_active);
    }
    Ok(())
}
