//! Every form an entry takes, and who writes it.
//!
//! | record | written by | means |
//! |---|---|---|
//! | `run_started` | `run` | the exact text, parameters and targets of the run |
//! | `run_resumed` | `resume`, `undo`, `abandon` | another process goes on; from here its lease counts |
//! | `step_started` | the driver | a closure of a step begins |
//! | `step_ended` | the driver | it ended: with an output, skipped, or failed |
//! | `step_reset` | the driver | a hold broke: the step and all after it are to be performed anew |
//! | `started` | effects, through the door | an effect holds something (a backend, a process group) that must be gone before it is redone |
//! | `intent` | the door | a change is about to be made; durable before it is |
//! | `outcome` | the door | what a read or a change came to |
//! | `decision` | `approve`, `resolve` | a person's answer to an action |
//! | `sealed` | effects, through the door | a secret that the run needs again, readable by whoever has the key |
//! | `note` | anyone | a warning worth keeping |
//! | `unwinding` | `undo`, `abandon` | from here the run only goes back |
//! | `run_ended` | the driver | the run's last state and verdict, or that it waits |

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::model::Value;
use crate::model::action::{Recovery, Resource};
use crate::model::fault::Fault;
use crate::model::identity::Identity;
use crate::model::ids::{ActionKey, Phase, RunId};
use crate::model::param::ParamKind;
use crate::model::verdict::{Check, Verdict};

/// Version of the entries' format. It grows when an older binary would misread a newer entry.
pub const FORMAT: u32 = 1;

/// One entry as it lies in the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The run it belongs to.
    pub run: RunId,
    /// Its place in the run, counted from 1.
    pub n: u64,
    /// When it was written, by the clock of the host that wrote it.
    pub at: DateTime<Utc>,
    /// Digest of the entry before it; of a run's first entry, the head of the project's previous run, or empty.
    pub previous: String,
    /// What it says.
    #[serde(flatten)]
    pub record: Record,
}

/// What an entry says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Record {
    /// The exact text, parameters and targets of the run.
    RunStarted(Box<RunStarted>),
    /// Another process goes on with the run.
    RunResumed {
        /// Who and where.
        by: Actor,
        /// What for: `resume`, `undo`, `abandon`.
        command: String,
    },
    /// A closure of a step begins.
    StepStarted {
        /// The step.
        step: String,
        /// The closure.
        phase: Phase,
    },
    /// A closure of a step ended.
    StepEnded {
        /// The step.
        step: String,
        /// The closure.
        phase: Phase,
        /// How.
        end: StepEnd,
        /// From its first start to its end less the time nobody ran it, in milliseconds.
        took_ms: u64,
    },
    /// A hold broke: this step and all after it are to be performed anew.
    StepReset {
        /// The step that made the hold.
        step: String,
        /// Name of the hold.
        hold: String,
        /// What was wrong, if its function said it.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        why: String,
    },
    /// An effect holds something that must be gone before the action is redone.
    Started {
        /// The action.
        key: ActionKey,
        /// Counted from 1.
        attempt: u32,
        /// What it holds, in the effect's own shape.
        holds: Value,
    },
    /// A change is about to be made.
    Intent {
        /// The action.
        key: ActionKey,
        /// Counted from 1.
        attempt: u32,
        /// The word.
        word: String,
        /// One line for people.
        title: String,
        /// Digest of word and request.
        fingerprint: String,
        /// The request.
        request: Value,
        /// What a crash asks for.
        class: Recovery,
        /// What it changes.
        writes: Vec<Resource>,
        /// The runbook's function that can say whether it was done.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        probe: Option<String>,
        /// What the effect needs to find out later whether it was done, in the effect's own shape.
        #[serde(default, skip_serializing_if = "Value::is_null")]
        proof: Value,
    },
    /// What a read or a change came to.
    Outcome {
        /// The action.
        key: ActionKey,
        /// Counted from 1.
        attempt: u32,
        /// The word.
        word: String,
        /// One line for people.
        title: String,
        /// Digest of word and request.
        fingerprint: String,
        /// The request of a read, which has no intent of its own.
        #[serde(default, skip_serializing_if = "Value::is_null")]
        request: Value,
        /// What it came to.
        outcome: Outcome,
        /// How long it took, in milliseconds.
        took_ms: u64,
        /// Rows read or changed, where that means something.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rows: Option<u64>,
    },
    /// A person's answer to an action.
    Decision {
        /// The action.
        key: ActionKey,
        /// Who and where.
        by: Actor,
        /// The answer.
        answer: Answer,
        /// Why, in that person's words.
        why: String,
    },
    /// A secret that the run needs again after a restart.
    Sealed {
        /// Its name, as in its handle.
        name: String,
        /// Its value, encrypted and armored by age.
        text: String,
    },
    /// A warning worth keeping.
    Note {
        /// What it says.
        text: String,
    },
    /// From here the run only goes back.
    Unwinding {
        /// `undo` or `abandon`.
        command: String,
        /// Why.
        why: String,
    },
    /// The run's last state and verdict, or that it waits.
    RunEnded {
        /// The state.
        state: RunState,
        /// The verdict.
        verdict: Verdict,
        /// In one sentence, if not done.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        why: String,
        /// The action that a person must answer, if the run waits for one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<ActionKey>,
    },
}

