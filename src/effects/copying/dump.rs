//! `pg::dump`: pg_dump in directory format on a snapshot that a session of ours exports and keeps until it is done.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::json;

use super::Copying;
use super::compression::Compression;
use super::folder;
use super::judge;
use super::listing;
use super::progress::{Progress, losses};
use super::tools::{self, Job, Tool};
use crate::effects::postgres::application_name;
use crate::effects::postgres::connect::{Session, column};
use crate::effects::postgres::measure::{self, Exported, How};
use crate::effects::postgres::quote;
use crate::effects::postgres::stamp::IS_STAMPED;
use crate::effects::{Done, Ledger, Ticket};
use crate::model::Value;
use crate::model::fault::Fault;
use crate::model::figures::size;
use crate::model::measured::Measured;
use crate::model::request::Request;
use crate::model::request::copying::PgDump;

/// Arguments of every dump. A copy that subscribes to the publisher of its source would take changes away from it.
pub const PLAIN: [&str; 3] = ["--no-owner", "--no-privileges", "--no-subscriptions"];

/// How often the size of what is written is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// What the server says before a dump.
pub struct Source {
    database: String,
    version: String,
    /// Major version of the server.
    pub major: u32,
    bytes: u64,
    tables: u64,
    at: DateTime<Utc>,
    /// Schemas of runs, which are no part of it.
    pub stamped: Vec<String>,
}

/// Dumps once.
///
/// Faults: `tool.missing`, `tool.old`, `disk.full`, `dump.compress`, `dump.lost`, `dump.failed`, `target.pooled`.
pub async fn perform(
    copying: &Copying<'_>,
    request: &PgDump,
    ticket: &Ticket,
    ledger: &dyn Ledger,
) -> Result<Done, Fault> {
    let (source, tool, compression) = ready(copying, request, &application_name(ticket)).await?;
    folder::clear(copying.world, ticket)?;
    let complete = folder::of_attempt(copying.world, ticket);
    let partial = folder::partial(&complete);
    folder::make(&partial)?;
    let made = fill(copying, request, ticket, ledger, &source, &tool, &compression, &partial).await;
    let mut answer = match made {
        Ok(answer) => answer,
        Err(fault) => {
            // What the program said stays for whoever looks into it; rows of a dump that is none do not.
            let _ = folder::remove(&partial.join("data"));
            return Err(fault);
        }
    };
    folder::complete(&partial, &complete)?;
    answer["path"] = complete.display().to_string().into();
    answer["archive"] = complete.join("data").display().to_string().into();
    if !answer["digest"].is_null() {
        answer["measured"] = complete.join("measured.json").display().to_string().into();
    }
    // It read rows and changed none.
    Ok(Done { value: answer, rows: None })
}

/// What the dump would be, for a preview.
pub async fn foresee(copying: &Copying<'_>, request: &PgDump) -> Result<Vec<String>, Fault> {
    let (source, tool, compression) = ready(copying, request, "runsheet preview").await?;
    let mut notes = vec![format!(
        "{} {}{} would dump {} tables of `{}` ({} with indexes), compression {}",
        tool.name,
        tool.version,
        tool.there.as_ref().map(|there| format!(" {there}")).unwrap_or_default(),
        source.tables,
        source.database,
        size(source.bytes),
        compression.name
    )];
    if request.count {
        notes.push("every row would be counted and hashed at the dump's own snapshot".to_owned());
    }
    Ok(notes)
}

/// Everything that can be refused before anything is written.
async fn ready(
    copying: &Copying<'_>,
    request: &PgDump,
    application: &str,
) -> Result<(Source, Tool, Compression), Fault> {
    let session = copying.postgres.session(&request.target, application).await?;
    session.require_direct("pg_dump needs sessions of its own, all on one snapshot")?;
    let source = look(&session).await?;
    let tool = tools::dumper(copying, &request.target, source.major, 0).await?;
    let free = folder::free(&copying.world.state)?;
    let compression = Compression::choose(&request.compress, &tool, source.bytes, free)?;
    // The server counts indexes too, which a dump does not hold; compressed rows take a fraction of the rest.
    let needed = if compression.name == "none" { source.bytes } else { source.bytes / 3 };
    if free < needed {
        let message = format!(
            "a dump of `{}` ({}) takes up to {}, and {} has {} free",
            source.database,
            size(source.bytes),
            size(needed),
            copying.world.state.display(),
            size(free)
        );
        return Err(folder::full(&message));
    }
    copying.postgres.give_back(session);
    Ok((source, tool, compression))
}

