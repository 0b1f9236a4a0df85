//! `pg::url`: the URL of a target, for programs that connect by themselves; a secret from end to end.

use super::Postgres;
use crate::effects::Done;
use crate::model::Value;
use crate::model::action::Action;
use crate::model::fault::Fault;
use crate::model::preview::{Level, Previewed};
use crate::model::request::Request;
use crate::model::request::copying::PgUrl;
use crate::model::target;

/// Answers the handle. A database that a run made is looked at first, so that no other is ever handed out by such a name.
pub async fn perform(postgres: &Postgres, action: &Action) -> Result<Done, Fault> {
    let name = PgUrl::of(action)?.target;
    if target::made(&name).is_some() {
        postgres.identify(&name).await?;
    }
    handle(postgres, &name).await.map(|value| Done { value, rows: None })
}

/// The same; it changes nothing.
pub async fn preview(postgres: &Postgres, action: &Action) -> Result<Previewed, Fault> {
    let done = perform(postgres, action).await?;
    Ok(Previewed { level: Level::Read, value: Some(done.value), by_hand: Vec::new(), notes: Vec::new() })
}

async fn handle(postgres: &Postgres, name: &str) -> Result<Value, Fault> {
    let target = postgres.target(name).await?;
    Ok(postgres.world.vault.keep(&format!("url:{name}"), target.direct()).into())
}
