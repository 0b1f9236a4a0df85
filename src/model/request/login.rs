//! The requests of the words about logins.

use serde::{Deserialize, Serialize};

use super::Request;

/// `pg::login`: a target as another role, or with another password. Answers its name, `TARGET@NAME`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PgLogin {
    /// Name of the configured target.
    pub target: String,
    /// What is put behind it.
    pub name: String,
    /// The role; the one of the target's URL without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The password's handle; nothing where a preview does not know it yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
}

impl Request for PgLogin {
    const WORD: &'static str = "pg::login";
}

/// `pg::try_login`: whether a target lets its login in. Answers `{ accepted, user, address, tls, … }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PgTryLogin {
    /// Name of the target, or of a login.
    pub target: String,
    /// Whether it goes by the URL that may be pooled.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub pooled: bool,
    /// Statements that it must be allowed, each in a transaction that is rolled back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub probe: Vec<String>,
}

impl Request for PgTryLogin {
    const WORD: &'static str = "pg::try_login";
}