/// Looks at the database of a session.
pub async fn look(session: &Session) -> Result<Source, Fault> {
    let asked = "select current_database()::text, current_setting('server_version'), current_setting('server_version_num')::int,
                        pg_database_size(current_database()),
                        (select count(*) from pg_class c join pg_namespace n on n.oid = c.relnamespace
                          where c.relkind = 'r' and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'),
                        clock_timestamp()";
    let rows = session.ask(asked, &[], PgDump::WORD).await?;
    let row = rows.first().ok_or_else(|| Fault::fatal("server.answer", "the server says nothing of itself"))?;
    let version: String = column(row, 1)?;
    Ok(Source {
        stamped: stamped(session).await?,
        database: column(row, 0)?,
        version: version.split_whitespace().next().unwrap_or_default().to_owned(),
        major: column::<i32>(row, 2)?.unsigned_abs() / 10_000,
        bytes: column::<i64>(row, 3)?.unsigned_abs(),
        tables: column::<i64>(row, 4)?.unsigned_abs(),
        at: column(row, 5)?,
    })
}

/// Schemas that runs keep their own things in.
async fn stamped(session: &Session) -> Result<Vec<String>, Fault> {
    let asked = format!("select n.nspname::text from pg_catalog.pg_namespace n where {IS_STAMPED} order by 1");
    session.ask(&asked, &[], PgDump::WORD).await?.iter().map(|row| column(row, 0)).collect()
}

/// Fills the folder of an attempt; what is answered lacks the paths, which change when it is complete.
#[expect(clippy::too_many_arguments, reason = "everything that was made ready, once")]
async fn fill(
    copying: &Copying<'_>,
    request: &PgDump,
    ticket: &Ticket,
    ledger: &dyn Ledger,
    source: &Source,
    tool: &Tool,
    compression: &Compression,
    partial: &Path,
) -> Result<Value, Fault> {
    let exported = Exported::take(copying.postgres, &request.target).await?;
    let data = partial.join("data");
    let mut args: Vec<String> = PLAIN.map(str::to_owned).to_vec();
    args.extend(["--verbose".to_owned(), format!("--snapshot={}", exported.id)]);
    if tool.there.is_some() {
        // A folder cannot be streamed.
        args.push("--format=custom".to_owned());
    } else {
        args.extend(["--format=directory".to_owned(), format!("--jobs={}", request.jobs)]);
    }
    args.push(compression.argument.clone());
    // Quoted, a pattern means itself.
    args.extend(source.stamped.iter().map(|schema| format!("--exclude-schema={}", quote::name(schema))));
    let job = Job { tool, target: &request.target, args, settings: &[], folder: partial, output: Some(&data) };
    let progress = Arc::new(Progress::new(copying.world, "dumping", source.tables, &partial.join("stderr.log"))?);
    let waiting = tools::prepare(copying, job, ticket, ledger).await?;
    let holds = waiting.holds.clone();
    ledger.intent(Value::Null)?;

    let dumping = async {
        let running = waiting.run(&progress);
        tokio::pin!(running);
        let mut look = tokio::time::interval(LOOK);
        let finished = loop {
            tokio::select! {
                finished = &mut running => break finished,
                _ = look.tick() => progress.bytes(folder::bytes(&data)),
            }
        };
        judge::judge(copying, tool, &finished, &progress)
    };
    let measured = match tokio::try_join!(dumping, measured(copying, request, &exported)) {
        Ok(((), measured)) => measured,
        Err(fault) => {
            // The other half may still be at work; a failed attempt leaves nothing behind that is.
            tools::end(copying, &holds).await?;
            return Err(fault);
        }
    };
    exported.release(copying.postgres).await;

    let (lost, warnings) = losses(&progress.said());
    if !lost.is_empty() {
        let message = format!("pg_dump left something out: {}", lost[0]);
        return Err(Fault::fatal("dump.lost", copying.world.vault.redact(&message)).detailed(lost.join("\n")));
    }
    let listed =
        listing::read(copying, &tools::find(copying, "pg_restore", tool.major, tool.major).await?, &data).await?;
    let digest = match &measured {
        Some(measured) => measure::file::write(&partial.join("measured.json"), measured)?.into(),
        None => Value::Null,
    };
    let at = measured.as_ref().map_or(source.at, |measured| measured.at);
    Ok(json!({
        "bytes": folder::bytes(&data),
        "tables": listed.tables.len(),
        "rows": measured.as_ref().map(Measured::rows),
        "at": at.to_rfc3339_opts(SecondsFormat::Micros, true),
        "database": source.database,
        "server": source.version,
        "tool": tool.version,
        "compression": compression.name,
        "measured": Value::Null,
        "digest": digest,
        "manifest": if data.is_dir() { folder::manifest(&data)?.into() } else { Value::Null },
        "sha256": if data.is_dir() { Value::Null } else { folder::sha256(&data)?.into() },
        "warnings": warnings,
    }))
}

/// Counts and hashes every row at the snapshot while the dump goes on.
async fn measured(copying: &Copying<'_>, request: &PgDump, exported: &Exported) -> Result<Option<Measured>, Fault> {
    if !request.count {
        return Ok(None);
    }
    let how = How { contents: true, connections: usize::try_from(request.jobs).unwrap_or(1) };
    exported.measure(copying.postgres, &how).await.map(Some)
}
