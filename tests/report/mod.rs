//! The report tells what the journal holds, to somebody who was not there.

use runsheet::journal::entry::{Answer, Outcome, Record, RunState, SecretSource, StepEnd};
use runsheet::journal::memory::MemoryJournal;
use runsheet::journal::store::{Durability, Journal, Lease};
use runsheet::model::action::{Recovery, Resource};
use runsheet::model::fault::Fault;
use runsheet::model::ids::{ActionKey, Phase};
use runsheet::model::request::{AskPerson, LogLine, RecordCheck, Request};
use runsheet::model::secret;
use runsheet::model::verdict::{CheckVerdict, Verdict};
use runsheet::report::{Report, markdown, text};
use serde_json::{Value, json};

use crate::journal::samples::*;

fn append(journal: &dyn Journal, lease: &Lease, seconds: i64, record: Record) {
    journal.append(lease, record, at(seconds), Durability::Unsynced).unwrap();
}

fn change(journal: &dyn Journal, lease: &Lease, key: ActionKey, attempt: u32, came: Outcome, rows: Option<u64>) {
    let title = format!("insert orders|{} on production", key.lane);
    let Record::Intent { word, fingerprint, request, .. } = intent(key.clone()) else { unreachable!() };
    append(
        journal,
        lease,
        1,
        Record::Intent {
            key: key.clone(),
            attempt,
            word: word.clone(),
            title: title.clone(),
            fingerprint: fingerprint.clone(),
            request,
            class: Recovery::Provable,
            writes: vec![Resource::database("prod")],
            probe: None,
            proof: Value::Null,
        },
    );
    let record = Record::Outcome {
        key,
        attempt,
        word,
        title,
        fingerprint,
        request: Value::Null,
        outcome: came,
        took_ms: 12,
        rows,
    };
    append(journal, lease, 2, record);
}

fn read(journal: &dyn Journal, lease: &Lease, key: ActionKey, word: &str, request: Value) {
    let outcome = Outcome::Done { value: json!(true) };
    let (fingerprint, title) = ("f".into(), format!("{word} …"));
    let record = Record::Outcome {
        key,
        attempt: 1,
        word: word.into(),
        title,
        fingerprint,
        request,
        outcome,
        took_ms: 1,
        rows: None,
    };
    append(journal, lease, 3, record);
}

fn check(journal: &dyn Journal, lease: &Lease, seq: u64, name: &str, verdict: CheckVerdict) {
    let check =
        RecordCheck { name: name.into(), verdict, detail: "100 of 100 rows".into(), gate: seq == 1, accept: vec![] };
    read(journal, lease, key("verify", "", seq), RecordCheck::WORD, serde_json::to_value(check).unwrap());
}

fn done() -> Outcome {
    Outcome::Done { value: json!({ "rows": 1 }) }
}

/// A run with one of everything.
fn eventful() -> (MemoryJournal, Lease) {
    let journal = MemoryJournal::default();
    let mut first = started("cutover");
    first.params["password"] = secret::handle("password").into();
    let source = SecretSource { from: "env:DB_PASSWORD".into(), fingerprint: "0011223344556677".into() };
    first.secrets.insert("password".into(), source);
    let lease = journal.create(first, at(0)).unwrap();
    append(&journal, &lease, 1, step_started("load"));
    read(&journal, &lease, key("load", "", 1), LogLine::WORD, json!({ "text": "loading\u{1b}[31m red" }));
    let fault = Fault::retryable("sql.40001", format!("could not serialize {}", secret::handle("password")));
    change(&journal, &lease, key("load", "", 2), 1, Outcome::Failed { fault }, None);
    change(&journal, &lease, key("load", "", 2), 2, done(), Some(7));
    change(&journal, &lease, key("load", "1/eu", 1), 1, done(), Some(35));
    read(&journal, &lease, key("load", "", 3), "sql::query", json!({ "target": "prod", "sql": "select 1" }));
    append(&journal, &lease, 4, step_ended("load"));
    append(&journal, &lease, 5, step_started("verify"));
    check(&journal, &lease, 1, "rows equal", CheckVerdict::Pass);
    check(&journal, &lease, 2, "sequences ahead", CheckVerdict::CouldNotVerify);
    let ask = key("verify", "", 3);
    append(&journal, &lease, 6, ended(RunState::Waiting, Verdict::Waiting, "go on?"));
    let why = "numbers look right".to_owned();
    let decision = Record::Decision { key: ask.clone(), by: actor("grace"), answer: Answer::Approved, why };
    journal.decide(&lease.run, decision, at(7)).unwrap();
    let lease = journal.take(&lease.run, actor("grace"), "resume", at(8)).unwrap();
    read(&journal, &lease, ask, AskPerson::WORD, json!({ "question": "Move the traffic?", "manual": false }));
    let end = StepEnd::Failed { fault: Fault::fatal("x", "the pooler did not answer") };
    append(
        &journal,
        &lease,
        9,
        Record::StepEnded { step: "verify".into(), phase: Phase::Perform, end, took_ms: 61_000 },
    );
    append(&journal, &lease, 9, note("clock differs by 3 s"));
    (journal, lease)
}

