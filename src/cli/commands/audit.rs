//! `runsheet audit`.

use std::io::{BufReader, BufWriter, Write};
use std::path::PathBuf;

use super::super::Global;
use super::super::error::CliError;
use super::super::out::Out;
use super::super::session::Project;
use crate::journal::audit::{self, Audit};
use crate::journal::export::{export, verify_export};
use crate::model::ids::RunId;
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
    /// Print the entries of a run, one a line
    Show {
        /// The run
        run: RunId,
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
                journal.summary(&run)?;
                let mut after = 0;
                loop {
                    const PAGE: usize = 500;
                    let page = journal.raw(&run, after, PAGE)?;
                    for entry in &page {
                        out.data(&entry.text);
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
