//! `neon::needed`: which branches the unfinished runs of this project still need.

use serde::{Deserialize, Serialize};

use super::Request;

/// A branch as far as its makers matter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BranchMade {
    /// Its id.
    pub id: String,
    /// The stamp of the run that made it, if its annotation has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stamp: Option<String>,
}

/// `neon::needed`: answers a reason by branch id, for those that are needed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NeonNeeded {
    /// The branches in question.
    pub branches: Vec<BranchMade>,
}

impl Request for NeonNeeded {
    const WORD: &'static str = "neon::needed";
}
