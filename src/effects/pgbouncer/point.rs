//! Leading a database of the pooler to another server: its line is rewritten, read again by the pooler, and read back.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio_postgres::Config;
use tokio_postgres::config::Host;

use super::console::{Console, cell};
use super::ini::{self, Server};
use crate::effects::far_file::FarFile;
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
    let file = Ini::of(postgres, request)?;
    let config = seen_from_there(&*postgres.target(&request.target).await?)?;
    let (host, port, dbname) = address(&config)?;
    let password = config.get_password().map(String::from_utf8_lossy).map(std::borrow::Cow::into_owned);
    let user = config.get_user().unwrap_or_default();
    let server = Server { host: &host, port, dbname: &dbname, user, password: password.as_deref() };
    let console = Console::open(admin).await?;
    let turn = files::turn().await;
    let text = file.read().await?;
    let new = ini::pointed(&text, &request.database, &server)?;
    ledger.intent(Value::Null)?;
    let changed = new != text;
    if changed {
        file.replace(&text, &new).await?;
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
    let file = Ini::of(postgres, request)?;
    let config = seen_from_there(&*postgres.target(&request.target).await?)?;
    let (host, port, dbname) = address(&config)?;
    let server = Server { host: &host, port, dbname: &dbname, user: "", password: None };
    let text = file.read().await?;
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

/// The pooler's configuration, here or on its host.
enum Ini<'a> {
    /// The file itself, behind whatever link leads to it.
    Here(PathBuf),
    There(FarFile<'a>),
}

impl<'a> Ini<'a> {
    fn of(postgres: &'a Postgres, request: &PgbouncerPoint) -> Result<Self, Fault> {
        if let Some(host) = &request.ssh {
            return FarFile::new(postgres.world(), host, &request.config).map(Self::There);
        }
        let path = postgres.world().project.join(&request.config);
        path.canonicalize().map(Self::Here).map_err(|error| broken(&path, "found", &error))
    }

    async fn read(&self) -> Result<String, Fault> {
        match self {
            Self::Here(path) => std::fs::read_to_string(path).map_err(|error| broken(path, "read", &error)),
            Self::There(file) => file.read().await,
        }
    }

    async fn replace(&self, old: &str, new: &str) -> Result<(), Fault> {
        match self {
            Self::Here(path) => replace(path, old, new),
            Self::There(file) => file.replace(new, true, false).await,
        }
    }
}

impl std::fmt::Display for Ini<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Here(path) => write!(f, "{}", path.display()),
            Self::There(file) => write!(f, "{file}"),
        }
    }
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

/// Puts the new text in the old one's place, whole or not at all, and keeps the old one beside it. Owner and mode stay:
/// the pooler must still be able to read it, and nobody else.
fn replace(path: &Path, old: &str, new: &str) -> Result<(), Fault> {
    let about = std::fs::metadata(path).map_err(|error| broken(path, "read", &error))?;
    for (suffix, text) in [(".previous", old), ("", new)] {
        let named = |suffix: &str| {
            let mut name = path.as_os_str().to_owned();
            name.push(suffix);
            PathBuf::from(name)
        };
        let (place, draft) = (named(suffix), named(".new"));
        let written = || -> io::Result<()> {
            match std::fs::remove_file(&draft) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let mut file = File::options().write(true).create_new(true).mode(0o600).open(&draft)?;
            file.write_all(text.as_bytes())?;
            let ours = file.metadata()?;
            if (ours.uid(), ours.gid()) != (about.uid(), about.gid()) {
                fchown(&file, Some(about.uid()), Some(about.gid()))?;
            }
            file.set_permissions(about.permissions())?;
            file.sync_all()?;
            std::fs::rename(&draft, &place)
        };
        written().map_err(|error| {
            let _ = std::fs::remove_file(&draft);
            broken(&place, "written", &error)
        })?;
    }
    Ok(())
}

fn broken(path: &Path, verb: &str, error: &io::Error) -> Fault {
    Fault::fatal("pgbouncer.file", format!("{} cannot be {verb}: {error}", path.display()))
        .hinted("it is replaced in its folder, with its owner and mode; run as its owner, or as root")
}
