//! Ending server sessions.
use super::Postgres;
use crate::model::Value;
use crate::model::fault::Fault;
/// Ends a session.
pub async fn end(_: &Postgres, _: &Value, _: std::time::Duration) -> Result<bool, Fault> {
    Err(Fault::fatal("action.word", "this word cannot be performed yet"))
}
