//! Entries of actions, read in one pass.
//!
//! The derived form of an entry reads through a flattened, tagged enumeration, which first takes the whole text apart into
//! a tree and then reads the tree. That is paid for by every recorded action of a run that goes on, so that these
//! three kinds are read from a flat shape instead. Whatever does not fit it is left to the derived form, whose word is final.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer};

use super::entry::{Entry, Outcome, Record};
use crate::model::Value;
use crate::model::action::{Recovery, Resource};
use crate::model::fault::Fault;
use crate::model::ids::{ActionKey, RunId};

/// Every field that `started`, `intent` or `outcome` has.
#[derive(Deserialize)]
struct Flat<'a> {
    run: RunId,
    n: u64,
    at: DateTime<Utc>,
    previous: String,
    #[serde(borrow)]
    kind: Cow<'a, str>,
    key: ActionKey,
    attempt: u32,
    #[serde(default, deserialize_with = "present")]
    holds: Option<Value>,
    word: Option<String>,
    title: Option<String>,
    fingerprint: Option<String>,
    #[serde(default, deserialize_with = "present")]
    request: Option<Value>,
    class: Option<Recovery>,
    writes: Option<Vec<Resource>>,
    probe: Option<String>,
    #[serde(default)]
    proof: Value,
    #[serde(borrow)]
    outcome: Option<FlatOutcome<'a>>,
    took_ms: Option<u64>,
    rows: Option<u64>,
}

#[derive(Deserialize)]
struct FlatOutcome<'a> {
    #[serde(borrow)]
    is: Cow<'a, str>,
    #[serde(default, deserialize_with = "present")]
    value: Option<Value>,
    fault: Option<Fault>,
    why: Option<String>,
}

/// Tells a `null` that is there from a field that is not.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// The entry in this text, if it is a sound one of an action.
pub(super) fn read(text: &str) -> Option<Entry> {
    let flat: Flat<'_> = serde_json::from_str(text).ok()?;
    let Flat { key, attempt, .. } = flat;
    let record = match &*flat.kind {
        "started" => Record::Started { key, attempt, holds: flat.holds? },
        "intent" => Record::Intent {
            key,
            attempt,
            word: flat.word?,
            title: flat.title?,
            fingerprint: flat.fingerprint?,
            request: flat.request?,
            class: flat.class?,
            writes: flat.writes?,
            probe: flat.probe,
            proof: flat.proof,
        },
        "outcome" => Record::Outcome {
            key,
            attempt,
            word: flat.word?,
            title: flat.title?,
            fingerprint: flat.fingerprint?,
            request: flat.request.unwrap_or_default(),
            outcome: outcome(flat.outcome?)?,
            took_ms: flat.took_ms?,
            rows: flat.rows,
        },
        _ => return None,
    };
    Some(Entry { run: flat.run, n: flat.n, at: flat.at, previous: flat.previous, record })
}

fn outcome(flat: FlatOutcome<'_>) -> Option<Outcome> {
    match &*flat.is {
        "done" => Some(Outcome::Done { value: flat.value? }),
        "failed" => Some(Outcome::Failed { fault: flat.fault? }),
        "unknown" => Some(Outcome::Unknown { why: flat.why? }),
        _ => None,
    }
}
