//! How one server reaches another: the connection string that a subscription keeps, with the password in it.

use std::net::IpAddr;

use tokio_postgres::Config;
use tokio_postgres::config::Host;

use super::Logical;
use crate::effects::postgres::connect::{Session, column};
use crate::effects::postgres::url;
use crate::model::event::Event;
use crate::model::fault::Fault;
use crate::model::target::{Target, TlsMode};

/// The first version whose servers find the authorities that their system trusts.
const FINDS_AUTHORITIES: i32 = 160_000;

/// Parameters of a URL that are the connecting server's business, and ours only to hand on.
const HANDED_ON: [&str; 4] = ["sslmode", "sslrootcert", "sslcert", "sslkey"];

/// What keeps a statement out of a server's log and out of its statistics, where the role may say so.
const SILENT: [(&str, &str); 6] = [
    ("log_statement", "none"),
    ("log_min_duration_statement", "-1"),
    ("log_min_duration_sample", "-1"),
    ("log_min_error_statement", "panic"),
    ("pg_stat_statements.track_utility", "off"),
    ("pgaudit.log", "none"),
];

/// The connection string by which `from` is reached from the server of `at`.
pub async fn string(logical: &Logical<'_>, from: &str, at: &Session) -> Result<String, Fault> {
    let target = logical.postgres.target(from).await?;
    if target.tunnel.is_some() && target.replication_url.is_none() {
        let message = format!(
            "`{from}` is reached through a tunnel from here, which the server of `{}` does not have",
            at.target
        );
        return Err(Fault::fatal("target.replication", message)
            .hinted(format!("set `replication_url` of target `{from}`: its address as that server reaches it")));
    }
    let given = target.replication_url.as_deref().unwrap_or_else(|| target.direct());
    let config = url::config(&Target { url: given.to_owned(), direct_url: None, ..target.clone().into_owned() })?;
    if let Some(password) = config.get_password() {
        logical.world.vault.hide(&format!("password of {from}"), &String::from_utf8_lossy(password));
    }
    let mut parts: Vec<(String, String)> = Vec::new();
    let mut add = |key: &str, value: String| {
        if !value.is_empty() {
            parts.push((key.to_owned(), value));
        }
    };
    let hosts: Vec<String> = config.get_hosts().iter().map(host).collect();
    add("host", hosts.join(","));
    let addresses: Vec<String> = config.get_hostaddrs().iter().map(ToString::to_string).collect();
    add("hostaddr", addresses.join(","));
    add("port", config.get_ports().iter().map(ToString::to_string).collect::<Vec<_>>().join(","));
    add("user", config.get_user().unwrap_or_default().to_owned());
    add("password", String::from_utf8_lossy(config.get_password().unwrap_or_default()).into_owned());
    add("dbname", config.get_dbname().or(config.get_user()).unwrap_or_default().to_owned());
    add("connect_timeout", "10".to_owned());
    let handed = handed_on(given);
    if handed.iter().any(|(key, _)| key == "sslmode") || local(&config) {
        parts.extend(handed);
    } else {
        parts.extend(handed);
        let version = version(at).await?;
        match url::tls_mode(&target, &config) {
            TlsMode::Disable => parts.push(("sslmode".into(), "prefer".into())),
            TlsMode::Verify if version >= FINDS_AUTHORITIES && target.tls.ca.is_none() => {
                parts.push(("sslmode".into(), "verify-full".into()));
                parts.push(("sslrootcert".into(), "system".into()));
            }
            _ => {
                parts.push(("sslmode".into(), "require".into()));
                logical.world.sink.event(Event::Warning(format!(
                    "{} reaches {from} encrypted, but does not check its certificate; set `replication_url` of {from} with \
                     sslmode=verify-full and an sslrootcert that lies on that server",
                    at.target
                )));
            }
        }
    }
    let quoted = |value: &str| value.replace('\\', "\\\\").replace('\'', "\\'");
    Ok(parts.iter().map(|(key, value)| format!("{key}='{}'", quoted(value))).collect::<Vec<_>>().join(" "))
}

/// Statements for one transaction that keep what it sends to itself; says so where the role may not.
pub async fn silence(logical: &Logical<'_>, session: &Session) -> Result<String, Fault> {
    let names: Vec<&str> = SILENT.iter().map(|(name, _)| *name).collect();
    let asked = "select name, current_setting('is_superuser') = 'on' or context = 'user' from pg_catalog.pg_settings
                  where name = any($1)";
    let rows = session.ask(asked, &[(&names, tokio_postgres::types::Type::TEXT_ARRAY)], "logical::subscribe").await?;
    let (mut sql, mut refused) = (String::new(), false);
    for row in &rows {
        let name: String = column(row, 0)?;
        let Some((_, value)) = SILENT.iter().find(|(known, _)| *known == name) else { continue };
        match column(row, 1)? {
            true => sql.push_str(&format!("SET LOCAL {name} = '{value}'; ")),
            false => refused = true,
        }
    }
    if refused {
        logical.world.sink.event(Event::Warning(format!(
            "the role on {} may not switch off the server's log of statements: if it logs them, the connection string of the \
             subscription stands there with its password; change the password after the cutover",
            session.target
        )));
    }
    Ok(sql)
}

fn host(host: &Host) -> String {
    match host {
        Host::Tcp(name) => name.clone(),
        Host::Unix(path) => path.display().to_string(),
    }
}

fn local(config: &Config) -> bool {
    config.get_hosts().iter().all(|host| match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback()),
    })
}

/// What of a URL's parameters is handed on as it is.
fn handed_on(url: &str) -> Vec<(String, String)> {
    let query = url.rsplit_once('?').map_or("", |(_, query)| query);
    let read = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.filter(|(key, _)| HANDED_ON.contains(key)).map(|(key, value)| (key.to_owned(), read(value))).collect()
}

async fn version(session: &Session) -> Result<i32, Fault> {
    let asked = "select current_setting('server_version_num')::int";
    let rows = session.ask(asked, &[], "logical::subscribe").await?;
    rows.first().map_or(Ok(0), |row| column(row, 0))
}
