//! `runsheet resolve`.

use super::super::Global;
use super::super::error::CliError;
use super::super::out::Out;
use super::super::session::{Project, actor};
use super::approve::waits_for;
use crate::effects::local::SystemClock;
use crate::journal::entry::{Answer, Record};
use crate::model::Value;
use crate::model::clock::Clock;
use crate::model::ids::RunId;
use crate::model::scan::refuse_handles_in;
use crate::model::verdict::Verdict;

/// What a person found out.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum As {
    /// It was done
    Done,
    /// It was not done; resume does it
    NotDone,
}

/// Say what became of the action whose outcome is unknown
#[derive(clap::Args)]
pub struct Args {
    /// The run (default: the only unfinished one)
    run: Option<RunId>,
    /// What you found out by looking
    #[arg(long = "as", value_enum)]
    found: As,
    /// With `done`: the answer that the runbook shall see, as JSON
    #[arg(long, value_name = "JSON", default_value = "null")]
    output: String,
    /// How you know, for the audit log
    #[arg(long)]
    why: String,
}

impl Args {
    /// Does it.
    pub fn run(self, global: &Global, out: &mut Out) -> Result<Verdict, CliError> {
        let output: Value = serde_json::from_str(&self.output)
            .map_err(|error| CliError::refused(format!("--output is not JSON: {error}")))?;
        refuse_handles_in(&output, "--output")?;
        let project = Project::open(global, out)?;
        let journal = project.journal()?;
        let id = project.run_id(&*journal, self.run.as_ref())?;
        let (key, why) = waits_for(&*journal, &id, Verdict::Unknown)?;
        let answer = if self.found == As::Done { Answer::Done { output } } else { Answer::NotDone };
        let record = Record::Decision { key, by: actor(), answer, why: self.why };
        journal.decide(&id, record, SystemClock.now())?;
        let said = if self.found == As::Done { "done" } else { "not done" };
        out.talk(&format!("recorded: {said} ({why})"));
        out.next(&format!("runsheet resume {id}"));
        Ok(Verdict::Pass)
    }
}
