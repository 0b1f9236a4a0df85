//! Stand-ins for the platforms on which applications run: Railway's GraphQL and Cloudflare's Hyperdrive, on loopback.
//!
//! What they answer and refuse follows the services' published APIs. They keep everything in memory, and lie on the port of
//! the stand-in for Neon. Each project and each account is a world of its own with its own tokens, for a test or a rehearsal.
//!
//! | route | what it does |
//! |---|---|
//! | `POST /railway/graphql/v2` | Railway: variables, deployments |
//! | `/cloudflare/client/v4/accounts/A/hyperdrive/configs` | Hyperdrive, which really connects to what it is told |
//! | `POST /platforms/railway` `{ services: { NAME: { VAR: value } }, step_ms, per_second }` | makes a project; answers ids and tokens |
//! | `GET /platforms/railway/P` | all of it: what is configured, what each service runs with, what was asked |
//! | `POST /platforms/hyperdrive` `{ origin, caching }` | makes an account with a config; answers ids and the token |
//! | `GET /platforms/hyperdrive/A` | all of it, passwords too |
//! | `POST /platforms/railway/P/mishaps`, `POST /platforms/hyperdrive/A/mishaps` | `[[what, mishap], …]`: what befalls the next requests, see [`mishaps::Mishap`] |
//! | `POST /platforms/railway/P/fates` `["FAILED", …]` | how the next deployments end; `STUCK` never does |

mod connect;
mod graphql;
mod hyperdrive;
mod mishaps;
mod railway;
mod rendering;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};

use crate::lab::rotation::Today;
use crate::lab::session::Login;
use crate::model::clock::SharedClock;
use crate::model::digest;

/// Both platforms.
pub struct Platforms {
    clock: SharedClock,
    railway: Mutex<BTreeMap<String, railway::Project>>,
    hyperdrive: Mutex<BTreeMap<String, hyperdrive::Account>>,
}

/// Where Railway's API is.
const RAILWAY: &str = "/railway/graphql/v2";
/// Where Cloudflare's API begins.
const CLOUDFLARE: &str = "/cloudflare/client/v4";

impl Platforms {
    /// Both, without projects and accounts.
    pub fn new(clock: SharedClock) -> Self {
        Self { clock, railway: Mutex::default(), hyperdrive: Mutex::default() }
    }

    fn railway(&self) -> MutexGuard<'_, BTreeMap<String, railway::Project>> {
        self.railway.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hyperdrive(&self) -> MutexGuard<'_, BTreeMap<String, hyperdrive::Account>> {
        self.hyperdrive.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A name that nothing else has.
    fn id(&self) -> String {
        let mut bytes = [0; 16];
        self.clock.random(&mut bytes);
        digest::hex(&bytes)
    }
}

/// Makes a project with a service `web` on Railway, and a Hyperdrive config: entries of `[[consumers]]` that lead to them, for a
/// server on this port of loopback. Where an application is told its URLs today, both hold them already.
pub fn first(platforms: &Platforms, port: u16, today: Option<&Today>) -> String {
    let web = today.map_or_else(|| json!({}), |today| json!({ "DATABASE_URL": today.pooled }));
    let variables = if today.is_some() { "{ DATABASE_URL = \"pooled\" }" } else { "[\"DATABASE_URL\"]" };
    let project = railway::Project::new(platforms, &json!({ "services": { "web": web }, "step_ms": 500 }));
    let origin = match today.and_then(|today| Login::of(&today.direct)) {
        Some(Login { host, port, database, role, password }) => {
            json!({ "host": host, "port": port, "database": database, "user": role, "password": password })
        }
        None => json!({ "host": "127.0.0.1", "port": 5432, "database": "app", "user": "app", "password": "none" }),
    };
    let account = hyperdrive::Account::new(platforms, &json!({ "origin": origin }));
    let (web, edge) = (project.described(), account.described());
    platforms.railway().insert(project.id.clone(), project);
    platforms.hyperdrive().insert(account.id.clone(), account);
    format!(
        "[[consumers]]\nkind = \"railway\"\nname = \"railway\"\napi_base = \"http://127.0.0.1:{port}{RAILWAY}\"\n\
         token = {}\nproject = {}\nenvironment = {}\nservice = \"web\"\nvariables = {variables}\n\n\
         [[consumers]]\nkind = \"hyperdrive\"\nname = \"edge\"\napi_base = \"http://127.0.0.1:{port}{CLOUDFLARE}\"\n\
         token = {}\naccount = {}\nconfig = {}\n",
        web["token"], web["project"], web["environment"], edge["token"], edge["account"], edge["config"]
    )
}

/// All routes.
pub fn router(platforms: Arc<Platforms>) -> Router {
    Router::new()
        .route(RAILWAY, post(railway::ask))
        .nest(&format!("{CLOUDFLARE}/accounts/{{account}}/hyperdrive/configs"), hyperdrive::router())
        .route("/platforms/railway", post(make_project))
        .route("/platforms/railway/{id}", get(show_project))
        .route("/platforms/railway/{id}/mishaps", post(project_mishaps))
        .route("/platforms/railway/{id}/fates", post(project_fates))
        .route("/platforms/hyperdrive", post(make_account))
        .route("/platforms/hyperdrive/{id}", get(show_account))
        .route("/platforms/hyperdrive/{id}/mishaps", post(account_mishaps))
        .with_state(platforms)
}

type Shared = State<Arc<Platforms>>;

async fn make_project(State(platforms): Shared, axum::Json(wish): axum::Json<Value>) -> Response {
    let project = railway::Project::new(&platforms, &wish);
    let described = project.described();
    platforms.railway().insert(project.id.clone(), project);
    axum::Json(described).into_response()
}

async fn show_project(State(platforms): Shared, Path(id): Path<String>) -> Response {
    let now = platforms.clock.now();
    answer(platforms.railway().get(&id).map(|project| project.shown(now)))
}

async fn project_mishaps(
    State(platforms): Shared,
    Path(id): Path<String>,
    axum::Json(wish): axum::Json<Value>,
) -> Response {
    answer(platforms.railway().get_mut(&id).map(|project| project.mishaps.add(&wish)))
}

async fn project_fates(
    State(platforms): Shared,
    Path(id): Path<String>,
    axum::Json(wish): axum::Json<Value>,
) -> Response {
    answer(platforms.railway().get_mut(&id).map(|project| project.fated(&wish)))
}

async fn make_account(State(platforms): Shared, axum::Json(wish): axum::Json<Value>) -> Response {
    let account = hyperdrive::Account::new(&platforms, &wish);
    let described = account.described();
    platforms.hyperdrive().insert(account.id.clone(), account);
    axum::Json(described).into_response()
}

async fn show_account(State(platforms): Shared, Path(id): Path<String>) -> Response {
    answer(platforms.hyperdrive().get(&id).map(hyperdrive::Account::shown))
}

async fn account_mishaps(
    State(platforms): Shared,
    Path(id): Path<String>,
    axum::Json(wish): axum::Json<Value>,
) -> Response {
    answer(platforms.hyperdrive().get_mut(&id).map(|account| account.mishaps.add(&wish)))
}

fn answer(found: Option<Value>) -> Response {
    match found {
        Some(value) => axum::Json(value).into_response(),
        None => (axum::http::StatusCode::NOT_FOUND, axum::Json(json!({ "message": "there is none" }))).into_response(),
    }
}
