//! Branches: listed, read, made.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use serde_json::{Map, Value, json};

use super::call::{Answer, Call, Reply, ok, text, time};
use super::endpoints;
use super::names;
use super::operations::{self, Task};
use super::points;
use super::refusal::Refusal;
use super::rules::{annotation, expire, inherit, name_is_free, point, protection_is_free, within_limits};
use super::state::Branch;
use super::view;
use super::work::Work;

/// Most branches on a page.
const MOST: usize = 10_000;

/// `GET …/branches`: newest change first unless it is asked otherwise.
pub async fn list(call: Call) -> Answer {
    let project = call.project()?;
    let state = project.state.lock().await;
    let sort = call.asked("sort_by").unwrap_or("updated_at");
    let order = call.asked("sort_order").unwrap_or("desc");
    if !["name", "created_at", "updated_at"].contains(&sort) || !["asc", "desc"].contains(&order) {
        return Err(Refusal::new(400, "unknown sort_by or sort_order"));
    }
    let limit = match call.asked("limit") {
        None => MOST,
        Some(text) => text
            .parse()
            .ok()
            .filter(|limit| (1..=MOST).contains(limit))
            .ok_or_else(|| Refusal::new(400, format!("limit must be between 1 and {MOST}")))?,
    };
    let limit = if state.knobs.page_cap > 0 { limit.min(state.knobs.page_cap) } else { limit };
    let key = |branch: &Branch| {
        let value = match sort {
            "name" => branch.name.clone(),
            "created_at" => branch.created_at.to_rfc3339(),
            _ => branch.updated_at.to_rfc3339(),
        };
        (value, branch.id.clone())
    };
    let after: Option<(String, String)> = match call.asked("cursor") {
        None => None,
        Some(cursor) => {
            let bytes = BASE64.decode(cursor).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
            Some(bytes.ok_or_else(|| Refusal::new(400, "invalid cursor"))?)
        }
    };
    let deleted = call.says("include_deleted");
    let mut found: Vec<&Branch> = state.branches.values().filter(|it| deleted || it.deleted.is_none()).collect();
    found.retain(|branch| matches(branch, call.asked("search")));
    found.sort_by_cached_key(|branch| key(branch));
    if order == "desc" {
        found.reverse();
    }
    if let Some(after) = &after {
        found.retain(|branch| if order == "desc" { key(branch) < *after } else { key(branch) > *after });
    }
    let more = found.len() > limit;
    found.truncate(limit);
    let mut pagination = json!({ "sort_by": sort, "sort_order": order });
    if let Some(last) = found.last().filter(|_| more) {
        pagination["next"] = BASE64.encode(json!(key(last)).to_string()).into();
    }
    let annotations: Map<String, Value> = found
        .iter()
        .filter_map(|branch| {
            let value = branch.annotation.as_ref()?;
            Some((branch.id.clone(), view::annotation(&state, branch, value)))
        })
        .collect();
    let branches: Vec<Value> = found.iter().map(|branch| view::branch(&project, &state, branch)).collect();
    ok(json!({ "branches": branches, "annotations": annotations, "pagination": pagination }))
}

/// A partial match on name or id.
fn matches(branch: &Branch, search: Option<&str>) -> bool {
    search.is_none_or(|part| branch.name.contains(part) || branch.id.contains(part))
}

/// `GET …/branches/count`.
pub async fn count(call: Call) -> Answer {
    let project = call.project()?;
    let state = project.state.lock().await;
    ok(json!({ "count": state.living().filter(|branch| matches(branch, call.asked("search"))).count() }))
}

/// `GET …/branches/{branch}`.
pub async fn get(call: Call) -> Answer {
    let project = call.project()?;
    let mut state = project.state.lock().await;
    let id = call.part("branch");
    if let Some(left) = state.late.get_mut(id).filter(|left| **left > 0) {
        *left -= 1;
        return Err(Refusal::missing("branch"));
    }
    let branch = state.existing(id)?;
    let mut body = json!({ "branch": view::branch(&project, &state, branch) });
    if let Some(value) = &branch.annotation {
        body["annotation"] = view::annotation(&state, branch, value);
    }
    ok(body)
}

