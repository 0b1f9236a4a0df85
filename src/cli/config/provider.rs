//! `[neon]`, `[github]`, `[pgbouncer]` and `[[consumers]]`: variables expanded, addresses and names read.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::consumer;
use super::error::ConfigError;
use super::file::TargetTable;
use super::target::{self, expand};
use super::url::PostgresUrl;
use super::variables::Variables;
use crate::model::fault::Fault;
use crate::model::provider::{GithubAccess, NeonAccess, PgbouncerAccess, Providers};

/// `[neon]` as it is written; `${VAR}` is not expanded yet.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NeonTable {
    /// Another address of the API than Neon's own.
    pub api_base: Option<String>,
    /// The key.
    pub api_key: Option<String>,
    /// Id of the project.
    pub project: Option<String>,
    /// What the project must be called.
    pub expect_project_name: Option<String>,
}

impl NeonTable {
    /// This table with what `over` says instead. The name that is expected belongs to the project.
    pub fn overridden(self, over: Self) -> Self {
        let expected = self.expect_project_name.filter(|_| over.project.is_none());
        Self {
            api_base: over.api_base.or(self.api_base),
            api_key: over.api_key.or(self.api_key),
            project: over.project.or(self.project),
            expect_project_name: over.expect_project_name.or(expected),
        }
    }
}

/// `[github]` as it is written; `${VAR}` is not expanded yet.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GithubTable {
    /// Another address of the API than GitHub's own.
    pub api_base: Option<String>,
    /// The token.
    pub token: Option<String>,
    /// `OWNER/NAME`.
    pub repo: Option<String>,
}

impl GithubTable {
    /// This table with what `over` says instead.
    pub fn overridden(self, over: Self) -> Self {
        Self {
            api_base: over.api_base.or(self.api_base),
            token: over.token.or(self.token),
            repo: over.repo.or(self.repo),
        }
    }
}

/// `[pgbouncer]` as it is written; `${VAR}` is not expanded yet.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PgbouncerTable {
    /// The URL of its admin console, whose database is `pgbouncer`.
    pub admin_url: Option<String>,
    /// PEM text, or the path of a PEM file.
    pub ca_cert: Option<String>,
    /// `verify`, `require`, `no-verify`, `allow` or `disable`.
    pub ssl_mode: Option<String>,
    /// `ssh://user@host/host:port`.
    pub tunnel: Option<String>,
}

impl PgbouncerTable {
    /// This table with what `over` says instead. The way to a console belongs to it.
    pub fn overridden(self, over: Self) -> Self {
        let way = self.tunnel.filter(|_| over.admin_url.is_none());
        Self {
            admin_url: over.admin_url.or(self.admin_url),
            ca_cert: over.ca_cert.or(self.ca_cert),
            ssl_mode: over.ssl_mode.or(self.ssl_mode),
            tunnel: over.tunnel.or(way),
        }
    }
}

/// The tables of services, each if it is there.
#[derive(Clone, Debug, Default)]
pub struct Tables {
    /// `[neon]`.
    pub neon: Option<NeonTable>,
    /// `[github]`.
    pub github: Option<GithubTable>,
    /// `[pgbouncer]`.
    pub pgbouncer: Option<PgbouncerTable>,
    /// `[[consumers]]`.
    pub consumers: Vec<toml::Table>,
}

/// Reads them, and gives the secrets that are kept under a name; what cannot be used says so to whoever needs it.
pub fn resolve(tables: Tables, variables: &Variables, project: &Path) -> (Providers, Vec<(String, String)>) {
    let mut providers = Providers::default();
    let unusable = &mut providers.unusable;
    providers.neon = usable("neon", tables.neon.map(|table| neon(table, variables)), unusable);
    providers.github = usable("github", tables.github.map(|table| github(table, variables)), unusable);
    let pooler = tables.pgbouncer.map(|table| pgbouncer(table, variables, project));
    providers.pgbouncer = usable("pgbouncer", pooler, unusable);
    let consumers = Some(consumer::resolve(tables.consumers, variables));
    let consumers = usable("consumers", consumers, unusable).unwrap_or_default();
    providers.consumers = consumers.consumers;
    (providers, consumers.secrets)
}

/// What a table says of a service, if it is there and can be used.
fn usable<T>(
    service: &'static str,
    read: Option<Result<T, ConfigError>>,
    unusable: &mut BTreeMap<&'static str, Fault>,
) -> Option<T> {
    let error = match read? {
        Ok(access) => return Some(access),
        Err(error) => error,
    };
    let fault = Fault::fatal(format!("{service}.config"), error.to_string());
    unusable.insert(
        service,
        match error.hint() {
            Some(hint) => fault.hinted(hint),
            None => fault,
        },
    );
    None
}

/// Keys, passwords and tokens, each with the name to show instead.
pub fn keys(providers: &Providers) -> Vec<(String, String)> {
    let neon = providers.neon.iter().map(|access| ("neon.api_key".to_owned(), access.api_key.clone()));
    let tokens = providers.github.iter().filter_map(|access| access.token.clone());
    let console = providers.pgbouncer.iter().filter_map(|access| PostgresUrl::parse(access.admin.direct()).ok());
    let console = console.flat_map(|url| url.passwords).map(|password| ("pgbouncer.admin_url".to_owned(), password));
    neon.chain(tokens.map(|token| ("github.token".to_owned(), token))).chain(console).collect()
}

