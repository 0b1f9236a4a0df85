//! What goes wrong, in the three classes that decide what may be done next.

use serde::{Deserialize, Serialize};

use super::ids::ActionKey;

/// What a fault allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FaultClass {
    /// Nothing was changed and trying again may help: a serialisation failure, a refused connection.
    Retryable,
    /// Nothing was changed, or what was changed is known; trying again will not help.
    Fatal,
    /// It is not known whether the change was made: the connection broke after it was sent.
    Unknown,
}

/// A failed action, as plain data: it is journaled, and answered again on replay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// What the fault allows.
    pub class: FaultClass,
    /// A stable code that scripts and machines can match on: `sql.23505`, `command.exit`, `rows.contract`.
    pub code: String,
    /// What failed and why, in one sentence that fits behind "failed: ".
    pub message: String,
    /// More of it, such as a server's DETAIL or a command's last lines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// What to do next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Fault {
    /// A fault of any class.
    pub fn new(class: FaultClass, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { class, code: code.into(), message: message.into(), detail: None, hint: None }
    }

    /// A fault that trying again will not mend.
    pub fn fatal(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(FaultClass::Fatal, code, message)
    }

    /// A fault that trying again may mend.
    pub fn retryable(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(FaultClass::Retryable, code, message)
    }

    /// A fault after which it is not known whether the change was made.
    pub fn unknown(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(FaultClass::Unknown, code, message)
    }

    /// Adds what to do next.
    #[must_use]
    pub fn hinted(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds detail.
    #[must_use]
    pub fn detailed(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)?;
        if let Some(detail) = &self.detail {
            write!(f, " ({detail})")?;
        }
        Ok(())
    }
}

impl std::error::Error for Fault {}

/// Why the door did not answer with a value.
#[derive(Clone, Debug, PartialEq)]
pub enum Stop {
    /// The action failed. A script may catch this.
    Failed(Fault),
    /// The run cannot go on from here. A script cannot catch this.
    Halted(Halt),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Failed(fault)
    }
}

impl From<Halt> for Stop {
    fn from(halt: Halt) -> Self {
        Self::Halted(halt)
    }
}

impl Halt {
    /// Whether nothing is wrong: the run goes on when a person answers, or when it is resumed.
    pub fn is_a_pause(&self) -> bool {
        matches!(self, Self::Interrupted | Self::Waiting { .. })
    }
}

/// Why a run stops where it stands, whatever the script would like.
#[derive(Clone, Debug, PartialEq)]
pub enum Halt {
    /// A signal asked for it; the run resumes later.
    Interrupted,
    /// What the script asks now is not what it asked when this was recorded.
    Mismatch {
        /// Names both.
        message: String,
    },
    /// It is not known whether a change was made, and the world could not say.
    InDoubt {
        /// Its key, which `resolve` takes.
        key: ActionKey,
        /// The action in doubt.
        action: String,
        /// What is known, and what would settle it.
        why: String,
    },
    /// A person must act first.
    Waiting {
        /// The action that waits.
        key: ActionKey,
        /// The question or the instruction.
        question: String,
        /// Whether an approval is asked for, or work to be done by hand.
        manual: bool,
    },
    /// A gate did not pass.
    Gate {
        /// Name of the gate.
        name: String,
        /// True when it could not be verified, false when it failed.
        unverified: bool,
    },
    /// Something the step relies on no longer holds.
    HoldBroken {
        /// Name of the hold.
        name: String,
        /// The step that made it, to which the run goes back.
        step: String,
        /// What its function says of it; empty where that says no more than that it is so.
        why: String,
    },
    /// A preview came to something that is only known later.
    Unknowable {
        /// The step after which it is known.
        after: String,
    },
    /// Another engine took the run over.
    Fenced(String),
    /// The journal could not be written: without it nothing may be changed.
    Journal(String),
}

impl std::fmt::Display for Halt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Interrupted => f.write_str("interrupted"),
            Self::Mismatch { message } => f.write_str(message),
            Self::InDoubt { action, why, .. } => write!(f, "outcome unknown: {action}: {why}"),
            Self::Waiting { question, manual: true, .. } => write!(f, "waiting for work by hand: {question}"),
            Self::Waiting { question, manual: false, .. } => write!(f, "waiting for approval: {question}"),
            Self::Gate { name, unverified: true } => write!(f, "gate `{name}` could not be verified"),
            Self::Gate { name, unverified: false } => write!(f, "gate `{name}` failed"),
            Self::HoldBroken { name, step, .. } => {
                write!(f, "`{name}` no longer holds; step `{step}` must make it again")
            }
            Self::Unknowable { after } => write!(f, "depends on a value that is known after `{after}`"),
            Self::Fenced(who) => write!(f, "this run was taken over by {who}"),
            Self::Journal(why) => write!(f, "the journal cannot be written: {why}"),
        }
    }
}

impl std::fmt::Display for Stop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Failed(fault) => fault.fmt(f),
            Self::Halted(halt) => halt.fmt(f),
        }
    }
}
