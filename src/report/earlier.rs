//! Earlier runs of the same runbook: when it last passed, and how long it usually takes.

use std::cmp::Reverse;

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::journal::entry::{Record, RunState, StepEnd};
use crate::journal::store::{Journal, JournalError, RunSummary};
use crate::model::figures::millis;
use crate::model::ids::{Phase, RunId};
use crate::model::verdict::Verdict;

/// Runs shown, newest first.
const SHOWN: usize = 5;

/// Steps shown of a run: those that took longest.
const STEPS: usize = 4;

/// An earlier run that came to its end.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EarlierLine {
    /// Its id.
    pub run: RunId,
    /// When it started.
    pub started_at: DateTime<Utc>,
    /// Its verdict.
    pub verdict: Option<Verdict>,
    /// From start to end, in milliseconds.
    pub took_ms: u64,
    /// The steps that took longest, in their order, with milliseconds.
    pub steps: Vec<(String, u64)>,
}

impl EarlierLine {
    /// `backup 12.0 s, restore 20.3 s`.
    pub(super) fn steps(&self) -> String {
        let shown: Vec<String> = self.steps.iter().map(|(step, ms)| format!("{step} {}", millis(*ms))).collect();
        shown.join(", ")
    }
}

/// The newest runs before this one that were performed to their end.
pub(super) fn earlier(journal: &dyn Journal, of: &RunSummary) -> Result<Vec<EarlierLine>, JournalError> {
    let mut found = Vec::new();
    let all = journal.run_ids()?;
    let before = all.iter().rev().skip_while(|run| **run != of.run).skip(1);
    for run in before.filter(|run| run.runbook() == of.started.runbook) {
        // What is damaged is for the audit to say; this report is of another run.
        let Ok(summary) = journal.summary(run) else { continue };
        if summary.state != RunState::Done {
            continue;
        }
        let Ok(story) = journal.story(run) else { continue };
        let steps = story.into_iter().filter_map(|entry| match entry.record {
            Record::StepEnded { step, phase: Phase::Perform, end: StepEnd::Done { .. }, took_ms } => {
                Some((step, took_ms))
            }
            _ => None,
        });
        found.push(EarlierLine {
            run: summary.run,
            started_at: summary.started_at,
            verdict: summary.verdict,
            took_ms: u64::try_from((summary.last_at - summary.started_at).num_milliseconds()).unwrap_or(0),
            steps: longest(steps.collect()),
        });
        if found.len() == SHOWN {
            break;
        }
    }
    Ok(found)
}

/// The longest steps, in the order in which they ran.
fn longest(steps: Vec<(String, u64)>) -> Vec<(String, u64)> {
    let mut ranked: Vec<(usize, (String, u64))> = steps.into_iter().enumerate().collect();
    ranked.sort_by_key(|(_, (_, ms))| Reverse(*ms));
    ranked.truncate(STEPS);
    ranked.sort_by_key(|(place, _)| *place);
    ranked.into_iter().map(|(_, step)| step).collect()
}
