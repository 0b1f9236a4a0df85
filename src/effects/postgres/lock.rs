//! The advisory lock.
use super::Postgres;
use crate::model::Value;
use crate::model::fault::Fault;
use crate::model::ids::RunId;
/// A lock held.
pub struct HeldLock {
    holds: Value,
}
impl HeldLock {
    /// Proves that the lock is still held: fails with `lock.lost` otherwise.
    pub async fn prove(&self) -> Result<(), Fault> {
        Err(Fault::fatal("action.word", "this word cannot be performed yet"))
    }
    /// The session that holds it, for [`crate::effects::Effects::end_holder`].
    pub fn holds(&self) -> Value {
        self.holds.clone()
    }
}
/// Takes it.
pub async fn take(_: &Postgres, _: &str, _: &RunId) -> Result<HeldLock, Fault> {
    Err(Fault::fatal("action.word", "this word cannot be performed yet"))
}
