//! The text of `runsheet.toml`: its shape, and messages that say where it is wrong.
//!
//! The parser's own messages quote the source line or the value, which may hold a password; ours never do.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::consumer;
use super::error::{ConfigError, did_you_mean};
use super::provider::{GithubTable, NeonTable, PgbouncerTable, Tables};
use crate::model::identity::ExpectedIdentity;

/// Parameter values by runbook.
pub type RunbookValues = BTreeMap<String, BTreeMap<String, toml::Value>>;

/// `runsheet.toml` as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct File {
    /// `[targets.NAME]`.
    pub targets: BTreeMap<String, TargetTable>,
    /// `[runbooks.NAME]`.
    pub runbooks: RunbookValues,
    /// `[env.NAME]`.
    pub env: BTreeMap<String, EnvironmentTable>,
    /// `[notify]`.
    pub notify: NotifyTable,
    /// `[neon]`.
    pub neon: Option<NeonTable>,
    /// `[github]`.
    pub github: Option<GithubTable>,
    /// `[pgbouncer]`.
    pub pgbouncer: Option<PgbouncerTable>,
    /// `[[consumers]]`.
    pub consumers: Vec<toml::Table>,
    /// `[ssh]`.
    pub ssh: SshTable,
}

/// How other hosts are logged in at.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SshTable {
    /// A configuration file for ssh instead of the user's own; `${VAR}` is not expanded yet.
    pub config: Option<String>,
}

/// Who is told how a run ended.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NotifyTable {
    /// Gets the closing object of every run by POST; `${VAR}` is not expanded yet.
    pub url: Option<String>,
}

/// What an environment overrides.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EnvironmentTable {
    /// `[env.NAME.targets.X]`.
    pub targets: BTreeMap<String, TargetTable>,
    /// `[env.NAME.runbooks.Y]`.
    pub runbooks: RunbookValues,
    /// `[env.NAME.neon]`.
    pub neon: Option<NeonTable>,
    /// `[env.NAME.github]`.
    pub github: Option<GithubTable>,
    /// `[env.NAME.pgbouncer]`.
    pub pgbouncer: Option<PgbouncerTable>,
    /// `[[env.NAME.consumers]]`.
    pub consumers: Vec<toml::Table>,
}

/// A target as it is written; `${VAR}` is not expanded yet.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TargetTable {
    /// May be pooled.
    pub url: Option<String>,
    /// Reaches the server itself.
    pub direct_url: Option<String>,
    /// By which another server reaches it.
    pub replication_url: Option<String>,
    /// What people call it.
    pub label: Option<String>,
    /// Whether destruction needs a plan and the label typed.
    pub protected: Option<bool>,
    /// What it must turn out to be.
    pub identity: Option<ExpectedIdentity>,
    /// PEM text, or the path of a PEM file.
    pub ca_cert: Option<String>,
    /// `verify`, `require`, `no-verify`, `allow` or `disable`.
    pub ssl_mode: Option<String>,
    /// `[targets.X.recovery]`.
    pub recovery: Option<RecoveryTable>,
    /// `ssh://user@host/host:port`.
    pub tunnel: Option<String>,
    /// What stands before PostgreSQL's programs where they run: `["docker", "exec", "-i", "pg"]`.
    pub tools: Option<Vec<String>>,
    /// Who logs in where to run them.
    pub tools_ssh: Option<String>,
    /// How the database is reached from there.
    pub tools_url: Option<String>,
}

/// From what earlier moments of a target are brought back; `${VAR}` is not expanded yet.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecoveryTable {
    /// Folder of a base backup, or of several.
    pub base: String,
    /// As PostgreSQL's own setting of this name.
    pub restore_command: String,
    /// Folder of PostgreSQL's programs.
    pub bin: Option<String>,
    /// Folder in which recovered servers lie.
    pub folder: Option<String>,
    /// Libraries without which the data cannot be read, as `shared_preload_libraries`.
    pub preload: Option<String>,
}

