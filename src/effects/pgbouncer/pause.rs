//! PAUSE, made safe: it ends by itself, what it waited for is named, and its answer is not believed but looked after.

use std::time::{Duration, Instant};

use super::console::{Console, cell};
use crate::effects::postgres::quote;
use crate::model::fault::Fault;
use crate::model::target::Target;

/// How often it is looked whether anybody is still at work.
const LOOK: Duration = Duration::from_millis(20);

/// What pausing needs to know.
#[derive(Clone, Debug)]
pub struct Pause<'a> {
    /// The database at the pooler.
    pub database: &'a str,
    /// How long clients may take to end their transactions.
    pub limit: Duration,
    /// How often that is tried.
    pub attempts: u32,
}

/// Pauses a database. Answers how many attempts it took. When it fails, clients go on.
pub async fn pause(admin: &Target, asked: &Pause<'_>) -> Result<u32, Fault> {
    let console = Console::open(admin).await?;
    refuse_sessions(&console, asked.database).await?;
    for attempt in 1..=asked.attempts.max(1) {
        if once(admin, asked).await? {
            return Ok(attempt);
        }
        let holders = holders(&console, asked.database).await?;
        console.resume(asked.database).await?;
        if attempt >= asked.attempts {
            let message = format!(
                "`{}` could not be paused at PgBouncer ({}) within {} s, {attempt} times; still at work: {}; clients go on",
                asked.database,
                console.place(),
                asked.limit.as_secs_f64(),
                if holders.is_empty() { "nobody that it shows".to_owned() } else { holders.join("; ") }
            );
            return Err(Fault::fatal("pgbouncer.busy", message)
                .hinted("they are in a transaction: end it, wait for a quieter moment, or allow a longer `limit`"));
        }
        // Those who waited get a moment to come through before they wait again.
        tokio::time::sleep((asked.limit / 2).min(Duration::from_secs(1))).await;
    }
    Err(Fault::fatal("pgbouncer.busy", "no attempt was allowed"))
}

/// One PAUSE on a connection of its own, so that giving up on it leaves the console free. Answers whether nobody is at work.
async fn once(admin: &Target, asked: &Pause<'_>) -> Result<bool, Fault> {
    let waiting = Console::open(admin).await?;
    let begun = Instant::now();
    let command = format!("PAUSE {}", quote::name(asked.database));
    let paused = match waiting.within(asked.limit, &command).await {
        Ok(paused) => paused.is_some(),
        Err(fault) => {
            let console = Console::open(admin).await?;
            let _ = console.resume(asked.database).await;
            return Err(fault);
        }
    };
    // Given up on by hanging up; whoever paused is asked nothing more on it.
    drop(waiting);
    if !paused {
        return Ok(false);
    }
    // Some poolers answer at once and pause later, or never.
    let console = Console::open(admin).await?;
    loop {
        if !console.paused(asked.database).await? {
            let message = format!(
                "PAUSE of `{}` was answered by PgBouncer ({}), which does not show it as paused",
                asked.database,
                console.place()
            );
            return Err(Fault::fatal("pgbouncer.unpaused", message)
                .hinted("somebody else resumed it meanwhile, or this pooler is none whose PAUSE can be relied on"));
        }
        if at_work(&console, asked.database).await? == 0 {
            return Ok(true);
        }
        if begun.elapsed() >= asked.limit {
            return Ok(false);
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Refuses what would never come to an end: in session pooling a client keeps its server until it leaves.
pub async fn refuse_sessions(console: &Console, database: &str) -> Result<(), Fault> {
    let shown = console.database(database).await?;
    let default = console.of_database("CONFIG", "key", "pool_mode").await?;
    let own = cell(&shown, "pool_mode");
    let general = default.first().map_or("", |row| cell(row, "value"));
    let mut modes = vec![if own.is_empty() { general } else { own }.to_owned()];
    let pools = console.of_database("POOLS", "database", database).await?;
    modes.extend(pools.iter().map(|pool| cell(pool, "pool_mode").to_owned()));
    if modes.iter().any(|mode| mode == "session") {
        let message = format!(
            "`{database}` at PgBouncer ({}) pools sessions: a PAUSE would wait until every client has left",
            console.place()
        );
        return Err(Fault::fatal("pgbouncer.session", message)
            .hinted("set `pool_mode = transaction` for it, or leave the pooler out and let the sessions be ended"));
    }
    Ok(())
}

/// How many connections to the server work for a client, or are about to.
async fn at_work(console: &Console, database: &str) -> Result<u64, Fault> {
    let pools = console.of_database("POOLS", "database", database).await?;
    let busy = ["sv_active", "sv_active_cancel", "sv_being_canceled", "sv_tested", "sv_login"];
    let of_pool = |pool| busy.iter().filter_map(|column| cell(pool, column).parse::<u64>().ok()).sum::<u64>();
    let servers = console.of_database("SERVERS", "database", database).await?;
    let active = servers.iter().filter(|server| cell(server, "state") == "active").count() as u64;
    Ok(pools.iter().map(of_pool).sum::<u64>().max(active))
}

/// Who keeps a server, as people look for them.
async fn holders(console: &Console, database: &str) -> Result<Vec<String>, Fault> {
    let servers = console.of_database("SERVERS", "database", database).await?;
    let clients = console.of_database("CLIENTS", "database", database).await?;
    let held = servers.iter().filter(|server| cell(server, "state") == "active");
    Ok(held
        .map(|server| {
            let client = clients.iter().find(|client| cell(client, "ptr") == cell(server, "link"));
            let who = client.map_or_else(
                || "a client that it does not show".to_owned(),
                |client| {
                    let name = cell(client, "application_name");
                    let name = if name.is_empty() { "a client" } else { name };
                    format!("{name} ({} from {}:{})", cell(client, "user"), cell(client, "addr"), cell(client, "port"))
                },
            );
            format!("{who}, server process {}", cell(server, "remote_pid"))
        })
        .collect())
}
