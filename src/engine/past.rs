//! What effects may know of earlier runs: whether one is over, so that what it left behind may be swept.

use std::sync::Arc;

use super::state;
use crate::effects::{Past, Unfinished};
use crate::journal::store::Journal;

/// Entries that are read at once; each may have a megabyte.
const AT_ONCE: usize = 16;

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

    fn written(&self, see: &mut dyn FnMut(&str, &str)) -> Result<(), String> {
        for run in self.0.run_ids().map_err(|error| error.to_string())? {
            let mut after = 0;
            loop {
                let entries = self.0.raw(&run, after, AT_ONCE).map_err(|error| error.to_string())?;
                let Some(last) = entries.last() else { break };
                after = last.n;
                entries.iter().for_each(|entry| see(run.as_str(), &entry.text));
            }
        }
        Ok(())
    }
}
