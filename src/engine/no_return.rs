//! The point of no return: whether a run has come past one.

use super::context::step_names;
use super::state::State;
use crate::journal::entry::Record;
use crate::journal::store::{Journal, JournalError};
use crate::model::ids::{Phase, RunId};
use crate::model::script::Script;

/// The step past whose point of no return a run has come, and why there is no way back: once the intent of a change
/// in it was written, or it ended well. A step that failed before it changed anything is no reason to forbid the way back.
pub fn passed(
    journal: &dyn Journal,
    run: &RunId,
    script: &dyn Script,
) -> Result<Option<(String, String)>, JournalError> {
    let Some(state) = State::of(&journal.story(run)?, &step_names(script)) else { return Ok(None) };
    for spec in &script.declaration().steps {
        let Some(why) = &spec.point_of_no_return else { continue };
        if state.output(&spec.name).is_some() || intended(journal, run, &spec.name)? {
            return Ok(Some((spec.name.clone(), why.clone())));
        }
    }
    Ok(None)
}

/// Whether the intent of any change in a step was ever written.
fn intended(journal: &dyn Journal, run: &RunId, step: &str) -> Result<bool, JournalError> {
    const PAGE: usize = 512;
    for lane in journal.lanes(run, step, Phase::Perform, "", 0)? {
        let mut after = 0;
        loop {
            let page = journal.lane(run, step, Phase::Perform, &lane, after, PAGE)?;
            if page.iter().any(|entry| matches!(entry.record, Record::Intent { .. })) {
                return Ok(true);
            }
            match page.last() {
                Some(last) if page.len() == PAGE => after = last.n,
                _ => break,
            }
        }
    }
    Ok(false)
}
