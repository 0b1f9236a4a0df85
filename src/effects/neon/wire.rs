//! What the API answers, as far as we read it. Every field may be missing and every word may be new: what we do not need
//! must not stop us.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::faults;
use crate::model::fault::Fault;

/// A part of an answer.
pub fn part<T: DeserializeOwned>(answer: &Value, key: &str, what: &str) -> Result<T, Fault> {
    T::deserialize(&answer[key]).map_err(|error| {
        tracing::debug!(%error, key, "cannot be read");
        faults::lacking(what, key)
    })
}

/// A list in an answer; one that is missing is empty.
pub fn list<T: DeserializeOwned>(answer: &Value, key: &str, what: &str) -> Result<Vec<T>, Fault> {
    if answer[key].is_null() { Ok(Vec::new()) } else { part(answer, key, what) }
}

/// A branch.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Branch {
    /// `br-…`.
    pub id: String,
    /// Anybody's text.
    pub name: String,
    /// Missing for a root.
    pub parent_id: Option<String>,
    /// Where it leaves its parent.
    pub parent_lsn: Option<String>,
    /// When.
    pub parent_timestamp: Option<String>,
    /// `init`, `resetting`, `ready`, `archived`, …
    pub current_state: Option<String>,
    /// Whether it is the project's own.
    pub default: Option<bool>,
    /// The old name of `default`.
    pub primary: Option<bool>,
    /// Whether it may be deleted and restored.
    pub protected: Option<bool>,
    /// When it was made.
    pub created_at: Option<String>,
    /// When anything of it changed.
    pub updated_at: Option<String>,
    /// When it was last put back.
    pub last_reset_at: Option<String>,
    /// When it goes by itself.
    pub expires_at: Option<String>,
    /// `parent-data`, `schema-only`, `parent-schema`, …
    pub init_source: Option<String>,
    /// What may not be done with it.
    pub restricted_actions: Option<Vec<Restricted>>,
    /// Whether and until when it can be had back.
    pub recovery: Option<Recovery>,
}

impl Branch {
    /// Whether it is the project's default, under either name.
    pub fn is_default(&self) -> bool {
        self.default.or(self.primary).unwrap_or(false)
    }

    /// Whether it is protected.
    pub fn is_protected(&self) -> bool {
        self.protected.unwrap_or(false)
    }
}

/// What may not be done with a branch.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Restricted {
    /// `restore`, `delete-rw-endpoint`, …
    pub name: String,
    /// Why.
    pub reason: Option<String>,
}

/// A deleted branch that can be had back.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Recovery {
    /// When it was deleted.
    pub deleted_at: Option<String>,
    /// Until when.
    pub recoverable_until: Option<String>,
}

/// A compute.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Endpoint {
    /// `ep-…`.
    pub id: String,
    /// Its host.
    pub host: Option<String>,
    /// The branch it runs.
    pub branch_id: String,
    /// `read_write` or `read_only`.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// `init`, `active`, `idle`.
    pub current_state: Option<String>,
    /// The state it goes to.
    pub pending_state: Option<String>,
    /// Whether it is kept from starting.
    pub disabled: Option<bool>,
    /// When somebody last used it.
    pub last_active: Option<String>,
    /// Smallest size.
    pub autoscaling_limit_min_cu: Option<f64>,
    /// Greatest size.
    pub autoscaling_limit_max_cu: Option<f64>,
    /// Seconds until it goes to sleep.
    pub suspend_timeout_seconds: Option<i64>,
}

impl Endpoint {
    /// Whether it runs, or is about to.
    pub fn is_active(&self) -> bool {
        let state = |state: &Option<String>| state.as_deref() == Some("active");
        state(&self.current_state) || state(&self.pending_state)
    }
}

/// A piece of work of the service.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Operation {
    /// A UUID.
    pub id: String,
    /// What it works on.
    pub branch_id: Option<String>,
    /// What it works on.
    pub endpoint_id: Option<String>,
    /// `create_branch`, `start_compute`, …
    pub action: String,
    /// `scheduling`, `running`, `finished`, …
    pub status: String,
    /// Why it failed.
    pub error: Option<String>,
    /// When it began.
    pub created_at: Option<String>,
    /// When it changed.
    pub updated_at: Option<String>,
}

/// A role.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Role {
    /// Its name.
    pub name: String,
    /// Only right after it was made or reset.
    pub password: Option<String>,
    /// Whether it is the system's.
    pub protected: Option<bool>,
    /// `password`, `oauth`, `no_login`.
    pub authentication_method: Option<String>,
}

/// A database.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Database {
    /// Its name.
    pub name: String,
    /// The role that owns it.
    pub owner_name: Option<String>,
}

/// A time of the API, if it is one.
pub fn time(text: Option<&str>) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(text?).ok().map(Into::into)
}
