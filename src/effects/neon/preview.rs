//! What a plan says of the words: a read really reads, and a change is looked at as closely as nothing is changed by it.

use super::{Neon, branches, by_hand, create, endpoints, remove, restore};
use crate::model::action::{Action, Recovery};
use crate::model::fault::Fault;
use crate::model::preview::{Level, Previewed};
use crate::model::request::Request;
use crate::model::request::neon::{
    NeonCreateBranch, NeonDeleteBranch, NeonDisableEndpoint, NeonDropBranch, NeonResetPassword, NeonRestoreBranch,
    NeonSetHistory, NeonStartEndpoint, NeonSuspendEndpoint, NeonSweep, NeonUpdateBranch,
};
use crate::model::unknown;

/// Says what one of the words would do. Nothing is changed.
pub async fn preview(neon: &Neon<'_>, action: &Action) -> Result<Previewed, Fault> {
    let shown = Previewed { level: Level::Rendered, value: None, by_hand: by_hand(neon, action), notes: Vec::new() };
    if unknown::first_in(&action.request).is_some() {
        return Ok(shown);
    }
    if action.class == Recovery::Read {
        let value = super::read(neon, action).await?;
        return Ok(Previewed { level: Level::Read, value: Some(value), ..shown });
    }
    let api = neon.api();
    let (level, notes) = match action.word.as_str() {
        NeonCreateBranch::WORD => (Level::Prepared, create::foresee(neon, &NeonCreateBranch::of(action)?).await?),
        NeonSweep::WORD => (Level::Read, remove::foresee(neon, &NeonSweep::of(action)?).await?),
        // It comes from a list that was just read: to ask for a thousand of them once more would take minutes.
        NeonDeleteBranch::WORD => (Level::Rendered, Vec::new()),
        NeonRestoreBranch::WORD => (Level::Prepared, restore::foresee(neon, &NeonRestoreBranch::of(action)?).await?),
        NeonUpdateBranch::WORD => {
            let branch = NeonUpdateBranch::of(action)?.branch;
            // An id comes from a list that was just read.
            if branches::is_id(&branch) {
                (Level::Rendered, Vec::new())
            } else {
                neon.id_of(&branch).await?;
                (Level::Prepared, Vec::new())
            }
        }
        NeonResetPassword::WORD => {
            neon.id_of(&NeonResetPassword::of(action)?.branch).await?;
            (Level::Prepared, vec!["connections of that compute are cut off when it ends".to_owned()])
        }
        NeonSetHistory::WORD => {
            let before = super::project::history_seconds(api).await?;
            (Level::Read, before.map(|before| format!("it is {before} s now")).into_iter().collect())
        }
        NeonStartEndpoint::WORD | NeonSuspendEndpoint::WORD | NeonDisableEndpoint::WORD => {
            let id = action.request["endpoint"].as_str().unwrap_or_default();
            let now = endpoints::by_id(api, id, "looking at the compute").await?;
            (Level::Read, now.current_state.map(|state| format!("it is {state} now")).into_iter().collect())
        }
        NeonDropBranch::WORD => (Level::Rendered, vec!["only if this run made it".to_owned()]),
        _ => (Level::Rendered, Vec::new()),
    };
    Ok(Previewed { level, notes, ..shown })
}
