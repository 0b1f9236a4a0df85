//! One read or one change of the world, as plain data.

use serde::{Deserialize, Serialize};

use super::digest;
use super::{Value, script::Location};

/// What is done after a crash about an action whose intent is written and whose outcome is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Recovery {
    /// It changes nothing: read again.
    Read,
    /// Doing it again comes to the same: do it again.
    Repeatable,
    /// The world can say whether it was done: ask, then do it or skip it.
    Provable,
    /// Nobody but a person can say: stop with *outcome unknown*.
    Ask,
}

/// Something that actions read and write, as a path: `postgres/TARGET`, `postgres/TARGET/shared`, `file/PATH`, `clock`.
///
/// Two resources meet when one path is a prefix of the other. A target is named here as the runbook names it;
/// the engine replaces the name by the target's identity, so that two names of one database meet.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Resource(String);

impl Resource {
    /// A resource of any kind, by its path.
    pub fn new(path: impl Into<String>) -> Self {
        Self(path.into())
    }

    /// The database of a target.
    pub fn database(target: &str) -> Self {
        Self(format!("postgres/{target}/db"))
    }

    /// What a target's whole server shares: roles, databases, settings, sessions.
    pub fn server(target: &str) -> Self {
        Self(format!("postgres/{target}/shared"))
    }

    /// What a target's server shares, as far as databases of a run's own are made and dropped there: the target's own
    /// database stays as it is.
    pub fn made_on(target: &str) -> Self {
        Self(format!("postgres/{target}:/shared"))
    }

    /// Everything: what an action writes of which nobody can say what it touches.
    pub fn world() -> Self {
        Self(String::new())
    }

    /// The target it belongs to, if it belongs to one.
    pub fn target(&self) -> Option<&str> {
        self.0.strip_prefix("postgres/")?.split('/').next()
    }

    /// The path.
    pub fn path(&self) -> &str {
        &self.0
    }

    /// Whether writing the one may change what reading the other sees.
    pub fn meets(&self, other: &Self) -> bool {
        let within = |outer: &str, inner: &str| {
            outer.is_empty() || inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        within(&self.0, &other.0) || within(&other.0, &self.0)
    }
}

/// One read or one change of the world.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Action {
    /// The word that built it, as authors write it: `sql::exec`.
    pub word: String,
    /// The word's request; its shape is one of [`super::request`].
    pub request: Value,
    /// One line for people: `insert into orders … on prod`.
    pub title: String,
    /// What a crash in the middle asks for.
    pub class: Recovery,
    /// What it reads.
    pub reads: Vec<Resource>,
    /// What it changes; empty for a read.
    pub writes: Vec<Resource>,
    /// Name of the runbook's function that can say whether it was done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe: Option<String>,
    /// The longest it may take, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<f64>,
    /// Where in the runbook it was asked for. Not part of what is compared on replay.
    #[serde(skip)]
    pub at: Option<Location>,
}

impl Action {
    /// A read of `reads`.
    pub fn read(word: &str, request: &impl Serialize, title: impl Into<String>, reads: Vec<Resource>) -> Self {
        Self {
            word: word.to_owned(),
            request: serde_json::to_value(request).unwrap_or_default(),
            title: title.into(),
            class: Recovery::Read,
            reads,
            writes: Vec::new(),
            probe: None,
            timeout: None,
            at: None,
        }
    }

    /// A change of `writes`, recovered as `class` says.
    pub fn change(
        word: &str,
        request: &impl Serialize,
        title: impl Into<String>,
        class: Recovery,
        writes: Vec<Resource>,
    ) -> Self {
        Self { class, writes, ..Self::read(word, request, title, Vec::new()) }
    }

    /// What is compared on replay: the word and what it was asked, nothing else.
    pub fn fingerprint(&self) -> String {
        // The canonical form of both as one list; what is a `Value` need not pass through another one to be sorted.
        let word = serde_json::to_string(&self.word).unwrap_or_default();
        digest::of_bytes(format!("[{word},{}]", digest::canonical_text(&self.request)).as_bytes())
    }
}
