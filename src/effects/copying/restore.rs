//! `pg::restore`: pg_restore into a database that the run made or claimed. Done again, it begins with an empty one.

use std::path::Path;

use serde_json::json;

use super::destination::Destination;
use super::fill::{self, Filling};
use super::{Copying, analyze, folder, listing, tools};
use crate::effects::postgres::connect::{Session, column};
use crate::effects::{Done, Ledger, Ticket};
use crate::model::fault::Fault;
use crate::model::request::Request;
use crate::model::request::copying::{PgRestore, Seal};

/// Restores once.
///
/// Faults: those of [`Destination::open`] and [`fill::fill`], `dump.gone`, `artefact.changed`, `artefact.broken`, `tool.missing`,
/// `tool.old`.
pub async fn perform(
    copying: &Copying<'_>,
    request: &PgRestore,
    ticket: &Ticket,
    ledger: &dyn Ledger,
) -> Result<Done, Fault> {
    let word = PgRestore::WORD;
    let destination = Destination::open(copying, &request.database, ticket, word).await?;
    let archive = copying.world.project.join(&request.archive);
    unchanged(&archive, &request.seal).await?;
    let major = server_major(&destination.session).await?;
    let reader = tools::find(copying, "pg_restore", 0, major).await?;
    let listed = listing::read(copying, &reader, &archive).await?;
    let dumped_by = listed.tool.split('.').next().and_then(|major| major.parse().ok()).unwrap_or(0);
    let least = dumped_by.max(major);
    let tool = if reader.major == least { reader } else { tools::find(copying, "pg_restore", least, least).await? };
    let filling =
        Filling { archive: &archive, listed: &listed, tool: &tool, jobs: request.jobs, accept: &request.accept, word };
    let filled = fill::fill(copying, &destination, &filling, ticket, ledger).await?;
    let analyzed = if request.analyze.unwrap_or_else(|| destination.stays()) {
        Some(analyze::tables(copying, &request.database, request.jobs, ticket).await?)
    } else {
        None
    };
    copying.postgres.give_back(destination.session);
    // With what earlier attempts said, of which this one made nothing.
    folder::clear(copying.world, ticket)?;
    Ok(Done {
        value: json!({
            "database": request.database,
            "tables": listed.tables.len(),
            "warnings": filled.warnings,
            "left_out": filled.left_out,
            "analyzed": analyzed,
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
