//! The rate limits: so many requests a minute of an account, so many a second of a route.

use std::collections::{BTreeMap, VecDeque};

use chrono::{DateTime, TimeDelta, Utc};

use super::knobs::Knobs;

/// Requests of late.
#[derive(Debug, Default)]
pub struct Rate {
    used: f64,
    since: DateTime<Utc>,
    routes: BTreeMap<String, VecDeque<DateTime<Utc>>>,
}

impl Rate {
    /// Counts a request; `Err` has the seconds after which it would be let through.
    pub fn take(&mut self, knobs: &Knobs, route: &str, now: DateTime<Utc>) -> Result<(), u64> {
        if knobs.route_per_second > 0 {
            let recent = self.routes.entry(route.to_owned()).or_default();
            while recent.front().is_some_and(|then| now - *then >= TimeDelta::seconds(1)) {
                recent.pop_front();
            }
            if recent.len() >= usize::try_from(knobs.route_per_second).unwrap_or(usize::MAX) {
                return Err(1);
            }
            recent.push_back(now);
        }
        if knobs.rate_per_minute == 0 {
            return Ok(());
        }
        let per_second = f64::from(knobs.rate_per_minute) / 60.0;
        let passed = (now - self.since).as_seconds_f64().max(0.0);
        self.used = (self.used - passed * per_second).max(0.0);
        self.since = now;
        if self.used + 1.0 > f64::from(knobs.rate_burst.max(1)) {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few seconds")]
            return Err((1.0 / per_second).ceil() as u64);
        }
        self.used += 1.0;
        Ok(())
    }
}
