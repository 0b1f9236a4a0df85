//! Branches: listed, read, made.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use serde_json::{Map, Value, json};

use super::backing::At;
use super::call::{Answer, Call, Reply, ok, text, time};
use super::endpoints;
use super::names;
use super::operations::{self, Task};
use super::points;
use super::refusal::Refusal;
use super::state::{Branch, Project, State};
use super::view;
use super::work::Work;

/// Most branches on a page.
const MOST: usize = 10_000;
/// How far ahead a branch may expire.
const LONGEST: TimeDelta = TimeDelta::days(30);

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
    let branch = state.branch(id).ok_or_else(|| Refusal::missing("branch"))?;
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

/// Gives a branch the roles and databases that its parent had at the point where it left.
pub fn inherit(project: &Project, state: &State, parent: &Branch, branch: &mut Branch, at: At) {
    let left: DateTime<Utc> = match at {
        At::Time(shown) => state.stretch.real(shown),
        _ => branch.parent_time.filter(|_| at != At::Head).unwrap_or_else(|| project.clock.now()),
    };
    // What there was from the beginning is older than the oldest point, whatever clock it was written by.
    let there = |made: DateTime<Utc>| made <= left || made <= parent.created_at || made <= state.created_at;
    branch.roles = parent.roles.iter().filter(|role| there(role.created_at)).cloned().collect();
    branch.databases = parent.databases.iter().filter(|database| there(database.created_at)).cloned().collect();
    // A password that was changed since then is another one in the data.
    branch.unconfigured =
        parent.unconfigured || parent.protected || !parent.roles.iter().all(|it| there(it.updated_at));
    if parent.protected {
        for role in branch.roles.iter_mut().filter(|role| role.password.is_some()) {
            role.password = Some(names::secret(&*project.clock, "npg_"));
        }
    }
}

/// The point that two alternative fields name.
pub fn point(wanted: &Value, lsn: &str, timestamp: &str) -> Result<At, Refusal> {
    match (text(wanted, lsn).filter(|text| !text.is_empty()), time(wanted, timestamp)?) {
        (Some(_), Some(_)) => Err(Refusal::new(400, format!("{lsn} and {timestamp} are mutually exclusive"))),
        (Some(position), None) => {
            let read = names::parse_lsn(position);
            read.map(At::Lsn).ok_or_else(|| Refusal::new(400, format!("{lsn} is no LSN: {position:?}")))
        }
        (None, Some(time)) => Ok(At::Time(time)),
        (None, None) => Ok(At::Head),
    }
}

/// Refuses a name that a branch has.
pub fn name_is_free(state: &State, name: &str) -> Result<(), Refusal> {
    if name.is_empty() || name.chars().count() > 256 {
        return Err(Refusal::new(400, "branch name must have between 1 and 256 characters"));
    }
    if state.living().any(|branch| branch.name == name) {
        return Err(Refusal::branch_exists(name));
    }
    Ok(())
}

/// Refuses one branch more than there may be.
pub fn within_limits(state: &State, root: bool) -> Result<(), Refusal> {
    if state.living().count() >= state.knobs.branches_limit {
        return Err(Refusal::coded(422, "BRANCHES_LIMIT_EXCEEDED", "branches limit exceeded"));
    }
    let roots = state.living().filter(|branch| branch.parent.is_none()).count();
    if root && roots >= state.knobs.root_branches_limit {
        return Err(Refusal::coded(422, "ROOT_BRANCHES_LIMIT_EXCEEDED", "root branches limit exceeded"));
    }
    Ok(())
}

/// Refuses one protected branch more than there may be.
pub fn protection_is_free(state: &State) -> Result<(), Refusal> {
    if state.living().filter(|branch| branch.protected).count() >= state.knobs.protected_limit {
        return Err(Refusal::new(422, "protected branches limit exceeded"));
    }
    Ok(())
}

/// Sets or removes the time at which a branch is deleted.
pub fn expire(branch: &mut Branch, at: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Result<(), Refusal> {
    let Some(at) = at else {
        (branch.expires_at, branch.ttl) = (None, None);
        return Ok(());
    };
    if at <= now || at - now > LONGEST {
        return Err(Refusal::new(400, "expires_at must be in the future, and at most 30 days ahead"));
    }
    if branch.protected || branch.default {
        return Err(Refusal::new(422, "cannot set an expiration on a protected or default branch"));
    }
    let ttl = (at - now + TimeDelta::milliseconds(500)).num_seconds();
    (branch.expires_at, branch.ttl) = (Some(at.trunc_subsecs(0)), Some(ttl));
    Ok(())
}

/// The annotation of a body: a flat map of texts.
fn annotation(body: &Value) -> Result<Option<Map<String, Value>>, Refusal> {
    match body.get("annotation_value") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(map)) if map.values().all(Value::is_string) => Ok(Some(map.clone())),
        Some(_) => Err(Refusal::new(400, "annotation_value must be a map of strings")),
    }
}