#[test]
fn a_report_holds_who_did_what_when_where_and_with_how_many_rows() {
    let (journal, lease) = eventful();
    append(&journal, &lease, 10, ended(RunState::Done, Verdict::Failed, "step `verify` failed"));
    let report = Report::of(&journal, &lease.run).unwrap();
    assert_eq!((report.state, report.verdict), (RunState::Done, Some(Verdict::Failed)));
    assert_eq!((report.started_at, report.ended_at, report.took_ms), (at(0), Some(at(10)), 10_000));
    let who: Vec<_> = report.operators.iter().map(|line| (line.command.as_str(), line.by.user.as_str())).collect();
    assert_eq!(who, [("run", "ada"), ("resume", "grace")]);
    let steps: Vec<_> =
        report.steps.iter().map(|line| (line.step.as_str(), line.state.as_str(), line.changes, line.rows)).collect();
    assert_eq!(steps, [("load", "done", 3, 42), ("verify", "failed", 0, 0)]);
    let changes: Vec<_> = report
        .changes
        .shown
        .iter()
        .map(|line| (line.place.as_str(), line.attempt, line.outcome.as_str(), line.rows))
        .collect();
    assert_eq!(
        changes,
        [("load", 1, "failed", None), ("load", 2, "done", Some(7)), ("load[1/eu]", 1, "done", Some(35))]
    );
    assert_eq!((report.rows_changed, report.reads), (42, 1));
    let checks: Vec<_> = report.checks.shown.iter().map(|line| (line.name.as_str(), line.verdict, line.gate)).collect();
    assert_eq!(
        checks,
        [("rows equal", CheckVerdict::Pass, true), ("sequences ahead", CheckVerdict::CouldNotVerify, false)]
    );
    let decision = &report.decisions[0];
    assert_eq!((decision.about.as_str(), decision.answer.as_str()), ("Move the traffic?", "approved"));
    assert_eq!((decision.by.user.as_str(), decision.why.as_str()), ("grace", "numbers look right"));
    assert_eq!(report.notes.shown.len(), 2);
    assert_eq!(report.doubts.total, 0);
    let summary = journal.summary(&lease.run).unwrap();
    assert_eq!((report.head.as_str(), report.entries), (summary.head.as_str(), 21));
    assert_eq!(report.verify(), format!("runsheet audit verify cutover-1 --head {}", summary.head));
}

#[test]
fn earlier_runs_of_the_runbook_are_told_with_the_steps_that_took_longest() {
    let journal = MemoryJournal::default();
    for (runbook, minutes) in [("drill", 1), ("purge", 9), ("drill", 2), ("drill", 3)] {
        let lease = journal.create(started(runbook), at(minutes * 60)).unwrap();
        let steps = [("sweep", 20), ("age", 0), ("sabotage", 0), ("scratch", 0), ("backup", 12_000)];
        for (step, took_ms) in steps.into_iter().chain([("restore", 1000 * minutes as u64)]) {
            let end = StepEnd::Done { output: Value::Null, checks: vec![] };
            append(&journal, &lease, 1, Record::StepEnded { step: step.into(), phase: Phase::Perform, end, took_ms });
        }
        append(&journal, &lease, minutes * 60 + 30, ended(RunState::Done, Verdict::Pass, ""));
    }
    let report = Report::of(&journal, &"drill-3".parse().unwrap()).unwrap();
    let runs: Vec<_> = report.earlier.iter().map(|line| (line.run.as_str(), line.took_ms, line.verdict)).collect();
    assert_eq!(runs, [("drill-2", 30_000, Some(Verdict::Pass)), ("drill-1", 30_000, Some(Verdict::Pass))]);
    assert!(
        text(&report).contains("drill-2  30.0 s (sweep 20 ms, age 0 ms, backup 12.0 s, restore 2.0 s)"),
        "{}",
        text(&report)
    );
    assert!(Report::of(&journal, &"purge-1".parse().unwrap()).unwrap().earlier.is_empty());
}

