//! What every store does: written once, run on each.

use runsheet::journal::chain;
use runsheet::journal::entry::{Answer, Outcome, Record, RunState};
use runsheet::journal::memory::MemoryJournal;
use runsheet::journal::sqlite::SqliteJournal;
use runsheet::journal::store::{Durability, Journal, JournalError, RunSummary};
use runsheet::model::digest;
use runsheet::model::fault::Fault;
use runsheet::model::ids::{Phase, RunId};
use runsheet::model::verdict::Verdict;

use serde_json::json;

use super::samples::*;

/// Runs each test on every store.
macro_rules! on_every_store {
    ($($test:ident)*) => {
        mod memory { $( #[test] fn $test() { super::$test(&super::MemoryJournal::default()); } )* }
        mod sqlite { $( #[test] fn $test() {
            let folder = tempfile::tempdir().expect("a folder");
            let journal = super::SqliteJournal::open(&folder.path().join("journal.db"), "0.1.0").expect("a journal");
            super::$test(&journal);
        } )* }
    };
}

on_every_store! {
    runs_are_numbered_by_runbook
    an_entry_reads_back_as_it_was_written
    an_entry_with_a_field_missing_is_damaged
    a_number_reads_back_to_the_last_bit
    each_entry_holds_the_digest_of_the_one_before_it
    the_first_entry_holds_the_head_of_the_newest_earlier_run
    whoever_takes_a_run_makes_earlier_leases_worthless
    a_decision_needs_no_lease_and_the_lease_goes_on_behind_it
    the_story_holds_no_record_of_an_action
    a_lane_is_read_in_pages
    lanes_are_named_below_their_prefix
    an_unknown_run_is_named
    a_summary_follows_the_life_of_its_run
    only_runs_that_go_on_are_unfinished
}

fn runs_are_numbered_by_runbook(journal: &dyn Journal) {
    let ids: Vec<RunId> = ["cutover", "restore-drill", "cutover", "cutover-x"]
        .map(|runbook| journal.create(started(runbook), at(0)).unwrap().run)
        .into();
    let ids: Vec<&str> = ids.iter().map(RunId::as_str).collect();
    assert_eq!(ids, ["cutover-1", "restore-drill-1", "cutover-2", "cutover-x-1"]);
    let listed: Vec<String> = journal.runs().unwrap().iter().map(|run| run.run.to_string()).collect();
    assert_eq!(listed, ids);
}

fn an_entry_reads_back_as_it_was_written(journal: &dyn Journal) {
    let lease = journal.create(started("cutover"), at(0)).unwrap();
    let records = [
        step_started("load"),
        intent(key("load", "", 1)),
        outcome(key("load", "", 1)),
        Record::Started { key: key("load", "1/a", 2), attempt: 3, holds: json!(null) },
        came_to(Outcome::Done { value: json!(null) }),
        came_to(Outcome::Failed { fault: Fault::fatal("sql.23505", "twice").detailed("a \"key\"").hinted("look") }),
        came_to(Outcome::Unknown { why: "the server went away".into() }),
        step_ended("load"),
        note("a \"note\" with ünïcode, a \u{F0000}secret\u{F0001} and\na line"),
        ended(RunState::Done, Verdict::Pass, ""),
    ];
    for (n, record) in records.iter().enumerate() {
        journal.append(&lease, record.clone(), at(n as i64), Durability::Unsynced).unwrap();
    }
    let raw = journal.raw(&lease.run, 0, 100).unwrap();
    let read: Vec<Record> =
        raw.iter().skip(1).map(|entry| chain::open(&lease.run, entry.n, &entry.text).unwrap().record).collect();
    assert_eq!(read, records);
    let first = chain::open(&lease.run, 1, &raw[0].text).unwrap();
    assert_eq!(first.record, Record::RunStarted(Box::new(started("cutover"))));
    assert_eq!(first.at, at(0));
}

/// Every field that an entry of an action must have is missed when it is not there.
fn an_entry_with_a_field_missing_is_damaged(journal: &dyn Journal) {
    let lease = journal.create(started("cutover"), at(0)).unwrap();
    let failed = came_to(Outcome::Failed { fault: Fault::fatal("sql.23505", "twice") });
    for record in [intent(key("load", "", 1)), outcome(key("load", "", 1)), failed] {
        journal.append(&lease, record, at(1), Durability::Unsynced).unwrap();
    }
    for entry in journal.raw(&lease.run, 1, 100).unwrap() {
        let whole: serde_json::Value = serde_json::from_str(&entry.text).unwrap();
        let open = |value: &serde_json::Value| chain::open(&lease.run, entry.n, &value.to_string());
        let names: Vec<&String> = whole.as_object().unwrap().keys().collect();
        for name in names {
            let mut cut = whole.clone();
            cut.as_object_mut().unwrap().remove(name);
            let optional = matches!(name.as_str(), "proof" | "rows");
            assert_eq!(open(&cut).is_ok(), optional, "without `{name}`: {cut}");
        }
        if let Some(outcome) = whole["outcome"].as_object() {
            for name in outcome.keys() {
                let mut cut = whole.clone();
                cut["outcome"].as_object_mut().unwrap().remove(name);
                let error = open(&cut).expect_err(name).to_string();
                assert!(error.contains(&format!("missing field `{name}`")), "{error}");
            }
        }
    }
}

/// A replayed value that differs in its last bit would make a script ask something else.
fn a_number_reads_back_to_the_last_bit(journal: &dyn Journal) {
    let lease = journal.create(started("cutover"), at(0)).unwrap();
    let mut random = 1u64;
    let numbers: Vec<f64> = (0..2000)
        .map(|_| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            f64::from_bits(random)
        })
        .filter(|number| number.is_finite())
        .collect();
    let holds = serde_json::json!([numbers, u64::MAX, i64::MIN]);
    let record = Record::Started { key: key("load", "", 1), attempt: 1, holds };
    journal.append(&lease, record.clone(), at(0), Durability::Synced).unwrap();
    assert_eq!(journal.lane(&lease.run, "load", Phase::Perform, "", 0, 1).unwrap()[0].record, record);
}

