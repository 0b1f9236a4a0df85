//! A loaded runbook as the engine sees it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Value;
use super::declaration::Declaration;
use super::fault::Stop;
use super::host::Host;
use super::ids::Phase;

/// A place in a runbook or template.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Location {
    /// File, relative to the project.
    pub file: String,
    /// Counted from 1; 0 where unknown.
    pub line: usize,
    /// Counted from 1, in characters; 0 where unknown.
    pub column: usize,
}

impl std::fmt::Display for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// Why a closure ended without a value, and where.
#[derive(Clone, Debug, PartialEq)]
pub struct ScriptError {
    /// What happened.
    pub stop: Stop,
    /// The source with the place marked and the chain of calls, ready to be shown; empty where no place is known.
    pub shown: String,
}

/// A loaded runbook. Making one does nothing to the world; calling it acts only through the [`Host`].
///
/// Every call blocks and runs on the caller's thread, which must not be one of the runtime's workers.
pub trait Script: Send + Sync {
    /// What it declares.
    fn declaration(&self) -> &Declaration;

    /// Calls one closure of the step at `index`. `made` is what an undo or a cleanup is given.
    fn call(
        &self,
        index: usize,
        phase: Phase,
        made: Option<&Value>,
        host: Arc<dyn Host>,
    ) -> Result<Value, Box<ScriptError>>;

    /// Calls a function of the runbook by name: a probe or the proof of a hold.
    fn function(&self, name: &str, args: &[Value], host: Arc<dyn Host>) -> Result<Value, Box<ScriptError>>;
}
