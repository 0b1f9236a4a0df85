//! `runsheet report`.

use super::super::Global;
use super::super::error::CliError;
use super::super::out::Out;
use super::super::session::Project;
use crate::journal::store::Journal;
use crate::model::ids::RunId;
use crate::model::verdict::Verdict;
use crate::report::{self, Report};

/// Say what a run did, on which databases, with how many rows, proven by which checks
#[derive(clap::Args)]
pub struct Args {
    /// The run (default: the newest)
    run: Option<RunId>,
    /// As Markdown, for a ticket or an archive
    #[arg(long)]
    markdown: bool,
}

impl Args {
    /// Does it.
    pub fn run(self, global: &Global, out: &mut Out) -> Result<Verdict, CliError> {
        let project = Project::open(global, out)?;
        let journal = project.journal()?;
        let run = match self.run {
            Some(run) => run,
            None => newest(&*journal)?,
        };
        let report = Report::of(&*journal, &run)?;
        match (out.json, self.markdown) {
            (true, _) => out.json(&report),
            (false, true) => out.data(&report::markdown(&report)),
            (false, false) => out.data(&report::text(&report)),
        }
        Ok(Verdict::Pass)
    }
}

/// The newest run.
pub fn newest(journal: &dyn Journal) -> Result<RunId, CliError> {
    let newest = journal.run_ids()?.pop();
    newest.ok_or_else(|| CliError::refused("there are no runs yet").next("runsheet list"))
}
