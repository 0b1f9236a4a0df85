//! `pg::url` and `pg::address`: how a target is reached, for programs that connect by themselves. URL and password are secrets from end to end.

use serde_json::json;
use tokio_postgres::Config;

use super::{Postgres, url};
use crate::effects::Done;
use crate::model::action::Action;
use crate::model::digest;
use crate::model::fault::Fault;
use crate::model::preview::{Level, Previewed};
use crate::model::request::Request;
use crate::model::request::copying::{PgAddress, PgUrl};
use crate::model::target::{self, Target};

/// Performs one of them.
pub async fn perform(postgres: &Postgres, action: &Action) -> Result<Done, Fault> {
    match action.word.as_str() {
        PgAddress::WORD => address(postgres, &PgAddress::of(action)?).await,
        _ => url(postgres, &PgUrl::of(action)?).await,
    }
}

/// The handle. A database that a run made is looked at first, so that no other is ever handed out by such a name.
async fn url(postgres: &Postgres, request: &PgUrl) -> Result<Done, Fault> {
    if target::made(&request.target).is_some() {
        postgres.identify(&request.target).await?;
    }
    let target = postgres.target(&request.target).await?;
    let mut address = if request.pooled { target.url.clone() } else { target.direct().to_owned() };
    if let Some(database) = &request.database {
        address = url::of_database(&address, database);
    }
    let address = url::with_parameters(&address, &request.parameters);
    // One handle stands for one URL: two of a target must not be taken for each other.
    let mut name = format!("url:{}", request.target);
    if request.pooled || request.database.is_some() || !request.parameters.is_empty() {
        name = format!("{name}/{}", &digest::of_value(&request)[..8]);
    }
    Ok(Done { value: postgres.world.vault.keep(&name, address).into(), rows: None })
}

/// A target by the URL that is meant, which may be pooled, and what that says.
pub(super) async fn settings(postgres: &Postgres, name: &str, pooled: bool) -> Result<(Target, Config), Fault> {
    let mut target = postgres.target(name).await?.into_owned();
    if pooled {
        target.direct_url = None;
    }
    let config = url::config(&target)?;
    Ok((target, config))
}

/// The parts of a URL, for those who take them one by one.
async fn address(postgres: &Postgres, request: &PgAddress) -> Result<Done, Fault> {
    let (target, config) = settings(postgres, &request.target, request.pooled).await?;
    let (host, port) = match url::address(&config).rsplit_once(':') {
        Some((host, port)) => (host.to_owned(), port.parse().unwrap_or(5432u16)),
        None => (String::new(), 5432),
    };
    let vault = &postgres.world.vault;
    let password = config.get_password().map(|password| {
        let side = if request.pooled { "pooled_password" } else { "password" };
        vault.keep(&format!("{side}:{}", request.target), String::from_utf8_lossy(password))
    });
    let ssl_mode = url::tls_mode(&target, &config).as_str();
    let user = config.get_user().unwrap_or_default();
    let value = json!({
        "host": host, "port": port, "user": user, "password": password,
        "database": request.database.as_deref().or(config.get_dbname()).unwrap_or(user),
        "ssl_mode": ssl_mode, "ca_cert": target.tls.ca.clone().unwrap_or_default(),
    });
    Ok(Done { value, rows: None })
}

/// The same; it changes nothing.
pub async fn preview(postgres: &Postgres, action: &Action) -> Result<Previewed, Fault> {
    let target = match action.word.as_str() {
        PgAddress::WORD => PgAddress::of(action)?.target,
        _ => PgUrl::of(action)?.target,
    };
    // Its password is made by the run.
    if postgres.logins.unknown(&target) {
        return Ok(Previewed { level: Level::Rendered, value: None, by_hand: Vec::new(), notes: Vec::new() });
    }
    let done = perform(postgres, action).await?;
    Ok(Previewed { level: Level::Read, value: Some(done.value), by_hand: Vec::new(), notes: Vec::new() })
}
