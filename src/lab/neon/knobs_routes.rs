//! The routes below `/lab`: projects made, branches put there, time, limits and misbehaviour set, everything read back.

use chrono::DateTime;
use serde::Deserialize;
use serde_json::{Value, json};

use super::call::{Answer, Call, Reply, ok, text};
use super::chaos::Rates;
use super::clock::{self, Stretch};
use super::knobs::Knobs;
use super::making::{Wish, make_project};
use super::operations::{self, Fate, Task};
use super::plane::Rights;
use super::refusal::Refusal;
use super::seeding::{self, Seed};
use super::state::Endpoint;
use super::storage::APP;
use super::work::{self, Work};
use super::{points, view};

/// Reads a body.
pub fn read<'de, T: Deserialize<'de>>(body: &'de Value) -> Result<T, Refusal> {
    T::deserialize(body).map_err(|error| Refusal::new(400, error.to_string()))
}

/// `POST /lab/projects`.
pub async fn make(call: Call) -> Answer {
    let wish = if call.body.is_null() { Wish::default() } else { read(&call.body)? };
    make_project(&call.plane, wish).await.map(|made| Reply(201, made))
}

/// `GET /lab/projects/{project}`: everything.
pub async fn show(call: Call) -> Answer {
    let project = call.project()?;
    let state = project.state.lock().await;
    let branches: Vec<Value> = state
        .branches
        .values()
        .map(|branch| {
            let mut view = view::branch(&project, &state, branch);
            view["annotation"] = branch.annotation.clone().map_or(Value::Null, Value::from);
            view["deleted"] = branch.deleted.is_some().into();
            view["endpoints"] = state
                .endpoints
                .values()
                .filter(|endpoint: &&Endpoint| endpoint.branch == branch.id)
                .map(|endpoint| view::endpoint(&project, &state, endpoint))
                .collect();
            view
        })
        .collect();
    let operations: Vec<Value> = state.operations.iter().map(|it| it.view(&project.id, &state.stretch)).collect();
    ok(json!({
        "project": view::project(&project, &state), "branches": branches, "operations": operations,
        "made": state.made, "peak": state.peak, "removed": state.removed, "counts": state.counts, "statuses": state.statuses,
        "chaos": state.chaos.done, "busy": state.busy(), "knobs": state.knobs,
    }))
}

/// `DELETE /lab/projects/{project}`: with all that runs for it.
pub async fn remove(call: Call) -> Answer {
    let project = call.project()?;
    call.plane.forget(&project.id);
    let _turn = project.turn.lock().await;
    let mut state = project.state.lock().await;
    state.operations.clear();
    state.endpoints.clear();
    let storages: Vec<_> = state.branches.values().filter_map(|branch| branch.storage.clone()).collect();
    state.branches.clear();
    drop(state);
    for storage in storages {
        project.storages.stop(&storage).await?;
        project.storages.remove(&storage).await?;
    }
    ok(json!({ "gone": true }))
}

/// `POST /lab/projects/{project}/branches`: puts branches there, at once and without operations.
pub async fn seed(call: Call) -> Answer {
    let project = call.project()?;
    let seeds: Vec<Seed> = read(&call.body)?;
    let mut state = project.state.lock().await;
    let mut ids = Vec::new();
    for seed in &seeds {
        ids.push(seeding::plant(&project, &mut state, seed).await?);
    }
    state.count();
    Ok(Reply(201, json!({ "ids": ids })))
}

/// `PATCH /lab/projects/{project}/branches/{branch}`: changes a branch as somebody else would, past every rule.
pub async fn alter(call: Call) -> Answer {
    let project = call.project()?;
    let seed: Seed = read(&call.body)?;
    let mut state = project.state.lock().await;
    let id = seeding::find(&state, call.part("branch")).ok_or_else(|| Refusal::missing("branch"))?;
    seeding::alter(&project, &mut state, &id, &seed).await?;
    ok(json!({ "id": id }))
}

/// `PATCH /lab/projects/{project}/knobs`.
pub async fn knobs(call: Call) -> Answer {
    let project = call.project()?;
    let mut state = project.state.lock().await;
    let mut knobs = json!(state.knobs);
    for (name, value) in call.body.as_object().into_iter().flatten() {
        knobs[name] = value.clone();
    }
    state.knobs = read::<Knobs>(&knobs)?;
    project.changed.notify_waiters();
    ok(json!(state.knobs))
}

/// `POST /lab/projects/{project}/chaos` with `{ seed, rates: { kind: share } }`, or `{ seed, all: share }` for every kind.
pub async fn chaos(call: Call) -> Answer {
    let project = call.project()?;
    let mut state = project.state.lock().await;
    state.chaos.seed = call.body.get("seed").and_then(Value::as_u64).unwrap_or_default();
    let mut rates = json!(Rates::default());
    if let (Some(all), Some(rates)) = (call.body.get("all"), rates.as_object_mut()) {
        rates.values_mut().for_each(|rate| *rate = all.clone());
    }
    for (name, value) in call.body.get("rates").and_then(Value::as_object).into_iter().flatten() {
        rates[name] = value.clone();
    }
    state.chaos.rates = read(&rates)?;
    ok(json!({ "seed": state.chaos.seed, "rates": state.chaos.rates }))
}

