//! Projects as a test wishes them, and the endpoints that it puts there.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};

use super::backing::Host;
use super::knobs_routes::read;
use super::plane::{Plane, Rights};
use super::refusal::Refusal;
use super::state::{Branch, Database, Endpoint, Project, Role, State};
use super::storage::{APP, OWNER};
use super::{clock, endpoints, names, uri};

/// What a project is to be.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Wish {
    id: Option<String>,
    name: Option<String>,
    branch: Option<String>,
    database: Option<String>,
    role: Option<String>,
    created_at: Option<String>,
    history_seconds: Option<i64>,
    seed: Option<u64>,
    databases: bool,
    knobs: Value,
}

/// Makes a project with its default branch, its database, role and endpoint.
pub async fn make_project(plane: &Plane, wish: Wish) -> Result<Value, Refusal> {
    let backing = if wish.databases { plane.real().await? } else { plane.paper.clone() };
    let known = backing.password.clone();
    let now = plane.clock.now();
    let made_at = match &wish.created_at {
        Some(text) => clock::parse(text).ok_or_else(|| Refusal::new(400, "created_at is no time"))?,
        None => now,
    };
    let id = wish.id.unwrap_or_else(|| names::project(&*plane.clock));
    let database = wish.database.unwrap_or_else(|| APP.into());
    let role = wish.role.unwrap_or_else(|| OWNER.into());
    let mut state = State {
        name: wish.name.unwrap_or_else(|| "shop".into()),
        created_at: made_at,
        updated_at: made_at,
        history: wish.history_seconds.unwrap_or(86_400),
        next_database: 990,
        ..State::default()
    };
    if !wish.knobs.is_null() {
        state.knobs = read(&wish.knobs)?;
    }
    let project = plane.add(id.clone(), backing, wish.seed, state);
    let mut state = project.state.lock().await;
    let name = wish.branch.unwrap_or_else(|| "main".into());
    let mut branch = Branch::new(names::id(&*project.clock, "br"), name, None, made_at);
    branch.default = true;
    branch.unconfigured = known.is_none() || (database.as_str(), role.as_str()) != (APP, OWNER);
    branch.storage = Some(project.storages.root().await?);
    let password = Some(known.unwrap_or_else(|| names::secret(&*project.clock, "npg_")));
    branch.roles.push(Role { name: role.clone(), password, created_at: made_at, updated_at: made_at });
    let database = Database { id: 990, name: database, owner: role, created_at: made_at, updated_at: made_at };
    branch.databases.push(database);
    let branch_id = branch.id.clone();
    state.branches.insert(branch_id.clone(), branch);
    let endpoint = endpoints::make(plane, &project, &mut state, &branch_id, &Value::Null).await?;
    if let Some(endpoint) = state.endpoints.get_mut(&endpoint) {
        (endpoint.state, endpoint.pending, endpoint.created_at) = ("idle".into(), None, made_at);
    }
    let (branch, endpoint) = (&state.branches[&branch_id], &state.endpoints[&endpoint]);
    let (role, database) = (&branch.roles[0], &branch.databases[0].name);
    Ok(json!({
        "id": id, "key": plane.key(&id, Rights::All), "branch": branch_id, "endpoint": endpoint.id,
        "database": database, "role": role.name, "uri": uri::uri(endpoint, role, database, false),
        "pooled_uri": uri::uri(endpoint, role, database, true),
    }))
}

/// An endpoint that a test put there.
pub async fn planted(project: &Arc<Project>, state: &mut State, branch: &str, active: bool) -> Result<String, Refusal> {
    let id = names::id(&*project.clock, "ep");
    let now = project.clock.now();
    let waker = |id: &str| endpoints::waker(project, id);
    let direct = Some(project.proxies.listen(Host::Direct, waker(&id)).await?);
    let pooled = Some(project.proxies.listen(Host::Pooled, waker(&id)).await?);
    let endpoint = Endpoint {
        id: id.clone(),
        branch: branch.to_owned(),
        read_write: true,
        state: if active { "active" } else { "idle" }.into(),
        pending: None,
        disabled: false,
        suspend_timeout: 0,
        compute_units: (0.25, 2.0),
        last_active: active.then_some(now),
        started_at: None,
        suspended_at: None,
        created_at: now,
        updated_at: now,
        direct,
        pooled,
    };
    state.endpoints.insert(id.clone(), endpoint);
    Ok(id)
}
