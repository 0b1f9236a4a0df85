//! `runsheet abandon`.

use super::super::Global;
use super::super::error::CliError;
use super::super::out::Out;
use super::super::session::Session;
use super::resume::{How, go_on, open};
use crate::engine::start::Reach;
use crate::engine::unwind;
use crate::journal::store::RunSummary;
use crate::model::ids::RunId;
use crate::model::verdict::Verdict;

/// Give a run up: clean up what it made, leave the rest, free its lock
#[derive(clap::Args)]
pub struct Args {
    /// The run (default: the only unfinished one)
    run: Option<RunId>,
    /// Why, for the audit log
    #[arg(long)]
    why: String,
    /// Contact nothing and clean nothing up, when its databases are gone for good; what is left is written down
    #[arg(long)]
    leave_behind: bool,
}

impl Args {
    /// Does it.
    pub fn run(self, global: &Global, out: &mut Out) -> Result<Verdict, CliError> {
        let (project, _, summary) = open(global, out, self.run.as_ref())?;
        let session = project.session(out)?;
        if self.leave_behind {
            let how = How { take_over: false, command: "abandon", reach: Reach::Journal };
            return go_on(&session, out, &summary, &how, move |run| unwind::leave_behind(run, &self.why));
        }
        give_up(&session, out, &summary, &self.why)
    }
}

/// Gives a run up.
pub fn give_up(session: &Session, out: &Out, summary: &RunSummary, why: &str) -> Result<Verdict, CliError> {
    let why = why.to_owned();
    let how = How { take_over: false, command: "abandon", reach: Reach::Targets };
    go_on(session, out, summary, &how, move |run| unwind::abandon(run, &why))
}
