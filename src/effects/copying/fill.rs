//! An archive brought into a database by pg_restore: what the server cannot take is known beforehand and named, what the
//! program lost on the way is a failure, and what it wrote is safe before that is believed.

use std::path::Path;
use std::sync::Arc;

use tokio_postgres::types::Type;

use super::destination::Destination;
use super::listing::Listing;
use super::progress::{Progress, losses};
use super::tools::{self, Job, Tool};
use super::{Copying, folder, judge};
use crate::effects::postgres::connect::{Session, column};
use crate::effects::{Ledger, Ticket};
use crate::model::Value;
use crate::model::fault::Fault;

/// Arguments of every restore. A copy takes no part in replication: it would take changes away from the publisher of its
/// source, and publishing needs rights that a role for copies should not have. Its server need not have the source's disks.
pub const PLAIN: [&str; 6] =
    ["--no-owner", "--no-privileges", "--no-publications", "--no-subscriptions", "--no-tablespaces", "--exit-on-error"];

/// The database is the run's own and is begun anew after any mishap: nothing in it need survive one before the end.
const SETTINGS: [(&str, &str); 2] = [("synchronous_commit", "off"), ("maintenance_work_mem", "256MB")];

/// What is to be brought where.
pub struct Filling<'a> {
    /// The archive.
    pub archive: &'a Path,
    /// What it holds.
    pub listed: &'a Listing,
    /// The pg_restore for it.
    pub tool: &'a Tool,
    /// Tables and indexes at once.
    pub jobs: u64,
    /// What may be left out, by name, because the role may not make it.
    pub accept: &'a [String],
    /// The word, for messages.
    pub word: &'a str,
}

/// How it went.
pub struct Filled {
    /// What the program warned of.
    pub warnings: Vec<String>,
    /// What was left out, by name.
    pub left_out: Vec<String>,
}

/// Fills the database. The intent is written here, once nothing can be refused any more.
///
/// Faults: `extension.missing`, `restore.right`, `restore.lost`, `restore.failed`, `disk.full`.
pub async fn fill(
    copying: &Copying<'_>,
    destination: &Destination<'_>,
    filling: &Filling<'_>,
    ticket: &Ticket,
    ledger: &dyn Ledger,
) -> Result<Filled, Fault> {
    let Filling { archive, listed, tool, word, .. } = filling;
    let session = &destination.session;
    require_extensions(session, listed, target_of(destination.name)).await?;
    let (left_out, without) = beyond_us(session, filling).await?;

    let work = folder::of_attempt(copying.world, ticket);
    folder::make(&work)?;
    let jobs = if listed.format == "TAR" { 1 } else { filling.jobs };
    let mut args: Vec<String> = PLAIN.map(str::to_owned).to_vec();
    args.push("--verbose".to_owned());
    args.push(format!("--jobs={jobs}"));
    args.push(format!("--dbname={}", tools::conninfo(&[("dbname", destination.database.clone())])));
    if !without.is_empty() {
        let kept: String =
            listed.numbers.iter().filter(|it| !without.contains(it)).map(|it| format!("{it};\n")).collect();
        let path = work.join("list");
        std::fs::write(&path, kept).map_err(|error| folder::broken(&path, &error))?;
        args.push(format!("--use-list={}", path.display()));
    }
    args.push(archive.display().to_string());
    let tables = listed.tables.len().max(1) as u64;
    let progress = Arc::new(Progress::new(copying.world, "restoring", tables, &work.join("stderr.log"))?);
    let job = Job { tool, target: destination.name, args, settings: &SETTINGS, folder: &work, output: None };
    let waiting = tools::prepare(copying, job, ticket, ledger).await?;
    ledger.intent(Value::Null)?;
    destination.begin_anew(copying, word).await?;
    let finished = waiting.run(&progress).await;
    judge::judge(copying, tool, &finished, &progress)?;
    let (lost, warnings) = losses(&progress.said());
    if !lost.is_empty() {
        let message = format!("pg_restore left something out: {}", lost[0]);
        return Err(Fault::fatal("restore.lost", copying.world.vault.redact(&message)).detailed(lost.join("\n")));
    }
    // A crash of the server takes nothing back from here on.
    session.batch("select pg_logical_emit_message(true, 'runsheet', '')", word).await?;
    Ok(Filled { warnings, left_out })
}

