//! `pg::restore`: pg_restore into a database that the run made. Done again, it begins with an empty one.

use std::path::Path;
use std::sync::Arc;

use serde_json::json;
use tokio_postgres::types::Type;

use super::Copying;
use super::folder;
use super::judge;
use super::listing::{self, Listing};
use super::progress::{Progress, losses};
use super::tools::{self, Job};
use crate::effects::postgres::connect::{Session, column};
use crate::effects::postgres::{application_name, made, scratch};
use crate::effects::{Done, Ledger, Ticket};
use crate::model::Value;
use crate::model::fault::Fault;
use crate::model::request::Request;
use crate::model::request::copying::{PgRestore, Seal};

/// Arguments of every restore. A copy takes no part in replication: it would take changes away from the publisher of its
/// source, and publishing needs rights that a role for copies should not have. Its server need not have the source's disks.
pub const PLAIN: [&str; 6] =
    ["--no-owner", "--no-privileges", "--no-publications", "--no-subscriptions", "--no-tablespaces", "--exit-on-error"];

/// The database is the run's own and is begun anew after any mishap: nothing in it need survive one before the end.
const SETTINGS: [(&str, &str); 2] = [("synchronous_commit", "off"), ("maintenance_work_mem", "256MB")];

/// Restores once.
///
/// Faults: `scratch.not-ours`, `scratch.gone`, `target.not-made`, `dump.gone`, `artefact.changed`, `artefact.broken`, `extension.missing`,
/// `restore.lost`, `restore.failed`, `tool.missing`, `tool.old`, `disk.full`.
pub async fn perform(
    copying: &Copying<'_>,
    request: &PgRestore,
    ticket: &Ticket,
    ledger: &dyn Ledger,
) -> Result<Done, Fault> {
    let word = PgRestore::WORD;
    let (server, name) = scratch::parts(&request.database)?;
    let archive = copying.world.project.join(&request.archive);
    unchanged(&archive, &request.seal).await?;
    let session = copying.postgres.session(server, &application_name(ticket)).await?;
    session.require_writable()?;
    let found = made::find_either(&session, name, word).await?.ok_or_else(|| made::gone(name))?;
    scratch::require_ours(&found, ticket)?;
    let major = server_major(&session).await?;
    let reader = tools::find(copying, "pg_restore", 0, major).await?;
    let listed = listing::read(copying, &reader, &archive).await?;
    let dumped_by = listed.tool.split('.').next().and_then(|major| major.parse().ok()).unwrap_or(0);
    let least = dumped_by.max(major);
    let tool = if reader.major == least { reader } else { tools::find(copying, "pg_restore", least, least).await? };
    require_extensions(&session, &listed, server).await?;

    let jobs = if listed.format == "TAR" { 1 } else { request.jobs };
    let mut args: Vec<String> = PLAIN.map(str::to_owned).to_vec();
    args.push("--verbose".to_owned());
    args.push(format!("--jobs={jobs}"));
    args.push(format!("--dbname={name}"));
    args.push(archive.display().to_string());
    let work = folder::of_attempt(copying.world, ticket);
    folder::make(&work)?;
    let progress =
        Arc::new(Progress::new(copying.world, "restoring", listed.tables.len() as u64, &work.join("stderr.log"))?);
    let job = Job { tool: &tool, target: &request.database, args, settings: &SETTINGS, folder: &work };
    let waiting = tools::prepare(copying, job, ticket, ledger).await?;
    ledger.intent(Value::Null)?;
    let mut stamp = found.stamp.clone().ok_or_else(|| Fault::fatal("scratch.not-ours", "it carries no stamp"))?;
    if stamp.filled || found.name != name || !found.open {
        stamp.filled = false;
        copying.postgres.close_idle(&request.database);
        made::empty(&session, name, &stamp, word).await?;
    }
    stamp.filled = true;
    made::mark(&session, name, &stamp, word).await?;
    let finished = waiting.run(&progress).await;
    judge::judge(copying, &tool, &finished, &progress)?;
    let (lost, warnings) = losses(&progress.said());
    if !lost.is_empty() {
        let message = format!("pg_restore left something out: {}", lost[0]);
        return Err(Fault::fatal("restore.lost", copying.world.vault.redact(&message)).detailed(lost.join("\n")));
    }
    // A crash of the server takes nothing back from here on.
    session.batch("select pg_logical_emit_message(true, 'runsheet', '')", word).await?;
    copying.postgres.give_back(session);
    // With what earlier attempts said, of which this one made nothing.
    folder::clear(copying.world, ticket)?;
    Ok(Done {
        value: json!({
            "database": request.database,
            "tables": listed.tables.len(),
            "warnings": warnings,
            "tool": tool.version,
        }),
        rows: None,
    })
}

/// Proves that an archive is what it was when it was described.
async fn unchanged(archive: &Path, seal: &Seal) -> Result<(), Fault> {
    if !archive.exists() {
        let message = format!("the dump {} is gone", archive.display());
        return Err(Fault::fatal("dump.gone", message).hinted("it was removed since; dump again in a new run"));
    }
    let (path, wanted) = (archive.to_owned(), seal.clone());
    let same = tokio::task::spawn_blocking(move || -> Result<bool, Fault> {
        let manifest = wanted.manifest.map_or(Ok(true), |wanted| folder::manifest(&path).map(|now| now == wanted))?;
        let sha256 = wanted.sha256.map_or(Ok(true), |wanted| folder::sha256(&path).map(|now| now == wanted))?;
        Ok(manifest && sha256)
    });
    match same.await {
        Ok(Ok(true)) => Ok(()),
        Ok(Err(fault)) => Err(fault),
        _ => {
            let message = format!("{} is no longer what it was when it was described", archive.display());
            Err(Fault::fatal("artefact.changed", message)
                .hinted("somebody wrote to it since, or the disk lost something; begin a new run"))
        }
    }
}

async fn server_major(session: &Session) -> Result<u32, Fault> {
    let rows = session.ask("select current_setting('server_version_num')::int", &[], PgRestore::WORD).await?;
    let number = rows.first().map_or(Ok(0), |row| column::<i32>(row, 0))?;
    Ok(number.unsigned_abs() / 10_000)
}

/// Refuses an archive that creates extensions which the server does not have.
async fn require_extensions(session: &Session, listed: &Listing, server: &str) -> Result<(), Fault> {
    let asked = "select coalesce(array_agg(wanted), '{}') from unnest($1::text[]) wanted
                  where wanted not in (select name from pg_available_extensions)";
    let rows = session.ask(asked, &[(&listed.extensions, Type::TEXT_ARRAY)], PgRestore::WORD).await?;
    let missing: Vec<String> = rows.first().map_or_else(|| Ok(Vec::new()), |row| column(row, 0))?;
    if missing.is_empty() {
        return Ok(());
    }
    let message =
        format!("the server of `{server}` does not have the extension {}, which the dump needs", missing.join(", "));
    Err(Fault::fatal("extension.missing", message)
        .hinted("install its package on that server (nothing needs to be created in a database), then resume"))
}
