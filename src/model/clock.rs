//! The one place where time and randomness enter.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};

/// What cannot be repeated: the time and random bytes.
pub trait Clock: Send + Sync {
    /// The time of this host, in UTC.
    fn now(&self) -> DateTime<Utc>;
    /// Fills `buffer` from a cryptographically secure source.
    fn random(&self, buffer: &mut [u8]);
}

/// The clock shared by everything that needs one.
pub type SharedClock = Arc<dyn Clock>;

/// The wait before the `attempt`th repetition (counted from 1): doubling from `first`, at most `most`.
pub fn backoff(first: Duration, most: Duration, attempt: u32) -> Duration {
    first.saturating_mul(1u32 << attempt.saturating_sub(1).min(16)).min(most)
}