/// The exact text, parameters and targets of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunStarted {
    /// Version of the entries' format.
    pub format: u32,
    /// Version of the program.
    pub program: String,
    /// Name of the runbook.
    pub runbook: String,
    /// Its version.
    pub version: String,
    /// Digest of all its text.
    pub digest: String,
    /// Path of the runbook's own file within `files`.
    pub main: String,
    /// The text of runbook, imports and templates, by path.
    pub files: BTreeMap<String, String>,
    /// Revision of the project's git checkout, with `+` behind it if it was dirty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub git: Option<String>,
    /// Parameters, secrets as handles.
    pub params: Value,
    /// What each of them is, by which it is shown as people typed it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub kinds: BTreeMap<String, ParamKind>,
    /// Where each secret parameter comes from (`env:VAR`, `file:PATH`) and its keyed fingerprint.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, SecretSource>,
    /// The targets it was started with, by the name the runbook uses.
    pub targets: BTreeMap<String, TargetSeen>,
    /// Identity keys of the targets that it keeps locked until it ends.
    pub locks: Vec<String>,
    /// Name of the environment, if one was chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// Digest of the plan it was started from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// Who and where.
    pub by: Actor,
}

/// Where a secret parameter came from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SecretSource {
    /// `env:VAR`, `file:PATH`, or `asked` for one typed at a terminal.
    pub from: String,
    /// Keyed fingerprint of the value.
    pub fingerprint: String,
}

/// A target as it was when the run started.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TargetSeen {
    /// What people call it.
    pub label: String,
    /// Which database it really was.
    pub identity: Identity,
}

/// Who wrote, from where.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Actor {
    /// Login name of the operator.
    pub user: String,
    /// Name of the host.
    pub host: String,
    /// Process id on that host.
    pub pid: u32,
}

impl std::fmt::Display for Actor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} on {} (process {})", self.user, self.host, self.pid)
    }
}

/// How a closure of a step ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum StepEnd {
    /// With an output.
    Done {
        /// What the closure answered.
        output: Value,
        /// The checks it recorded, so that a run's verdict needs no walk over its actions.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        checks: Vec<Check>,
    },
    /// Its `.when` said no.
    Skipped,
    /// With a fault that its script did not catch.
    Failed {
        /// The fault.
        fault: Fault,
    },
}

/// What an action came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum Outcome {
    /// Done, with an answer.
    Done {
        /// The answer.
        value: Value,
    },
    /// Failed; what was changed is known.
    Failed {
        /// The fault.
        fault: Fault,
    },
    /// Nobody knows.
    Unknown {
        /// What is known of it.
        why: String,
    },
}

/// A person's answer to an action.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum Answer {
    /// Yes, or the work is done.
    Approved,
    /// No.
    Rejected,
    /// The action in doubt was done, with this answer.
    Done {
        /// What the script shall see.
        output: Value,
    },
    /// The action in doubt was not done; it may be done now.
    NotDone,
}

/// The state of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunState {
    /// Its process is at work.
    Running,
    /// Its process is gone; the run resumes.
    Interrupted,
    /// A person must act first.
    Waiting,
    /// It ended.
    Done,
    /// It was taken back.
    Undone,
    /// It was given up and cleaned up.
    Abandoned,
}

impl RunState {
    /// Whether the run will not go on: it keeps no lock.
    pub fn finished(self) -> bool {
        matches!(self, Self::Done | Self::Undone | Self::Abandoned)
    }

    /// As people read it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Interrupted => "interrupted",
            Self::Waiting => "waiting",
            Self::Done => "done",
            Self::Undone => "undone",
            Self::Abandoned => "abandoned",
        }
    }
}

impl Record {
    /// The action it belongs to, if it belongs to one.
    pub fn key(&self) -> Option<&ActionKey> {
        match self {
            Self::Started { key, .. }
            | Self::Intent { key, .. }
            | Self::Outcome { key, .. }
            | Self::Decision { key, .. } => Some(key),
            _ => None,
        }
    }

    /// Whether it is one of the many: a record of an action, which replay reads lane by lane.
    /// All others are few, and a run's story is told by them.
    pub fn is_of_action(&self) -> bool {
        matches!(self, Self::Started { .. } | Self::Intent { .. } | Self::Outcome { .. })
    }
}
