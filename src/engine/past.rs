//! What effects may know of earlier runs: whether one is over, so that what it left behind may be swept.

use std::sync::Arc;

use super::state;
use crate::effects::Past;
use crate::journal::store::Journal;

/// The runs of a journal.
pub struct JournaledPast(pub Arc<dyn Journal>);

impl Past for JournaledPast {
    fn finished(&self, run: &str, stamp: &str) -> Option<bool> {
        let run = run.parse().ok()?;
        let story = self.0.story(&run).ok()?;
        // Another project's run may have the same id.
        (state::stamp(story.first()?) == stamp).then_some(())?;
        Some(self.0.summary(&run).ok()?.state.finished())
    }
}
