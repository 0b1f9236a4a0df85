//! How a run ended, for people and as the one JSON object that ends `run --json`.

use serde::Serialize;

use crate::cli::out::Out;
use crate::engine::context::Run;
use crate::engine::drive::Ending;
use crate::engine::unwind;
use crate::journal::entry::{Record, RunState, StepEnd};
use crate::model::fault::Fault;
use crate::model::figures::millis;
use crate::model::ids::{Phase, RunId};
use crate::model::verdict::{Check, Verdict};

/// What is said last.
#[derive(Clone, Serialize)]
pub struct Closing {
    run: RunId,
    runbook: String,
    version: String,
    state: RunState,
    verdict: Verdict,
    #[serde(skip_serializing_if = "String::is_empty")]
    why: String,
    steps: Vec<ClosingStep>,
    checks: Vec<Check>,
    took_ms: u64,
    journal_head: String,
    next: Option<String>,
}

#[derive(Clone, Serialize)]
struct ClosingStep {
    name: String,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    took_ms: Option<u64>,
}

impl Closing {
    /// Gathers it from the run's story.
    pub fn of(run: &Run, ending: &Ending, took_ms: u64) -> Self {
        let started = &run.state.started;
        let story = run.engine.journal.story(&run.lease.run).unwrap_or_default();
        let steps = run.script.declaration().steps.iter().map(|spec| {
            let mut step = ClosingStep { name: spec.name.clone(), state: "not started", took_ms: None };
            for entry in &story {
                match &entry.record {
                    Record::StepStarted { step: name, phase: Phase::Perform } if *name == spec.name => {
                        step.state = "interrupted"
                    }
                    Record::StepEnded { step: name, phase: Phase::Perform, end, took_ms } if *name == spec.name => {
                        step.state = match end {
                            StepEnd::Done { .. } => "done",
                            StepEnd::Skipped => "skipped",
                            StepEnd::Failed { .. } => "failed",
                        };
                        step.took_ms = Some(*took_ms);
                    }
                    Record::StepEnded { step: name, phase: Phase::Undo, end: StepEnd::Done { .. }, .. }
                        if *name == spec.name =>
                    {
                        step.state = "undone";
                    }
                    Record::StepEnded { step: name, phase: Phase::When, end: StepEnd::Done { output, .. }, .. }
                        if *name == spec.name && output == &serde_json::Value::Bool(false) =>
                    {
                        step.state = "skipped";
                    }
                    _ => {}
                }
            }
            step
        });
        Self {
            run: run.lease.run.clone(),
            runbook: started.runbook.clone(),
            version: started.version.clone(),
            state: ending.state,
            verdict: ending.verdict,
            why: ending.why.clone(),
            steps: steps.collect(),
            checks: ending.checks.clone(),
            took_ms,
            journal_head: ending.head.clone(),
            next: next_after(&run.lease.run, ending),
        }
    }

    /// Says it.
    pub fn print(&self, out: &Out, ending: &Ending) {
        let next = self.next.as_deref().map(|next| out.carried(next));
        if out.json {
            out.json(&Self { next, ..self.clone() });
        }
        if !ending.shown.is_empty() {
            out.talk(&ending.shown);
        }
        let help = |text: &str| out.talk(&format!("{} {text}", out.paint("1;36", "help:")));
        if let Some(fault) = &ending.fault {
            // The picture of the place may have said it already.
            if let Some(detail) = fault.detail.as_ref().filter(|detail| !ending.shown.contains(*detail)) {
                out.talk(detail);
            }
            if let Some(hint) = fault.hint.as_ref().filter(|hint| !ending.shown.contains(*hint)) {
                help(hint);
            }
            if wants_editor(fault) {
                help("a run keeps the text that it began with: give it up, mend the runbook, give it a new version");
            }
        }
        let mendable =
            !ending.fault.as_ref().is_some_and(|fault| wants_editor(fault) || fault.code == unwind::TOO_LATE);
        if mendable && self.verdict == Verdict::Failed && self.state == RunState::Interrupted {
            help(&format!(
                "resume tries again, with the text and the parameters that the run was started with; to change either, first \
                 `runsheet undo {run}` or `runsheet abandon {run} --why …`",
                run = self.run
            ));
        }
        let (style, word) = match (self.verdict, self.state) {
            (Verdict::Pass, RunState::Undone | RunState::Abandoned) => ("1;33", self.state.as_str()),
            (Verdict::Pass, _) => ("1;32", self.verdict.as_str()),
            (Verdict::Waiting | Verdict::Interrupted, _) => ("1;33", self.verdict.as_str()),
            _ => ("1;31", self.verdict.as_str()),
        };
        // A failed or stopped step has said it, just above; what only turns the run around has not.
        let step = |step: &String| self.steps.iter().any(|known| known.name == *step);
        let said = ending.step.as_ref().is_some_and(step) || word == self.state.as_str();
        let why = if self.why.is_empty() || said { String::new() } else { format!(" ({})", self.why) };
        let took = millis(self.took_ms);
        out.talk(&format!("{} {} in {took}{why}", self.run, out.paint(style, word)));
        if !self.journal_head.is_empty() {
            out.talk(&out.paint("2", &format!("journal head {}", self.journal_head)));
        }
        if let Some(next) = &self.next {
            out.next(next);
        }
    }
}

/// The command that a person wants next; none after a pass.
fn next_after(run: &RunId, ending: &Ending) -> Option<String> {
    match (ending.verdict, ending.state) {
        (Verdict::Pass, _) => None,
        (Verdict::Waiting, _) => Some(format!("runsheet approve {run}")),
        (Verdict::Unknown, _) => Some(format!("runsheet resolve {run} --as \"done or not-done\" --why \"…\"")),
        (_, RunState::Done | RunState::Undone | RunState::Abandoned) => Some(format!("runsheet report {run}")),
        (Verdict::Locked, _) => Some(format!("runsheet report {run}")),
        _ if ending.fault.as_ref().is_some_and(wants_editor) => {
            Some(format!("runsheet abandon {run} --why \"mistake in the runbook\""))
        }
        _ => Some(format!("runsheet resume {run}")),
    }
}

/// Whether a fault is a mistake in the runbook's text, which no resume mends.
fn wants_editor(fault: &Fault) -> bool {
    matches!(fault.code.as_str(), "script.misuse" | "script.error" | "template" | "sql.side-effect")
}
