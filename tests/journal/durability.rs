//! What the file survives: kills, a full disk, other processes, strangers' files.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use runsheet::journal::audit::verify_store;
use runsheet::journal::sqlite::SqliteJournal;
use runsheet::journal::store::{Durability, Journal, JournalError};
use runsheet::model::ids::{Phase, RunId};
use rusqlite::Connection;

use super::samples::*;
use super::{child, child_folder};

fn open(folder: &Path) -> SqliteJournal {
    SqliteJournal::open(&folder.join("journal.db"), "0.1.0").expect("a journal")
}

fn refusal(path: &Path) -> JournalError {
    SqliteJournal::open(path, "0.1.0").map(drop).expect_err("a refusal")
}

#[test]
fn the_file_and_its_companions_are_readable_by_their_owner_only() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path());
    journal.create(started("cutover"), at(0)).unwrap();
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let file = file.unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", file.file_name());
    }
}

#[test]
fn a_killed_writer_loses_nothing_that_it_was_told_is_written() {
    let seed = SystemTime::UNIX_EPOCH.elapsed().unwrap().subsec_nanos();
    println!("seed {seed}");
    let mut random = u64::from(seed) | 1;
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged = Vec::new();
    for _ in 0..12 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let lines = 1 + (random >> 33) % 150;
        let mut writer = child("journal::durability::child_that_appends", folder.path()).spawn().unwrap();
        let mut output = BufReader::new(writer.stdout.take().unwrap());
        let (mut line, mut seen) = (String::new(), 0);
        loop {
            line.clear();
            if output.read_line(&mut line).unwrap() == 0 {
                break;
            }
            let Some(entry) = line.strip_prefix("wrote ").and_then(|rest| rest.strip_suffix('\n')) else { continue };
            acknowledged.push(entry.to_owned());
            seen += 1;
            if seen == lines {
                // What the child says after this instant is still read: it was acknowledged, too.
                writer.kill().unwrap();
            }
        }
        writer.wait().unwrap();
        assert!(seen >= lines, "the child ended early");

        let journal = open(folder.path());
        let audit = verify_store(&journal, None, None).unwrap();
        assert!(audit.sound(), "{}", audit.verdict());
        let run: RunId = "cutover-1".parse().unwrap();
        let stored: std::collections::HashSet<String> = journal
            .raw(&run, 0, usize::MAX)
            .unwrap()
            .into_iter()
            .map(|entry| format!("{} {}", entry.n, entry.hash))
            .collect();
        for entry in &acknowledged {
            assert!(stored.contains(entry), "{entry} was acknowledged and is gone");
        }
        assert!(stored.len() <= acknowledged.len() + 12 * 2, "at most one entry a kill is there unacknowledged");
    }
}

#[test]
#[ignore = "the process that another test kills"]
fn child_that_appends() {
    let Some(folder) = child_folder() else { return };
    let journal = open(&folder);
    println!();
    let lease = match journal.run_ids().unwrap().first() {
        Some(run) => journal.take(run, actor("ada"), "resume", at(0)).unwrap(),
        None => journal.create(started("cutover"), at(0)).unwrap(),
    };
    let mut n = journal.raw(&lease.run, 0, usize::MAX).unwrap().len();
    loop {
        n += 1;
        let durability = if n % 3 == 0 { Durability::Unsynced } else { Durability::Synced };
        let hash = journal.append(&lease, intent(key("load", "", n as u64)), at(1), durability).unwrap();
        println!("wrote {n} {hash}");
    }
}

#[test]
fn several_processes_write_different_runs_of_one_file() {
    let folder = tempfile::tempdir().unwrap();
    let journals: Vec<SqliteJournal> = (0..4).map(|_| open(folder.path())).collect();
    std::thread::scope(|scope| {
        for journal in &journals {
            scope.spawn(move || {
                let lease = journal.create(started("cutover"), at(0)).unwrap();
                for seq in 1..=100 {
                    let durability = if seq % 5 == 0 { Durability::Synced } else { Durability::Unsynced };
                    journal.append(&lease, intent(key("load", "", seq)), at(1), durability).unwrap();
                }
            });
        }
    });
    let audit = verify_store(&journals[0], None, None).unwrap();
    assert!(audit.sound(), "{}", audit.verdict());
    assert_eq!((audit.runs, audit.entries), (4, 404));
}

