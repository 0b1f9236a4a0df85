//! An export is checked anywhere, from the file alone.

use proptest::prelude::*;
use runsheet::journal::audit::{Audit, Tampering};
use runsheet::journal::export::{export, verify_export};
use runsheet::journal::store::{Journal, JournalError};
use runsheet::model::ids::RunId;

use super::audit::{ENTRIES, project};

fn exported(run: Option<&str>) -> (Vec<u8>, String) {
    let (_folder, journal) = project();
    let run: Option<RunId> = run.map(|run| run.parse().unwrap());
    let mut bytes = Vec::new();
    let entries = export(&journal, run.as_ref(), "0.1.0", &mut bytes).expect("an export");
    assert_eq!(entries, if run.is_some() { ENTRIES } else { 3 * ENTRIES });
    let newest = run.unwrap_or_else(|| "cutover-2".parse().unwrap());
    (bytes, journal.summary(&newest).unwrap().head)
}

fn verified(bytes: &[u8]) -> Audit {
    verify_export(bytes, None).expect("an audit")
}

fn lines(bytes: &[u8]) -> Vec<Vec<u8>> {
    bytes.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
}

/// Which run and entry each line of a project's export holds: a header, then before each run's entries a line of its own.
fn place(line: usize) -> Option<(&'static str, u64)> {
    let (run, n) = ((line - 1) / 9, (line - 1) % 9);
    (n > 0).then(|| (["cutover-1", "restore-drill-1", "cutover-2"][run], n as u64))
}

#[test]
fn an_export_is_consistent_and_with_its_head_complete() {
    let (bytes, head) = exported(None);
    let audit = verified(&bytes);
    assert_eq!((audit.runs, audit.entries, audit.sound(), &audit.head), (3, 24, true, &head));
    assert!(audit.verdict().starts_with("consistent"));
    let audit = verify_export(&bytes[..], Some(&head)).unwrap();
    assert!(audit.verdict().starts_with("complete: "), "{}", audit.verdict());
    let wrong = verify_export(&bytes[..], Some(&"0".repeat(64))).unwrap();
    assert_eq!(wrong.finding.unwrap().what, Tampering::CutOff);
}

#[test]
fn one_run_is_exported_alone_and_says_that_its_link_was_not_followed() {
    let (bytes, head) = exported(Some("restore-drill-1"));
    let audit = verify_export(&bytes[..], Some(&head)).unwrap();
    assert!(!audit.links_checked);
    assert!(audit.verdict().starts_with("complete: 1 run and 8 entries"), "{}", audit.verdict());
    assert!(audit.verdict().contains("other runs"), "{}", audit.verdict());
}

#[test]
fn the_text_of_an_entry_leaves_as_it_is_stored() {
    let (_folder, journal) = project();
    let run: RunId = "cutover-1".parse().unwrap();
    let mut bytes = Vec::new();
    export(&journal, Some(&run), "0.1.0", &mut bytes).unwrap();
    let stored = journal.raw(&run, 0, 100).unwrap();
    for (line, raw) in lines(&bytes)[2..].iter().zip(&stored) {
        let line = std::str::from_utf8(line).unwrap();
        assert_eq!(line, format!("{{\"hash\":\"{}\",\"entry\":{}}}\n", raw.hash, raw.text));
    }
}

#[test]
fn each_removed_line_is_named() {
    let (bytes, _) = exported(None);
    let all = lines(&bytes);
    for gone in 1..all.len() - 1 {
        let mut rest = all.clone();
        rest.remove(gone);
        let audit = verified(&rest.concat());
        let finding = audit.finding.unwrap_or_else(|| panic!("line {gone} is not missed"));
        match place(gone) {
            Some((run, n)) if n < ENTRIES => {
                assert_eq!((finding.run.as_str(), finding.n, finding.what), (run, n, Tampering::Removed));
            }
            // The last entry of a run is missed by the run that links to it, that of the last run by the export's end.
            Some((run, _)) => assert!(finding.run != run, "{finding}"),
            None => {}
        }
    }
}

#[test]
fn each_pair_of_swapped_entries_is_named_by_the_first() {
    let (bytes, _) = exported(None);
    let all = lines(&bytes);
    for one in 1..all.len() - 1 {
        for other in one + 1..all.len() - 1 {
            let (Some((run, n)), Some((same, _))) = (place(one), place(other)) else { continue };
            let mut swapped = all.clone();
            swapped.swap(one, other);
            let finding = verified(&swapped.concat()).finding.expect("a finding");
            assert_eq!((finding.run.as_str(), finding.n), (run, n));
            if run == same {
                assert_eq!(finding.what, Tampering::Reordered, "{finding}");
            }
        }
    }
}

#[test]
fn a_file_cut_at_any_byte_is_not_sound() {
    let (bytes, _) = exported(Some("cutover-1"));
    for length in (0..bytes.len()).rev().step_by(7).chain([bytes.len() - 1]) {
        assert!(!verified(&bytes[..length]).sound(), "cut at {length}");
    }
    let all = lines(&bytes);
    let finding = verified(&all[..6].concat()).finding.unwrap();
    assert_eq!((finding.run.as_str(), finding.n, finding.what), ("cutover-1", 5, Tampering::CutOff));
}

#[test]
fn what_is_no_export_is_said_to_be_none() {
    let endless = vec![b'x'; 3_000_000];
    for garbage in [&b""[..], b"\n", b"{}\n", b"\x00\xff\xfe\n", b"SQLite format 3\0", &endless] {
        let audit = verified(garbage);
        assert!(audit.verdict().contains("line 1 is not the first line of an export"), "{}", audit.verdict());
    }
}

#[test]
fn an_export_of_a_newer_format_names_the_program_that_reads_it() {
    let (bytes, _) = exported(None);
    let text =
        String::from_utf8(bytes).unwrap().replacen("\"format\":1", "\"format\":2", 1).replacen("0.1.0", "3.0.0", 1);
    let refused = verify_export(text.as_bytes(), None).unwrap_err();
    assert!(matches!(&refused, JournalError::Format { found: 2, known: 1, written_by } if written_by == "3.0.0"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_changed_byte_of_an_export_is_found(at in any::<prop::sample::Index>(), xor in 1u8..) {
        let bytes = shared();
        let mut changed = bytes.clone();
        let at = at.index(changed.len());
        changed[at] ^= xor;
        // A header of another format is refused outright.
        if let Ok(audit) = verify_export(&changed[..], None) {
            let line = bytes[..at].iter().filter(|byte| **byte == b'\n').count();
            let finding = audit.finding.expect("a finding");
            // The line's end belongs to the line.
            if let Some((run, n)) = (1..28).contains(&line).then(|| place(line)).flatten() {
                prop_assert_eq!((finding.run.as_str(), finding.n), (run, n));
            }
        }
    }

    #[test]
    fn no_garbage_makes_the_reader_panic(garbage in any::<Vec<u8>>(), lines in prop::collection::vec("\\{\"(run|hash|end|entry)\":.{0,40}", 0..6)) {
        let _ = verify_export(&garbage[..], None);
        let header = "{\"runsheet_export\":1,\"format\":1,\"program\":\"x\",\"project\":true}\n";
        let audit = verify_export(format!("{header}{}", lines.join("\n")).as_bytes(), None).unwrap();
        prop_assert!(!audit.sound());
    }
}

fn shared() -> &'static Vec<u8> {
    static SHARED: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
    SHARED.get_or_init(|| exported(None).0)
}
