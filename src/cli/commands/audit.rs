//! `runsheet audit`.

use std::io::{BufReader, BufWriter, Write};
use std::path::PathBuf;

use super::super::Global;
use super::super::error::CliError;
use super::super::out::Out;
use super::super::session::Project;
use crate::journal::audit::{self, Audit};
use crate::journal::export::{export, verify_export};
use crate::model::Value;
use crate::model::ids::{ActionKey, RunId};
use crate::model::verdict::Verdict;

/// Verify, export or show the audit log
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// Check that no entry was changed, removed, reordered or cut off; names the first that was
    Verify {
        /// A run, or an exported file (default: the whole project)
        run_or_file: Option<String>,
        /// A head that was kept elsewhere: the log is then complete up to it
        #[arg(long, value_name = "DIGEST")]
        head: Option<String>,
    },
    /// Write the log as JSON lines that `audit verify FILE` checks on another machine
    Export {
        /// A run (default: the whole project)
        run: Option<RunId>,
        /// Where to (default: stdout)
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Print the entries of a run, one a line; with --json each exactly as it is kept
    Show {
        /// The run (default: the newest)
        run: Option<RunId>,
    },
}

impl Args {
    /// Does it.
    pub fn run(self, global: &Global, out: &mut Out) -> Result<Verdict, CliError> {
        match self.what {
            What::Verify { run_or_file, head } => {
                let audit = verify(global, out, run_or_file.as_deref(), head.as_deref())?;
                if out.json {
                    out.json(&audit);
                } else {
                    out.data(&audit.verdict());
                }
                if audit.sound() {
                    return Ok(Verdict::Pass);
                }
                let run = audit.finding.as_ref().map(|finding| finding.run.as_str()).filter(|run| !run.is_empty());
                out.next(&run.map_or("runsheet runs".to_owned(), |run| format!("runsheet audit show {run}")));
                Ok(Verdict::Fail)
            }
            What::Export { run, out: file } => {
                let project = Project::open(global, out)?;
                let journal = project.journal()?;
                let program = env!("CARGO_PKG_VERSION");
                let entries = match &file {
                    None => export(&*journal, run.as_ref(), program, &mut std::io::stdout().lock())?,
                    Some(path) => {
                        let cannot = |error: std::io::Error| {
                            CliError::new(Verdict::Failed, format!("{} cannot be written: {error}", path.display()))
                        };
                        let mut to = BufWriter::new(std::fs::File::create(path).map_err(cannot)?);
                        let entries = export(&*journal, run.as_ref(), program, &mut to)?;
                        to.flush().map_err(cannot)?;
                        entries
                    }
                };
                out.talk(&format!("{entries} entries exported"));
                Ok(Verdict::Pass)
            }
            What::Show { run } => {
                let project = Project::open(global, out)?;
                let journal = project.journal()?;
                let run = match run {
                    Some(run) => journal.summary(&run)?.run,
                    None => super::report::newest(&*journal)?,
                };
                let mut after = 0;
                loop {
                    const PAGE: usize = 500;
                    let page = journal.raw(&run, after, PAGE)?;
                    for entry in &page {
                        match out.json {
                            true => out.data(&entry.text),
                            false => out.data(&readable(&entry.text)),
                        }
                    }
                    match page.last() {
                        Some(last) if page.len() == PAGE => after = last.n,
                        _ => return Ok(Verdict::Pass),
                    }
                }
            }
        }
    }
}

/// An entry in one line: its number, when, what, where, and what else it holds, cut where it gets long.
fn readable(text: &str) -> String {
    const LONGEST: usize = 160;
    let Ok(Value::Object(mut entry)) = serde_json::from_str(text) else { return text.to_owned() };
    for elsewhere in ["run", "previous", "format", "files"] {
        entry.remove(elsewhere);
    }
    let mut take = |name: &str| entry.remove(name).map(|value| value.as_str().map_or(value.to_string(), str::to_owned));
    let (number, at, kind) = (take("n"), take("at").unwrap_or_default(), take("kind").unwrap_or_default());
    let place = entry.remove("key").and_then(|key| serde_json::from_value::<ActionKey>(key).ok());
    let place = place.map(|key| format!(" {key}")).unwrap_or_default();
    let rest: Vec<String> = entry.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let rest = rest.join(" ");
    let rest = match rest.char_indices().nth(LONGEST) {
        Some((cut, _)) => format!("{}…", &rest[..cut]),
        None => rest,
    };
    let at = at.get(..19).unwrap_or(&at).replace('T', " ");
    format!("{:>5} {at} {kind}{place}  {rest}", number.unwrap_or_default())
}

fn verify(global: &Global, out: &mut Out, what: Option<&str>, head: Option<&str>) -> Result<Audit, CliError> {
    let file = what.map(PathBuf::from).filter(|path| path.is_file());
    if let Some(path) = file {
        let file = std::fs::File::open(&path).map_err(|error| {
            CliError::refused(format!("{} cannot be read: {error}", path.display())).next("runsheet runs")
        })?;
        return Ok(verify_export(BufReader::new(file), head)?);
    }
    let run = match what {
        None => None,
        Some(text) => Some(text.parse::<RunId>().map_err(|why| {
            CliError::refused(format!("{why}, and no file of that name can be read")).next("runsheet runs")
        })?),
    };
    let project = Project::open(global, out)?;
    let journal = project.journal()?;
    Ok(audit::verify_store(&*journal, run.as_ref(), head)?)
}