fn each_entry_holds_the_digest_of_the_one_before_it(journal: &dyn Journal) {
    let lease = journal.create(started("cutover"), at(0)).unwrap();
    let mut last = String::new();
    for seq in 1..=5 {
        last = journal.append(&lease, intent(key("load", "", seq)), at(1), Durability::Synced).unwrap();
    }
    let raw = journal.raw(&lease.run, 0, 100).unwrap();
    assert_eq!(raw.iter().map(|entry| entry.n).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6]);
    for pair in raw.windows(2) {
        assert_eq!(digest::of_bytes(pair[0].text.as_bytes()), pair[0].hash);
        assert!(pair[1].text.contains(&format!("\"previous\":\"{}\"", pair[0].hash)));
    }
    assert_eq!(raw[5].hash, last);
    assert_eq!(journal.summary(&lease.run).unwrap().head, last);
    let keys: serde_json::Map<_, _> = serde_json::from_str(&raw[1].text).unwrap();
    assert_eq!(raw[1].text, serde_json::to_string(&keys).unwrap(), "keys stand sorted, without spaces");
    assert!(raw[1].text.starts_with("{\"at\":"));
}

fn the_first_entry_holds_the_head_of_the_newest_earlier_run(journal: &dyn Journal) {
    let first = journal.create(started("cutover"), at(0)).unwrap();
    let head = journal.append(&first, note("so far"), at(1), Durability::Synced).unwrap();
    let second = journal.create(started("restore-drill"), at(2)).unwrap();
    journal.append(&first, note("and on"), at(3), Durability::Synced).unwrap();
    assert_eq!(journal.story(&first.run).unwrap()[0].previous, "");
    assert_eq!(journal.story(&second.run).unwrap()[0].previous, head);
}

