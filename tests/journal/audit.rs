//! Whatever is done to stored entries, the audit names the first that suffered.

use std::path::Path;

use proptest::prelude::*;
use runsheet::journal::audit::{Audit, Tampering, verify_store};
use runsheet::journal::chain;
use runsheet::journal::entry::RunState;
use runsheet::journal::sqlite::SqliteJournal;
use runsheet::journal::store::{Durability, Journal};
use runsheet::model::digest;
use runsheet::model::ids::RunId;
use runsheet::model::verdict::Verdict;
use rusqlite::{Connection, params};
use tempfile::TempDir;

use super::samples::*;

/// Entries of each sample run.
pub const ENTRIES: u64 = 8;

/// A project of three runs, each linking to the end of the one before.
pub fn project() -> (TempDir, SqliteJournal) {
    let folder = tempfile::tempdir().expect("a folder");
    let journal = SqliteJournal::open(&folder.path().join("journal.db"), "0.1.0").expect("a journal");
    for runbook in ["cutover", "restore-drill", "cutover"] {
        let lease = journal.create(started(runbook), at(0)).unwrap();
        for record in [
            step_started("load"),
            intent(key("load", "", 1)),
            outcome(key("load", "", 1)),
            intent(key("load", "1/eu", 1)),
            outcome(key("load", "1/eu", 1)),
            step_ended("load"),
            ended(RunState::Done, Verdict::Pass, ""),
        ] {
            journal.append(&lease, record, at(1), Durability::Unsynced).unwrap();
        }
    }
    (folder, journal)
}

fn database(folder: &TempDir) -> Connection {
    Connection::open(folder.path().join("journal.db")).expect("the file")
}

fn id(no: i64, n: u64) -> i64 {
    (no << 40) + n as i64
}

fn whole(journal: &SqliteJournal) -> Audit {
    verify_store(journal, None, None).expect("an audit")
}

/// Run, entry and deed of the first finding.
fn found(audit: &Audit) -> (&str, u64, Tampering) {
    let finding = audit.finding.as_ref().unwrap_or_else(|| panic!("nothing found: {audit:?}"));
    (&finding.run, finding.n, finding.what)
}

#[test]
fn an_untouched_project_is_consistent_and_says_what_that_is_worth() {
    let (_folder, journal) = project();
    let audit = whole(&journal);
    assert_eq!((audit.runs, audit.entries, audit.sound()), (3, 3 * ENTRIES, true));
    assert_eq!(audit.head, journal.summary(&"cutover-2".parse().unwrap()).unwrap().head);
    let verdict = audit.verdict();
    assert!(verdict.starts_with("consistent: 3 runs and 24 entries"), "{verdict}");
    assert!(verdict.contains("--head") && !verdict.contains("complete"), "{verdict}");
}

#[test]
fn with_its_head_a_run_is_complete() {
    let (_folder, journal) = project();
    let run: RunId = "restore-drill-1".parse().unwrap();
    let head = journal.summary(&run).unwrap().head;
    let audit = verify_store(&journal, Some(&run), Some(&head)).unwrap();
    let covered = audit.covered.as_ref().unwrap();
    assert_eq!((covered.n, covered.uncovered), (ENTRIES, 0));
    assert!(audit.verdict().starts_with("complete: 1 run and 8 entries"), "{}", audit.verdict());
}

#[test]
fn a_head_that_was_noted_earlier_covers_no_more_than_it_did_then() {
    let (_folder, journal) = project();
    let run: RunId = "cutover-1".parse().unwrap();
    let head = journal.raw(&run, 4, 1).unwrap()[0].hash.clone();
    let audit = verify_store(&journal, Some(&run), Some(&head)).unwrap();
    assert_eq!(audit.covered.as_ref().map(|covered| (covered.n, covered.uncovered)), Some((5, 3)));
    assert!(audit.verdict().starts_with("complete up to the given head, entry 5 of run cutover-1. 3 entries"));
}

