//! How things look in the API's answers.

use serde_json::{Map, Value, json};

use super::names::DOMAIN;
use super::state::{Branch, Database, Endpoint, Project, Role, State};
use crate::model::lsn;

/// A branch.
pub fn branch(project: &Project, state: &State, branch: &Branch) -> Value {
    let text = |time| state.stretch.text(time);
    let mut view = json!({
        "id": branch.id, "project_id": project.id, "name": branch.name, "current_state": branch.state,
        "state_changed_at": text(branch.state_changed_at), "logical_size": 31_457_280, "creation_source": "console",
        "primary": branch.default, "default": branch.default, "protected": branch.protected, "cpu_used_sec": 0,
        "compute_time_seconds": 0, "active_time_seconds": 0, "written_data_bytes": 0, "data_transfer_bytes": 0,
        "created_at": text(branch.created_at), "updated_at": text(branch.updated_at),
        "created_by": { "name": "runsheet lab", "image": "" }, "init_source": branch.init_source,
    });
    let times = [
        ("parent_timestamp", branch.parent_time),
        ("expires_at", branch.expires_at),
        ("last_reset_at", branch.last_reset_at),
    ];
    let times = times.into_iter().filter_map(|(name, time)| Some((name, text(time?).into())));
    let others = [
        ("parent_id", branch.parent.clone().map(Value::from)),
        ("parent_lsn", branch.parent_lsn.map(|lsn| lsn::text(lsn).into())),
        ("pending_state", branch.pending.clone().map(Value::from)),
        ("ttl_interval_seconds", branch.ttl.map(Value::from)),
    ];
    for (name, value) in times.chain(others.into_iter().filter_map(|(name, value)| Some((name, value?)))) {
        view[name] = value;
    }
    if !branch.restricted.is_empty() {
        let restricted = branch.restricted.iter().map(|(name, reason)| json!({ "name": name, "reason": reason }));
        view["restricted_actions"] = restricted.collect();
    }
    if let Some(deleted) = branch.deleted {
        view["recovery"] = json!({
            "deleted_at": text(deleted.at), "recoverable_until": text(deleted.until),
            "deletion_method": if deleted.expired { "ttl" } else { "user" },
        });
    }
    strange(state, &mut view);
    view
}

/// What its maker wrote on a branch.
pub fn annotation(state: &State, branch: &Branch, value: &Map<String, Value>) -> Value {
    json!({
        "object": { "type": "console/branch", "id": branch.id }, "value": value,
        "created_at": state.stretch.text(branch.created_at), "updated_at": state.stretch.text(branch.created_at),
    })
}

/// The host of an endpoint.
pub fn host(endpoint: &str, pooled: bool) -> String {
    format!("{endpoint}{}.{DOMAIN}", if pooled { "-pooler" } else { "" })
}

/// An endpoint.
pub fn endpoint(project: &Project, state: &State, endpoint: &Endpoint) -> Value {
    let text = |time| state.stretch.text(time);
    let active = [&endpoint.direct, &endpoint.pooled].into_iter().flatten().filter_map(|it| it.last_active()).max();
    let (least, most) = endpoint.compute_units;
    let mut view = json!({
        "id": endpoint.id, "host": host(&endpoint.id, false), "project_id": project.id, "branch_id": endpoint.branch,
        "region_id": "aws-us-east-2", "type": if endpoint.read_write { "read_write" } else { "read_only" },
        "current_state": endpoint.state, "autoscaling_limit_min_cu": least, "autoscaling_limit_max_cu": most,
        "settings": { "pg_settings": {}, "pgbouncer_settings": {}, "preload_libraries": {} },
        "pooler_enabled": false, "pooler_mode": "transaction", "disabled": endpoint.disabled,
        "passwordless_access": true, "suspend_timeout_seconds": endpoint.suspend_timeout, "provisioner": "k8s-neonvm",
        "creation_source": "console", "proxy_host": DOMAIN, "compute_release_version": "9876",
        "created_at": text(endpoint.created_at), "updated_at": text(endpoint.updated_at),
    });
    if let Some(pending) = &endpoint.pending {
        view["pending_state"] = pending.clone().into();
    }
    let times = [
        ("last_active", endpoint.last_active.max(active)),
        ("started_at", endpoint.started_at),
        ("suspended_at", endpoint.suspended_at),
    ];
    for (name, time) in times {
        if let Some(time) = time {
            view[name] = text(time).into();
        }
    }
    strange(state, &mut view);
    view
}

/// A role, without its password.
pub fn role(state: &State, branch: &str, role: &Role) -> Value {
    json!({
        "branch_id": branch, "name": role.name, "protected": false,
        "authentication_method": if role.password.is_some() { "password" } else { "no_login" },
        "created_at": state.stretch.text(role.created_at), "updated_at": state.stretch.text(role.updated_at),
    })
}

/// A database.
pub fn database(state: &State, branch: &str, database: &Database) -> Value {
    json!({
        "id": database.id, "branch_id": branch, "name": database.name, "owner_name": database.owner,
        "created_at": state.stretch.text(database.created_at), "updated_at": state.stretch.text(database.updated_at),
    })
}

/// The project.
pub fn project(project: &Project, state: &State) -> Value {
    let mut settings = json!({
        "quota": {
            "active_time_seconds": 0, "compute_time_seconds": 0, "written_data_bytes": 0, "data_transfer_bytes": 0,
            "logical_size_bytes": 0,
        },
        "allowed_ips": { "ips": [], "protected_branches_only": false }, "enable_logical_replication": false,
    });
    for (name, value) in &state.settings {
        settings[name] = value.clone();
    }
    let mut view = json!({
        "id": project.id, "name": state.name, "platform_id": "aws", "region_id": "aws-us-east-2", "pg_version": 15,
        "provisioner": "k8s-neonvm", "store_passwords": state.knobs.store_passwords, "proxy_host": DOMAIN,
        "history_retention_seconds": state.history, "branch_logical_size_limit_bytes": 17_592_186_044_416_i64,
        "default_endpoint_settings": { "autoscaling_limit_min_cu": 0.25, "autoscaling_limit_max_cu": 2,
            "suspend_timeout_seconds": 0 },
        "owner_id": "org-lab-12345678", "org_id": "org-lab-12345678",
        "owner": { "email": "", "name": "lab", "branches_limit": state.knobs.branches_limit,
            "subscription_type": "scale" },
        "settings": settings, "creation_source": "console", "active_time_seconds": 0, "compute_time_seconds": 0,
        "cpu_used_sec": 0, "written_data_bytes": 0, "data_transfer_bytes": 0, "data_storage_bytes_hour": 0,
        "synthetic_storage_size": 0, "created_at": state.stretch.text(state.created_at),
        "updated_at": state.stretch.text(state.updated_at),
    });
    strange(state, &mut view);
    view
}

/// Adds what no client knows yet.
fn strange(state: &State, view: &mut Value) {
    if state.chaos.rates.unknown_fields > 0.0 {
        view["zz_new_in_2027"] = json!({ "nested": [1, null, "text"] });
    }
}
