//! What happens during a run, for whoever shows it.

use std::sync::Arc;

use super::fault::Fault;
use super::verdict::Check;

/// Something worth showing while a run goes on.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A step begins.
    StepStarted {
        /// Its name.
        step: String,
        /// Its place, counted from 1.
        number: usize,
        /// How many there are.
        of: usize,
    },
    /// A step was found done in the journal.
    StepReplayed {
        /// Its name.
        step: String,
    },
    /// A step did not apply.
    StepSkipped {
        /// Its name.
        step: String,
    },
    /// A step ended well.
    StepDone {
        /// Its name.
        step: String,
        /// Seconds.
        took: f64,
    },
    /// A step ended badly.
    StepFailed {
        /// Its name.
        step: String,
        /// In one sentence.
        why: String,
    },
    /// A step stopped without having failed: it waits, or was interrupted.
    StepStopped {
        /// Its name.
        step: String,
        /// In one sentence.
        why: String,
    },
    /// An undo or a cleanup begins.
    Unwinding {
        /// The step it belongs to.
        step: String,
        /// `undo` or `cleanup`.
        what: &'static str,
    },
    /// An action begins.
    ActionStarted {
        /// Its title.
        title: String,
        /// Its lane, empty for the main one.
        lane: String,
    },
    /// Progress inside an action.
    Progress {
        /// What is counted: `rows`, `bytes`, a table.
        what: String,
        /// So far.
        done: u64,
        /// In all, if known.
        of: Option<u64>,
    },
    /// An action failed and is tried again.
    Retrying {
        /// Its title.
        title: String,
        /// Why it failed.
        fault: Fault,
        /// Seconds until the next attempt.
        wait: f64,
    },
    /// The world was asked about an action in doubt.
    Resolved {
        /// Its title.
        title: String,
        /// What came of it.
        answer: String,
    },
    /// A check was recorded.
    Checked(Check),
    /// A line from the runbook.
    Log(String),
    /// Something people should know that stops nothing.
    Warning(String),
}

/// Takes events. Implementations must not block for long and must not fail.
pub trait Sink: Send + Sync {
    /// Shows or drops one event.
    fn event(&self, event: Event);
}

/// A sink shared by engine and effects.
pub type SharedSink = Arc<dyn Sink>;

/// A sink that shows nothing.
pub struct Silent;

impl Sink for Silent {
    fn event(&self, _: Event) {}
}
