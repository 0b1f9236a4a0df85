//! The project itself, its operations, and who asks.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use serde_json::{Value, json};

use super::call::{Answer, Call, ok, text};
use super::operations::{self, Operation, Task};
use super::refusal::Refusal;
use super::view;
use super::work::Work;

/// Longest history that can be kept, in seconds.
const LONGEST: i64 = 2_592_000;

/// `GET /auth`.
pub async fn auth(_: Call) -> Answer {
    ok(json!({ "account_id": "org-lab-12345678", "auth_method": "api_key_org" }))
}

/// `GET /projects`.
pub async fn list(call: Call) -> Answer {
    let mut views = Vec::new();
    for project in call.plane.projects() {
        let state = project.state.lock().await;
        if !state.deleted {
            views.push(view::project(&project, &state));
        }
    }
    ok(json!({ "projects": views, "pagination": { "cursor": "" } }))
}

/// `GET /projects/{project}`.
pub async fn get(call: Call) -> Answer {
    let project = call.project()?;
    let state = project.state.lock().await;
    if state.deleted {
        return Err(Refusal::missing("project"));
    }
    ok(json!({ "project": view::project(&project, &state) }))
}

/// `PATCH /projects/{project}`.
pub async fn patch(call: Call) -> Answer {
    let project = call.project()?;
    let mut state = project.state.lock().await;
    let state = &mut *state;
    operations::refuse_busy(state)?;
    let wanted = call.body.get("project").cloned().unwrap_or(Value::Null);
    if let Some(name) = text(&wanted, "name") {
        name.clone_into(&mut state.name);
    }
    let mut tasks = Vec::new();
    if let Some(seconds) = wanted.get("history_retention_seconds").and_then(Value::as_i64) {
        if !(0..=LONGEST).contains(&seconds) {
            return Err(Refusal::new(400, format!("history_retention_seconds must be between 0 and {LONGEST}")));
        }
        if seconds != state.history {
            state.history = seconds;
            let task = Task { action: "apply_storage_config", branch: None, endpoint: None, work: Work::Nothing };
            tasks.push(task);
        }
    }
    if let Some(settings) = wanted.get("settings").and_then(Value::as_object) {
        state.settings.extend(settings.clone());
    }
    state.updated_at = project.clock.now();
    let operations = operations::schedule(&project, state, tasks);
    ok(json!({ "project": view::project(&project, state), "operations": operations }))
}

/// `DELETE /projects/{project}`: answers no operations.
pub async fn delete(call: Call) -> Answer {
    let project = call.project()?;
    let mut state = project.state.lock().await;
    if state.living().any(|branch| branch.protected) {
        return Err(Refusal::new(422, "cannot delete project with protected branches"));
    }
    state.deleted = true;
    ok(json!({ "project": view::project(&project, &state) }))
}

/// `GET …/operations`: newest first.
pub async fn operations(call: Call) -> Answer {
    let project = call.project()?;
    let state = project.state.lock().await;
    let limit: usize = match call.asked("limit") {
        None => 100,
        Some(text) => text
            .parse()
            .ok()
            .filter(|limit| (1..=1000).contains(limit))
            .ok_or_else(|| Refusal::new(400, "limit must be between 1 and 1000"))?,
    };
    let newest: Vec<&Operation> = state.operations.iter().rev().collect();
    let from = match call.asked("cursor") {
        None => 0,
        Some(cursor) => {
            let id = BASE64.decode(cursor).ok().and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default();
            let at = newest.iter().position(|operation| operation.id == id);
            at.ok_or_else(|| Refusal::new(400, "invalid cursor"))? + 1
        }
    };
    let page: Vec<&Operation> = newest.iter().skip(from).take(limit).copied().collect();
    let last = page.last().filter(|_| state.knobs.cursor_on_last_page || from + page.len() < newest.len());
    let views: Vec<Value> = page.iter().map(|it| it.view(&project.id, &state.stretch)).collect();
    let mut body = json!({ "operations": views });
    if let Some(last) = last {
        body["pagination"] = json!({ "cursor": BASE64.encode(&last.id) });
    }
    ok(body)
}

/// `GET …/operations/{operation}`.
pub async fn operation(call: Call) -> Answer {
    let project = call.project()?;
    let state = project.state.lock().await;
    let id = call.part("operation");
    let found = state.operations.iter().find(|operation| operation.id == id);
    let found = found.ok_or_else(|| Refusal::missing("operation"))?;
    ok(json!({ "operation": found.view(&project.id, &state.stretch) }))
}
