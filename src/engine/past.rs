//! What effects may know of earlier runs: whether one is over, so that what it left behind may be swept.

use std::sync::Arc;

use super::state;
use crate::effects::{Past, Unfinished};
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

    fn unfinished(&self) -> Result<Vec<Unfinished>, String> {
        let runs = self.0.unfinished().map_err(|error| error.to_string())?;
        let told = runs.into_iter().map(|summary| {
            let story = self.0.story(&summary.run).map_err(|error| error.to_string())?;
            Ok(Unfinished {
                run: summary.run.to_string(),
                stamp: story.first().map(state::stamp).unwrap_or_default(),
                databases: summary.started.targets.into_values().map(|seen| seen.identity).collect(),
            })
        });
        told.collect()
    }
}