#[test]
fn entries_written_after_a_later_run_began_are_not_called_covered_by_its_head() {
    let folder = tempfile::tempdir().unwrap();
    let journal = SqliteJournal::open(&folder.path().join("journal.db"), "0.1.0").unwrap();
    let first = journal.create(started("cutover"), at(0)).unwrap();
    journal.create(started("restore-drill"), at(1)).unwrap();
    journal.append(&first, note("meanwhile"), at(2), Durability::Synced).unwrap();
    let head = journal.summary(&"restore-drill-1".parse().unwrap()).unwrap().head;
    let audit = verify_store(&journal, None, Some(&head)).unwrap();
    assert_eq!(
        audit.covered.map(|covered| (covered.run, covered.n, covered.uncovered)),
        Some(("restore-drill-1".into(), 1, 1))
    );
}

#[test]
fn a_cut_off_tail_shows_only_against_a_head() {
    let (folder, journal) = project();
    let run: RunId = "cutover-2".parse().unwrap();
    let head = journal.summary(&run).unwrap().head;
    database(&folder).execute("delete from entry where id > ?1", [id(3, 6)]).unwrap();
    assert!(whole(&journal).sound(), "nothing follows the newest run, so nothing can show it");
    let audit = verify_store(&journal, Some(&run), Some(&head)).unwrap();
    assert_eq!(found(&audit), ("cutover-2", 7, Tampering::CutOff));
}

#[test]
fn a_cut_off_tail_of_an_earlier_run_shows_in_the_next() {
    let (folder, journal) = project();
    database(&folder).execute("delete from entry where id = ?1", [id(1, ENTRIES)]).unwrap();
    assert_eq!(found(&whole(&journal)), ("restore-drill-1", 1, Tampering::RunRemoved));
}

#[test]
fn a_deleted_run_shows_in_the_one_behind_it() {
    for (gone, shows) in [(1, "restore-drill-1"), (2, "cutover-2")] {
        let (folder, journal) = project();
        let database = database(&folder);
        database.execute("delete from entry where run = ?1", [gone]).unwrap();
        database.execute("delete from run where no = ?1", [gone]).unwrap();
        let audit = whole(&journal);
        assert_eq!(found(&audit), (shows, 1, Tampering::RunRemoved));
        assert!(audit.verdict().contains("deleted"), "{}", audit.verdict());
    }
}

#[test]
fn a_removed_entry_is_named() {
    for n in 1..ENTRIES {
        let (folder, journal) = project();
        database(&folder).execute("delete from entry where id = ?1", [id(2, n)]).unwrap();
        assert_eq!(found(&whole(&journal)), ("restore-drill-1", n, Tampering::Removed));
    }
}

#[test]
fn swapped_entries_are_named_by_the_first_of_them() {
    for (one, other) in [(1, 2), (3, 4), (2, 7), (6, 8)] {
        let (folder, journal) = project();
        swap(folder.path(), one, other);
        assert_eq!(found(&whole(&journal)), ("restore-drill-1", one, Tampering::Reordered));
    }
}

fn swap(folder: &Path, one: u64, other: u64) {
    let database = Connection::open(folder.join("journal.db")).unwrap();
    for (from, to) in [(id(2, one), -1), (id(2, other), id(2, one)), (-1, id(2, other))] {
        database.execute("update entry set id = ?2 where id = ?1", params![from, to]).unwrap();
    }
}

#[test]
fn an_entry_rewritten_with_its_digest_shows_in_the_one_behind_it() {
    let (folder, journal) = project();
    let run: RunId = "restore-drill-1".parse().unwrap();
    let text = journal.raw(&run, 3, 1).unwrap()[0].text.replace("\"rows\":1", "\"rows\":0");
    database(&folder)
        .execute(
            "update entry set text = ?2, hash = ?3 where id = ?1",
            params![id(2, 4), text, digest::of_bytes(text.as_bytes())],
        )
        .unwrap();
    assert_eq!(found(&whole(&journal)), ("restore-drill-1", 4, Tampering::Changed));
}

#[test]
fn an_entry_of_another_run_is_not_taken_for_one_of_this() {
    let (folder, journal) = project();
    let database = database(&folder);
    database.execute("delete from entry where id = ?1", [id(2, 5)]).unwrap();
    database.execute("update entry set id = ?2, run = 2 where id = ?1", params![id(1, 5), id(2, 5)]).unwrap();
    let run: RunId = "restore-drill-1".parse().unwrap();
    let audit = verify_store(&journal, Some(&run), None).unwrap();
    assert_eq!(found(&audit), ("restore-drill-1", 5, Tampering::Reordered));
}

