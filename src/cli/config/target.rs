//! A target from its table: variables expanded, URLs read, TLS rules settled.
//!
//! Who decides on TLS, first to last: the target's own `ssl_mode` and `ca_cert`, `DB_CA_CERT`, `DB_SSL_MODE`, `sslmode` of
//! the URL, and else whether every host is this one. `require` verifies, unlike libpq's: encryption to a stranger is no safety.

use std::path::{Path, PathBuf};

use super::error::ConfigError;
use super::file::{RecoveryTable, TargetTable};
use super::reach;
use super::url::PostgresUrl;
use super::variables::Variables;
use crate::model::target::{History, Target, Tls, TlsMode};

/// A target, what people should know of it, and the passwords in its URLs.
pub struct Resolved {
    /// The target.
    pub target: Target,
    /// A line when its connections are less than verified.
    pub warning: Option<String>,
    /// Passwords inside its URLs, as written and decoded.
    pub passwords: Vec<String>,
}

/// Makes the target called `name` of its table.
pub fn resolve(name: &str, table: TargetTable, variables: &Variables, project: &Path) -> Result<Resolved, ConfigError> {
    let key = |key: &str| format!("`targets.{name}.{key}`");
    let expanded = |field: &str, value: Option<String>| -> Result<Option<String>, ConfigError> {
        value.map(|value| expand(&value, &key(field), variables)).transpose()
    };
    let url = expanded("url", table.url)?.ok_or_else(|| {
        ConfigError::key(format!("target `{name}`"), "has no `url`").hinted(format!("add it under `[targets.{name}]`"))
    })?;
    let direct_url = expanded("direct_url", table.direct_url)?;
    let replication_url = expanded("replication_url", table.replication_url)?;
    let label = expanded("label", table.label)?.unwrap_or_else(|| name.to_owned());
    let ca_cert = expanded("ca_cert", table.ca_cert)?;
    let ssl_mode = expanded("ssl_mode", table.ssl_mode)?;

    let history = table.recovery.map(|table| history(table, &key, variables, project)).transpose()?;

    let tunnel = expanded("tunnel", table.tunnel)?.filter(|text| !text.is_empty());
    let tunnel = tunnel.map(|text| reach::tunnel(&text, &key("tunnel"))).transpose()?;

    let tools = reach::tools(
        table
            .tools
            .unwrap_or_default()
            .iter()
            .map(|word| expand(word, &key("tools"), variables))
            .collect::<Result<_, _>>()?,
        expanded("tools_ssh", table.tools_ssh)?,
        expanded("tools_url", table.tools_url)?,
        &key,
    )?;

    let beside = tools.iter().find_map(|tools| PostgresUrl::parse(tools.url.as_deref()?).ok());
    let mut urls = vec![PostgresUrl::parse(&url).map_err(|why| ConfigError::key(key("url"), why))?];
    if let Some(direct) = &direct_url {
        urls.push(PostgresUrl::parse(direct).map_err(|why| ConfigError::key(key("direct_url"), why))?);
    }
    // It is for another server, and says nothing of how we connect.
    let replicating = replication_url.as_deref().map(PostgresUrl::parse).transpose();
    let replicating = replicating.map_err(|why| ConfigError::key(key("replication_url"), why))?;
    let local = match &tunnel {
        Some(tunnel) => tunnel.ends_there(),
        None => urls.iter().all(PostgresUrl::is_local),
    };
    let own_mode = ssl_mode.map(|mode| written_mode(&mode, &key("ssl_mode"))).transpose()?;
    let tls = match (own_mode, &ca_cert) {
        (Some(mode), _) => Settled { mode, by: "ssl_mode".into() },
        (None, Some(_)) => Settled { mode: TlsMode::Verify, by: "ca_cert".into() },
        (None, None) => ambient(&urls, variables, local, &key("url"))?,
    };
    let ca = if tls.mode == TlsMode::Verify {
        authorities(ca_cert, &urls, variables, project, &key("ca_cert"))?
    } else {
        None
    };
    let weakness = match tls.mode {
        TlsMode::Verify => None,
        TlsMode::NoVerify => {
            Some("encrypted, but not verified: whoever stands in between can read and change everything")
        }
        TlsMode::Disable => Some("not encrypted: whoever stands in between can read and change everything"),
    };
    Ok(Resolved {
        warning: weakness
            .filter(|_| !local)
            .map(|weakness| format!("connections to `{name}` are {weakness} (by {})", tls.by)),
        passwords: urls.into_iter().chain(replicating).chain(beside).flat_map(|url| url.passwords).collect(),
        target: Target {
            name: name.to_owned(),
            url,
            direct_url,
            replication_url,
            label,
            protected: table.protected.unwrap_or(false),
            identity: table.identity,
            tls: Tls { mode: tls.mode, ca },
            history,
            tunnel,
            tools,
        },
    })
}

