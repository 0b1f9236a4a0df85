//! Leading a database of the pooler to another server: its line is rewritten, read again by the pooler, and read back.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio_postgres::Config;
use tokio_postgres::config::Host;

use super::console::{Console, cell};
use super::ini::{self, Server};
use super::unedited;
use crate::effects::place::Place;
use crate::effects::postgres::{Postgres, url};
use crate::effects::{Done, Ledger, files};
use crate::model::Value;
use crate::model::fault::Fault;
use crate::model::request::pgbouncer::PgbouncerPoint;
use crate::model::target::Target;

/// How long the pooler may take to show what it was told to read.
const SHOWN: Duration = Duration::from_secs(5);

/// Rewrites the line, has the pooler read it and proves by its own words where the database leads now.
pub async fn perform(postgres: &Postgres, request: &PgbouncerPoint, ledger: &dyn Ledger) -> Result<Done, Fault> {
    let admin = &postgres.near(&postgres.world().providers.pgbouncer()?.admin).await?;
    let file = Place::of(postgres.world(), &request.config, request.ssh.as_deref()).map_err(unedited)?;
    let config = seen_from_there(&*postgres.target(&request.target).await?)?;
    let (host, port, dbname) = address(&config)?;
    let password = config.get_password().map(String::from_utf8_lossy).map(std::borrow::Cow::into_owned);
    let user = config.get_user().unwrap_or_default();
    let server = Server { host: &host, port, dbname: &dbname, user, password: password.as_deref() };
    let console = Console::open(admin).await?;
    let turn = files::turn().await;
    let text = file.read().await.map_err(unedited)?;
    let new = ini::pointed(&text, &request.database, &server)?;
    ledger.intent(Value::Null)?;
    let changed = new != text;
    if changed {
        file.replace(&new, true, false).await.map_err(unedited)?;
    }
    drop(turn);
    console.run("RELOAD").await?;
    let begun = Instant::now();
    loop {
        let shown = console.database(&request.database).await?;
        let now = (cell(&shown, "host"), cell(&shown, "port"), cell(&shown, "database"));
        if now == (host.as_str(), port.to_string().as_str(), dbname.as_str()) {
            break;
        }
        if begun.elapsed() > SHOWN {
            let message = format!(
                "`{}` leads to {}:{}/{} at PgBouncer ({}) although {} says {host}:{port}/{dbname}",
                request.database,
                now.0,
                now.1,
                now.2,
                console.place(),
                file
            );
            return Err(Fault::fatal("pgbouncer.not-read", message).hinted(
                "is that the file this PgBouncer reads? its log says why a RELOAD was refused; the file before is kept as PATH.previous",
            ));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let value =
        json!({ "database": request.database, "host": host, "port": port, "dbname": dbname, "changed": changed });
    Ok(Done { value, rows: None })
}

/// Says what would be refused, and where the database leads now.
pub async fn foresee(postgres: &Postgres, request: &PgbouncerPoint) -> Result<Vec<String>, Fault> {
    let admin = &postgres.near(&postgres.world().providers.pgbouncer()?.admin).await?;
    let file = Place::of(postgres.world(), &request.config, request.ssh.as_deref()).map_err(unedited)?;
    let config = seen_from_there(&*postgres.target(&request.target).await?)?;
    let (host, port, dbname) = address(&config)?;
    let server = Server { host: &host, port, dbname: &dbname, user: "", password: None };
    let text = file.read().await.map_err(unedited)?;
    ini::pointed(&text, &request.database, &server)?;
    let console = Console::open(admin).await?;
    let shown = console.database(&request.database).await?;
    Ok(vec![format!(
        "`{}` leads to {}:{}/{} now, and to {host}:{port}/{dbname} then",
        request.database,
        cell(&shown, "host"),
        cell(&shown, "port"),
        cell(&shown, "database")
    )])
}

/// How the pooler reaches a target, which is as another server does.
fn seen_from_there(target: &Target) -> Result<Config, Fault> {
    if target.tunnel.is_some() && target.replication_url.is_none() {
        let message =
            format!("`{}` is reached through a tunnel from here, which the pooler does not have", target.name);
        return Err(Fault::fatal("target.replication", message).hinted(format!(
            "set `replication_url` of target `{}`: its address as the pooler reaches it",
            target.name
        )));
    }
    let url = target.replication_url.clone().unwrap_or_else(|| target.direct().to_owned());
    url::config(&Target { url, direct_url: None, ..target.clone() })
}

fn address(config: &Config) -> Result<(String, u16, String), Fault> {
    let host = match config.get_hosts().first() {
        Some(Host::Tcp(name)) => name.clone(),
        Some(Host::Unix(path)) => path.display().to_string(),
        None => config.get_hostaddrs().first().map(ToString::to_string).unwrap_or_default(),
    };
    let dbname = config.get_dbname().or(config.get_user()).unwrap_or_default().to_owned();
    if host.is_empty() {
        return Err(Fault::fatal("target.url", "the target's URL names no host"));
    }
    Ok((host, config.get_ports().first().copied().unwrap_or(5432), dbname))
}
