//! What a preview can say of one action, and how it came to know.

use serde::{Deserialize, Serialize};

use super::Value;

/// How a line of a plan was got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Nothing was contacted.
    Rendered,
    /// The server checked names and types.
    Prepared,
    /// It was really read.
    Read,
    /// It was run in a transaction that was rolled back.
    Rehearsed,
}

impl Level {
    /// As people read it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rendered => "rendered",
            Self::Prepared => "prepared",
            Self::Read => "read",
            Self::Rehearsed => "rehearsed",
        }
    }
}

/// What effects say of an action without performing a change.
#[derive(Clone, Debug, PartialEq)]
pub struct Previewed {
    /// How it was got.
    pub level: Level,
    /// The value, if it was really read.
    pub value: Option<Value>,
    /// What one could run by hand: statements, a command line; secrets as `$NAME`.
    pub by_hand: Vec<String>,
    /// Why it could not be checked further, or what a reviewer should notice.
    pub notes: Vec<String>,
}