fn target_of(name: &str) -> &str {
    crate::model::target::base(name)
}

/// Refuses an archive that creates extensions which the server does not have.
async fn require_extensions(session: &Session, listed: &Listing, server: &str) -> Result<(), Fault> {
    let asked = "select coalesce(array_agg(wanted), '{}') from unnest($1::text[]) wanted
                  where wanted not in (select name from pg_available_extensions)";
    let rows = session.ask(asked, &[(&listed.extensions, Type::TEXT_ARRAY)], "pg_available_extensions").await?;
    let missing: Vec<String> = rows.first().map_or_else(|| Ok(Vec::new()), |row| column(row, 0))?;
    if missing.is_empty() {
        return Ok(());
    }
    let message =
        format!("the server of `{server}` does not have the extension {}, which the dump needs", missing.join(", "));
    Err(Fault::fatal("extension.missing", message)
        .hinted("install its package on that server (nothing needs to be created in a database), then resume"))
}

/// What the role may not bring: names and numbers of entries that are left out. Comments on extensions that are another
/// role's mean nothing to anybody; without an event trigger the database behaves differently, which must be accepted by name.
async fn beyond_us(session: &Session, filling: &Filling<'_>) -> Result<(Vec<String>, Vec<u32>), Fault> {
    let (mut names, mut numbers) = (Vec::new(), Vec::new());
    let Listing { extension_comments, event_triggers, .. } = filling.listed;
    if !extension_comments.is_empty() {
        let asked = "select extname::text from pg_catalog.pg_extension where not pg_has_role(extowner, 'usage')";
        let rows = session.ask(asked, &[], filling.word).await?;
        let others: Vec<String> = rows.iter().map(|row| column(row, 0)).collect::<Result<_, Fault>>()?;
        for (number, name) in extension_comments.iter().filter(|(_, name)| others.contains(name)) {
            names.push(format!("comment on extension {name}"));
            numbers.push(*number);
        }
    }
    if !event_triggers.is_empty() && !may_make_event_triggers(session, filling.word).await? {
        let refused: Vec<&str> = event_triggers
            .iter()
            .map(|(_, name)| name.as_str())
            .filter(|name| !filling.accept.iter().any(|it| it == name))
            .collect();
        if !refused.is_empty() {
            let message =
                format!("the role of `{}` may not make event triggers: {}", session.target, refused.join(", "));
            return Err(Fault::fatal("restore.right", message).hinted(format!(
                "managed services often allow none; do without, by name: #{{ accept: [{}] }}",
                refused.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
            )));
        }
        names.extend(event_triggers.iter().map(|(_, name)| format!("event trigger {name}")));
        numbers.extend(event_triggers.iter().map(|(number, _)| *number));
    }
    Ok((names, numbers))
}

/// Makes one and takes it back: no right that could be looked up says it on every service.
async fn may_make_event_triggers(session: &Session, word: &str) -> Result<bool, Fault> {
    let tried = session
        .batch(
            "BEGIN; CREATE FUNCTION pg_temp.runsheet_tried() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN END $$;
             CREATE EVENT TRIGGER runsheet_tried ON ddl_command_start EXECUTE FUNCTION pg_temp.runsheet_tried()",
            word,
        )
        .await;
    session.batch("ROLLBACK", word).await?;
    match tried {
        Ok(()) => Ok(true),
        Err(fault) if fault.code == "sql.42501" => Ok(false),
        Err(fault) => Err(fault),
    }
}
