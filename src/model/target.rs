//! A named database, as configured.

use std::path::PathBuf;

use super::identity::ExpectedIdentity;
use super::reach::{Tools, Tunnel};

/// How far a server's certificate is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsMode {
    /// Encrypted, certificate and host name checked.
    Verify,
    /// Encrypted, not checked.
    NoVerify,
    /// Not encrypted.
    Disable,
}

impl TlsMode {
    /// As an environment and a runbook say it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Verify => "verify",
            Self::NoVerify => "no-verify",
            Self::Disable => "disable",
        }
    }
}

/// TLS rules of a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// How far the certificate is checked.
    pub mode: TlsMode,
    /// PEM text of the authorities to trust instead of the system's.
    pub ca: Option<String>,
}

/// A named database. URLs hold passwords, so this is never printed or serialised.
#[derive(Clone)]
pub struct Target {
    /// Its name in `runsheet.toml`.
    pub name: String,
    /// The URL as given, which may be pooled.
    pub url: String,
    /// The URL that reaches the server itself; absent when `url` does.
    pub direct_url: Option<String>,
    /// The URL by which another server reaches it; absent when that is the direct one.
    pub replication_url: Option<String>,
    /// What people call it; what is typed to confirm a destruction.
    pub label: String,
    /// Whether destruction needs a plan and the label typed.
    pub protected: bool,
    /// What it must turn out to be.
    pub identity: Option<ExpectedIdentity>,
    /// TLS rules.
    pub tls: Tls,
    /// From what earlier moments of it are brought back.
    pub history: Option<History>,
    /// How it is reached, where its address says nothing here.
    pub tunnel: Option<Tunnel>,
    /// Where PostgreSQL's programs run for it, if not here.
    pub tools: Option<Tools>,
}

/// A base backup and the WAL after it: `[targets.X.recovery]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    /// Folder of a base backup, or of several.
    pub base: PathBuf,
    /// Fetches a segment of WAL from the archive, as PostgreSQL's `restore_command` does.
    pub restore_command: String,
    /// Folder of PostgreSQL's programs; found without it.
    pub bin: Option<PathBuf>,
    /// Folder in which recovered servers lie.
    pub folder: Option<PathBuf>,
    /// Libraries without which the data cannot be read.
    pub preload: Option<String>,
}

/// The configured target behind a name. A database that a run made is called `SERVER:DATABASE`, by the target on whose
/// server it lies, and a login `BASE@NAME`; every other name is its own base.
pub fn base(name: &str) -> &str {
    made(name).or_else(|| login(name)).map_or(name, |(base, _)| base)
}

/// Base and name of a login `BASE@NAME`: the same database as another role, or with another password.
pub fn login(name: &str) -> Option<(&str, &str)> {
    name.split_once('@')
}

/// Server and database of a name `SERVER:DATABASE`.
pub fn made(name: &str) -> Option<(&str, &str)> {
    name.split_once(':')
}

/// Base and branch of a name `BASE:br-…`: the same database and role as that configured target, on a branch that a run
/// made.
pub fn made_branch(name: &str) -> Option<(&str, &str)> {
    made(name).filter(|(_, branch)| branch.starts_with("br-"))
}

impl Target {
    /// The URL to use where a session must be one's own: locks, transactions, dumps.
    pub fn direct(&self) -> &str {
        self.direct_url.as_deref().unwrap_or(&self.url)
    }
}