#[test]
fn a_first_open_by_many_at_once_makes_one_journal() {
    for _ in 0..20 {
        let folder = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for _ in 0..6 {
                scope.spawn(|| open(folder.path()).create(started("cutover"), at(0)).unwrap());
            }
        });
        assert_eq!(open(folder.path()).run_ids().unwrap().len(), 6);
    }
}

#[test]
fn a_lease_of_another_process_is_fenced() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (open(folder.path()), open(folder.path()));
    let lease = one.create(started("cutover"), at(0)).unwrap();
    other.take(&lease.run, actor("grace"), "resume", at(1)).unwrap();
    let refused = one.append(&lease, note("too late"), at(2), Durability::Unsynced).unwrap_err();
    assert!(matches!(refused, JournalError::Fenced { by, .. } if by.contains("grace")));
    assert_eq!(one.story(&lease.run).unwrap().len(), 2);
}

#[test]
fn files_that_are_no_journal_are_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let garbage = folder.path().join("garbage.db");
    let text = b"this was never a database, and is longer than a header of one hundred bytes, which SQLite reads first of all, so.";
    std::fs::write(&garbage, text).unwrap();
    let refused = refusal(&garbage);
    assert!(matches!(refused, JournalError::Damaged { .. }));
    assert!(refused.to_string().contains("garbage.db") && refused.to_string().contains("not a journal"), "{refused}");
    assert_eq!(std::fs::read(&garbage).unwrap(), text);

    let stranger = folder.path().join("stranger.db");
    Connection::open(&stranger).unwrap().execute_batch("create table t (x)").unwrap();
    let before = std::fs::read(&stranger).unwrap();
    assert!(refusal(&stranger).to_string().contains("another program"), "{}", refusal(&stranger));
    assert_eq!(std::fs::read(&stranger).unwrap(), before);

    let nowhere = refusal(&folder.path().join("missing/journal.db"));
    assert!(matches!(&nowhere, JournalError::Storage { why, .. } if why == "the folder does not exist"), "{nowhere}");
    let folder = refusal(folder.path());
    assert!(matches!(folder, JournalError::Storage { .. }), "{folder}");
}

#[test]
fn another_format_is_refused_kindly() {
    for format in ["0", "2", "999"] {
        let folder = tempfile::tempdir().unwrap();
        drop(open(folder.path()));
        Connection::open(folder.path().join("journal.db"))
            .unwrap()
            .execute_batch(&format!("update meta set value = '{format}' where key = 'format'; update meta set value = '9.9.9' where key = 'written_by'"))
            .unwrap();
        let refused = refusal(&folder.path().join("journal.db"));
        assert!(matches!(&refused, JournalError::Format { known: 1, .. }), "{refused}");
        assert!(refused.to_string().contains("runsheet 9.9.9"), "{refused}");
    }
}

