//! Requests of the words that speak with the admin console of a PgBouncer.

use serde::{Deserialize, Serialize};

use super::Request;

/// `pgbouncer::show`: one of its tables. Answers its rows as maps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PgbouncerShow {
    /// Which one: `DATABASES`.
    pub what: String,
}

impl Request for PgbouncerShow {
    const WORD: &'static str = "pgbouncer::show";
}

/// `pgbouncer::pause`: clients of a database wait. Answers `{ attempts }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PgbouncerPause {
    /// Its name at the pooler.
    pub database: String,
    /// How long clients may take to come to the end of their transactions, in seconds.
    pub limit: f64,
    /// How often that is tried.
    pub attempts: u32,
}

impl Request for PgbouncerPause {
    const WORD: &'static str = "pgbouncer::pause";
}

/// `pgbouncer::resume`: clients of a database go on. Answers `{ resumed }`: whether it was paused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PgbouncerResume {
    /// Its name at the pooler.
    pub database: String,
}

impl Request for PgbouncerResume {
    const WORD: &'static str = "pgbouncer::resume";
}

/// `pgbouncer::reload`: the pooler reads its configuration again.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PgbouncerReload {}

impl Request for PgbouncerReload {
    const WORD: &'static str = "pgbouncer::reload";
}

/// `pgbouncer::reconnect`: connections to the server are made anew, each once it is free.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PgbouncerReconnect {
    /// Its name at the pooler.
    pub database: String,
}

impl Request for PgbouncerReconnect {
    const WORD: &'static str = "pgbouncer::reconnect";
}

/// `pgbouncer::point`: a database of the pooler leads to another server. Answers `{ database, host, port, dbname, changed }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PgbouncerPoint {
    /// Its name at the pooler.
    pub database: String,
    /// The target it is to lead to.
    pub target: String,
    /// The pooler's configuration file.
    pub config: String,
    /// The host that file lies on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssh: Option<String>,
}

impl Request for PgbouncerPoint {
    const WORD: &'static str = "pgbouncer::point";
}

/// `pgbouncer::admit`: a user's line of the user list has the verifier of a password. Answers `{ user, changed }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PgbouncerAdmit {
    /// The login.
    pub user: String,
    /// The handle of its password.
    pub password: String,
    /// The pooler's user list.
    pub auth_file: String,
    /// The host that file lies on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssh: Option<String>,
}

impl Request for PgbouncerAdmit {
    const WORD: &'static str = "pgbouncer::admit";
}

/// `pgbouncer::dismiss`: the user list has no line of a user. Answers `{ user, removed }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PgbouncerDismiss {
    /// The login.
    pub user: String,
    /// The pooler's user list.
    pub auth_file: String,
    /// The host that file lies on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssh: Option<String>,
}

impl Request for PgbouncerDismiss {
    const WORD: &'static str = "pgbouncer::dismiss";
}

/// `pgbouncer::admits`: whether a user's line has the verifier of a password, to the byte.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PgbouncerAdmits {
    /// The login.
    pub user: String,
    /// The handle of its password.
    pub password: String,
    /// The pooler's user list.
    pub auth_file: String,
    /// The host that file lies on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssh: Option<String>,
}

impl Request for PgbouncerAdmits {
    const WORD: &'static str = "pgbouncer::admits";
}
