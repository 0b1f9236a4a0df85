//! What a runbook declares before anything runs: its parameters and its steps.

use serde::{Deserialize, Serialize};

use super::param::ParamSpec;
use super::script::Location;

/// Everything that is known of a runbook without running it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Declaration {
    /// Name, as typed on the command line.
    pub name: String,
    /// Version; a run of one version never continues with the text of another.
    pub version: String,
    /// What it is for.
    pub about: String,
    /// Parameters, in declared order.
    pub params: Vec<ParamSpec>,
    /// Names of the target parameters that an unfinished run keeps locked. Without a list, all of them.
    pub lock: Vec<String>,
    /// What becomes of a run of which a step failed or a gate did not pass.
    #[serde(default)]
    pub on_failure: OnFailure,
    /// Whether it runs without a plan that somebody looked at.
    #[serde(default)]
    pub plan: PlanRule,
    /// Whether it runs without a key that seals its secrets.
    #[serde(default)]
    pub key: KeyRule,
    /// Steps, in order.
    pub steps: Vec<StepSpec>,
}

/// What becomes of a run of which a step failed or a gate did not pass. One that was interrupted can always be resumed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// It stays unfinished, to be resumed, undone or abandoned.
    #[default]
    Keep,
    /// It stays unfinished once it has begun to change anything; before that it is given up, and stands in nobody's way.
    KeepChanged,
    /// It is cleaned up and given up at once: nothing that it did is worth going on with.
    CleanUp,
}

/// Whether a run needs a plan that was made before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlanRule {
    /// It runs with a plan or without one.
    #[default]
    Optional,
    /// It is begun only by `run --plan FILE`: nothing is changed that a preview did not name.
    Required,
}

/// Whether a run needs a key with which its secrets are sealed in the journal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyRule {
    /// With a key its secrets outlive a restart; without one, a run that made any must be begun anew.
    #[default]
    Optional,
    /// Nothing is begun without one.
    Required,
}

impl Declaration {
    /// The step of that name and its place.
    pub fn step(&self, name: &str) -> Option<(usize, &StepSpec)> {
        self.steps.iter().enumerate().find(|(_, step)| step.name == name)
    }
}

/// One declared step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepSpec {
    /// Name, unique in the runbook.
    pub name: String,
    /// Whether it has a `.when(…)`.
    pub when: bool,
    /// Whether it can be taken back.
    pub undo: bool,
    /// Whether it leaves something to be cleaned up when the run ends.
    pub cleanup: bool,
    /// Why there is no way back from here on.
    pub point_of_no_return: Option<String>,
    /// How often and how soon its failed actions are tried again.
    pub retry: RetryPolicy,
    /// The longest the step may take, in seconds.
    pub timeout: Option<f64>,
    /// What must stay true from the end of this step on: each is proved again on every resume and before every later change.
    pub holds: Vec<HoldSpec>,
    /// Where it is declared.
    pub at: Location,
}

/// Something that a step makes and later steps rely on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HoldSpec {
    /// Name, as in messages.
    pub name: String,
    /// The runbook's function that proves it: it takes what the step made and answers true while it holds.
    pub probe: String,
}

/// How often a failed action of class retryable is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RetryPolicy {
    /// Attempts in all, the first included.
    pub attempts: u32,
    /// Seconds before the second attempt; doubled for each further one, one minute at most.
    pub wait: f64,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { attempts: 4, wait: 0.2 }
    }
}
