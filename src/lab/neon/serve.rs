//! The routes, and what lies before each of them: keys, rate limits, misbehaviour, request ids.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use serde_json::json;

use super::chaos::Mishap;
use super::operations::{self, Task};
use super::plane::{Plane, Rights};
use super::refusal::Refusal;
use super::state::Project;
use super::work::Work;
use super::{
    branches, changes, databases, endpoints, github, knobs_routes, names, projects, restore, roles, schema, uri,
};
use crate::lab::platforms::{self, Platforms};

/// Where the API begins.
pub const API: &str = "/api/v2";

/// Everything that is served on the one port.
pub fn router(plane: Arc<Plane>, platforms: Arc<Platforms>) -> Router {
    let api = Router::new()
        .route("/auth", get(projects::auth))
        .route("/projects", get(projects::list))
        .route("/projects/{project}", get(projects::get).patch(projects::patch).delete(projects::delete))
        .route("/projects/{project}/operations", get(projects::operations))
        .route("/projects/{project}/operations/{operation}", get(projects::operation))
        .route("/projects/{project}/connection_uri", get(uri::get))
        .route("/projects/{project}/branches", get(branches::list).post(branches::create))
        .route("/projects/{project}/branches/count", get(branches::count))
        .route(
            "/projects/{project}/branches/{branch}",
            get(branches::get).patch(changes::patch).delete(changes::delete),
        )
        .route("/projects/{project}/branches/{branch}/recover", post(changes::recover))
        .route("/projects/{project}/branches/{branch}/set_as_default", post(changes::set_as_default))
        .route("/projects/{project}/branches/{branch}/restore", post(restore::restore))
        .route("/projects/{project}/branches/{branch}/schema", get(schema::schema))
        .route("/projects/{project}/branches/{branch}/compare_schema", get(schema::compare))
        .route("/projects/{project}/branches/{branch}/endpoints", get(endpoints::of_branch))
        .route("/projects/{project}/branches/{branch}/databases", get(databases::list).post(databases::create))
        .route(
            "/projects/{project}/branches/{branch}/databases/{database}",
            get(databases::get).patch(databases::patch).delete(databases::delete),
        )
        .route("/projects/{project}/branches/{branch}/roles", get(roles::list).post(roles::create))
        .route("/projects/{project}/branches/{branch}/roles/{role}", get(roles::get).delete(roles::delete))
        .route("/projects/{project}/branches/{branch}/roles/{role}/reveal_password", get(roles::reveal))
        .route("/projects/{project}/branches/{branch}/roles/{role}/reset_password", post(roles::reset))
        .route("/projects/{project}/endpoints", get(endpoints::list).post(endpoints::create))
        .route(
            "/projects/{project}/endpoints/{endpoint}",
            get(endpoints::get).patch(endpoints::patch).delete(endpoints::delete),
        )
        .route("/projects/{project}/endpoints/{endpoint}/start", post(endpoints::start))
        .route("/projects/{project}/endpoints/{endpoint}/suspend", post(endpoints::suspend))
        .route("/projects/{project}/endpoints/{endpoint}/restart", post(endpoints::restart))
        .fallback(nothing)
        .layer(from_fn_with_state(Arc::clone(&plane), guard));
    let lab = Router::new()
        .route("/projects", post(knobs_routes::make))
        .route("/projects/{project}", get(knobs_routes::show).delete(knobs_routes::remove))
        .route("/projects/{project}/branches", post(knobs_routes::seed))
        .route("/projects/{project}/branches/{branch}", axum::routing::patch(knobs_routes::alter))
        .route("/projects/{project}/knobs", axum::routing::patch(knobs_routes::knobs))
        .route("/projects/{project}/chaos", post(knobs_routes::chaos))
        .route("/projects/{project}/fates", post(knobs_routes::fates))
        .route("/projects/{project}/operations", post(knobs_routes::spontaneous))
        .route("/projects/{project}/tick", post(knobs_routes::tick))
        .route("/projects/{project}/stretch", post(knobs_routes::stretch))
        .route("/projects/{project}/keys", post(knobs_routes::key))
        .route("/projects/{project}/schemas", post(knobs_routes::schemas))
        .route("/projects/{project}/sql", post(knobs_routes::sql))
        .route("/github/{owner}/{repo}", post(github::set).delete(github::clear))
        .fallback(nothing)
        .layer(axum::middleware::from_fn(unguarded));
    let hub = Router::new()
        .route("/repos/{owner}/{repo}", get(github::repo))
        .route("/repos/{owner}/{repo}/pulls/{number}", get(github::pull))
        .route("/repos/{owner}/{repo}/pulls", get(github::pulls))
        .route("/gone", delete(nothing))
        .fallback(github::nothing);
    let served = Router::new().nest(API, api).nest("/lab", lab).nest("/github", hub);
    served.fallback(nothing).with_state(plane).merge(platforms::router(platforms))
}

async fn nothing() -> Refusal {
    Refusal::missing("route")
}

/// What happens to the answers of the lab's own routes: refusals get a body.
async fn unguarded(request: Request, next: Next) -> Response {
    written(next.run(request).await, None, &Wording::default())
}

/// How the body of a refusal is written.
#[derive(Default)]
struct Wording {
    no_code: bool,
    no_request_id: bool,
}

