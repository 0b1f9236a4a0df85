//! Branches: renamed, protected, given a time to live, deleted, had back.

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::call::{Answer, Call, Reply, ok, text, time};
use super::operations::{self, Task};
use super::refusal::Refusal;
use super::rules::{expire, name_is_free, protection_is_free, within_limits};
use super::state::{Deleted, Project, State};
use super::view;
use super::work::Work;

/// How long a deleted branch can be had back.
const RECOVERABLE: TimeDelta = TimeDelta::days(7);

/// `PATCH …/branches/{branch}`.
pub async fn patch(call: Call) -> Answer {
    let project = call.project()?;
    let mut state = project.state.lock().await;
    let state = &mut *state;
    let id = call.part("branch");
    let mut branch = state.existing(id)?.clone();
    operations::refuse_busy(state)?;
    let wanted = call.body.get("branch").cloned().unwrap_or(Value::Null);
    let now = project.clock.now();
    if let Some(name) = text(&wanted, "name").filter(|name| *name != branch.name) {
        name_is_free(state, name)?;
        name.clone_into(&mut branch.name);
    }
    if let Some(protected) = wanted.get("protected").and_then(Value::as_bool) {
        if protected && !branch.protected {
            protection_is_free(state)?;
            if branch.expires_at.is_some() {
                return Err(Refusal::new(422, "cannot protect a branch with an expiration"));
            }
        }
        branch.protected = protected;
    }
    if wanted.get("expires_at").is_some() {
        let expires = time(&wanted, "expires_at")?;
        if expires.is_some() && !state.children(id).is_empty() {
            return Err(Refusal::new(422, "cannot set an expiration on a branch that has children"));
        }
        expire(&mut branch, expires, now)?;
    }
    branch.updated_at = now;
    let body = view::branch(&project, state, &branch);
    state.branches.insert(id.to_owned(), branch);
    ok(json!({ "branch": body, "operations": [] }))
}

/// `DELETE …/branches/{branch}`; 204 for one that is not there.
pub async fn delete(call: Call) -> Answer {
    let project = call.project()?;
    let mut state = project.state.lock().await;
    let state = &mut *state;
    let id = call.part("branch");
    let Some(branch) = state.branch(id) else { return Ok(Reply(204, Value::Null)) };
    operations::refuse_busy(state)?;
    if branch.protected {
        return Err(Refusal::new(422, "cannot delete protected branch"));
    }
    let children = state.children(id);
    if !children.is_empty() {
        let children: Vec<String> = children.into_iter().collect();
        let message = format!("cannot delete branch that has children: {}", children.join(", "));
        return Err(Refusal::new(422, message));
    }
    // The service's own words for these are not known.
    if branch.default {
        return Err(Refusal::new(422, "cannot delete the default branch"));
    }
    if branch.backup_of_root || state.knobs.refuse_roots && branch.parent.is_none() {
        return Err(Refusal::new(422, "cannot delete root branch"));
    }
    ok(gone(&project, state, id, false))
}

/// Marks a branch as deleted, and has the rest done.
pub fn gone(project: &Project, state: &mut State, id: &str, expired: bool) -> Value {
    let now = project.clock.now();
    if let Some(branch) = state.branches.get_mut(id) {
        branch.deleted = Some(Deleted { at: now, until: now + RECOVERABLE, expired });
    }
    let idle = state.endpoints.values().filter(|endpoint| endpoint.branch == id);
    let mut tasks: Vec<Task> = idle
        .filter(|endpoint| endpoint.state == "active")
        .map(|it| Task::of_endpoint("suspend_compute", id, &it.id, Work::Suspend(it.id.clone())))
        .collect();
    tasks.push(Task::of_branch("delete_timeline", id, Work::Delete(id.to_owned())));
    let operations = operations::schedule(project, state, tasks);
    let branch = &state.branches[id];
    json!({ "branch": view::branch(project, state, branch), "operations": operations })
}

/// `POST …/branches/{branch}/recover`: endpoints come back idle, an expiring branch without its expiry.
pub async fn recover(call: Call) -> Answer {
    let project = call.project()?;
    let mut state = project.state.lock().await;
    let state = &mut *state;
    let id = call.part("branch");
    let branch = state.branches.get(id).filter(|branch| branch.deleted.is_some());
    let name = branch.ok_or_else(|| Refusal::missing("branch"))?.name.clone();
    operations::refuse_busy(state)?;
    name_is_free(state, &name)?;
    within_limits(state, false)?;
    let now = project.clock.now();
    if let Some(branch) = state.branches.get_mut(id) {
        (branch.deleted, branch.expires_at, branch.ttl, branch.updated_at) = (None, None, None, now);
    }
    state.removed.retain(|removed| *removed != name);
    let endpoints: Vec<Value> = state.endpoints_of(id).map(|it| view::endpoint(&project, state, it)).collect();
    let mut body = json!({ "branch": view::branch(&project, state, &state.branches[id]) });
    if !endpoints.is_empty() {
        body["endpoints"] = endpoints.into();
    }
    ok(body)
}

/// `POST …/branches/{branch}/set_as_default`.
pub async fn set_as_default(call: Call) -> Answer {
    let project = call.project()?;
    let mut state = project.state.lock().await;
    let state = &mut *state;
    let id = call.part("branch");
    let branch = state.existing(id)?;
    operations::refuse_busy(state)?;
    if branch.expires_at.is_some() {
        return Err(Refusal::new(422, "cannot make a branch with an expiration the default"));
    }
    for branch in state.branches.values_mut() {
        branch.default = branch.id == id;
    }
    let task = Task::of_branch("apply_config", id, Work::Nothing);
    let operations = operations::schedule(&project, state, vec![task]);
    ok(json!({ "branch": view::branch(&project, state, &state.branches[id]), "operations": operations }))
}
