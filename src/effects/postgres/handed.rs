//! `pg::url` and `pg::tls`: how a target is reached, for programs that connect by themselves. The URL is a secret from end to end.

use serde_json::json;

use super::{Postgres, url};
use crate::effects::Done;
use crate::model::action::Action;
use crate::model::digest;
use crate::model::fault::Fault;
use crate::model::preview::{Level, Previewed};
use crate::model::request::Request;
use crate::model::request::copying::{PgTls, PgUrl};
use crate::model::target::{self, TlsMode};

/// Answers the handle. A database that a run made is looked at first, so that no other is ever handed out by such a name.
pub async fn perform(postgres: &Postgres, action: &Action) -> Result<Done, Fault> {
    let request = PgUrl::of(action)?;
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

/// How a target is reached by TLS, in the words of `DB_SSL_MODE`.
pub async fn tls(postgres: &Postgres, action: &Action) -> Result<Done, Fault> {
    let target = postgres.target(&PgTls::of(action)?.target).await?;
    let ssl_mode = match target.tls.mode {
        TlsMode::Verify => "verify",
        TlsMode::NoVerify => "no-verify",
        TlsMode::Disable => "disable",
    };
    let value = json!({ "ssl_mode": ssl_mode, "ca_cert": target.tls.ca.clone().unwrap_or_default() });
    Ok(Done { value, rows: None })
}

/// The same; it changes nothing.
pub async fn preview(postgres: &Postgres, action: &Action) -> Result<Previewed, Fault> {
    let done = match action.word.as_str() {
        PgTls::WORD => tls(postgres, action).await?,
        _ => perform(postgres, action).await?,
    };
    Ok(Previewed { level: Level::Read, value: Some(done.value), by_hand: Vec::new(), notes: Vec::new() })
}
