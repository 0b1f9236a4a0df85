//! The one door: everything a runbook reads or changes passes here.

use std::sync::Arc;

use super::Value;
use super::action::Action;
use super::fault::Stop;

/// One iteration of `flow::each`.
pub type LaneBody<'a> = dyn Fn(usize, Arc<dyn Host>) -> Result<Value, Stop> + Sync + 'a;

/// How `flow::each` runs its lanes.
#[derive(Clone, Debug, PartialEq)]
pub struct Lanes {
    /// A key an item, unique: it names the item's lane in the journal.
    pub keys: Vec<String>,
    /// How many lanes run at once.
    pub at_once: usize,
    /// How many lanes may start in a second, if limited.
    pub rate: Option<f64>,
}

/// The one door between a runbook and the world.
///
/// The engine implements it once a mode: execute, replay, preview. Calls block; an implementation belongs to one lane.
pub trait Host: Send + Sync {
    /// Reads or changes the world once, or answers from the journal, or says what would happen.
    fn perform(&self, action: Action) -> Result<Value, Stop>;

    /// Runs `body` for each key, each in a lane of its own with a door of its own, and answers in the order of the keys.
    /// The first lane that stops ends the others before their next action.
    fn each(&self, lanes: &Lanes, body: &LaneBody<'_>) -> Result<Vec<Value>, Stop>;

    /// The parameters of the run, as an object.
    fn params(&self) -> &Value;

    /// The output of an earlier step; `None` if it has none yet.
    fn done(&self, step: &str) -> Option<Value>;

    /// How long an earlier step took, in seconds; `None` if it has not run.
    fn took(&self, step: &str) -> Option<Value>;

    /// The step that is being performed.
    fn step(&self) -> &str;

    /// Whether nothing may be changed and values may be unknown.
    fn previewing(&self) -> bool;
}
