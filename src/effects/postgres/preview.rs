//! Previews.
use super::Postgres;
use crate::model::action::Action;
use crate::model::fault::Fault;
use crate::model::preview::Previewed;
/// Previews.
pub async fn preview(_: &Postgres, _: &Action) -> Result<Previewed, Fault> {
    Err(Fault::fatal("action.word", "this word cannot be performed yet"))
}
