//! What a run came to, from its checks.

use crate::model::verdict::{Check, CheckVerdict, Verdict};

/// The verdict of a run that was performed to its end.
pub fn of_checks(checks: &[Check]) -> Verdict {
    if checks.iter().any(|check| check.verdict == CheckVerdict::Fail) {
        Verdict::Fail
    } else if checks.iter().any(|check| !check.passable()) {
        Verdict::CouldNotVerify
    } else {
        Verdict::Pass
    }
}
