//! What was proved, and what a run came to.

use serde::{Deserialize, Serialize};

/// The verdict of a check or a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CheckVerdict {
    /// Proved.
    Pass,
    /// Disproved.
    Fail,
    /// Neither: never counted as a pass.
    CouldNotVerify,
}

impl CheckVerdict {
    /// As people read it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::CouldNotVerify => "could not verify",
        }
    }
}

/// A recorded check or gate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// What was checked.
    pub name: String,
    /// How it came out.
    pub verdict: CheckVerdict,
    /// The figures behind it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// Whether a run stops when it does not pass.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub gate: bool,
    /// Gaps that the author tolerates by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accepted: Vec<String>,
}

impl Check {
    /// Whether it could not be verified and its author tolerates just that, by its name: it then turns nothing red.
    pub fn tolerated(&self) -> bool {
        self.verdict == CheckVerdict::CouldNotVerify && self.accepted.contains(&self.name)
    }

    /// Whether a run may go on past it when it is a gate.
    pub fn passable(&self) -> bool {
        self.verdict == CheckVerdict::Pass || self.tolerated()
    }
}

/// What a command came to; each has its exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Done, every check passed.
    Pass,
    /// A step failed; what was done is known.
    Failed,
    /// Refused before the first action.
    Refused,
    /// A check or gate failed.
    Fail,
    /// A check could not be verified.
    CouldNotVerify,
    /// Waiting for an approval or a manual step.
    Waiting,
    /// The outcome of an action is unknown.
    Unknown,
    /// Another unfinished run has the lock.
    Locked,
    /// The plan no longer matches the world.
    Drifted,
    /// Stopped by a signal; resumable.
    Interrupted,
}

impl Verdict {
    /// The process's exit code.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Pass => 0,
            Self::Failed => 1,
            Self::Refused => 2,
            Self::Fail => 3,
            Self::CouldNotVerify => 4,
            Self::Waiting => 5,
            Self::Unknown => 6,
            Self::Locked => 7,
            Self::Drifted => 8,
            Self::Interrupted => 130,
        }
    }

    /// As written in reports and `--json`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Failed => "failed",
            Self::Refused => "refused",
            Self::Fail => "fail",
            Self::CouldNotVerify => "could-not-verify",
            Self::Waiting => "waiting",
            Self::Unknown => "unknown",
            Self::Locked => "locked",
            Self::Drifted => "drifted",
            Self::Interrupted => "interrupted",
        }
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
