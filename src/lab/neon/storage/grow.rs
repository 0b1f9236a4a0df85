//! A storage gets its data folder: the template copied, and the log of its ancestors replayed up to where it begins.

use std::path::PathBuf;

use super::history::{History, Origin};
use super::server::Server;
use super::{ask, wal};
use crate::effects::postgres::quote;
use crate::lab::failed;
use crate::model::fault::Fault;

/// Waits until the replay stands where it should; then goes on only if nothing follows another server's changes, which
/// the first session after the end of recovery would already find at work.
const ARRIVED: &str = "do $$ begin while pg_get_wal_replay_pause_state() <> 'paused' loop \
     perform pg_sleep(0.002); end loop; end $$";
const GO_ON: &str = "do $$ begin perform pg_wal_replay_resume(); while pg_is_in_recovery() loop \
     perform pg_sleep(0.002); end loop; end $$";
const SUBSCRIPTIONS: &str =
    "select datname, subname from pg_subscription join pg_database on pg_database.oid = subdbid";

/// Makes the data folder and answers the server that runs on it.
pub async fn grow(history: &History) -> Result<Server, Fault> {
    let Origin::Commit { lsn, .. } = history.origin else {
        clear(history)?;
        history.template().copy(&history.ground, &history.data(), false).await?;
        return Server::start(&history.ground, &history.data(), &log(history), &[]).await;
    };
    let mut settings = vec![
        format!("restore_command={}", restore_command(&history.ancestry())),
        format!("recovery_target_lsn={}", wal::text(lsn)),
        format!("recovery_target_timeline={}", history.timeline() - 1),
        "recovery_target_action=pause".to_owned(),
    ];
    let server = recover(history, &settings).await?;
    let session = ask::superuser(&history.ground, server.port(), "postgres").await?;
    session.rows(ARRIVED).await?;
    if session.rows(SUBSCRIPTIONS).await?.is_empty() {
        session.rows(GO_ON).await?;
        return Ok(server);
    }
    // Once more, with nothing that would act on them while they are dropped.
    drop(session);
    drop(server);
    settings.push("max_logical_replication_workers=0".to_owned());
    let server = recover(history, &settings).await?;
    let session = ask::superuser(&history.ground, server.port(), "postgres").await?;
    for statement in [ARRIVED, GO_ON] {
        session.rows(statement).await?;
    }
    drop_subscriptions(history, server.port()).await?;
    drop(session);
    server.stop().await?;
    Server::start(&history.ground, &history.data(), &log(history), &[]).await
}

async fn recover(history: &History, settings: &[String]) -> Result<Server, Fault> {
    clear(history)?;
    history.template().copy(&history.ground, &history.data(), true).await?;
    Server::start(&history.ground, &history.data(), &log(history), settings).await
}

/// Removes what an attempt that failed has left.
fn clear(history: &History) -> Result<(), Fault> {
    match std::fs::remove_dir_all(history.data()) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(failed("the files of an earlier attempt cannot be removed", &error))
        }
        _ => Ok(()),
    }
}

async fn drop_subscriptions(history: &History, port: u16) -> Result<(), Fault> {
    let session = ask::superuser(&history.ground, port, "postgres").await?;
    for row in session.rows(SUBSCRIPTIONS).await? {
        let [Some(database), Some(subscription)] = row.as_slice() else { continue };
        let (inside, name) = (ask::superuser(&history.ground, port, database).await?, quote::name(subscription));
        // Their slots are the ancestor's.
        for statement in
            ["alter subscription {} disable", "alter subscription {} set (slot_name = none)", "drop subscription {}"]
        {
            inside.rows(&statement.replace("{}", &name)).await?;
        }
    }
    Ok(())
}

fn log(history: &History) -> PathBuf {
    history.folder.join("log")
}

/// Looks for a file of the log in these folders, in this order.
fn restore_command(folders: &[PathBuf]) -> String {
    let folders: Vec<String> = folders
        .iter()
        .map(|folder| format!("'{}'", folder.display().to_string().replace('\'', r"'\''").replace('%', "%%")))
        .collect();
    format!("for d in {}; do [ -f \"$d/%f\" ] && exec cp \"$d/%f\" %p; done; exit 1", folders.join(" "))
}
