//! Entries as an engine would write them.

use chrono::{DateTime, TimeDelta, Utc};
use runsheet::journal::entry::{Actor, Outcome, Record, RunStarted, RunState, StepEnd, TargetSeen};
use runsheet::model::action::{Recovery, Resource};
use runsheet::model::identity::Identity;
use runsheet::model::ids::{ActionKey, Phase};
use runsheet::model::verdict::Verdict;
use serde_json::json;

/// A moment, `seconds` after the first.
pub fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_790_000_000, 123_456_000).expect("a moment") + TimeDelta::seconds(seconds)
}

pub fn actor(user: &str) -> Actor {
    Actor { user: user.into(), host: "ops-1".into(), pid: 4711 }
}

pub fn started(runbook: &str) -> RunStarted {
    let identity = Identity {
        system: "7412345678901234567".into(),
        timeline: 1,
        database: "app".into(),
        database_oid: 16384,
        address: "db.example.org:5432".into(),
        branch: None,
    };
    RunStarted {
        format: runsheet::journal::entry::FORMAT,
        program: "0.1.0".into(),
        runbook: runbook.into(),
        version: "1.0.0".into(),
        digest: "d1".repeat(32),
        main: "runbooks/cutover.rhai".into(),
        files: [("runbooks/cutover.rhai".to_owned(), "runbook(\"cutover\", \"1.0.0\");".to_owned())].into(),
        git: Some("4f2c9a1+".into()),
        params: json!({ "target": "prod", "limit": 500, "share": 0.1 }),
        kinds: [("share".to_owned(), runsheet::model::param::ParamKind::Share)].into(),
        secrets: [].into(),
        targets: [("target".to_owned(), TargetSeen { label: "production".into(), identity })].into(),
        locks: vec!["7412345678901234567/16384".into()],
        environment: Some("production".into()),
        plan: None,
        by: actor("ada"),
    }
}

pub fn key(step: &str, lane: &str, seq: u64) -> ActionKey {
    ActionKey { step: step.into(), phase: Phase::Perform, lane: lane.into(), seq }
}

pub fn intent(key: ActionKey) -> Record {
    Record::Intent {
        key,
        attempt: 1,
        word: "sql::exec".into(),
        title: "insert into orders … on production".into(),
        fingerprint: "f0".repeat(32),
        request: json!({ "target": "prod", "statements": ["insert into orders values (1)"] }),
        class: Recovery::Provable,
        writes: vec![Resource::database("prod")],
        probe: None,
        proof: json!({ "xid": "731" }),
    }
}

pub fn outcome(key: ActionKey) -> Record {
    came_to_at(key, Outcome::Done { value: json!({ "rows": 1, "returned": [] }) })
}

pub fn came_to(outcome: Outcome) -> Record {
    came_to_at(key("load", "", 1), outcome)
}

fn came_to_at(key: ActionKey, outcome: Outcome) -> Record {
    Record::Outcome {
        key,
        attempt: 1,
        word: "sql::exec".into(),
        title: "insert into orders … on production".into(),
        fingerprint: "f0".repeat(32),
        request: json!(null),
        outcome,
        took_ms: 3,
        rows: Some(1),
    }
}

pub fn step_started(step: &str) -> Record {
    Record::StepStarted { step: step.into(), phase: Phase::Perform }
}

pub fn step_ended(step: &str) -> Record {
    let end = StepEnd::Done { output: json!({ "rows": 1 }), checks: Vec::new() };
    Record::StepEnded { step: step.into(), phase: Phase::Perform, end, took_ms: 5 }
}

pub fn note(text: &str) -> Record {
    Record::Note { text: text.into() }
}

pub fn ended(state: RunState, verdict: Verdict, why: &str) -> Record {
    Record::RunEnded { state, verdict, why: why.into(), key: None }
}
