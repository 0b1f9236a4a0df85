//! `pg::dump`: pg_dump in directory format on a snapshot that a session of ours exports and keeps until it is done.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::json;

use super::Copying;
use super::folder;
use super::listing;
use super::progress::{Progress, losses, size};
use super::tools::{self, Job, Tool};
use crate::effects::postgres::application_name;
use crate::effects::postgres::connect::{self, Pin, Session, column};
use crate::effects::{Done, Ledger, Ticket};
use crate::model::Value;
use crate::model::fault::Fault;
use crate::model::request::Request;
use crate::model::request::copying::PgDump;

/// Arguments of every dump. A copy that subscribes to the publisher of its source would take changes away from it.
pub const PLAIN: [&str; 3] = ["--no-owner", "--no-privileges", "--no-subscriptions"];

/// How often the size of what is written is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// What the server says before a dump.
struct Source {
    database: String,
    version: String,
    major: u32,
    bytes: u64,
    tables: u64,
}

/// How a dump is compressed.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Compression {
    /// As it is told.
    name: String,
    /// pg_dump's argument.
    argument: String,
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
    let (session, source, tool, compression) = ready(copying, request, &application_name(ticket)).await?;
    folder::clear(copying.world, ticket)?;
    let complete = folder::of_attempt(copying.world, ticket);
    let partial = folder::partial(&complete);
    folder::make(&partial)?;
    let made = fill(copying, request, ticket, ledger, &session, &source, &tool, &compression, &partial).await;
    let mut answer = match made {
        Ok(answer) => answer,
        Err(fault) => {
            // What the program said stays for whoever looks into it; rows of a dump that is none do not.
            let _ = folder::remove(&partial.join("data"));
            return Err(fault);
        }
    };
    folder::complete(&partial, &complete)?;
    let rows = answer["rows"].as_u64();
    answer["path"] = complete.display().to_string().into();
    answer["archive"] = complete.join("data").display().to_string().into();
    if !answer["digest"].is_null() {
        answer["measured"] = complete.join("measured.json").display().to_string().into();
    }
    Ok(Done { value: answer, rows })
}

