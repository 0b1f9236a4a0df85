//! The requests of `github::…`: what a repository says about its pull requests.

use serde::{Deserialize, Serialize};

use super::Request;

/// `github::pulls`: the state of pull requests, by number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GithubPulls {
    /// Their numbers, ascending, each once.
    pub numbers: Vec<u64>,
}

impl Request for GithubPulls {
    const WORD: &'static str = "github::pulls";
}

/// What is known of a pull request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PullState {
    /// It is open.
    Open,
    /// It was closed without being merged.
    Closed,
    /// It was merged.
    Merged,
    /// The repository can be read and has none of that number.
    Missing,
    /// Nobody can tell.
    Unknown,
}

/// A pull request as `github::pulls` answers it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pull {
    /// What is known of it.
    pub state: PullState,
    /// When it was closed or merged, RFC 3339.
    pub closed_at: Option<String>,
    /// Why nobody can tell.
    pub why: Option<String>,
}

impl Pull {
    /// One that nobody can tell about.
    pub fn unknown(why: impl Into<String>) -> Self {
        Self { state: PullState::Unknown, closed_at: None, why: Some(why.into()) }
    }
}
