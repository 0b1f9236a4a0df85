//! How a target is reached: `tunnel`, and where ssh finds its own configuration.

use std::path::{Path, PathBuf};

use super::error::ConfigError;
use super::target::expand;
use super::url::PostgresUrl;
use super::variables::Variables;
use crate::model::reach::{Tools, Tunnel};

/// The variable that names another configuration file for ssh than the user's own.
const SSH_CONFIG: &str = "RUNSHEET_SSH_CONFIG";

/// What a tunnel's text says.
pub fn tunnel(text: &str, key: &str) -> Result<Tunnel, ConfigError> {
    let broken = |why: &str| {
        ConfigError::key(key, why).hinted(
            "it looks like `ssh://user@host/127.0.0.1:5432`: where to log in, and the database's address as that host knows it",
        )
    };
    let rest = text.strip_prefix("ssh://").ok_or_else(|| broken("does not begin with `ssh://`"))?;
    let (login, to) = rest.split_once('/').ok_or_else(|| broken("says nothing of the database behind the `/`"))?;
    let (login, login_port) = host_and_port(login).ok_or_else(|| broken("has a port that is no number"))?;
    let (host, port) = host_and_port(to).ok_or_else(|| broken("has a port that is no number"))?;
    let odd = |text: &str| {
        text.is_empty() || text.starts_with('-') || text.contains(|c: char| c.is_whitespace() || c.is_control())
    };
    if odd(&login) || login.ends_with('@') || login.contains(':') {
        return Err(broken("names no host to log in at; passwords have no place in it"));
    }
    if odd(&host) || host.contains(['/', '@']) {
        return Err(broken("names no host of the database behind the `/`"));
    }
    Ok(Tunnel { login, login_port, host, port: port.unwrap_or(5432) })
}

/// `host`, `host:port` or `[address]:port`.
fn host_and_port(text: &str) -> Option<(String, Option<u16>)> {
    if let Some((host, rest)) = text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        let port = rest.strip_prefix(':').map(str::parse).transpose().ok()?;
        return Some((host.to_owned(), port));
    }
    match text.rsplit_once(':') {
        Some((host, port)) => Some((host.to_owned(), Some(port.parse().ok()?))),
        None => Some((text.to_owned(), None)),
    }
}

/// The configuration file that ssh is given instead of the user's own: the variable's, else the project's.
pub fn ssh_config(
    written: Option<String>,
    variables: &Variables,
    project: &Path,
) -> Result<Option<PathBuf>, ConfigError> {
    let given = match variables.values.get(SSH_CONFIG) {
        Some(path) => Some(path.clone()),
        None => written.map(|path| expand(&path, "`ssh.config`", variables)).transpose()?,
    };
    Ok(given.filter(|path| !path.is_empty()).map(|path| project.join(path)))
}

/// Where PostgreSQL's programs run, if anything is said of it.
pub fn tools(
    run: Vec<String>,
    ssh: Option<String>,
    url: Option<String>,
    key: &impl Fn(&str) -> String,
) -> Result<Option<Tools>, ConfigError> {
    let (ssh, url) = (ssh.filter(|text| !text.is_empty()), url.filter(|text| !text.is_empty()));
    if run.is_empty() && ssh.is_none() {
        return match url {
            None => Ok(None),
            Some(_) => Err(ConfigError::key(
                key("tools_url"),
                "says how programs elsewhere reach the database, and none run elsewhere",
            )
            .hinted("say where they run: `tools` and `tools_ssh`")),
        };
    }
    if run.first().is_some_and(|word| word.is_empty() || word.starts_with('-')) {
        return Err(ConfigError::key(key("tools"), "does not begin with a program")
            .hinted("as in [\"docker\", \"exec\", \"-i\", \"pg\"]"));
    }
    if let Some(url) = &url {
        PostgresUrl::parse(url).map_err(|why| ConfigError::key(key("tools_url"), why))?;
    }
    Ok(Some(Tools { run, ssh, url }))
}