#[test]
fn a_journal_with_any_bytes_overwritten_never_panics_and_never_passes_for_another() {
    let seed = SystemTime::UNIX_EPOCH.elapsed().unwrap().subsec_nanos();
    println!("seed {seed}");
    let mut random = u64::from(seed) | 1;
    let (folder, journal) = super::audit::project();
    let texts = |journal: &SqliteJournal| {
        let run: RunId = "cutover-1".parse().unwrap();
        journal.raw(&run, 0, usize::MAX).map(|raw| raw.into_iter().map(|entry| entry.text).collect::<Vec<_>>())
    };
    let expected = texts(&journal).unwrap();
    drop(journal);
    let path = folder.path().join("journal.db");
    let sound = std::fs::read(&path).unwrap();
    assert!(sound.len() > 20_000, "closing moved everything into the file");
    for _ in 0..300 {
        let mut bytes = sound.clone();
        for _ in 0..3 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let at = (random >> 20) as usize % bytes.len();
            bytes[at] = (random >> 8) as u8;
        }
        std::fs::write(&path, bytes).unwrap();
        let Ok(journal) = SqliteJournal::open(&path, "0.1.0") else { continue };
        let _ = (journal.runs(), journal.story(&"cutover-2".parse().unwrap()));
        let audit = verify_store(&journal, None, None);
        if audit.is_ok_and(|audit| audit.sound() && audit.runs == 3) {
            assert_eq!(texts(&journal).unwrap(), expected);
        }
    }
}

#[test]
fn a_file_whose_order_is_damaged_is_read_to_an_end_and_the_entry_named() {
    let (folder, journal) = super::audit::project();
    drop(journal);
    let path = folder.path().join("journal.db");
    let mut bytes = std::fs::read(&path).unwrap();
    // The id of entry 7 of the first run as SQLite writes it, changed into that of an entry 64: behind it stands 8.
    let id = [0xA0, 0x80, 0x80, 0x80, 0x80, 0x07];
    let found: Vec<usize> = (0..bytes.len() - id.len()).filter(|at| bytes[*at..].starts_with(&id)).collect();
    assert!(!found.is_empty(), "once where it counts, perhaps again where SQLite left a copy behind");
    for at in found {
        bytes[at + 5] = 0x40;
    }
    std::fs::write(&path, bytes).unwrap();
    let (done, waits) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let journal = SqliteJournal::open(&path, "0.1.0").unwrap();
        let report = runsheet::report::Report::of(&journal, &"cutover-1".parse().unwrap());
        done.send((verify_store(&journal, None, None), report)).unwrap();
    });
    let (audit, report) = waits.recv_timeout(Duration::from_secs(60)).expect("it must end");
    let finding = audit.unwrap().finding.unwrap();
    assert_eq!((finding.run.as_str(), finding.n), ("cutover-1", 7), "{finding}");
    assert!(matches!(report, Err(JournalError::Damaged { .. })), "{report:?}");
}

/// What the ignored test `child` says where `mount`, with the folder as `$0`, was done for it alone.
fn in_mounts_of_its_own(folder: &Path, mount: &str, child: &str) -> String {
    let script = format!("{mount} && exec \"$1\" journal::durability::{child} --exact --ignored --nocapture");
    let child = Command::new("unshare")
        .args(["-m", "sh", "-c", &script])
        .args([folder, &std::env::current_exe().unwrap()])
        .env("RUNSHEET_TEST_CHILD", folder)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout).into_owned();
    assert!(child.status.success(), "{said}\n{}", String::from_utf8_lossy(&child.stderr));
    said
}