#[test]
fn whether_a_step_applies_is_told_by_its_own_line() {
    let journal = MemoryJournal::default();
    let lease = journal.create(started("purge"), at(0)).unwrap();
    let done = |output| StepEnd::Done { output, checks: vec![] };
    for (step, phase, end) in [
        ("expiry", Phase::When, StepEnd::Skipped),
        ("share", Phase::When, done(json!(false))),
        ("delete", Phase::When, done(json!(true))),
        ("delete", Phase::Perform, done(Value::Null)),
    ] {
        append(&journal, &lease, 1, Record::StepEnded { step: step.into(), phase, end, took_ms: 5 });
    }
    let report = Report::of(&journal, &lease.run).unwrap();
    let told: Vec<_> = report.steps.iter().map(|line| (&*line.step, &*line.phase, &*line.state)).collect();
    assert_eq!(
        told,
        [("expiry", "perform", "skipped"), ("share", "perform", "skipped"), ("delete", "perform", "done")]
    );
}

#[test]
fn no_rendering_holds_a_handle_or_moves_the_cursor() {
    let (journal, lease) = eventful();
    let report = Report::of(&journal, &lease.run).unwrap();
    let json = serde_json::to_string(&report).unwrap();
    for shown in [markdown(&report), text(&report), json.clone()] {
        assert!(!secret::contains_handle(&shown), "{shown}");
        assert!(shown.contains("(secret password)") && shown.contains("0011223344556677"), "{shown}");
        assert!(!shown.contains('\u{1b}'), "{shown}");
    }
}

#[test]
fn the_verdict_comes_first_and_the_way_to_check_it_last() {
    let (journal, lease) = eventful();
    append(&journal, &lease, 10, ended(RunState::Done, Verdict::Failed, "step `verify` failed"));
    let report = Report::of(&journal, &lease.run).unwrap();
    let (page, plain) = (markdown(&report), text(&report));
    assert!(page.starts_with("# cutover-1: FAILED\n"), "{page}");
    assert!(plain.starts_with("cutover-1  FAILED\nA step failed."), "{plain}");
    for shown in [&page, &plain] {
        assert!(shown.contains(&report.verify()), "{shown}");
        for part in
            ["7412345678901234567", "production", "4f2c9a1", "grace", "Move the traffic?", "1 min 1 s", "pooler"]
        {
            assert!(shown.contains(part), "{part} is missing in {shown}");
        }
    }
    assert!(page.contains("insert orders\\|1/eu on production"), "cells are escaped: {page}");
    assert!(page.contains("1 passed, 0 failed, 1 could not be verified"), "{page}");
}

#[test]
fn a_change_without_an_outcome_is_a_doubt_until_a_person_settles_it() {
    let (journal, lease) = eventful();
    let open = key("switch", "", 1);
    append(&journal, &lease, 10, intent(open.clone()));
    change(&journal, &lease, key("switch", "", 2), 1, Outcome::Unknown { why: "no answer".into() }, None);
    let report = Report::of(&journal, &lease.run).unwrap();
    let doubts: Vec<&str> = report.doubts.shown.iter().map(|line| line.key.as_str()).collect();
    assert_eq!(doubts, ["switch#2", "switch#1"]);
    assert!(text(&report).starts_with("cutover-1  NOT ENDED\nThe journal holds no end"), "{}", text(&report));
    for (key, answer) in [(open, Answer::NotDone), (key("switch", "", 2), Answer::Done { output: json!(1) })] {
        let decision = Record::Decision { key, by: actor("grace"), answer, why: "I looked".into() };
        journal.decide(&lease.run, decision, at(11)).unwrap();
    }
    let report = Report::of(&journal, &lease.run).unwrap();
    assert_eq!(report.doubts.total, 0);
    assert_eq!(report.decisions[1].answer, "was not done");
    assert_eq!(report.decisions[2].about, "insert orders| on production");
}

#[test]
fn a_run_of_many_actions_gives_a_short_report_with_exact_figures() {
    let journal = MemoryJournal::default();
    let lease = journal.create(started("purge"), at(0)).unwrap();
    for seq in 1..=3000 {
        change(&journal, &lease, key("load", "", seq), 1, done(), Some(2));
        check(&journal, &lease, seq, "one of many", CheckVerdict::Pass);
    }
    let fault = Fault::fatal("x", "the last one failed");
    change(&journal, &lease, key("load", "", 3001), 1, Outcome::Failed { fault }, None);
    check(&journal, &lease, 3001, "the one that matters", CheckVerdict::Fail);
    let report = Report::of(&journal, &lease.run).unwrap();
    assert_eq!((report.changes.total, report.rows_changed), (3001, 6000));
    assert_eq!((report.tally.passed, report.tally.failed), (3000, 1));
    let page = markdown(&report);
    assert!(page.len() < 100_000, "{}", page.len());
    assert!(page.contains("the one that matters") && page.contains("the last one failed"));
    assert!(page.contains("… and 2800 more") && page.contains("3000 passed, 1 failed"), "{page}");
}
