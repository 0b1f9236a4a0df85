//! `pg::sabotage`: a copy of a dump that lacks one row, to see the drill go red. The dump itself is not touched.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::Copying;
use super::folder::{self, broken};
use super::listing;
use super::tools;
use crate::effects::{Done, Ledger, Ticket};
use crate::model::Value;
use crate::model::event::Event;
use crate::model::fault::Fault;
use crate::model::request::copying::PgSabotage;

/// Makes the copy and says loudly what is wrong with it.
///
/// Faults: `sabotage.format`, `sabotage.empty`, `dump.gone`.
pub async fn perform(
    copying: &Copying<'_>,
    request: &PgSabotage,
    ticket: &Ticket,
    ledger: &dyn Ledger,
) -> Result<Done, Fault> {
    let Some(archive) = request.dump["archive"].as_str() else {
        return Err(Fault::fatal("sabotage.format", "this is not what pg::dump or pg::artefact answered"));
    };
    let archive = copying.world.project.join(archive);
    if !archive.join("toc.dat").is_file() {
        let message = format!("{} is not a dump in directory format", archive.display());
        return Err(
            Fault::fatal("sabotage.format", message).hinted("only its data files can be taken apart: pg_dump -Fd -Z0")
        );
    }
    let tool = tools::find(copying, "pg_restore", 0, 0).await?;
    let listed = listing::read(copying, &tool, &archive).await?;
    let script =
        tools::ask(copying, &tool, &["--section=post-data", "--file=-", &archive.display().to_string()]).await?;
    let referenced = referenced(&script.map_err(|said| listing::unreadable(&archive, &said))?);
    let mut candidates: Vec<(u64, PathBuf, String)> = Vec::new();
    let mut compressed = false;
    for (number, table) in listed.tables {
        let file = archive.join(format!("{number}.dat"));
        compressed |= !file.exists();
        // Without a row that others point to, the restore itself would fail; it is the proof that must find this.
        if !referenced.contains(&table)
            && let Ok(about) = fs::metadata(&file)
        {
            candidates.push((about.len(), file, table));
        }
    }
    candidates.sort_by_key(|(size, ..)| std::cmp::Reverse(*size));
    let Some((_, file, table)) = candidates.into_iter().find(|(_, file, _)| has_row(file)) else {
        return Err(match compressed {
            true => Fault::fatal("sabotage.format", "the dump is compressed")
                .hinted("make the one that is to be broken with #{ compress: \"none\" }"),
            false => Fault::fatal("sabotage.empty", "no table could lose a row unnoticed by its own constraints")
                .hinted("it takes a table with rows that no foreign key points to; try it on another database"),
        });
    };
    folder::clear(copying.world, ticket)?;
    ledger.intent(Value::Null)?;
    let complete = folder::of_attempt(copying.world, ticket);
    let partial = folder::partial(&complete);
    folder::make(&partial.join("data"))?;
    copy(&archive, &partial.join("data"), &file)?;
    let manifest = folder::manifest(&partial.join("data"))?;
    folder::complete(&partial, &complete)?;

    let told = format!(
        "SABOTAGE, as asked: one row of {table} is missing in {}; the drill must notice it",
        complete.display()
    );
    copying.world.sink.event(Event::Warning(told.clone()));
    let mut answer = request.dump.clone();
    answer["path"] = complete.display().to_string().into();
    answer["archive"] = complete.join("data").display().to_string().into();
    answer["manifest"] = manifest.into();
    answer["sha256"] = Value::Null;
    answer["sabotaged"] = told.into();
    Ok(Done { value: answer, rows: None })
}

/// Tables that foreign keys point to, as the listing names them.
fn referenced(script: &str) -> Vec<String> {
    let named = script.match_indices(" REFERENCES ").filter_map(|(at, words)| {
        let rest = &script[at + words.len()..];
        Some(rest[..rest.find('(')?].replace('"', ""))
    });
    named.collect()
}

fn has_row(file: &Path) -> bool {
    let mut line = Vec::new();
    File::open(file).and_then(|file| BufReader::new(file).read_until(b'\n', &mut line)).is_ok()
        && !line.is_empty()
        && line != b"\\.\n"
}

/// Copies a folder, the files as links where that is possible, and one of them without its first row.
fn copy(from: &Path, to: &Path, lacking: &Path) -> Result<(), Fault> {
    for (name, _) in folder::files(from)? {
        let (source, target) = (from.join(&name), to.join(&name));
        if source == lacking {
            without_first_row(&source, &target).map_err(|error| broken(&target, &error))?;
        } else if fs::hard_link(&source, &target).is_err() {
            fs::copy(&source, &target).map_err(|error| broken(&target, &error))?;
        }
    }
    Ok(())
}

fn without_first_row(source: &Path, target: &Path) -> std::io::Result<()> {
    let mut rows = BufReader::new(File::open(source)?);
    rows.read_until(b'\n', &mut Vec::new())?;
    let mut kept = BufWriter::new(File::create(target)?);
    std::io::copy(&mut rows, &mut kept)?;
    kept.flush()?;
    kept.get_ref().sync_all()
}