#[test]
fn a_full_disk_is_named_and_leaves_the_journal_consistent() {
    let folder = tempfile::tempdir().unwrap();
    let said = in_mounts_of_its_own(folder.path(), r#"mount -t tmpfs -o size=600k tmpfs "$0""#, "child_that_fills");
    assert!(said.contains("the disk was full and then was not"), "{said}");
}

#[test]
#[ignore = "runs on a small disk that another test makes"]
fn child_that_fills() {
    let Some(folder) = child_folder() else { return };
    let journal = open(&folder);
    let lease = journal.create(started("cutover"), at(0)).unwrap();
    let room = folder.join("room");
    std::fs::write(&room, vec![0; 100_000]).unwrap();
    let mut written = 0u64;
    let mut fill = |journal: &SqliteJournal| loop {
        let durability = if written.is_multiple_of(2) { Durability::Synced } else { Durability::Unsynced };
        match journal.append(&lease, intent(key("load", "", written)), at(1), durability) {
            Ok(_) => written += 1,
            Err(error) => break (error, written),
        }
    };
    let (error, written) = fill(&journal);
    assert!(matches!(&error, JournalError::Storage { why, .. } if why.starts_with("disk full")), "{error}");
    assert!(written > 10, "{written}");
    let count = |journal: &SqliteJournal| {
        let audit = verify_store(journal, None, None).expect("still readable");
        assert!(audit.sound(), "{}", audit.verdict());
        audit.entries
    };
    assert_eq!(count(&journal), written + 1);
    let again = journal.take(&lease.run, actor("grace"), "resume", at(2));
    assert!(matches!(again, Err(JournalError::Storage { .. })), "{again:?}");
    assert_eq!(count(&journal), written + 1);
    std::fs::remove_file(room).unwrap();
    journal.append(&lease, note("room again"), at(3), Durability::Synced).unwrap();
    assert_eq!(count(&journal), written + 2);
    drop(journal);
    assert_eq!(count(&open(&folder)), written + 2);
    println!("the disk was full and then was not");
}

#[test]
fn a_read_only_file_is_told_apart_from_a_full_disk() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()));
    let said = in_mounts_of_its_own(
        folder.path(),
        r#"mount --bind "$0" "$0" && mount -o remount,ro,bind "$0""#,
        "child_that_may_not_write",
    );
    assert!(said.contains("refused: "), "{said}");
}

#[test]
#[ignore = "runs on a read-only disk that another test makes"]
fn child_that_may_not_write() {
    let Some(folder) = child_folder() else { return };
    let refused = SqliteJournal::open(&folder.join("journal.db"), "0.1.0")
        .and_then(|journal| journal.create(started("cutover"), at(0)))
        .unwrap_err();
    assert!(matches!(&refused, JournalError::Storage { why, .. } if why.contains("ead-only")), "{refused}");
    println!("refused: {refused}");
}

#[test]
fn a_file_kept_locked_by_a_stranger_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path());
    let lease = journal.create(started("cutover"), at(0)).unwrap();
    let stranger = Connection::open(folder.path().join("journal.db")).unwrap();
    stranger.execute_batch("begin immediate").unwrap();
    let (done, waits) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            journal.append(&lease, note("in the end"), at(1), Durability::Synced).unwrap();
            done.send(()).unwrap();
        });
        assert!(waits.recv_timeout(Duration::from_millis(200)).is_err(), "it must not pass the lock");
        stranger.execute_batch("rollback").unwrap();
        waits.recv().unwrap();
    });
    assert_eq!(journal.story(&lease.run).unwrap().len(), 2);
}

#[test]
fn reading_a_story_or_a_lane_uses_its_index() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path());
    let lease = journal.create(started("cutover"), at(0)).unwrap();
    for seq in 1..=5_000 {
        journal.append(&lease, outcome(key("load", "", seq)), at(1), Durability::Unsynced).unwrap();
    }
    journal.append(&lease, intent(key("load", "1/eu", 1)), at(1), Durability::Unsynced).unwrap();
    // The quickest of ten: whatever else the machine does, one of them is left alone.
    let timed = |work: &dyn Fn()| {
        let once = |_| {
            let start = std::time::Instant::now();
            work();
            start.elapsed()
        };
        (0..10).map(once).min().unwrap()
    };
    let scan = timed(&|| assert_eq!(journal.raw(&lease.run, 0, usize::MAX).unwrap().len(), 5_002));
    let story = timed(&|| assert_eq!(journal.story(&lease.run).unwrap().len(), 1));
    let lane = timed(&|| assert_eq!(journal.lane(&lease.run, "load", Phase::Perform, "1/eu", 0, 10).unwrap().len(), 1));
    let page = timed(&|| assert_eq!(journal.lane(&lease.run, "load", Phase::Perform, "", 4_995, 10).unwrap().len(), 6));
    for quick in [story, lane, page] {
        assert!(quick * 5 < scan, "{quick:?} against {scan:?} for reading everything");
    }
}
