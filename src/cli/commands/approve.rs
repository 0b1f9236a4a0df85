//! `runsheet approve`.

use super::super::Global;
use super::super::error::CliError;
use super::super::out::Out;
use super::super::session::{Project, actor};
use crate::effects::local::SystemClock;
use crate::journal::entry::{Answer, Entry, Record};
use crate::journal::store::Journal;
use crate::model::clock::Clock;
use crate::model::ids::{ActionKey, RunId};
use crate::model::verdict::Verdict;

/// Answer the question, or confirm the work by hand, that a run waits for
#[derive(clap::Args)]
pub struct Args {
    /// The run (default: the only unfinished one)
    run: Option<RunId>,
    /// Say no instead of yes
    #[arg(long)]
    reject: bool,
    /// Why, for the audit log
    #[arg(long, default_value = "")]
    why: String,
}

impl Args {
    /// Does it.
    pub fn run(self, global: &Global, out: &mut Out) -> Result<Verdict, CliError> {
        let project = Project::open(global, out)?;
        let journal = project.journal()?;
        let id = project.run_id(&*journal, self.run.as_ref())?;
        let (key, question) = waits_for(&*journal, &id, Verdict::Waiting)?;
        let answer = if self.reject { Answer::Rejected } else { Answer::Approved };
        let said = if self.reject { "no" } else { "yes" };
        let record = Record::Decision { key, by: actor(), answer, why: self.why };
        journal.decide(&id, record, SystemClock.now())?;
        out.talk(&format!("{question}: {said}"));
        out.next(&format!("runsheet resume {id}"));
        Ok(Verdict::Pass)
    }
}

/// The action that a run waits for a person to answer, and what it is about.
pub fn waits_for(journal: &dyn Journal, run: &RunId, wanted: Verdict) -> Result<(ActionKey, String), CliError> {
    let story = journal.story(run)?;
    let last = story.iter().rev().find_map(|Entry { record, .. }| match record {
        Record::RunEnded { verdict, key: Some(key), why, .. } if *verdict == wanted => Some((key.clone(), why.clone())),
        Record::RunEnded { .. } | Record::RunResumed { .. } => Some((
            ActionKey { step: String::new(), phase: crate::model::ids::Phase::Perform, lane: String::new(), seq: 0 },
            String::new(),
        )),
        _ => None,
    });
    match last {
        Some((key, why)) if !key.step.is_empty() => Ok((key, why)),
        _ => {
            let what = if wanted == Verdict::Waiting { "an answer" } else { "an outcome to be resolved" };
            Err(CliError::refused(format!("run {run} does not wait for {what}")).next(format!("runsheet report {run}")))
        }
    }
}