/// What the dump would be, for a preview.
pub async fn foresee(copying: &Copying<'_>, request: &PgDump) -> Result<Vec<String>, Fault> {
    let (_, source, tool, compression) = ready(copying, request, "runsheet preview").await?;
    let mut notes = vec![format!(
        "{} {} would dump {} tables of `{}` ({} with indexes), compression {}",
        tool.name,
        tool.version,
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
) -> Result<(Session, Source, Tool, Compression), Fault> {
    let session = connect::open(copying.postgres, &request.target, application, Pin::Obeyed).await?;
    session.require_direct("pg_dump needs sessions of its own, all on one snapshot")?;
    let source = look(&session).await?;
    let tool = tools::find(copying, "pg_dump", source.major, 0).await?;
    let free = folder::free(&copying.world.state)?;
    let compression = compress(&request.compress, &tool, source.bytes, free)?;
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
    Ok((session, source, tool, compression))
}

async fn look(session: &Session) -> Result<Source, Fault> {
    let asked = "select current_database()::text, current_setting('server_version'), current_setting('server_version_num')::int,
                        pg_database_size(current_database()),
                        (select count(*) from pg_class c join pg_namespace n on n.oid = c.relnamespace
                          where c.relkind = 'r' and n.nspname !~ '^pg_' and n.nspname <> 'information_schema')";
    let rows = session.ask(asked, &[], PgDump::WORD).await?;
    let row = rows.first().ok_or_else(|| Fault::fatal("server.answer", "the server says nothing of itself"))?;
    let version: String = column(row, 1)?;
    Ok(Source {
        database: column(row, 0)?,
        version: version.split_whitespace().next().unwrap_or_default().to_owned(),
        major: column::<i32>(row, 2)?.unsigned_abs() / 10_000,
        bytes: column::<i64>(row, 3)?.unsigned_abs(),
        tables: column::<i64>(row, 4)?.unsigned_abs(),
    })
}

/// The compression that is asked for; `auto` is the fastest that the program knows and the disk allows.
fn compress(asked: &str, tool: &Tool, bytes: u64, free: u64) -> Result<Compression, Fault> {
    let methods = tool.major >= 16;
    let name = match asked {
        "auto" if methods => "lz4",
        "auto" if free / 6 >= bytes / 5 => "none",
        "auto" => "gzip:1",
        given => given,
    };
    let (method, level) = name.split_once(':').unwrap_or((name, ""));
    let argument = match method {
        "none" => "--compress=0".to_owned(),
        "gzip" if level.is_empty() => "--compress=6".to_owned(),
        "gzip" => format!("--compress={level}"),
        "zstd" | "lz4" if methods => format!("--compress={name}"),
        "zstd" | "lz4" => {
            let message = format!("pg_dump {} does not know {method}; it came with 16", tool.version);
            return Err(Fault::fatal("dump.compress", message).hinted("use \"auto\", \"none\" or \"gzip:1\""));
        }
        _ => {
            return Err(Fault::fatal("dump.compress", format!("`{asked}` is no way to compress a dump"))
                .hinted("there are auto, none, gzip:LEVEL, zstd and lz4"));
        }
    };
    Ok(Compression { name: name.to_owned(), argument })
}

/// Fills the folder of an attempt; what is answered lacks the paths, which change when it is complete.
#[expect(clippy::too_many_arguments, reason = "everything that was made ready, once")]
async fn fill(
    copying: &Copying<'_>,
    request: &PgDump,
    ticket: &Ticket,
    ledger: &dyn Ledger,
    session: &Session,
    source: &Source,
    tool: &Tool,
    compression: &Compression,
    partial: &Path,
) -> Result<Value, Fault> {
    let (snapshot, at) = export(session).await?;
    let data = partial.join("data");
    let mut args: Vec<String> = PLAIN.map(str::to_owned).to_vec();
    args.extend(["--format=directory", "--verbose"].map(str::to_owned));
    args.push(format!("--jobs={}", request.jobs));
    args.push(format!("--snapshot={snapshot}"));
    args.push(format!("--file={}", data.display()));
    args.push(compression.argument.clone());
    let job = Job { tool, target: &request.target, args, settings: &[], folder: partial };
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
        tools::judge(copying, tool, &finished, &progress)
    };
    let measured = match tokio::try_join!(dumping, measure(copying, request, &snapshot)) {
        Ok(((), measured)) => measured,
        Err(fault) => {
            // The other half may still be at work; a failed attempt leaves nothing behind that is.
            tools::end(copying, &holds).await?;
            return Err(fault);
        }
    };
    session.batch("COMMIT", PgDump::WORD).await?;

    let (lost, warnings) = losses(&progress.said());
    if !lost.is_empty() {
        let message = format!("pg_dump left something out: {}", lost[0]);
        return Err(Fault::fatal("dump.lost", copying.world.vault.redact(&message)).detailed(lost.join("\n")));
    }
    let listed =
        listing::read(copying, &tools::find(copying, "pg_restore", tool.major, tool.major).await?, &data).await?;
    let (rows, digest) = match measured {
        None => (Value::Null, Value::Null),
        Some((rows, text)) => {
            let path = partial.join("measured.json");
            let write = || std::fs::write(&path, &text).and_then(|()| std::fs::File::open(&path)?.sync_all());
            write().map_err(|error| folder::broken(&path, &error))?;
            (rows.into(), crate::model::digest::of_bytes(text.as_bytes()).into())
        }
    };
    Ok(json!({
        "bytes": folder::bytes(&data),
        "tables": listed.tables.len(),
        "rows": rows,
        "at": at.to_rfc3339_opts(SecondsFormat::Micros, true),
        "database": source.database,
        "server": source.version,
        "tool": tool.version,
        "compression": compression.name,
        "measured": Value::Null,
        "digest": digest,
        "manifest": folder::manifest(&data)?,
        "warnings": warnings,
    }))
}

/// Exports a snapshot from a session whose every timeout is off: it waits while the dump goes on.
async fn export(session: &Session) -> Result<(String, DateTime<Utc>), Fault> {
    let word = PgDump::WORD;
    session
        .batch("SET statement_timeout = 0; SET lock_timeout = 0; SET idle_in_transaction_session_timeout = 0", word)
        .await?;
    // Servers before 14 and 17 do not know these.
    for setting in ["idle_session_timeout", "transaction_timeout"] {
        let _ = session.client.batch_execute(&format!("SET {setting} = 0")).await;
    }
    session.batch("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", word).await?;
    let rows = session.ask("select pg_export_snapshot(), clock_timestamp()", &[], word).await?;
    let row = rows.first().ok_or_else(|| Fault::fatal("server.answer", "no snapshot was exported"))?;
    Ok((column(row, 0)?, column(row, 1)?))
}

/// Counts and hashes every row at the snapshot: how many, and the text that is kept of it.
async fn measure(_: &Copying<'_>, request: &PgDump, _: &str) -> Result<Option<(u64, String)>, Fault> {
    if request.count {
        return Err(Fault::fatal("dump.count", "rows cannot be counted yet"));
    }
    Ok(None)
}
