//! What can be found in a runbook without running it.

use super::diagnostic::Diagnostic;
use super::script::Runbook;

/// Errors and warnings of a loaded runbook.
pub fn lint(_: &Runbook) -> Vec<Diagnostic> {
    Vec::new()
}