/// The recovery table of a target, its paths relative to the project.
fn history(
    table: RecoveryTable,
    key: &impl Fn(&str) -> String,
    variables: &Variables,
    project: &Path,
) -> Result<History, ConfigError> {
    let read = |field: &str, value: &str| expand(value, &key(&format!("recovery.{field}")), variables);
    let path = |field: &str, value: Option<&String>| -> Result<Option<PathBuf>, ConfigError> {
        value.map(|value| read(field, value).map(|path| project.join(path))).transpose()
    };
    Ok(History {
        base: project.join(read("base", &table.base)?),
        restore_command: read("restore_command", &table.restore_command)?,
        bin: path("bin", table.bin.as_ref())?,
        folder: path("folder", table.folder.as_ref())?,
        preload: table.preload,
    })
}

struct Settled {
    mode: TlsMode,
    by: String,
}

/// What the variables, the URLs or the hosts say about TLS.
fn ambient(urls: &[PostgresUrl], variables: &Variables, local: bool, key: &str) -> Result<Settled, ConfigError> {
    if variables.values.contains_key("DB_CA_CERT") {
        return Ok(Settled { mode: TlsMode::Verify, by: "DB_CA_CERT".into() });
    }
    if let Some(mode) = variables.values.get("DB_SSL_MODE") {
        return Ok(Settled { mode: written_mode(mode, "the variable `DB_SSL_MODE`")?, by: "DB_SSL_MODE".into() });
    }
    let mut weakest: Option<TlsMode> = None;
    for url in urls {
        let mode = match url.parameter("sslmode") {
            None => continue,
            Some("disable") => TlsMode::Disable,
            Some("allow" | "prefer" | "no-verify") if local => TlsMode::Disable,
            Some("allow" | "prefer" | "no-verify") => TlsMode::NoVerify,
            Some("require" | "verify-ca" | "verify-full" | "verify") => TlsMode::Verify,
            Some(_) => {
                return Err(ConfigError::key(key, "has an `sslmode` that is not known")
                    .hinted("use disable, allow, prefer, require, verify-ca or verify-full"));
            }
        };
        // Two URLs that disagree: the stricter one holds for both.
        if weakest.is_none_or(|known| strictness(mode) > strictness(known)) {
            weakest = Some(mode);
        }
    }
    Ok(match weakest {
        Some(mode) => Settled { mode, by: "sslmode in the URL".into() },
        None if local => Settled { mode: TlsMode::Disable, by: "the local host".into() },
        None => Settled { mode: TlsMode::Verify, by: "default".into() },
    })
}

fn strictness(mode: TlsMode) -> u8 {
    match mode {
        TlsMode::Disable => 0,
        TlsMode::NoVerify => 1,
        TlsMode::Verify => 2,
    }
}

fn written_mode(text: &str, key: &str) -> Result<TlsMode, ConfigError> {
    match text {
        "verify" | "require" => Ok(TlsMode::Verify),
        "no-verify" | "allow" => Ok(TlsMode::NoVerify),
        "disable" => Ok(TlsMode::Disable),
        _ => Err(ConfigError::key(key, "is none of the known modes")
            .hinted("use verify, require, no-verify, allow or disable")),
    }
}

/// PEM text of the authorities to trust: the target's own, else the URL's, else the variable's.
fn authorities(
    own: Option<String>,
    urls: &[PostgresUrl],
    variables: &Variables,
    project: &Path,
    key: &str,
) -> Result<Option<String>, ConfigError> {
    let in_url = || urls.iter().find_map(|url| url.parameter("sslrootcert")).filter(|path| *path != "system");
    let (given, key) = if let Some(own) = own {
        (own, key.to_owned())
    } else if let Some(variable) = variables.values.get("DB_CA_CERT") {
        (variable.clone(), "the variable `DB_CA_CERT`".to_owned())
    } else if let Some(path) = in_url() {
        (path.to_owned(), "`sslrootcert` of the URL".to_owned())
    } else {
        return Ok(None);
    };
    let pem = if given.contains("-----BEGIN") {
        // In variables the lines of a certificate are often joined by a written `\n`.
        given.replace("\\n", "\n")
    } else {
        let path = project.join(&given);
        std::fs::read_to_string(&path).map_err(|error| {
            ConfigError::unreadable(&path, &error).hinted(format!("{key} is either PEM text or the path of a PEM file"))
        })?
    };
    if pem.contains("-----BEGIN CERTIFICATE-----") {
        Ok(Some(pem))
    } else {
        Err(ConfigError::key(key, "holds no certificate").hinted("it needs a block `-----BEGIN CERTIFICATE-----`"))
    }
}

/// Text with every `${NAME}` replaced by the variable's value.
pub fn expand(text: &str, key: &str, variables: &Variables) -> Result<String, ConfigError> {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let (name, tail) =
            after.split_once('}').ok_or_else(|| ConfigError::key(key, "has a `${` that is not closed"))?;
        if !super::dotenv::is_name(name) {
            return Err(ConfigError::key(key, "has a `${…}` with more in it than a variable's name")
                .hinted("write `${NAME}`; there are no default values here, put them into `.env`"));
        }
        let value = variables.values.get(name).ok_or_else(|| ConfigError::Variable {
            name: name.to_owned(),
            used_in: key.to_owned(),
            looked: variables.looked.clone(),
        })?;
        expanded.push_str(before);
        expanded.push_str(value);
        rest = tail;
    }
    expanded.push_str(rest);
    Ok(expanded)
}
