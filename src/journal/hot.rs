//! Reading the two kinds of entries of which a run has hundreds of thousands.
//!
//! The general way reads an entry twice, first to see its kind; a resumed run would feel that. Should the text be of
//! another shape after all, the general way has the last word.

use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::entry::{Entry, Outcome, Record};
use crate::model::Value;
use crate::model::action::{Recovery, Resource};
use crate::model::ids::{ActionKey, RunId};

#[derive(Deserialize)]
struct IntentText {
    run: RunId,
    n: u64,
    at: DateTime<Utc>,
    previous: String,
    key: ActionKey,
    attempt: u32,
    word: String,
    title: String,
    fingerprint: String,
    request: Value,
    class: Recovery,
    writes: Vec<Resource>,
    #[serde(default)]
    probe: Option<String>,
    #[serde(default)]
    proof: Value,
}

#[derive(Deserialize)]
struct OutcomeText {
    run: RunId,
    n: u64,
    at: DateTime<Utc>,
    previous: String,
    key: ActionKey,
    attempt: u32,
    word: String,
    title: String,
    fingerprint: String,
    #[serde(default)]
    request: Value,
    outcome: Outcome,
    took_ms: u64,
    #[serde(default)]
    rows: Option<u64>,
}

/// An entry of kind `kind`, if it is one of the two and reads as such.
pub(super) fn open(kind: &str, text: &str) -> Option<Entry> {
    match kind {
        "intent" => {
            let it: IntentText = serde_json::from_str(text).ok()?;
            let record = Record::Intent {
                key: it.key,
                attempt: it.attempt,
                word: it.word,
                title: it.title,
                fingerprint: it.fingerprint,
                request: it.request,
                class: it.class,
                writes: it.writes,
                probe: it.probe,
                proof: it.proof,
            };
            Some(Entry { run: it.run, n: it.n, at: it.at, previous: it.previous, record })
        }
        "outcome" => {
            let it: OutcomeText = serde_json::from_str(text).ok()?;
            let record = Record::Outcome {
                key: it.key,
                attempt: it.attempt,
                word: it.word,
                title: it.title,
                fingerprint: it.fingerprint,
                request: it.request,
                outcome: it.outcome,
                took_ms: it.took_ms,
                rows: it.rows,
            };
            Some(Entry { run: it.run, n: it.n, at: it.at, previous: it.previous, record })
        }
        _ => None,
    }
}