fn neon(table: NeonTable, variables: &Variables) -> Result<NeonAccess, ConfigError> {
    let read = |key: &str, value: Option<String>| text("neon", key, value, variables);
    let needed = |key: &str, value: Option<String>| read(key, value)?.ok_or_else(|| missing("neon", key));
    let project = needed("project", table.project)?;
    if project.len() > 60 || !project.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-') {
        return Err(ConfigError::key("`neon.project`", "is not the id of a project")
            .hinted("it looks like `calm-river-12345678`; the Console shows it in the project's settings"));
    }
    Ok(NeonAccess {
        api_base: address("neon", read("api_base", table.api_base)?, "https://console.neon.tech/api/v2")?,
        api_key: header("neon", "api_key", needed("api_key", table.api_key)?)?,
        project,
        expect_project_name: read("expect_project_name", table.expect_project_name)?,
    })
}

fn github(table: GithubTable, variables: &Variables) -> Result<GithubAccess, ConfigError> {
    let read = |key: &str, value: Option<String>| text("github", key, value, variables);
    let repo = read("repo", table.repo)?.ok_or_else(|| missing("github", "repo"))?;
    let plain = |part: &str| {
        !part.is_empty()
            && part.chars().any(|c| c != '.')
            && part.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
    };
    if !repo.split_once('/').is_some_and(|(owner, name)| plain(owner) && plain(name)) {
        return Err(ConfigError::key("`github.repo`", "is not a repository").hinted("it is written OWNER/NAME"));
    }
    Ok(GithubAccess {
        api_base: address("github", read("api_base", table.api_base)?, "https://api.github.com")?,
        token: read("token", table.token)?.map(|token| header("github", "token", token)).transpose()?,
        repo,
    })
}

fn pgbouncer(table: PgbouncerTable, variables: &Variables, project: &Path) -> Result<PgbouncerAccess, ConfigError> {
    let url = text("pgbouncer", "admin_url", table.admin_url, variables)?;
    let url = url.ok_or_else(|| missing("pgbouncer", "admin_url"))?;
    let database = PostgresUrl::parse(&url).ok().and_then(|url| url.database);
    if database.as_deref() != Some("pgbouncer") {
        return Err(ConfigError::key("`pgbouncer.admin_url`", "is not the URL of an admin console").hinted(
            "its database is called `pgbouncer`: postgresql://ADMIN:PASSWORD@HOST:6432/pgbouncer, ADMIN standing in `admin_users`",
        ));
    }
    let PgbouncerTable { ca_cert, ssl_mode, tunnel, .. } = table;
    let written = TargetTable { url: Some(url), ca_cert, ssl_mode, tunnel, ..TargetTable::default() };
    // Under the rules of every other connection, so that its password travels no less safely than theirs.
    Ok(PgbouncerAccess { admin: target::resolve("pgbouncer", written, variables, project)?.target })
}

fn missing(table: &str, key: &str) -> ConfigError {
    ConfigError::key(format!("`[{table}]`"), format!("has no `{key}`")).hinted(format!("add it under `[{table}]`"))
}

fn text(table: &str, key: &str, value: Option<String>, variables: &Variables) -> Result<Option<String>, ConfigError> {
    let expanded = value.map(|value| expand(&value, &format!("`{table}.{key}`"), variables)).transpose()?;
    Ok(expanded.filter(|text| !text.is_empty()))
}

/// What travels in a header: one line of printable characters.
fn header(table: &str, key: &str, value: String) -> Result<String, ConfigError> {
    if value.chars().all(|c| c.is_ascii_graphic()) {
        return Ok(value);
    }
    Err(ConfigError::key(format!("`{table}.{key}`"), "has white space or characters in it that no key has")
        .hinted("was it copied with a line end or quotes?"))
}

/// An address that the key may be sent to: encrypted, or on this host.
fn address(table: &str, given: Option<String>, or: &str) -> Result<String, ConfigError> {
    let given = given.unwrap_or_else(|| or.to_owned());
    let wrong = |why: &str| ConfigError::key(format!("`{table}.api_base`"), why);
    if given.contains(|c: char| c.is_whitespace() || "?#@".contains(c)) {
        return Err(wrong("is not the address of an API").hinted(format!("it looks like `{or}`")));
    }
    let host = given.strip_prefix("http://").map(|rest| rest.split('/').next().unwrap_or_default());
    match host {
        None if given.starts_with("https://") && given.len() > "https://".len() => {}
        Some(host) if is_this_host(host) => {}
        Some(_) => {
            return Err(wrong("is not encrypted: everybody on the way could read the key").hinted("use https://"));
        }
        None => return Err(wrong("does not begin with `https://`").hinted(format!("it looks like `{or}`"))),
    }
    Ok(given.trim_end_matches('/').to_owned())
}

fn is_this_host(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(bracketed) => bracketed.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}
