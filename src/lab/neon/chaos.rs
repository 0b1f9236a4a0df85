//! Misbehaviour on purpose: what the service and what lies before it are known to do, drawn from a seed.
//!
//! What is drawn for a request depends on the seed, the request's method and path, and how often the same was asked before,
//! not on the order in which concurrent requests arrive. The same request is never disturbed more than twice in a row, so a
//! patient client comes through.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::operations::Fate;
use crate::model::digest;

/// How often the same may be disturbed in a row.
const IN_A_ROW: u32 = 2;

/// The kinds, each with its share of requests or operations, 0 to 1.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rates {
    /// The connection breaks after the work was done.
    pub dropped: f64,
    /// 503, nothing done.
    pub unavailable: f64,
    /// 500 after the work was done.
    pub broken: f64,
    /// 524 with a page of HTML, nothing done.
    pub timeout_before: f64,
    /// 524 with a page of HTML, after the work was done.
    pub timeout_after: f64,
    /// 429.
    pub too_many: f64,
    /// The service checks a compute's availability by itself just before a write, which then gets 423.
    pub storm: f64,
    /// An operation fails; nothing is done.
    pub failed: f64,
    /// An operation is called off; nothing is done.
    pub cancelled: f64,
    /// An operation says `skipped` although it worked.
    pub skipped: f64,
    /// An error body has no code at all.
    pub no_code: f64,
    /// An error body has no request id.
    pub no_request_id: f64,
    /// Objects have fields that nobody knows.
    pub unknown_fields: f64,
    /// A call has one operation more, with an action that nobody knows.
    pub unknown_enums: f64,
    /// A branch that was just made is not found, once or twice.
    pub late: f64,
}

/// The misbehaviour of a project.
#[derive(Debug, Default)]
pub struct Chaos {
    /// Where everything is drawn from.
    pub seed: u64,
    /// How often.
    pub rates: Rates,
    /// What becomes of the next operations of an action (`*` is any), before anything is drawn.
    pub fates: Vec<(String, Fate)>,
    /// What was done so far, by kind.
    pub done: BTreeMap<&'static str, u64>,
    asked: BTreeMap<String, (u64, u32)>,
}

/// What happens to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mishap {
    /// Nothing.
    None,
    /// The work is done and the connection breaks.
    Dropped,
    /// The work is done and the answer is 500.
    Broken,
    /// The work is done and the answer is a page of HTML.
    TimeoutAfter,
    /// The answer is a page of HTML, nothing is done.
    TimeoutBefore,
    /// 503, nothing is done.
    Unavailable,
    /// 429, nothing is done.
    TooMany,
    /// Something else begins just before.
    Storm,
}

impl Chaos {
    /// What happens to a request.
    pub fn mishap(&mut self, method: &str, path: &str) -> Mishap {
        let rates = self.rates;
        let kinds = [
            (rates.dropped, Mishap::Dropped, "dropped"),
            (rates.broken, Mishap::Broken, "broken"),
            (rates.timeout_after, Mishap::TimeoutAfter, "timeout_after"),
            (rates.timeout_before, Mishap::TimeoutBefore, "timeout_before"),
            (rates.unavailable, Mishap::Unavailable, "unavailable"),
            (rates.too_many, Mishap::TooMany, "too_many"),
            (if method == "GET" { 0.0 } else { rates.storm }, Mishap::Storm, "storm"),
        ];
        self.one_of(&format!("{method} {path}"), Mishap::None, &kinds)
    }

    /// What becomes of an operation.
    pub fn fate(&mut self, action: &str, what: &str) -> Fate {
        let rates = self.rates;
        let kinds = [
            (rates.failed, Fate::Failed, "failed"),
            (rates.cancelled, Fate::Cancelled, "cancelled"),
            (rates.skipped, Fate::Skipped, "skipped"),
        ];
        let what: String = what.chars().take(60).collect();
        self.one_of(&format!("operation {action} {what}"), Fate::Finished, &kinds)
    }

    /// Whether a thing of this kind happens to something.
    pub fn strikes(&mut self, kind: &'static str, rate: f64, what: &str) -> bool {
        self.one_of(&format!("{kind} {what}"), false, &[(rate, true, kind)])
    }

    fn one_of<T: Copy + PartialEq>(&mut self, key: &str, nothing: T, kinds: &[(f64, T, &'static str)]) -> T {
        if kinds.iter().all(|(rate, ..)| *rate <= 0.0) {
            return nothing;
        }
        let (number, in_a_row) = self.asked.entry(key.to_owned()).or_default();
        *number += 1;
        let mut drawn = share(self.seed, key, *number);
        let mut chosen = (nothing, None);
        for (rate, what, name) in kinds {
            if drawn < *rate {
                chosen = (*what, Some(*name));
                break;
            }
            drawn -= rate;
        }
        if *in_a_row >= IN_A_ROW {
            chosen = (nothing, None);
        }
        match chosen.1 {
            Some(name) => {
                *in_a_row += 1;
                *self.done.entry(name).or_default() += 1;
            }
            None => *in_a_row = 0,
        }
        chosen.0
    }
}

/// A number from 0 to 1 that depends on all of it.
fn share(seed: u64, key: &str, number: u64) -> f64 {
    let hash = digest::of_bytes(format!("{seed} {key} {number}").as_bytes());
    let bits = u32::from_str_radix(hash.get(..8).unwrap_or_default(), 16).unwrap_or_default();
    f64::from(bits) / (f64::from(u32::MAX) + 1.0)
}
