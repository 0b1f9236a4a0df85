//! Letting everything go on: the database first, then the pooler's clients, then the application. Each part can be done
//! again; the watchdog does it, or the engine where there is no watchdog any more.

use std::time::Duration;

use tokio_postgres::Client;

use super::charge::Pooler;
use super::ground;
use crate::effects::pgbouncer::console::Console;
use crate::effects::postgres::Postgres;
use crate::effects::postgres::quote;
use crate::effects::{World, process};
use crate::model::Value;
use crate::model::fault::Fault;
use crate::model::request::CommandRun;

/// How often sessions are ended that came in while everything was frozen: one that is just coming in is not seen at first.
const PASSES: u32 = 3;

/// Between two of them.
const BETWEEN: Duration = Duration::from_millis(60);

/// The longest the application may take to start.
const STARTING: Duration = Duration::from_secs(600);

/// Flips the row and resets what was set, in one transaction. Answers the row, and whether it was flipped just now.
pub async fn database(
    client: &Client,
    schema: &str,
    token: &str,
    by: &str,
    why: &str,
) -> Result<Value, tokio_postgres::Error> {
    let said = [token, by, why].map(quote::literal).join(", ");
    Ok(ground::call(client, schema, &format!("freeze_lift({said})")).await?.unwrap_or_default())
}

/// The moment until which whoever came in may have been given the read-only setting. It is asked for before anybody is
/// let go on: who comes in afterwards must not be cut off, or a pooler takes the server for broken and waits long.
pub async fn thawed_until(client: &Client, row: &Value) -> Result<String, tokio_postgres::Error> {
    if row["flipped"] != true {
        // Somebody else released it, and ends those of the last moments.
        return Ok(ground::text(row, "ended_at").to_owned());
    }
    let now = ground::single(client, "SET TimeZone = 'UTC'; SELECT to_jsonb(clock_timestamp())").await?;
    Ok(now.unwrap_or_default().as_str().unwrap_or_default().to_owned())
}

/// Ends sessions that came in while everything was frozen.
pub async fn thaw(client: &Client, schema: &str, token: &str, until: &str) -> Result<(), tokio_postgres::Error> {
    if until.is_empty() {
        return Ok(());
    }
    let until = quote::literal(until);
    for pass in 0..PASSES {
        if pass > 0 {
            tokio::time::sleep(BETWEEN).await;
        }
        ground::call(client, schema, &format!("freeze_thaw({}, {until})", quote::literal(token))).await?;
    }
    Ok(())
}

/// Lets the pooler's clients go on, on connections made anew.
pub async fn pooler(postgres: &Postgres, pooler: &Pooler) -> Result<(), Fault> {
    let console = Console::open(&postgres.near(&pooler.admin.target()).await?).await?;
    console.reconnect(&pooler.database).await?;
    console.resume(&pooler.database).await.map(drop)
}

/// Starts the application.
pub async fn command(world: &World, command: &CommandRun) -> Result<(), Fault> {
    process::alone(world, command, STARTING).await
}