fn whoever_takes_a_run_makes_earlier_leases_worthless(journal: &dyn Journal) {
    let old = journal.create(started("cutover"), at(0)).unwrap();
    let new = journal.take(&old.run, actor("grace"), "resume", at(1)).unwrap();
    assert!(new.epoch > old.epoch);
    let before = journal.summary(&old.run).unwrap().head;
    let refused = journal.append(&old, note("too late"), at(2), Durability::Synced).unwrap_err();
    assert!(matches!(&refused, JournalError::Fenced { .. }));
    assert_eq!(refused.to_string(), "run cutover-1 was taken over by grace on ops-1 (process 4711)");
    assert_eq!(journal.summary(&old.run).unwrap().head, before);
    journal.append(&new, note("mine"), at(2), Durability::Synced).unwrap();
    let resumed = &journal.story(&old.run).unwrap()[1];
    assert_eq!(resumed.record, Record::RunResumed { by: actor("grace"), command: "resume".into() });
}

fn a_decision_needs_no_lease_and_the_lease_goes_on_behind_it(journal: &dyn Journal) {
    let lease = journal.create(started("cutover"), at(0)).unwrap();
    let decision = Record::Decision {
        key: key("ask", "", 1),
        by: actor("grace"),
        answer: Answer::Approved,
        why: "looks right".into(),
    };
    let head = journal.decide(&lease.run, decision.clone(), at(1)).unwrap();
    journal.append(&lease, note("on"), at(2), Durability::Unsynced).unwrap();
    let story = journal.story(&lease.run).unwrap();
    assert_eq!(story[1].record, decision);
    assert_eq!(story[2].previous, head);
    assert_eq!(story[2].n, 3);
}

fn the_story_holds_no_record_of_an_action(journal: &dyn Journal) {
    let lease = journal.create(started("cutover"), at(0)).unwrap();
    let other = journal.create(started("cutover"), at(0)).unwrap();
    for record in [step_started("load"), intent(key("load", "", 1)), outcome(key("load", "", 1)), step_ended("load")] {
        journal.append(&lease, record, at(1), Durability::Unsynced).unwrap();
    }
    journal.append(&other, note("elsewhere"), at(1), Durability::Unsynced).unwrap();
    let story = journal.story(&lease.run).unwrap();
    assert_eq!(story.iter().map(|entry| entry.n).collect::<Vec<_>>(), [1, 2, 5]);
    assert!(story.iter().all(|entry| !entry.record.is_of_action() && entry.run == lease.run));
}

fn a_lane_is_read_in_pages(journal: &dyn Journal) {
    let lease = journal.create(started("cutover"), at(0)).unwrap();
    for seq in 1..=7 {
        journal.append(&lease, intent(key("load", "", seq)), at(1), Durability::Unsynced).unwrap();
        journal.append(&lease, intent(key("load", "1/eu", seq)), at(1), Durability::Unsynced).unwrap();
        journal.append(&lease, intent(key("check", "", seq)), at(1), Durability::Unsynced).unwrap();
    }
    let (mut after, mut seen) = (0, Vec::new());
    loop {
        let page = journal.lane(&lease.run, "load", Phase::Perform, "1/eu", after, 3).unwrap();
        let Some(last) = page.last() else { break };
        assert!(page.len() <= 3);
        after = last.n;
        seen.extend(page.iter().map(|entry| entry.record.key().unwrap().clone()));
    }
    assert_eq!(seen, (1..=7).map(|seq| key("load", "1/eu", seq)).collect::<Vec<_>>());
    assert!(journal.lane(&lease.run, "load", Phase::Undo, "", 0, 3).unwrap().is_empty());
}

fn lanes_are_named_below_their_prefix(journal: &dyn Journal) {
    let lease = journal.create(started("cutover"), at(0)).unwrap();
    for lane in ["", "1/eu", "1/eu", "1/us", "1/us/1/a", "10/eu", "2/eu", "1/ü"] {
        journal.append(&lease, intent(key("load", lane, 1)), at(1), Durability::Unsynced).unwrap();
    }
    journal.append(&lease, intent(key("other", "9/x", 1)), at(1), Durability::Unsynced).unwrap();
    let lanes = |prefix: &str, after| journal.lanes(&lease.run, "load", Phase::Perform, prefix, after).unwrap();
    assert_eq!(lanes("", 0), ["", "1/eu", "1/us", "1/us/1/a", "1/ü", "10/eu", "2/eu"]);
    assert_eq!(lanes("1", 0), ["1/eu", "1/us", "1/us/1/a", "1/ü"]);
    assert_eq!(lanes("1/", 0), lanes("1", 0));
    assert_eq!(lanes("1/us", 0), ["1/us/1/a"]);
    assert_eq!(lanes("1", 4), ["1/us", "1/us/1/a", "1/ü"], "entries 3 and 4 are lane 1/eu");
    assert!(lanes("3", 0).is_empty());
}