async fn guard(State(plane): State<Arc<Plane>>, request: Request, next: Next) -> Response {
    let id = request.headers().get("x-request-id").and_then(|id| id.to_str().ok()).map(str::to_owned);
    let id = id.unwrap_or_else(|| names::operation(&*plane.clock));
    let method = request.method().clone();
    let (response, body) = match admitted(&plane, request.headers(), request.uri().path(), &method) {
        Err(refusal) => (refusal.into_response(), Wording::default()),
        Ok(None) => (done(next, request).await, Wording::default()),
        Ok(Some(project)) => through(&project, request, next).await,
    };
    let mut response = written(response, Some(&id), &body);
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert("x-request-id", id);
    }
    response
}

/// The project that a request is about, if its key lets it through.
fn admitted(plane: &Plane, headers: &HeaderMap, path: &str, method: &Method) -> Result<Option<Arc<Project>>, Refusal> {
    let key = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let key = key.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    let holder = plane.holder(key);
    let (holder, rights) =
        holder.ok_or_else(|| Refusal::new(401, "supplied credentials do not pass authentication"))?;
    let path = path.strip_prefix(API).unwrap_or(path);
    let project = path.strip_prefix("/projects/").and_then(|rest| rest.split('/').next());
    let Some(project) = project else { return Ok(None) };
    if project != holder {
        return Err(Refusal::missing("project"));
    }
    if rights == Rights::None || rights == Rights::Read && method != Method::GET {
        return Err(Refusal::new(403, "you do not have permission to perform this action"));
    }
    plane.project(project).map(Some)
}

/// Counts a request, holds it against the limits, and lets happen to it what is drawn for it.
async fn through(project: &Arc<Project>, request: Request, next: Next) -> (Response, Wording) {
    let method = request.method().clone();
    let path = request.uri().path().strip_prefix(API).unwrap_or_default().to_owned();
    let matched = request.extensions().get::<MatchedPath>();
    let route = matched.map_or("", |matched| matched.as_str());
    let route = format!("{method} {}", route.strip_prefix(API).unwrap_or(route));
    let (refused, mishap, body) = {
        let mut state = project.state.lock().await;
        let state = &mut *state;
        *state.counts.entry(route.clone()).or_default() += 1;
        let now = project.clock.now();
        let told = state.knobs.retry_after;
        let late = |seconds| Refusal {
            retry_after: told.then_some(seconds),
            ..Refusal::new(429, "too many requests, please try again later")
        };
        let mut refused = state.rate.take(&state.knobs, &route, now).map_err(late).err();
        let mishap = if refused.is_none() { state.chaos.mishap(method.as_str(), &path) } else { Mishap::None };
        match mishap {
            Mishap::TooMany => refused = Some(late(1)),
            Mishap::Unavailable => refused = Some(Refusal::new(503, "service temporarily unavailable")),
            Mishap::Storm if !state.busy() => {
                let endpoint = state.endpoints.values().next().map(|it| (it.branch.clone(), it.id.clone()));
                let (branch, endpoint) = endpoint.unzip();
                let task = Task { action: "check_availability", branch, endpoint, work: Work::Nothing };
                operations::schedule(project, state, vec![task]);
            }
            _ => {}
        }
        let rates = state.chaos.rates;
        let key = format!("{method} {path}");
        let body = Wording {
            no_code: state.chaos.strikes("no_code", rates.no_code, &key),
            no_request_id: state.chaos.strikes("no_request_id", rates.no_request_id, &key),
        };
        (refused, mishap, body)
    };
    let response = match (refused, mishap) {
        (Some(refusal), _) => refusal.into_response(),
        (None, Mishap::TimeoutBefore) => page(),
        (None, Mishap::TimeoutAfter) => {
            done(next, request).await;
            page()
        }
        (None, Mishap::Broken) => {
            done(next, request).await;
            Refusal::new(500, "internal server error").into_response()
        }
        (None, Mishap::Dropped) => {
            done(next, request).await;
            // Ends the task of this connection, which breaks off without an answer, and nothing is printed.
            std::panic::resume_unwind(Box::new("dropped"))
        }
        (None, _) => done(next, request).await,
    };
    *project.state.lock().await.statuses.entry(response.status().as_u16()).or_default() += 1;
    (response, body)
}

/// The answer, of work that comes to its end also when the client hangs up meanwhile.
async fn done(next: Next, request: Request) -> Response {
    let worked = tokio::spawn(next.run(request)).await;
    worked.unwrap_or_else(|_| Refusal::new(500, "internal server error").into_response())
}

/// What a proxy before the service answers when that takes too long.
fn page() -> Response {
    let html = "<!DOCTYPE html>\n<html><head><title>console.neon.tech | 524: A timeout occurred</title></head>\
                <body><h1>A timeout occurred</h1></body></html>";
    let status = StatusCode::from_u16(524).unwrap_or(StatusCode::GATEWAY_TIMEOUT);
    (status, [(header::CONTENT_TYPE, "text/html; charset=UTF-8")], html).into_response()
}

/// Gives a refusal its body.
fn written(mut response: Response, id: Option<&str>, how: &Wording) -> Response {
    let Some(refusal) = response.extensions_mut().remove::<Refusal>() else { return response };
    let mut body = json!({ "code": refusal.code, "message": refusal.message });
    if how.no_code
        && refusal.code.is_empty()
        && let Some(body) = body.as_object_mut()
    {
        body.remove("code");
    }
    if let Some(id) = id.filter(|_| !how.no_request_id) {
        body["request_id"] = id.into();
    }
    let mut written = (refusal.status, axum::Json(body)).into_response();
    if let Some(seconds) = refusal.retry_after {
        written.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    written.map(Body::new)
}