/// `POST …/branches`.
pub async fn create(call: Call) -> Answer {
    let project = call.project()?;
    let mut state = project.state.lock().await;
    let state = &mut *state;
    operations::refuse_busy(state)?;
    let wanted = call.body.get("branch").cloned().unwrap_or(Value::Null);
    let now = project.clock.now();
    let parent = match text(&wanted, "parent_id") {
        Some(id) => state.branch(id).ok_or_else(|| Refusal::new(404, "parent branch not found"))?,
        None => state.default_branch().ok_or_else(|| Refusal::missing("branch"))?,
    };
    let parent = parent.clone();
    if parent.state != "ready" {
        return Err(Refusal::new(422, "branch not ready yet"));
    }
    if parent.expires_at.is_some() {
        return Err(Refusal::new(422, "cannot create a child of a branch with an expiration"));
    }
    let id = names::id(&*project.clock, "br");
    let name = text(&wanted, "name").map_or_else(|| id.clone(), str::to_owned);
    name_is_free(state, &name)?;
    let init_source = text(&wanted, "init_source").unwrap_or("parent-data");
    if !["parent-data", "schema-only", "parent-schema"].contains(&init_source) {
        return Err(Refusal::new(400, format!("unsupported init_source {init_source:?}")));
    }
    let root = init_source == "schema-only";
    within_limits(state, root)?;
    let mut branch = Branch::new(id.clone(), name.clone(), Some(parent.id.clone()), now);
    branch.init_source = init_source.to_owned();
    branch.protected = wanted.get("protected").and_then(Value::as_bool).unwrap_or_default();
    if branch.protected {
        protection_is_free(state)?;
    }
    if let Some(expires) = time(&wanted, "expires_at")? {
        expire(&mut branch, Some(expires), now)?;
    }
    branch.annotation = annotation(&call.body)?;
    let at = point(&wanted, "parent_lsn", "parent_timestamp")?;
    if root {
        branch.parent = None;
        branch.storage = Some(project.storages.root().await?);
    } else {
        let (storage, resolved) = points::resolve(&project, state, &parent.id, at).await?;
        branch.parent_lsn = Some(resolved.lsn);
        branch.parent_time = resolved.time;
        branch.storage = Some(project.storages.fork(&storage, &resolved).await?);
    }
    inherit(&project, state, &parent, &mut branch, at);
    branch.enter("init", Some("ready"), now);
    state.branches.insert(id.clone(), branch);
    state.count();
    let mut tasks = vec![Task::of_branch("create_branch", &id, Work::Ready(id.clone()))];
    let mut made = Vec::new();
    for wanted in call.body.get("endpoints").and_then(Value::as_array).into_iter().flatten() {
        let endpoint = match endpoints::make(&call.plane, &project, state, &id, wanted).await {
            Ok(endpoint) => endpoint,
            Err(refusal) => {
                state.branches.remove(&id);
                state.endpoints.retain(|_, endpoint| endpoint.branch != id);
                return Err(refusal);
            }
        };
        tasks.push(Task::of_endpoint("start_compute", &id, &endpoint, Work::Start(endpoint.clone())));
        made.push(endpoint);
    }
    let operations = operations::schedule(&project, state, tasks);
    state.made.push(name);
    let rate = state.chaos.rates.late;
    if state.chaos.strikes("late", rate, &id) {
        state.late.insert(id.clone(), 2);
    }
    let Some(branch) = state.branch(&id) else { return Err(Refusal::missing("branch")) };
    let views = |it: Vec<Value>| Value::from(it);
    let mut body = json!({
        "branch": view::branch(&project, state, branch),
        "endpoints": views(made.iter().map(|it| view::endpoint(&project, state, &state.endpoints[it])).collect()),
        "operations": operations,
        "roles": views(branch.roles.iter().map(|role| view::role(state, &id, role)).collect()),
        "databases": views(branch.databases.iter().map(|database| view::database(state, &id, database)).collect()),
    });
    // Only where there is no doubt which role and which database.
    if let ([role], [database], Some(endpoint)) = (&branch.roles[..], &branch.databases[..], made.first()) {
        let endpoint = &state.endpoints[endpoint];
        body["connection_uris"] = json!([super::uri::with_parameters(endpoint, role, &database.name)]);
    }
    Ok(Reply(201, body))
}
