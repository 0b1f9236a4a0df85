//! A GitHub that knows repositories and pull requests, as far as a purge asks it.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use std::sync::Arc;

use super::call::{Answer, Call, ok};
use super::plane::Plane;

/// Its repositories by name, each with what a test said of it.
#[derive(Default)]
pub struct Hub(Mutex<BTreeMap<String, Repo>>);

impl Hub {
    /// Has a repository be there.
    pub fn know(&self, owner: &str, name: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(format!("{owner}/{name}")).or_default();
    }
}

#[derive(Clone, Default)]
struct Repo {
    /// Pull requests by number: `{ state, merged, closed_at, status }`.
    pulls: BTreeMap<u64, Value>,
    /// Status that every request gets, instead of an answer.
    status: Option<u16>,
    /// The token that is demanded.
    token: Option<String>,
    asked: BTreeMap<String, u64>,
}

/// `POST /lab/github/{owner}/{repo}` with `{ pulls: { "12": { state, closed_at, merged, status } }, status, token }`:
/// what it names is added or replaced. Answers how often what was asked.
pub async fn set(call: Call) -> Answer {
    let mut repos = call.plane.hub.0.lock().unwrap_or_else(PoisonError::into_inner);
    let repo = repos.entry(format!("{}/{}", call.part("owner"), call.part("repo"))).or_default();
    for (number, pull) in call.body.get("pulls").and_then(Value::as_object).into_iter().flatten() {
        let Ok(number) = number.parse() else { continue };
        if pull.is_null() {
            repo.pulls.remove(&number);
        } else {
            repo.pulls.insert(number, pull.clone());
        }
    }
    if let Some(status) = call.body.get("status") {
        repo.status = status.as_u64().and_then(|status| u16::try_from(status).ok());
    }
    if let Some(token) = call.body.get("token") {
        repo.token = token.as_str().map(str::to_owned);
    }
    ok(json!({ "pulls": repo.pulls.len(), "asked": repo.asked }))
}

/// `DELETE /lab/github/{owner}/{repo}`.
pub async fn clear(call: Call) -> Answer {
    let mut repos = call.plane.hub.0.lock().unwrap_or_else(PoisonError::into_inner);
    let gone = repos.remove(&format!("{}/{}", call.part("owner"), call.part("repo")));
    ok(json!({ "gone": gone.is_some() }))
}

/// Whatever is not there.
pub async fn nothing() -> Response {
    refuse(404, "Not Found")
}

fn refuse(status: u16, message: &str) -> Response {
    let code = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = json!({ "message": message, "documentation_url": "https://docs.github.com/rest", "status": status.to_string() });
    (code, Json(body)).into_response()
}

/// A repository that may be seen, or the refusal.
fn admit(plane: &Plane, headers: &HeaderMap, owner: &str, name: &str, what: &str) -> Result<Repo, (u16, &'static str)> {
    let mut repos = plane.hub.0.lock().unwrap_or_else(PoisonError::into_inner);
    let repo = repos.get_mut(&format!("{owner}/{name}")).ok_or((404, "Not Found"))?;
    *repo.asked.entry(what.to_owned()).or_default() += 1;
    if let Some(status) = repo.status {
        return Err((status, if status == 403 { "API rate limit exceeded" } else { "refused by the lab" }));
    }
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let given = given.strip_prefix("Bearer ").or_else(|| given.strip_prefix("token "));
    match (&repo.token, given) {
        (Some(_), None) => Err((404, "Not Found")),
        (Some(token), Some(given)) if token != given => Err((401, "Bad credentials")),
        _ => Ok(repo.clone()),
    }
}

/// `GET /repos/{owner}/{repo}`.
pub async fn repo(
    State(plane): State<Arc<Plane>>,
    Path((owner, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    match admit(&plane, &headers, &owner, &name, "repo") {
        Ok(_) => Json(json!({ "id": 1, "name": name, "full_name": format!("{owner}/{name}"), "private": true }))
            .into_response(),
        Err((status, message)) => refuse(status, message),
    }
}

/// `GET /repos/{owner}/{repo}/pulls/{number}`.
pub async fn pull(
    State(plane): State<Arc<Plane>>,
    Path((owner, name, number)): Path<(String, String, String)>,
    headers: HeaderMap,
) -> Response {
    let repo = match admit(&plane, &headers, &owner, &name, "pull") {
        Ok(repo) => repo,
        Err((status, message)) => return refuse(status, message),
    };
    let Some((number, pull)) = number.parse().ok().and_then(|number| repo.pulls.get_key_value(&number)) else {
        return refuse(404, "Not Found");
    };
    match pull.get("status").and_then(Value::as_u64).and_then(|status| u16::try_from(status).ok()) {
        Some(status) => refuse(status, "refused by the lab"),
        None => Json(shown(*number, pull)).into_response(),
    }
}

/// `GET /repos/{owner}/{repo}/pulls?state=&per_page=&page=`.
pub async fn pulls(
    State(plane): State<Arc<Plane>>,
    Path((owner, name)): Path<(String, String)>,
    Query(query): Query<BTreeMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    let repo = match admit(&plane, &headers, &owner, &name, "pulls") {
        Ok(repo) => repo,
        Err((status, message)) => return refuse(status, message),
    };
    let wanted = query.get("state").map_or("open", String::as_str);
    let number = |name: &str, or: usize| query.get(name).and_then(|text| text.parse().ok()).unwrap_or(or);
    let (page, size) = (number("page", 1).max(1), number("per_page", 30).clamp(1, 100));
    let all = repo.pulls.iter().rev().map(|(number, pull)| shown(*number, pull));
    let of_state = all.filter(|pull| wanted == "all" || pull["state"] == wanted);
    Json(of_state.skip((page - 1) * size).take(size).collect::<Vec<Value>>()).into_response()
}

fn shown(number: u64, pull: &Value) -> Value {
    let state = pull.get("state").and_then(Value::as_str).unwrap_or("open");
    let closed = pull.get("closed_at").cloned().unwrap_or(Value::Null);
    let merged = pull.get("merged").and_then(Value::as_bool).unwrap_or_default();
    json!({
        "number": number, "state": state, "title": format!("Pull request {number}"), "locked": false,
        "merged": merged, "merged_at": if merged { closed.clone() } else { Value::Null }, "closed_at": closed,
    })
}
