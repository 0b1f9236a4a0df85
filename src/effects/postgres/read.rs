//! `sql::query`.
use super::Postgres;
use crate::effects::{Done, Ticket};
use crate::model::action::Action;
use crate::model::fault::Fault;
/// Reads.
pub async fn perform(_: &Postgres, _: &Action, _: &Ticket) -> Result<Done, Fault> {
    Err(Fault::fatal("action.word", "this word cannot be performed yet"))
}
