//! Sentences and figures that both renderings share.

use chrono::{DateTime, Utc};

use super::{Param, Report, Tally};
use crate::journal::entry::RunState;
use crate::model::Value;
use crate::model::figures::millis;
use crate::model::verdict::Verdict;

/// Longest value of a parameter that is shown, in characters.
const LONGEST: usize = 200;

/// The verdict in one word, or the state of a run that has none.
pub(super) fn headline(report: &Report) -> String {
    match (report.verdict, report.state) {
        (Some(Verdict::Pass), state @ (RunState::Undone | RunState::Abandoned)) => state.as_str().to_uppercase(),
        (Some(verdict), RunState::Done) => verdict.as_str().to_uppercase(),
        (Some(verdict), state) => format!("{} ({})", verdict.as_str().to_uppercase(), state.as_str()),
        (None, RunState::Running) => "NOT ENDED".into(),
        (None, state) => state.as_str().to_uppercase(),
    }
}

/// What that means to somebody who does not know the program.
pub(super) fn meaning(report: &Report) -> String {
    let sentence = match report.verdict {
        Some(Verdict::Pass) if report.state == RunState::Undone => {
            "The run was taken back: what its steps can undo is undone, and it was cleaned up."
        }
        Some(Verdict::Pass) if report.state == RunState::Abandoned => {
            "The run was given up: it was cleaned up, and what its steps had changed is still so."
        }
        Some(Verdict::Pass) => "Every step was performed and every check passed.",
        Some(Verdict::Failed) => "A step failed. What was changed until then is known and listed below.",
        Some(Verdict::Refused) => "The run was refused before it changed anything.",
        Some(Verdict::Fail) => "A check did not hold.",
        Some(Verdict::CouldNotVerify) => {
            "A check could be neither proved nor disproved; this does not count as a pass."
        }
        Some(Verdict::Waiting) => "The run waits for a person.",
        Some(Verdict::Unknown) => "Of at least one change nobody knows whether it was made; see the doubts below.",
        Some(Verdict::Locked) => "Another unfinished run held the lock.",
        Some(Verdict::Drifted) => "The world was no longer as the approved plan had found it.",
        Some(Verdict::Interrupted) => "The run was interrupted and can be resumed.",
        None => "The journal holds no end of this run: it is at work, or its process was killed and it can be resumed.",
    };
    let taken_back = matches!(report.state, RunState::Undone | RunState::Abandoned);
    let why = match report.why.is_empty() || taken_back && report.verdict == Some(Verdict::Pass) {
        true => String::new(),
        false => format!(" Reason: {}", report.why),
    };
    format!("{sentence}{why}")
}

/// `3 passed, 1 failed, 0 could not be verified`; no checks at all prove nothing, and that is said.
fn tally(report: &Report) -> String {
    let Tally { passed, failed, unverified } = report.tally;
    match report.checks.total {
        0 => "none: this run proved nothing by itself".into(),
        _ => format!("{passed} passed, {failed} failed, {unverified} could not be verified"),
    }
}

/// A parameter's value and, of a secret, where it came from.
pub(super) fn value(param: &Param) -> String {
    let mut shown = match (&param.kind, &param.value) {
        (Some(kind), value) => kind.show(value),
        (None, Value::String(text)) => text.clone(),
        (None, other) => other.to_string(),
    };
    if let Some((end, _)) = shown.char_indices().nth(LONGEST) {
        shown.truncate(end);
        shown.push('…');
    }
    match (&param.from, &param.fingerprint) {
        (Some(from), Some(fingerprint)) => format!("{shown} from {from}, fingerprint {fingerprint}"),
        _ => shown,
    }
}

/// Rows of a table, or that there is none.
pub(super) fn rows(rows: Option<u64>) -> String {
    rows.map_or_else(|| "missing".to_owned(), |rows| rows.to_string())
}

/// A moment, to the second, in UTC.
pub(super) fn moment(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// Text on one line, without characters that move a terminal's cursor.
pub(super) fn line(text: &str) -> String {
    text.split(|c: char| c.is_control()).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Label and value of each fact about the run as a whole.
pub(super) fn facts(report: &Report) -> Vec<(&'static str, String)> {
    let ended = match report.ended_at {
        Some(at) => format!("{} (took {})", moment(at), millis(report.took_ms)),
        None => format!("not yet; newest entry {} after the start", millis(report.took_ms)),
    };
    let mut facts = vec![
        ("Runbook", format!("{} version {}, digest {}", report.runbook, report.version, report.digest)),
        ("Started", moment(report.started_at)),
        ("Ended", ended),
    ];
    facts.extend(report.git.iter().map(|git| ("Git revision", git.clone())));
    facts.extend(report.environment.iter().map(|name| ("Environment", name.clone())));
    facts.extend(report.plan.iter().map(|plan| ("Approved plan", plan.clone())));
    facts.push(("Checks", tally(report)));
    facts.push(("Changes", format!("{}; rows changed: {}", report.changes.total, report.rows_changed)));
    facts.push(("Reads", report.reads.to_string()));
    facts.push(("Program", format!("runsheet {}", report.program)));
    facts
}
