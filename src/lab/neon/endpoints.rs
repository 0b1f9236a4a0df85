//! Endpoints: made, started, suspended, disabled, woken by whoever connects.

use std::sync::{Arc, Weak};
use std::time::Duration;

use serde_json::{Value, json};

use super::backing::{Host, Wake};
use super::call::{Answer, Call, Reply, ok, text};
use super::names;
use super::operations::{self, Fate, Task};
use super::plane::Plane;
use super::refusal::Refusal;
use super::state::{Endpoint, Project, State};
use super::view;
use super::work::{self, Work};

/// How long a client waits for its turn to wake a compute.
const PATIENCE: Duration = Duration::from_secs(30);

/// `GET …/endpoints`.
pub async fn list(call: Call) -> Answer {
    let project = call.project()?;
    let state = project.state.lock().await;
    let living = state.endpoints.values().filter(|endpoint| state.branch(&endpoint.branch).is_some());
    let views: Vec<Value> = living.map(|endpoint| view::endpoint(&project, &state, endpoint)).collect();
    ok(json!({ "endpoints": views }))
}

/// `GET …/branches/{branch}/endpoints`.
pub async fn of_branch(call: Call) -> Answer {
    let project = call.project()?;
    let state = project.state.lock().await;
    state.existing(call.part("branch"))?;
    let of = state.endpoints_of(call.part("branch"));
    let views: Vec<Value> = of.map(|endpoint| view::endpoint(&project, &state, endpoint)).collect();
    ok(json!({ "endpoints": views }))
}

/// `GET …/endpoints/{endpoint}`.
pub async fn get(call: Call) -> Answer {
    let project = call.project()?;
    let state = project.state.lock().await;
    let endpoint = find(&state, call.part("endpoint"))?;
    ok(json!({ "endpoint": view::endpoint(&project, &state, endpoint) }))
}

fn find<'a>(state: &'a State, id: &str) -> Result<&'a Endpoint, Refusal> {
    let found = state.endpoints.get(id).filter(|endpoint| state.branch(&endpoint.branch).is_some());
    found.ok_or_else(|| Refusal::missing("endpoint"))
}

/// `POST …/endpoints`.
pub async fn create(call: Call) -> Answer {
    let project = call.project()?;
    let mut state = project.state.lock().await;
    let state = &mut *state;
    operations::refuse_busy(state)?;
    let wanted = call.body.get("endpoint").cloned().unwrap_or(Value::Null);
    let branch = text(&wanted, "branch_id").ok_or_else(|| Refusal::new(400, "branch_id is required"))?;
    let state_of = state.existing(branch)?.state.clone();
    if state_of != "ready" {
        return Err(Refusal::new(422, "branch not ready yet"));
    }
    let id = make(&call.plane, &project, state, branch, &wanted).await?;
    let task = Task::of_endpoint("start_compute", branch, &id, Work::Start(id.clone()));
    let operations = operations::schedule(&project, state, vec![task]);
    let view = view::endpoint(&project, state, &state.endpoints[&id]);
    Ok(Reply(201, json!({ "endpoint": view, "operations": operations })))
}

/// Makes an endpoint that is on its way to be active.
pub async fn make(
    _plane: &Plane,
    project: &Arc<Project>,
    state: &mut State,
    branch: &str,
    wanted: &Value,
) -> Result<String, Refusal> {
    let read_write = text(wanted, "type") != Some("read_only");
    if wanted.get("settings").is_some_and(|settings| settings.get("pg_settings").is_none()) {
        return Err(Refusal::new(400, "settings must not be nil"));
    }
    // The service's own words for this are not known.
    if read_write && state.endpoints_of(branch).any(|endpoint| endpoint.read_write) {
        return Err(Refusal::new(422, "read_write endpoint already exists for the branch"));
    }
    let suspend_timeout = suspend_timeout(state, wanted)?.unwrap_or(0);
    let number = |name, or| wanted.get(name).and_then(Value::as_f64).unwrap_or(or);
    let now = project.clock.now();
    let id = names::id(&*project.clock, "ep");
    let endpoint = Endpoint {
        id: id.clone(),
        branch: branch.to_owned(),
        read_write,
        state: "init".into(),
        pending: Some("active".into()),
        disabled: false,
        suspend_timeout,
        compute_units: (number("autoscaling_limit_min_cu", 0.25), number("autoscaling_limit_max_cu", 2.0)),
        last_active: None,
        started_at: None,
        suspended_at: None,
        created_at: now,
        updated_at: now,
        direct: Some(project.proxies.listen(Host::Direct, waker(project, &id)).await?),
        pooled: Some(project.proxies.listen(Host::Pooled, waker(project, &id)).await?),
    };
    state.endpoints.insert(id.clone(), endpoint);
    Ok(id)
}

