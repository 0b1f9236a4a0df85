//! `pg::copy_schema`: everything of a database but its rows, in one go from one server to the other. Done again, it begins
//! with an empty database.

use std::sync::Arc;

use serde_json::json;

use super::destination::Destination;
use super::fill::{self, Filling};
use super::progress::{Progress, losses};
use super::tools::{self, Job};
use super::{Copying, dump, folder, judge, listing};
use crate::effects::postgres::{application_name, quote};
use crate::effects::{Done, Ledger, Ticket};
use crate::model::fault::Fault;
use crate::model::request::Request;
use crate::model::request::copying::PgCopySchema;

/// Copies once.
///
/// Faults: those of a dump and of a restore, `copy.same-database`.
pub async fn perform(
    copying: &Copying<'_>,
    request: &PgCopySchema,
    ticket: &Ticket,
    ledger: &dyn Ledger,
) -> Result<Done, Fault> {
    let word = PgCopySchema::WORD;
    let destination = Destination::open(copying, &request.target, ticket, word).await?;
    let there = dump::look(&destination.session).await?;
    let source = copying.postgres.session(&request.source, &application_name(ticket)).await?;
    source.require_direct("pg_dump needs a session of its own")?;
    let here = dump::look(&source).await?;
    copying.postgres.give_back(source);

    folder::clear(copying.world, ticket)?;
    let work = folder::of_attempt(copying.world, ticket);
    folder::make(&work)?;
    let archive = work.join("schema");
    let dumper = tools::dumper(copying, &request.source, here.major, here.major.max(there.major)).await?;
    let mut args: Vec<String> = dump::PLAIN.map(str::to_owned).to_vec();
    args.extend(["--schema-only", "--format=custom", "--verbose"].map(str::to_owned));
    args.extend(here.stamped.iter().map(|schema| format!("--exclude-schema={}", quote::name(schema))));
    let progress = Arc::new(Progress::new(copying.world, "reading the schema of", 0, &work.join("dump.log"))?);
    let job =
        Job { tool: &dumper, target: &request.source, args, settings: &[], folder: &work, output: Some(&archive) };
    let finished = tools::prepare(copying, job, ticket, ledger).await?.run(&progress).await;
    judge::judge(copying, &dumper, &finished, &progress)?;
    let (lost, _) = losses(&progress.said());
    if !lost.is_empty() {
        let message = format!("pg_dump left something out: {}", lost[0]);
        return Err(Fault::fatal("dump.lost", copying.world.vault.redact(&message)).detailed(lost.join("\n")));
    }

    let least = dumper.major.max(there.major);
    let tool = tools::find(copying, "pg_restore", least, least).await?;
    let listed = listing::read(copying, &tool, &archive).await?;
    let filling =
        Filling { archive: &archive, listed: &listed, tool: &tool, jobs: request.jobs, accept: &request.accept, word };
    let filled = fill::fill(copying, &destination, &filling, ticket, ledger).await?;
    copying.postgres.give_back(destination.session);
    folder::clear(copying.world, ticket)?;
    Ok(Done {
        value: json!({
            "database": request.target,
            "objects": listed.entries,
            "warnings": filled.warnings,
            "left_out": filled.left_out,
            "tool": tool.version,
        }),
        rows: None,
    })
}