/// `POST /lab/projects/{project}/fates` with `[[action, fate], …]`: what becomes of the next operations; `*` is any action.
pub async fn fates(call: Call) -> Answer {
    let project = call.project()?;
    let mut state = project.state.lock().await;
    state.chaos.fates = read::<Vec<(String, Fate)>>(&call.body)?;
    ok(json!({ "fates": state.chaos.fates.len() }))
}

/// `POST /lab/projects/{project}/operations` with `{ count }`: the service checks computes by itself.
pub async fn spontaneous(call: Call) -> Answer {
    let project = call.project()?;
    let mut state = project.state.lock().await;
    let count = call.body.get("count").and_then(Value::as_u64).unwrap_or(1).min(1000);
    let tasks =
        (0..count).map(|_| Task { action: "check_availability", branch: None, endpoint: None, work: Work::Nothing });
    let tasks = tasks.collect();
    ok(json!({ "operations": operations::schedule(&project, &mut state, tasks) }))
}

/// `POST /lab/projects/{project}/tick` with `{ count }`: brings operations that many states on.
pub async fn tick(call: Call) -> Answer {
    let project = call.project()?;
    let count = call.body.get("count").and_then(Value::as_u64).unwrap_or(1);
    let mut ticked = 0;
    while ticked < count && operations::advance(&project, false).await {
        ticked += 1;
    }
    ok(json!({ "ticked": ticked, "busy": project.state.lock().await.busy() }))
}

/// `POST /lab/projects/{project}/stretch` with `{ anchor, factor }`: a second before the anchor is shown as `factor` seconds.
pub async fn stretch(call: Call) -> Answer {
    let project = call.project()?;
    let anchor = match text(&call.body, "anchor") {
        Some(text) => clock::parse(text).ok_or_else(|| Refusal::new(400, "anchor is no time"))?,
        None => project.clock.now(),
    };
    let factor = call.body.get("factor").and_then(Value::as_f64).filter(|factor| *factor > 0.0);
    let factor = factor.ok_or_else(|| Refusal::new(400, "factor is no number above 0"))?;
    project.state.lock().await.stretch = Stretch { anchor, factor };
    let seconds = |time: DateTime<_>| time.to_rfc3339();
    ok(json!({ "anchor": seconds(anchor), "factor": factor }))
}

/// `POST /lab/projects/{project}/keys` with `{ rights: all | read | none }`.
pub async fn key(call: Call) -> Answer {
    let project = call.project()?;
    let rights = call.body.get("rights").map_or(Ok(Rights::All), read)?;
    ok(json!({ "key": call.plane.key(&project.id, rights) }))
}

/// `POST /lab/projects/{project}/schemas` with `{ branch, database, sql }`: what a schema is said to be.
pub async fn schemas(call: Call) -> Answer {
    let project = call.project()?;
    let mut state = project.state.lock().await;
    let branch = text(&call.body, "branch").and_then(|branch| seeding::find(&state, branch));
    let branch = branch.ok_or_else(|| Refusal::missing("branch"))?;
    let database = text(&call.body, "database").unwrap_or(APP);
    let sql = text(&call.body, "sql").unwrap_or_default().to_owned();
    state.schemas.insert(format!("{branch}/{database}"), sql);
    ok(json!({ "schemas": state.schemas.len() }))
}

/// `POST /lab/projects/{project}/sql` with `{ branch, database, sql }`: as the server's own superuser.
pub async fn sql(call: Call) -> Answer {
    let project = call.project()?;
    let _turn = project.turn.lock().await;
    let (branch, endpoint, database) = {
        let state = project.state.lock().await;
        let branch = text(&call.body, "branch").and_then(|branch| seeding::find(&state, branch));
        let branch = branch.or_else(|| state.default_branch().map(|branch| branch.id.clone())).unwrap_or_default();
        let endpoint = state.endpoints_of(&branch).next().map(|endpoint| endpoint.id.clone());
        let database = state.branch(&branch).and_then(|branch| branch.databases.first()).map(|it| it.name.clone());
        (branch, endpoint, database.unwrap_or_default())
    };
    if let Some(endpoint) = &endpoint {
        work::start(&project, endpoint).await?;
    }
    let storage = points::storage(&project, &mut *project.state.lock().await, &branch).await?;
    let database = text(&call.body, "database").unwrap_or(&database);
    let sql = text(&call.body, "sql").unwrap_or_default();
    let rows = project.storages.sql(&storage, database, sql).await?;
    if endpoint.is_none() {
        project.storages.stop(&storage).await?;
    }
    ok(json!({ "rows": rows }))
}
