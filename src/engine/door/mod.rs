//! The one door, once a mode: execute (which replays what is recorded first), preview, and a probe's read-only door.

mod attempt;
pub mod execute;
pub mod lanes;
mod ledger;
pub mod preview;
pub mod probe;
pub mod settle;