fn suspend_timeout(state: &State, wanted: &Value) -> Result<Option<i64>, Refusal> {
    let Some(seconds) = wanted.get("suspend_timeout_seconds").and_then(Value::as_i64) else { return Ok(None) };
    if seconds != 0 && !state.knobs.suspend_configurable {
        return Err(Refusal::new(412, "suspend interval is too short for your plan"));
    }
    if !(-1..=0).contains(&seconds) && !(60..=604_800).contains(&seconds) {
        return Err(Refusal::new(400, "suspend_timeout_seconds must be -1, 0 or between 60 and 604800"));
    }
    Ok(Some(seconds))
}

/// `PATCH …/endpoints/{endpoint}`.
pub async fn patch(call: Call) -> Answer {
    let project = call.project()?;
    let mut state = project.state.lock().await;
    let state = &mut *state;
    let id = call.part("endpoint");
    let (branch, active) = find(state, id).map(|it| (it.branch.clone(), it.state == "active"))?;
    operations::refuse_busy(state)?;
    let wanted = call.body.get("endpoint").cloned().unwrap_or(Value::Null);
    if wanted.get("settings").is_some_and(|settings| settings.get("pg_settings").is_none()) {
        return Err(Refusal::new(400, "settings must not be nil"));
    }
    let timeout = suspend_timeout(state, &wanted)?;
    let mut tasks = Vec::new();
    let now = project.clock.now();
    if let Some(endpoint) = state.endpoints.get_mut(id) {
        if let Some(timeout) = timeout {
            endpoint.suspend_timeout = timeout;
        }
        if let Some(disabled) = wanted.get("disabled").and_then(Value::as_bool) {
            endpoint.disabled = disabled;
            if disabled && active {
                endpoint.pending = Some("idle".into());
                tasks.push(Task::of_endpoint("suspend_compute", &branch, id, Work::Suspend(id.to_owned())));
            }
        }
        for (name, at) in [("autoscaling_limit_min_cu", 0), ("autoscaling_limit_max_cu", 1)] {
            if let Some(units) = wanted.get(name).and_then(Value::as_f64) {
                *(if at == 0 { &mut endpoint.compute_units.0 } else { &mut endpoint.compute_units.1 }) = units;
            }
        }
        endpoint.updated_at = now;
    }
    answer(&project, state, id, tasks)
}

fn answer(project: &Project, state: &mut State, id: &str, tasks: Vec<Task>) -> Answer {
    let operations = operations::schedule(project, state, tasks);
    ok(json!({ "endpoint": view::endpoint(project, state, &state.endpoints[id]), "operations": operations }))
}

/// `DELETE …/endpoints/{endpoint}`; 204 for one that is not there.
pub async fn delete(call: Call) -> Answer {
    let project = call.project()?;
    let mut state = project.state.lock().await;
    let state = &mut *state;
    let id = call.part("endpoint");
    let Ok(endpoint) = find(state, id) else { return Ok(Reply(204, Value::Null)) };
    let branch = endpoint.branch.clone();
    operations::refuse_busy(state)?;
    let branch_of = state.branch(&branch);
    if branch_of.is_some_and(|branch| branch.protected) {
        return Err(Refusal::new(422, "cannot delete endpoint of protected branch"));
    }
    if branch_of.is_some_and(|branch| branch.restricted.iter().any(|(name, _)| name == "delete-rw-endpoint")) {
        return Err(Refusal::new(422, "deleting the read_write endpoint is restricted"));
    }
    answer(
        &project,
        state,
        id,
        vec![Task::of_endpoint("suspend_compute", &branch, id, Work::DropEndpoint(id.to_owned()))],
    )
}