impl TargetTable {
    /// This target with what `over` says instead. A new `url` is another database: the direct URL, the identity and the
    /// way to the old one do not carry over to it.
    fn overridden(self, over: Self) -> Self {
        let base = if over.url.is_some() {
            let (tools, tools_ssh, tools_url) = (None, None, None);
            let of_the_old =
                Self { direct_url: None, replication_url: None, identity: None, recovery: None, tunnel: None, ..self };
            Self { tools, tools_ssh, tools_url, ..of_the_old }
        } else {
            self
        };
        Self {
            url: over.url.or(base.url),
            direct_url: over.direct_url.or(base.direct_url),
            replication_url: over.replication_url.or(base.replication_url),
            label: over.label.or(base.label),
            protected: over.protected.or(base.protected),
            identity: over.identity.or(base.identity),
            ca_cert: over.ca_cert.or(base.ca_cert),
            ssl_mode: over.ssl_mode.or(base.ssl_mode),
            recovery: over.recovery.or(base.recovery),
            tunnel: over.tunnel.or(base.tunnel),
            tools: over.tools.or(base.tools),
            tools_ssh: over.tools_ssh.or(base.tools_ssh),
            tools_url: over.tools_url.or(base.tools_url),
        }
    }
}

impl File {
    /// Reads the file at `path`.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|error| ConfigError::unreadable(path, &error))?;
        toml::from_str(&text).map_err(|error| malformed(path, &text, &error))
    }

    /// The targets, parameter values and services of one environment.
    pub fn of_environment(mut self, name: Option<&str>) -> (BTreeMap<String, TargetTable>, RunbookValues, Tables) {
        let over = name.and_then(|name| self.env.remove(name)).unwrap_or_default();
        for (name, table) in over.targets {
            let base = self.targets.remove(&name).unwrap_or_default();
            self.targets.insert(name, base.overridden(table));
        }
        for (name, values) in over.runbooks {
            self.runbooks.entry(name).or_default().extend(values);
        }
        let neon = joined(self.neon, over.neon, NeonTable::overridden);
        let github = joined(self.github, over.github, GithubTable::overridden);
        let pgbouncer = joined(self.pgbouncer, over.pgbouncer, PgbouncerTable::overridden);
        let consumers = consumer::overridden(self.consumers, over.consumers);
        (self.targets, self.runbooks, Tables { neon, github, pgbouncer, consumers })
    }
}

/// A table of the project under that of an environment, where either may be missing.
fn joined<T>(base: Option<T>, over: Option<T>, overridden: fn(T, T) -> T) -> Option<T> {
    match (base, over) {
        (Some(base), Some(over)) => Some(overridden(base, over)),
        (base, over) => over.or(base),
    }
}

fn malformed(path: &Path, text: &str, error: &toml::de::Error) -> ConfigError {
    let before = text.get(..error.span().map_or(0, |span| span.start)).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    let (why, hint) = describe(error.message());
    ConfigError::Malformed { path: path.to_owned(), line, column, why, hint }
}

/// The parser's message without any value, and what was probably meant.
fn describe(message: &str) -> (String, Option<String>) {
    if let Some(rest) = message.strip_prefix("unknown field `")
        && let Some((key, known)) = rest.split_once('`')
    {
        let known: Vec<&str> = known.split('`').skip(1).step_by(2).collect();
        let hint = match did_you_mean(key, known.iter().copied()) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("known here: {}", known.join(", ")),
        };
        return (format!("unknown key `{key}`"), Some(hint));
    }
    if message.starts_with("invalid type") || message.starts_with("invalid value") {
        let expected = message.rsplit_once("expected ").map_or("something else", |(_, expected)| expected);
        return (format!("expected {expected}"), None);
    }
    let first = message.lines().next().unwrap_or_default();
    (first.to_owned(), None)
}
