//! How a minute of real history is shown as a day.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};

/// Real times before the anchor are shown further back, by a factor; from the anchor on they are shown as they are.
#[derive(Clone, Copy, Debug)]
pub struct Stretch {
    /// Where both clocks meet.
    pub anchor: DateTime<Utc>,
    /// Seconds shown for each real second before the anchor.
    pub factor: f64,
}

impl Default for Stretch {
    fn default() -> Self {
        Self { anchor: DateTime::UNIX_EPOCH, factor: 1.0 }
    }
}

impl Stretch {
    /// How a real time is shown.
    pub fn shown(&self, real: DateTime<Utc>) -> DateTime<Utc> {
        self.scaled(real, self.factor)
    }

    /// The real time of one that is shown.
    pub fn real(&self, shown: DateTime<Utc>) -> DateTime<Utc> {
        self.scaled(shown, 1.0 / self.factor)
    }

    fn scaled(&self, time: DateTime<Utc>, factor: f64) -> DateTime<Utc> {
        if time >= self.anchor {
            return time;
        }
        let before = (self.anchor - time).num_microseconds().unwrap_or(i64::MAX);
        #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "a microsecond more or less")]
        let before = TimeDelta::microseconds((before as f64 * factor).round() as i64);
        self.anchor.checked_sub_signed(before).unwrap_or(DateTime::UNIX_EPOCH)
    }

    /// How a real time is written: to the second, as the service does.
    pub fn text(&self, real: DateTime<Utc>) -> String {
        self.shown(real).to_rfc3339_opts(SecondsFormat::Secs, true)
    }
}

/// Reads a time that a client sent, as shown to it.
pub fn parse(text: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(text).ok().map(|time| time.to_utc())
}