/// `POST …/endpoints/{endpoint}/start`.
pub async fn start(call: Call) -> Answer {
    change(&call, "active").await
}

/// `POST …/endpoints/{endpoint}/suspend`.
pub async fn suspend(call: Call) -> Answer {
    change(&call, "idle").await
}

/// `POST …/endpoints/{endpoint}/restart`.
pub async fn restart(call: Call) -> Answer {
    change(&call, "restarted").await
}

async fn change(call: &Call, wanted: &str) -> Answer {
    let project = call.project()?;
    let mut state = project.state.lock().await;
    let state = &mut *state;
    let id = call.part("endpoint");
    let endpoint = find(state, id)?;
    let (branch, disabled) = (endpoint.branch.clone(), endpoint.disabled);
    if endpoint.pending.is_some() && wanted == "idle" {
        return Err(Refusal::new(423, "endpoint is in some transitive state, could not suspend"));
    }
    operations::refuse_busy(state)?;
    if disabled && wanted != "idle" {
        return Err(Refusal::new(422, "endpoint is disabled"));
    }
    if state.branch(&branch).is_some_and(|branch| branch.state != "ready") {
        return Err(Refusal::new(422, "branch not ready yet"));
    }
    let mut tasks = Vec::new();
    if wanted != "active" {
        tasks.push(Task::of_endpoint("suspend_compute", &branch, id, Work::Suspend(id.to_owned())));
    }
    if wanted != "idle" {
        tasks.push(Task::of_endpoint("start_compute", &branch, id, Work::Start(id.to_owned())));
    }
    if let Some(endpoint) = state.endpoints.get_mut(id) {
        let pending = if wanted == "idle" { "idle" } else { "active" };
        endpoint.pending = (endpoint.state != pending || wanted == "restarted").then(|| pending.to_owned());
    }
    answer(&project, state, id, tasks)
}

/// What a proxy calls when a client connects to an endpoint.
pub fn waker(project: &Arc<Project>, id: &str) -> Wake {
    let (project, id): (Weak<Project>, String) = (Arc::downgrade(project), id.to_owned());
    Arc::new(move || {
        let (project, id) = (project.clone(), id.clone());
        Box::pin(async move {
            let project = project.upgrade().ok_or("Control plane request failed: endpoint cannot be found")?;
            let woken = tokio::time::timeout(PATIENCE, wake(&project, &id)).await;
            woken.unwrap_or_else(|_| Err("Couldn't connect to compute node".to_owned()))
        })
    })
}

/// Wakes an endpoint's compute if it sleeps, and answers its port.
async fn wake(project: &Arc<Project>, id: &str) -> Result<u16, String> {
    // Whatever is at work just now comes to its end first.
    let _turn = project.turn.lock().await;
    let operation = {
        let mut state = project.state.lock().await;
        let endpoint = find(&state, id).map_err(|_| "Control plane request failed: endpoint cannot be found")?;
        if endpoint.disabled {
            return Err("Control plane request failed: endpoint is disabled".into());
        }
        let (branch, sleeps) = (endpoint.branch.clone(), endpoint.state != "active");
        if state.branch(&branch).is_none_or(|branch| branch.state != "ready") {
            return Err("Couldn't connect to compute node".into());
        }
        let task = Task::of_endpoint("start_compute", &branch, id, Work::Nothing);
        sleeps.then(|| operations::begin(project, &mut state, task))
    };
    let started = work::start(project, id).await.map_err(|fault| fault.to_string());
    if let Some(operation) = operation {
        let mut state = project.state.lock().await;
        let ended = started.as_ref().map(|_| Fate::Finished).map_err(String::clone);
        operations::end(project, &mut state, &operation, ended);
    }
    started.map_err(|why| format!("Couldn't connect to compute node: {why}"))
}
