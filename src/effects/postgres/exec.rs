//! `sql::exec`.
use super::Postgres;
use crate::effects::{Done, Doubt, Ledger, Resolution, Ticket};
use crate::model::action::Action;
use crate::model::fault::Fault;
/// Performs.
pub async fn perform(_: &Postgres, _: &Action, _: &Ticket, _: &dyn Ledger) -> Result<Done, Fault> {
    Err(Fault::fatal("action.word", "this word cannot be performed yet"))
}
/// Resolves.
pub async fn resolve(_: &Postgres, _: &Action, _: &Ticket, _: &Doubt) -> Result<Resolution, Fault> {
    Err(Fault::fatal("action.word", "this word cannot be performed yet"))
}
