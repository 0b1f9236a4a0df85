//! Restoring a branch in place: its id, endpoint and host stay, its data and its place in the tree change.

use serde_json::{Value, json};

use super::backing::At;
use super::call::{Answer, Call, ok, text};
use super::names;
use super::operations::{self, Task};
use super::points;
use super::refusal::Refusal;
use super::rules::{inherit, name_is_free, point, within_limits};
use super::state::Branch;
use super::view;
use super::work::Work;

/// `POST …/branches/{branch}/restore`.
pub async fn restore(call: Call) -> Answer {
    let project = call.project()?;
    let mut state = project.state.lock().await;
    let state = &mut *state;
    let id = call.part("branch");
    let before = state.existing(id)?.clone();
    operations::refuse_busy(state)?;
    let source =
        text(&call.body, "source_branch_id").ok_or_else(|| Refusal::new(400, "source_branch_id is required"))?;
    let source = state.branch(source).ok_or_else(|| Refusal::new(404, "source branch not found"))?.clone();
    let at = point(&call.body, "source_lsn", "source_timestamp")?;
    let preserve = text(&call.body, "preserve_under_name").filter(|name| !name.is_empty());
    if before.protected {
        return Err(Refusal::new(422, "cannot reset protected branch"));
    }
    if let Some((_, reason)) = before.restricted.iter().find(|(name, _)| name == "restore") {
        return Err(Refusal::new(422, format!("restore is restricted: {reason}")));
    }
    let own_past = source.id == before.id;
    if own_past && (at == At::Head || preserve.is_none()) {
        return Err(Refusal::new(400, "source_timestamp or source_lsn, and preserve_under_name are required"));
    }
    let children = state.children(id);
    if !children.is_empty() && preserve.is_none() {
        return Err(Refusal::new(422, "Branch has children, preserve_under_name is required"));
    }
    if let Some(name) = preserve {
        name_is_free(state, name)?;
        within_limits(state, before.parent.is_none())?;
    }
    let (storage, resolved) = points::resolve(&project, state, &source.id, at).await?;
    let storage = project.storages.fork(&storage, &resolved).await?;

    let now = project.clock.now();
    let root = before.parent.is_none();
    let preserved = preserve.map(|name| {
        let kept = Branch {
            id: names::id(&*project.clock, "br"),
            name: name.to_owned(),
            default: false,
            protected: false,
            created_at: now,
            updated_at: now,
            expires_at: None,
            ttl: None,
            annotation: None,
            backup_of_root: root && !own_past,
            ..before.clone()
        };
        let id = kept.id.clone();
        state.branches.insert(id.clone(), kept);
        state.count();
        id
    });
    let moved: Vec<String> = children.into_iter().collect();
    for child in &moved {
        if let Some(child) = state.branches.get_mut(child) {
            child.parent.clone_from(&preserved);
        }
    }
    if let Some(branch) = state.branch_mut(id) {
        branch.parent = match (root, own_past) {
            (true, true) => None,
            (false, true) => preserved.clone(),
            (true, false) => None,
            (false, false) => Some(source.id.clone()),
        };
    }
    let child = state.knobs.root_becomes_child;
    // Its own roles keep their passwords, whatever they were then.
    let mut like = Branch { parent_time: resolved.time, ..before.clone() };
    inherit(&project, state, &source, &mut like, at);
    for role in &mut like.roles {
        if let Some(own) = before.roles.iter().find(|own| own.name == role.name) {
            like.unconfigured |= own.password != role.password;
            role.password.clone_from(&own.password);
        }
    }
    if let Some(branch) = state.branch_mut(id) {
        if root && !own_past && child {
            branch.parent = Some(source.id.clone());
        }
        branch.parent_lsn = branch.parent.as_ref().map(|_| resolved.lsn);
        branch.parent_time = resolved.time.filter(|_| branch.parent.is_some());
        branch.history_from = now;
        branch.last_reset_at = Some(now);
        (branch.roles, branch.databases) = (like.roles, like.databases);
        branch.unconfigured = like.unconfigured;
        // A reset from the parent begins the time to live anew.
        if let Some(ttl) = branch.ttl {
            branch.expires_at = Some(now + chrono::TimeDelta::seconds(ttl));
        }
        branch.enter("resetting", Some("ready"), now);
    }
    if let Some(kept) = preserved.as_deref().filter(|_| root && !own_past && child)
        && let Some(kept) = state.branches.get_mut(kept)
    {
        kept.backup_of_root = false;
    }
    let endpoints: Vec<String> =
        state.endpoints_of(id).filter(|it| it.state == "active").map(|it| it.id.clone()).collect();
    let work = Work::Restore { before: Box::new(before), storage, preserved, moved };
    let mut tasks = vec![Task::of_branch("create_timeline", id, work)];
    for endpoint in &endpoints {
        tasks.push(Task::of_endpoint("start_compute", id, endpoint, Work::Nothing));
    }
    let operations = operations::schedule(&project, state, tasks);
    let branch = state.branches.get(id).map_or(Value::Null, |branch| view::branch(&project, state, branch));
    ok(json!({ "branch": branch, "operations": operations }))
}
