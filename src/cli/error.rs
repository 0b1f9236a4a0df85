//! Every error as the person at the terminal reads it: what failed, why, what to do.

use super::config::ConfigError;
use crate::engine::start::StartError;
use crate::journal::store::JournalError;
use crate::model::fault::Fault;
use crate::model::verdict::Verdict;
use crate::runbook::Diagnostic;

/// An error on its way to the terminal.
#[derive(Debug)]
pub struct CliError {
    /// Gives the exit code.
    pub verdict: Verdict,
    /// What failed and why.
    pub message: String,
    /// More of it, several lines perhaps; shown beneath.
    pub detail: String,
    /// What to do.
    pub hint: Option<String>,
    /// The next command; without one, a sensible one is chosen.
    pub next: Option<String>,
}

impl CliError {
    /// A refusal before anything was done.
    pub fn refused(message: impl Into<String>) -> Self {
        Self::new(Verdict::Refused, message)
    }

    /// An error of any verdict.
    pub fn new(verdict: Verdict, message: impl Into<String>) -> Self {
        Self { verdict, message: message.into(), detail: String::new(), hint: None, next: None }
    }

    /// Adds what to do.
    #[must_use]
    pub fn hinted(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds the next command.
    #[must_use]
    pub fn next(mut self, command: impl Into<String>) -> Self {
        self.next = Some(command.into());
        self
    }

    /// Findings in a runbook.
    pub fn findings(message: impl Into<String>, findings: &[Diagnostic], color: bool) -> Self {
        let shown: Vec<String> = findings.iter().map(|finding| finding.render(color)).collect();
        Self { detail: shown.join("\n\n"), ..Self::refused(message) }
    }
}

impl From<ConfigError> for CliError {
    fn from(error: ConfigError) -> Self {
        let hint = error.hint();
        let next = match &error {
            ConfigError::NoProject { .. } => "runsheet init".to_owned(),
            ConfigError::Environment { other: Some(other), .. } => format!("runsheet doctor -e {other}"),
            _ => "runsheet doctor".to_owned(),
        };
        Self { hint, ..Self::refused(error.to_string()).next(next) }
    }
}

impl From<JournalError> for CliError {
    fn from(error: JournalError) -> Self {
        let (verdict, next) = match &error {
            JournalError::NoSuchRun(_) => (Verdict::Refused, "runsheet runs"),
            JournalError::Fenced { .. } => (Verdict::Locked, "runsheet status"),
            JournalError::Damaged { .. } => (Verdict::Refused, "runsheet audit verify"),
            _ => (Verdict::Refused, "runsheet doctor"),
        };
        let mut shown = Self::new(verdict, error.to_string()).next(next);
        if matches!(error, JournalError::Damaged { .. }) {
            shown.hint = Some("put a good copy of the file back, or move it away: a new journal is begun then".into());
        }
        shown
    }
}

impl From<Fault> for CliError {
    fn from(fault: Fault) -> Self {
        let Fault { message, detail, hint, .. } = fault;
        Self { detail: detail.unwrap_or_default(), hint, ..Self::refused(message) }
    }
}

impl From<StartError> for CliError {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Locked { why, run: Some(run) } => Self::new(Verdict::Locked, why)
                .hinted(format!(
                    "finish it, take it back (`runsheet undo {run}`), or give it up (`runsheet abandon {run} --why …`)"
                ))
                .next(format!("runsheet resume {run}")),
            StartError::Locked { why, run: None } => Self::new(Verdict::Locked, why)
                .hinted("wait until it is done, or start with --if-locked wait=10m")
                .next("runsheet status"),
            StartError::Refused { why, hint } => {
                Self { hint: Some(hint).filter(|hint| !hint.is_empty()), ..Self::refused(why) }
            }
            StartError::Key { why, hint, next } => Self::refused(why).hinted(hint).next(next),
            StartError::Target(fault) => Self { next: Some("runsheet doctor".into()), ..Self::from(fault) },
            StartError::Journal(error) => error.into(),
            StartError::Interrupted => {
                Self::new(Verdict::Interrupted, "interrupted before anything was done").next("runsheet status")
            }
        }
    }
}
