//! Hyperdrive: configs whose origin is tried before it is taken, and whose password is never answered.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::connect::tried;
use super::mishaps::{self, Mishap, Mishaps};
use super::{Platforms, Shared};

/// Where a config leads.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Origin {
    /// `postgres` or `postgresql`.
    #[serde(default = "scheme")]
    pub scheme: String,
    /// The host.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The database.
    pub database: String,
    /// The role.
    pub user: String,
    /// Its password.
    pub password: String,
}

fn scheme() -> String {
    "postgres".to_owned()
}

#[derive(Clone)]
struct Config {
    name: String,
    origin: Origin,
    caching: Value,
    limit: u64,
    modified: String,
}

/// An account.
pub struct Account {
    /// Its id.
    pub id: String,
    /// What is to befall it.
    pub mishaps: Mishaps,
    token: String,
    configs: BTreeMap<String, Config>,
}

/// A refusal: its status, its code, and what is said.
type Refusal = (StatusCode, u64, String);

impl Account {
    /// Makes one with a config that is taken as it is.
    pub fn new(platforms: &Platforms, wish: &Value) -> Self {
        let mut configs = BTreeMap::new();
        if let Ok(origin) = serde_json::from_value(wish["origin"].clone()) {
            let caching = if wish["caching"].is_null() { json!({ "disabled": true }) } else { wish["caching"].clone() };
            let modified = platforms.clock.now().to_rfc3339();
            configs.insert(platforms.id(), Config { name: "shop".into(), origin, caching, limit: 60, modified });
        }
        let token = format!("cf_{}", platforms.id());
        Self { id: platforms.id(), mishaps: Mishaps::default(), token, configs }
    }

    /// What a client needs to know.
    pub fn described(&self) -> Value {
        json!({ "account": self.id, "token": self.token, "config": self.configs.keys().next() })
    }

    /// All of it.
    pub fn shown(&self) -> Value {
        let configs: BTreeMap<&String, Value> = self
            .configs
            .iter()
            .map(|(id, it)| (id, json!({ "origin": it.origin, "caching": it.caching, "modified_on": it.modified })))
            .collect();
        json!({ "configs": configs, "asked": self.mishaps.asked })
    }
}

/// The routes below `…/hyperdrive/configs`.
pub fn router() -> Router<Arc<Platforms>> {
    Router::new()
        .route("/", get(list).post(make))
        .route("/{config}", get(show).put(change).patch(change).delete(remove))
        .route("/{config}/restart", post(show))
}

fn told(id: &str, config: &Config) -> Value {
    let mut origin = json!(config.origin);
    if let Some(origin) = origin.as_object_mut() {
        origin.remove("password");
    }
    json!({
        "id": id, "name": config.name, "origin": origin, "caching": config.caching, "mtls": { "sslmode": "disable" },
        "origin_connection_limit": config.limit, "modified_on": config.modified, "restarted_on": null,
    })
}

fn answered(result: Result<Value, Refusal>) -> Response {
    match result {
        Ok(result) => {
            axum::Json(json!({ "success": true, "errors": [], "messages": [], "result": result })).into_response()
        }
        Err((status, code, message)) => {
            let errors = json!([{ "code": code, "message": message }]);
            let body = json!({ "success": false, "errors": errors, "messages": [], "result": null });
            (status, axum::Json(body)).into_response()
        }
    }
}

fn refusal(status: u16, code: u64, message: &str) -> Refusal {
    (StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST), code, message.to_owned())
}

/// Whether a request is let through, and what befalls it.
fn admitted(
    platforms: &Platforms,
    account: &str,
    headers: &HeaderMap,
    what: &str,
) -> Result<Option<Mishap>, Box<Response>> {
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let bearer = bearer.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    let mut all = platforms.hyperdrive();
    let Some(account) = all.get_mut(account).filter(|account| account.token == bearer) else {
        return Err(Box::new(answered(Err(refusal(403, 10_000, "Authentication error")))));
    };
    let mishap = account.mishaps.of(what);
    drop(all);
    match mishap {
        Some(mishap @ (Mishap::Limited | Mishap::Unavailable | Mishap::Cut)) => {
            mishaps::refused(mishap).map_or(Ok(None), |refusal| Err(Box::new(refusal)))
        }
        other => Ok(other),
    }
}

async fn list(State(platforms): Shared, Path(account): Path<String>, headers: HeaderMap) -> Response {
    if let Err(response) = admitted(&platforms, &account, &headers, "list") {
        return *response;
    }
    let all = platforms.hyperdrive();
    let configs = all.get(&account).map(|account| account.configs.iter().map(|(id, it)| told(id, it)).collect());
    answered(Ok(configs.unwrap_or(Value::Null)))
}

