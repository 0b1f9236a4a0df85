//! The point of no return: whether a run has come past one.

use super::context::step_names;
use super::state::State;
use super::touched;
use crate::journal::store::{Journal, JournalError};
use crate::model::ids::RunId;
use crate::model::script::Script;

/// The step past whose point of no return a run has come, and why there is no way back: once it ended well, or a change in
/// it was made or may have been. One that was cut off counts when it is settled; a step that failed before it changed
/// anything is no reason to forbid the way back.
pub fn passed(
    journal: &dyn Journal,
    run: &RunId,
    script: &dyn Script,
) -> Result<Option<(String, String)>, JournalError> {
    let Some(state) = State::of(&journal.story(run)?, &step_names(script)) else { return Ok(None) };
    for spec in &script.declaration().steps {
        let Some(why) = &spec.point_of_no_return else { continue };
        let touched = touched::by(journal, run, &state, &spec.name, state.output(&spec.name))?;
        if touched.is_some_and(|touched| touched.changed) {
            return Ok(Some((spec.name.clone(), why.clone())));
        }
    }
    Ok(None)
}
