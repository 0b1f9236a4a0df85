//! Names that people type: run ids and the keys of recorded actions.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The typable id of a run: the runbook's name and a number, as in `cutover-7`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(String);

impl RunId {
    /// The id of the `number`th run of `runbook`.
    pub fn new(runbook: &str, number: u64) -> Self {
        Self(format!("{runbook}-{number}"))
    }

    /// The id as it is typed.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of its runbook.
    pub fn runbook(&self) -> &str {
        self.0.rsplit_once('-').map_or(&self.0, |(runbook, _)| runbook)
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for RunId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let valid =
            text.rsplit_once('-').is_some_and(|(name, number)| !name.is_empty() && number.parse::<u64>().is_ok());
        if valid {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!("`{text}` is not a run id; a run id looks like `cutover-7`"))
        }
    }
}

/// Which closure of a step is being called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// `.when(|| …)`: whether the step applies at all.
    When,
    /// The step itself.
    Perform,
    /// `.undo(|made| …)`.
    Undo,
    /// `.cleanup(|made| …)`.
    Cleanup,
}

impl Phase {
    /// The word used in messages and in the journal.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::When => "when",
            Self::Perform => "perform",
            Self::Undo => "undo",
            Self::Cleanup => "cleanup",
        }
    }
}

/// Where in a run an action stands: the step's closure, the lane inside it, and the place in that lane.
///
/// The main lane's name is empty; a lane of `flow::each` is `each-number/item-key`, nested with `/`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ActionKey {
    /// Name of the step.
    pub step: String,
    /// The step's closure.
    pub phase: Phase,
    /// The lane, empty for the main one.
    pub lane: String,
    /// Counted from 1 within the lane.
    pub seq: u64,
}

impl fmt::Display for ActionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.step)?;
        if self.phase != Phase::Perform {
            write!(f, ".{}", self.phase.as_str())?;
        }
        if !self.lane.is_empty() {
            write!(f, "[{}]", self.lane)?;
        }
        write!(f, "#{}", self.seq)
    }
}
