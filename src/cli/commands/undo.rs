//! `runsheet undo`.

use super::super::Global;
use super::super::error::CliError;
use super::super::out::Out;
use super::resume::{How, go_on, kept_script, open};
use crate::engine::start::Reach;
use crate::engine::{no_return, unwind};
use crate::model::ids::RunId;
use crate::model::verdict::Verdict;

/// Take a run back, newest step first, then clean up
#[derive(clap::Args)]
pub struct Args {
    /// The run (default: the only unfinished one)
    run: Option<RunId>,
    /// Why, for the audit log
    #[arg(long, default_value = "")]
    why: String,
    /// Take the run from a process of this host that still holds it
    #[arg(long)]
    take_over: bool,
}

impl Args {
    /// Does it.
    pub fn run(self, global: &Global, out: &mut Out) -> Result<Verdict, CliError> {
        let (project, journal, summary) = open(global, out, self.run.as_ref())?;
        let id = &summary.run;
        let script = kept_script(&summary)?;
        if let Some((step, why)) = no_return::passed(&*journal, id, &*script)? {
            let message = format!("run {id} is past its point of no return, step `{step}`: {why}");
            return Err(CliError::refused(message)
                .hinted("only forward from here: resume it, or abandon it and mend by hand")
                .next(format!("runsheet resume {id}")));
        }
        let session = project.session(out)?;
        let how = How { take_over: self.take_over, command: "undo", reach: Reach::Targets };
        go_on(&session, out, &summary, &how, move |run| unwind::undo(run, &self.why))
    }
}
