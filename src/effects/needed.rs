//! Which branches unfinished runs of this project still need: those they were started on, and those they made.

use std::collections::BTreeMap;

use super::{Done, World};
use crate::model::action::Action;
use crate::model::fault::Fault;
use crate::model::request::Request;
use crate::model::request::needed::NeonNeeded;

/// Looks through the runs of the journal.
pub fn perform(world: &World, action: &Action) -> Result<Done, Fault> {
    let asked = NeonNeeded::of(action)?.branches;
    let runs = world.past.unfinished().map_err(|why| {
        Fault::fatal("neon.needed", format!("the unfinished runs of this project cannot be read: {why}"))
            .hinted("`runsheet audit verify` says what is wrong with the journal")
    })?;
    let mut needed = BTreeMap::new();
    for branch in asked {
        let holds = |on: &crate::model::identity::Identity| on.branch.as_ref().is_some_and(|it| it.branch == branch.id);
        for run in &runs {
            let why = match &branch.stamp {
                Some(stamp) if *stamp == run.stamp => format!("made by run {}, which is not over", run.run),
                _ if run.databases.iter().any(holds) => format!("run {}, which is not over, works on it", run.run),
                _ => continue,
            };
            needed.insert(branch.id, why);
            break;
        }
    }
    Ok(Done { value: serde_json::to_value(needed).unwrap_or_default(), rows: None })
}