async fn show(
    State(platforms): Shared,
    Path((account, config)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    if let Err(response) = admitted(&platforms, &account, &headers, "show") {
        return *response;
    }
    let all = platforms.hyperdrive();
    let found = all.get(&account).and_then(|account| account.configs.get(&config));
    answered(found.map(|it| told(&config, it)).ok_or_else(|| refusal(404, 2001, "Hyperdrive config not found.")))
}

async fn make(State(platforms): Shared, Path(account): Path<String>, headers: HeaderMap, body: String) -> Response {
    let id = platforms.id();
    written(&platforms, (&account, &id), &Method::PUT, &headers, &body).await
}

async fn change(
    State(platforms): Shared,
    Path((account, config)): Path<(String, String)>,
    method: Method,
    headers: HeaderMap,
    body: String,
) -> Response {
    let there = platforms.hyperdrive().get(&account).is_some_and(|account| account.configs.contains_key(&config));
    if !there {
        return answered(Err(refusal(404, 2001, "Hyperdrive config not found.")));
    }
    written(&platforms, (&account, &config), &method, &headers, &body).await
}

async fn remove(
    State(platforms): Shared,
    Path((account, config)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    if let Err(response) = admitted(&platforms, &account, &headers, "delete") {
        return *response;
    }
    let mut all = platforms.hyperdrive();
    drop(all.get_mut(&account).and_then(|account| account.configs.remove(&config)));
    answered(Ok(Value::Null))
}

/// `PUT` replaces, `PATCH` keeps what is not given. Nothing is kept of an origin that cannot be reached.
async fn written(
    platforms: &Arc<Platforms>,
    (account, id): (&str, &str),
    method: &Method,
    headers: &HeaderMap,
    body: &str,
) -> Response {
    let mishap = match admitted(platforms, account, headers, &method.as_str().to_lowercase()) {
        Ok(mishap) => mishap,
        Err(response) => return *response,
    };
    let there = platforms.hyperdrive().get(account).and_then(|account| account.configs.get(id).cloned());
    let body: Value = serde_json::from_str(body).unwrap_or_default();
    let result = match changed(there.as_ref(), &body, method == Method::PATCH) {
        Err(refusal) => Err(refusal),
        Ok((mut config, connects)) => {
            let tried = if connects { tried(&config.origin).await } else { Ok(()) };
            config.modified = platforms.clock.now().to_rfc3339();
            match tried {
                Err((code, message)) => Err(refusal(400, code, message)),
                Ok(()) => {
                    let told = told(id, &config);
                    if let Some(account) =
                        platforms.hyperdrive().get_mut(account).filter(|_| mishap != Some(Mishap::Forgets))
                    {
                        account.configs.insert(id.to_owned(), config);
                    }
                    Ok(told)
                }
            }
        }
    };
    mishaps::spoilt(mishap, answered(result))
}

/// The config as it becomes, and whether what is connected to changes.
fn changed(there: Option<&Config>, body: &Value, patch: bool) -> Result<(Config, bool), Refusal> {
    let given = &body["origin"];
    let invalid = |message: &str| refusal(400, 1002, message);
    let base = there.filter(|_| patch);
    if given["host"].is_string() != given["port"].is_number() {
        return Err(invalid("origin.host and origin.port go together."));
    }
    let mut origin = base.map_or_else(|| json!({}), |it| json!(it.origin));
    if let (Some(origin), Some(given)) = (origin.as_object_mut(), given.as_object()) {
        origin.extend(given.clone());
    }
    let origin = serde_json::from_value(origin).map_err(|_| invalid("origin is incomplete."))?;
    let name = body["name"].as_str().or(base.map(|it| it.name.as_str()));
    let name = name.ok_or_else(|| invalid("name is required."))?.to_owned();
    // What is not given is reset by a PUT.
    let caching = match (&body["caching"], base) {
        (Value::Null, Some(base)) => base.caching.clone(),
        (Value::Null, None) => json!({ "disabled": false, "max_age": 60, "stale_while_revalidate": 15 }),
        (given, _) if given["disabled"] == true => json!({ "disabled": true }),
        (given, _) => given.clone(),
    };
    let limit = body["origin_connection_limit"].as_u64().or(there.map(|it| it.limit)).unwrap_or(60);
    Ok((Config { name, origin, caching, limit, modified: String::new() }, given.is_object()))
}
