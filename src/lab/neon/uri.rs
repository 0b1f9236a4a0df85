//! Connection URIs. Host names of the lab do not resolve, so each URI says the address too.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::call::{Answer, Call, ok};
use super::refusal::Refusal;
use super::state::{Endpoint, Role};
use super::view;

/// `GET …/connection_uri`.
pub async fn get(call: Call) -> Answer {
    let project = call.project()?;
    let state = project.state.lock().await;
    let wanted = |name: &str| call.asked(name).ok_or_else(|| Refusal::new(400, format!("{name} is required")));
    let (database, role) = (wanted("database_name")?, wanted("role_name")?);
    let branch = match (call.asked("branch_id"), call.asked("endpoint_id")) {
        (Some(id), _) => state.branch(id),
        (None, Some(endpoint)) => state.endpoints.get(endpoint).and_then(|it| state.branch(&it.branch)),
        (None, None) => state.default_branch(),
    };
    let branch = branch.ok_or_else(|| Refusal::missing("branch"))?;
    let endpoint = match call.asked("endpoint_id") {
        Some(id) => state.endpoints_of(&branch.id).find(|endpoint| endpoint.id == id),
        None => state.endpoints_of(&branch.id).find(|endpoint| endpoint.read_write),
    };
    let endpoint = endpoint.ok_or_else(|| Refusal::missing("endpoint"))?;
    let role = branch.roles.iter().find(|it| it.name == role).ok_or_else(|| Refusal::missing("role"))?;
    if !branch.databases.iter().any(|it| it.name == database) {
        return Err(Refusal::missing("database"));
    }
    ok(json!({ "uri": uri(endpoint, role, database, call.says("pooled")) }))
}

/// The URI of a database for a role, password included.
pub fn uri(endpoint: &Endpoint, role: &Role, database: &str, pooled: bool) -> String {
    let encoded = |text| utf8_percent_encode(text, NON_ALPHANUMERIC);
    let address = if pooled { &endpoint.pooled } else { &endpoint.direct };
    format!(
        "postgresql://{}:{}@{}:{}/{}?hostaddr=127.0.0.1&sslmode=disable",
        plain(&role.name).unwrap_or_else(|| encoded(&role.name).to_string()),
        encoded(role.password.as_deref().unwrap_or_default()).to_string().replace("%5F", "_"),
        view::host(&endpoint.id, pooled),
        address.as_ref().map_or(5432, |address| address.port()),
        plain(database).unwrap_or_else(|| encoded(database).to_string()),
    )
}

/// A name that needs no encoding.
fn plain(name: &str) -> Option<String> {
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte)).then(|| name.to_owned())
}

/// The same with its parts, as it comes with a new branch.
pub fn with_parameters(endpoint: &Endpoint, role: &Role, database: &str) -> Value {
    json!({
        "connection_uri": uri(endpoint, role, database, false),
        "connection_parameters": {
            "database": database, "role": role.name, "password": role.password,
            "host": view::host(&endpoint.id, false), "pooler_host": view::host(&endpoint.id, true),
        },
    })
}