#[test]
fn columns_that_disagree_with_the_text_are_found() {
    for change in
        ["kind = 'note'", "step = 'other'", "phase = 'undo'", "lane = '1/us'", "lane = null", "seq = 2", "run = 1"]
    {
        let (folder, journal) = project();
        database(&folder).execute(&format!("update entry set {change} where id = ?1"), [id(2, 5)]).unwrap();
        let audit = whole(&journal);
        let (run, n, _) = found(&audit);
        assert_eq!((run, n), ("restore-drill-1", 5), "{change}");
    }
}

#[test]
fn rewriting_everything_behind_a_change_is_found_against_the_old_head() {
    let (folder, journal) = project();
    let run: RunId = "cutover-2".parse().unwrap();
    let head = journal.summary(&run).unwrap().head;
    let database = database(&folder);
    let mut previous = journal.raw(&run, 1, 1).unwrap()[0].hash.clone();
    for raw in journal.raw(&run, 2, 100).unwrap() {
        let mut entry = chain::open(&run, raw.n, &raw.text).unwrap();
        entry.previous = previous;
        entry.at = at(99);
        let sealed = chain::seal(&entry).unwrap();
        database
            .execute(
                "update entry set text = ?2, hash = ?3 where id = ?1",
                params![id(3, raw.n), sealed.text, sealed.hash],
            )
            .unwrap();
        previous = sealed.hash;
    }
    assert!(whole(&journal).sound(), "whoever can write the journal can recompute it");
    let audit = verify_store(&journal, None, Some(&head)).unwrap();
    assert_eq!(audit.finding.unwrap().what, Tampering::CutOff);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_changed_byte_of_a_stored_entry_is_found(n in 1..=ENTRIES, at in any::<prop::sample::Index>(), xor in 1u8..) {
        let (folder, journal) = shared();
        let database = Connection::open(folder.path().join("journal.db")).unwrap();
        let mut before: Vec<u8> =
            database.query_row("select cast(text as blob) from entry where id = ?1", [id(2, n)], |row| row.get(0)).unwrap();
        let write = |bytes: &[u8]| database.execute("update entry set text = cast(?2 as text) where id = ?1", params![id(2, n), bytes]).unwrap();
        let at = at.index(before.len());
        before[at] ^= xor;
        write(&before);
        let audit = verify_store(journal, None, None);
        before[at] ^= xor;
        write(&before);
        let audit = audit.unwrap();
        prop_assert_eq!(found(&audit), ("restore-drill-1", n, Tampering::Changed));
    }

    #[test]
    fn no_text_makes_the_reader_panic(
        text in ".{0,200}",
        edit in any::<prop::sample::Index>(),
        piece in "[\\[\\]{}:,\"0-9a-z\u{F0000}]{0,6}",
    ) {
        let run: RunId = "cutover-1".parse().unwrap();
        let (_, journal) = shared();
        for mut entry in journal.raw(&run, 0, 100).unwrap().into_iter().map(|raw| raw.text).chain([text]) {
            let place = (0..=entry.len()).filter(|at| entry.is_char_boundary(*at)).nth(edit.index(entry.len() + 1));
            entry.insert_str(place.unwrap_or(0), &piece);
            let _ = (chain::open(&run, 1, &entry), chain::Link::read(&entry).map(|link| link.index()));
        }
    }

}

proptest! {
    // Each case makes a project of its own.
    #![proptest_config(ProptestConfig { cases: 30, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn garbage_in_any_column_is_a_finding_and_no_panic(n in 1..=ENTRIES, column in 0usize..6, garbage in any::<Vec<u8>>()) {
        let (folder, journal) = project();
        let column = ["text", "hash", "kind", "step", "lane", "seq"][column];
        let sql = format!("update entry set {column} = ?2 where id = ?1");
        database(&folder).execute(&sql, params![id(2, n), garbage]).unwrap();
        let audit = whole(&journal);
        let (run, at, _) = found(&audit);
        prop_assert_eq!((run, at), ("restore-drill-1", n));
        let run: RunId = "restore-drill-1".parse().unwrap();
        let _ = (journal.story(&run), journal.summary(&run), journal.runs());
    }
}

/// One project for tests that put back what they change.
fn shared() -> &'static (TempDir, SqliteJournal) {
    static SHARED: std::sync::OnceLock<(TempDir, SqliteJournal)> = std::sync::OnceLock::new();
    SHARED.get_or_init(project)
}
