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
        let (key, about) = waits_for(&*journal, &id, Verdict::Waiting)?;
        let answer = if self.reject { Answer::Rejected } else { Answer::Approved };
        let said = if self.reject { "no" } else { "yes" };
        let record = Record::Decision { key, by: actor(), answer, why: self.why };
        journal.decide(&id, record, SystemClock.now())?;
        out.talk(&format!("recorded: {said} ({about})"));
        out.next(&format!("runsheet resume {id}"));
        Ok(Verdict::Pass)
    }
}

/// The action that a run waits for a person to answer, and what it is about; an answer that was given is not asked again.
pub fn waits_for(journal: &dyn Journal, run: &RunId, wanted: Verdict) -> Result<(ActionKey, String), CliError> {
    match asked(&journal.story(run)?) {
        Some(Asked { verdict, answered: true, .. }) if verdict == wanted => {
            let message = format!("run {run} has its answer already");
            Err(CliError::refused(message).next(format!("runsheet resume {run}")))
        }
        Some(Asked { verdict, key, about, .. }) if verdict == wanted => Ok((key, about)),
        _ => {
            let what = if wanted == Verdict::Waiting { "an answer" } else { "an outcome to be resolved" };
            Err(CliError::refused(format!("run {run} does not wait for {what}")).next(format!("runsheet report {run}")))
        }
    }
}

/// What a run waits for, as its story ends.
pub struct Asked {
    /// The action.
    pub key: ActionKey,
    /// `waiting` for an answer, or `unknown` until it is resolved.
    pub verdict: Verdict,
    /// The question, or what is in doubt.
    pub about: String,
    /// Whether somebody has answered since.
    pub answered: bool,
}

/// What a run waits for, if it does.
pub fn asked(story: &[Entry]) -> Option<Asked> {
    let mut asked: Option<Asked> = None;
    for Entry { record, .. } in story {
        match record {
            Record::RunEnded { verdict, key: Some(key), why, .. } => {
                asked = Some(Asked { key: key.clone(), verdict: *verdict, about: why.clone(), answered: false });
            }
            Record::RunEnded { .. } | Record::RunResumed { .. } => asked = None,
            Record::Decision { key, .. } => {
                if let Some(asked) = asked.as_mut().filter(|asked| asked.key == *key) {
                    asked.answered = true;
                }
            }
            _ => {}
        }
    }
    asked
}