fn an_unknown_run_is_named(journal: &dyn Journal) {
    let lease = journal.create(started("cutover"), at(0)).unwrap();
    let unknown: RunId = "cutover-7".parse().unwrap();
    let refused = [
        journal.take(&unknown, actor("ada"), "resume", at(1)).map(drop),
        journal.decide(&unknown, note("x"), at(1)).map(drop),
        journal.summary(&unknown).map(drop),
        journal.story(&unknown).map(drop),
        journal.lane(&unknown, "load", Phase::Perform, "", 0, 1).map(drop),
        journal.raw(&unknown, 0, 1).map(drop),
    ];
    for answer in refused {
        assert_eq!(answer.unwrap_err().to_string(), "there is no run `cutover-7`");
    }
    assert_eq!(journal.story(&lease.run).unwrap().len(), 1);
}

fn a_summary_follows_the_life_of_its_run(journal: &dyn Journal) {
    let lease = journal.create(started("cutover"), at(0)).unwrap();
    let fresh = journal.summary(&lease.run).unwrap();
    assert_eq!((fresh.state, fresh.verdict, fresh.by.user.as_str()), (RunState::Running, None, "ada"));

    let waits = ended(RunState::Waiting, Verdict::Waiting, "asks: go?");
    journal.append(&lease, waits, at(5), Durability::Synced).unwrap();
    journal.decide(&lease.run, note("a decision does not change the state"), at(6)).unwrap();
    let waiting = journal.summary(&lease.run).unwrap();
    assert_eq!((waiting.state, waiting.verdict), (RunState::Waiting, Some(Verdict::Waiting)));
    assert_eq!((waiting.why.as_str(), waiting.last_at), ("asks: go?", at(6)));

    let lease = journal.take(&lease.run, actor("grace"), "resume", at(7)).unwrap();
    let resumed = journal.summary(&lease.run).unwrap();
    assert_eq!((resumed.state, resumed.verdict, resumed.why.as_str()), (RunState::Running, None, ""));
    assert_eq!(resumed.by, actor("grace"));

    journal.append(&lease, ended(RunState::Done, Verdict::Pass, ""), at(8), Durability::Synced).unwrap();
    let done = journal.summary(&lease.run).unwrap();
    assert_eq!((done.state, done.verdict), (RunState::Done, Some(Verdict::Pass)));
    assert_eq!((done.started_at, done.last_at, done.by), (at(0), at(8), actor("grace")));
    assert_eq!(*done.started, started("cutover"));
    assert_eq!(journal.runs().unwrap(), [journal.summary(&lease.run).unwrap()]);
}

fn only_runs_that_go_on_are_unfinished(journal: &dyn Journal) {
    let states = [RunState::Done, RunState::Interrupted, RunState::Undone, RunState::Waiting, RunState::Abandoned];
    let mut runs = Vec::new();
    for state in states {
        let lease = journal.create(started("cutover"), at(0)).unwrap();
        journal.append(&lease, ended(state, Verdict::Pass, ""), at(1), Durability::Unsynced).unwrap();
        journal.append(&lease, note("a line behind the end"), at(2), Durability::Unsynced).unwrap();
        runs.push(lease.run);
    }
    let names = |runs: Vec<RunSummary>| runs.iter().map(|run| run.run.to_string()).collect::<Vec<_>>();
    assert_eq!(names(journal.unfinished().unwrap()), ["cutover-2", "cutover-4"]);
    journal.take(&runs[0], actor("ada"), "undo", at(3)).unwrap();
    journal.create(started("cutover"), at(4)).unwrap();
    assert_eq!(names(journal.unfinished().unwrap()), ["cutover-1", "cutover-2", "cutover-4", "cutover-6"]);
}
