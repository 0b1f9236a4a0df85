//! What is sealed in a journal stays what it was, wherever a script seals it and whoever gets at the journal.

use std::path::PathBuf;

use runsheet::journal::entry::Record;

use super::project::Project;
use crate::support::{Said, cluster::Cluster};

fn project(name: &str, steps: &str) -> Project {
    let project = Project::on(&Cluster::shared().database(name));
    project.runbook("seals", steps);
    project
}

/// Makes a key; answers where it lies.
fn key(project: &Project, name: &str) -> PathBuf {
    project.run(&["key", "new", name]).with_code(0);
    project.path().join(name)
}

/// Runs the program with a key file and the variable `OLD`.
fn with(project: &Project, key: &str, old: &str, args: &[&str]) -> Said {
    project.command(args).env("RUNSHEET_KEY_FILE", key).env("OLD", old).output().expect("it runs").into()
}

fn text(project: &Project, name: &str) -> String {
    std::fs::read_to_string(project.path().join(name)).expect("what was written")
}

/// Names of what a run has sealed, in order.
fn sealed(project: &Project, run: &str) -> Vec<String> {
    let entries = project.entries(run).into_iter();
    entries
        .filter_map(|entry| match entry.record {
            Record::Sealed { name, .. } => Some(name),
            _ => None,
        })
        .collect()
}

/// Seals, writes down what it has, and stops until `go` is there.
const TWICE: &str = r#"
step("make", || [random::password(24), random::password(24), secret::seal(env("OLD"))]);
step("lanes", || flow::each(["a", "b"], #{ key: |one| one }, |one| [random::password(16), secret::seal(env("OLD"))]));
step("use", || {
    let all = done.make + done.lanes[0] + done.lanes[1];
    let env = #{};
    for at in 0..all.len() { env[`S${at}`] = all[at]; }
    command::run(["sh", "-c", "echo $S0 $S1 $S2 $S3 $S4 $S5 $S6 >> used; test -e go"], #{ env: env, repeatable: true });
});
"#;

#[test]
fn two_passwords_of_a_step_and_those_of_lanes_are_different_and_the_same_again_in_another_process() {
    let project = project("sealed_twice", TWICE);
    key(&project, "ops.key");
    with(&project, "ops.key", "the-old-one", &["run", "seals"]).with_code(1);
    project.file("go", "");
    with(&project, "ops.key", "another-one", &["resume"]).with_code(0);
    let used = text(&project, "used");
    let (first, second) = used.trim().split_once('\n').expect("two lines");
    assert_eq!(first, second);
    let all: Vec<&str> = first.split(' ').collect();
    let lengths: Vec<usize> = all.iter().map(|one| one.len()).collect();
    assert_eq!(lengths, [24, 24, 11, 16, 11, 16, 11]);
    assert!(all[0] != all[1] && all[3] != all[5], "{first}");
    assert_eq!([all[2], all[4], all[6]], ["the-old-one"; 3]);
    assert_eq!(sealed(&project, "seals-1").len(), 7);
    // What is sealed is an entry like any other: counted, chained, exported, and checked elsewhere.
    project.run(&["audit", "verify", "seals-1"]).with_code(0);
    project.run(&["audit", "export", "--out", "export.jsonl"]).with_code(0);
    project.run(&["audit", "verify", "export.jsonl"]).with_code(0);
    assert!(text(&project, "export.jsonl").contains("BEGIN AGE ENCRYPTED FILE"));
    for args in [&["report", "--json"][..], &["report"], &["audit", "show"], &["audit", "export"]] {
        let said = project.run(args).with_code(0);
        assert!(all.iter().all(|secret| !said.out.contains(secret)), "{args:?}: {}", said.out);
    }
}

#[test]
fn sealing_again_after_a_failure_or_a_reset_takes_what_is_there_now() {
    // The second step tells whether it has the right one; between them stands a hold that breaks when `broken` is there.
    let steps = r#"
fn whole(made) { command::run(["sh", "-c", "test ! -e broken"], #{ read_only: true, ok: [0, 1] }).code == 0 }
step("seal", || {
    let it = secret::seal(env("OLD"));
    command::run(["sh", "-c", "rm -f broken; echo \"$S\" >> sealed; test \"$S\" != wrong-one"], #{ env: #{ S: it }, read_only: true });
    it
}).hold("it is whole", "whole");
step("use", || command::run(["sh", "-c", "echo \"$S\" >> used; test -e go"], #{ env: #{ S: done.seal }, repeatable: true }));
"#;
    let project = project("sealed_again", steps);
    key(&project, "ops.key");
    with(&project, "ops.key", "wrong-one", &["run", "seals"]).with_code(1);
    // Whoever mends what was wrong and goes on means what is there then.
    with(&project, "ops.key", "first-right", &["resume"]).with_code(1);
    assert_eq!(
        (text(&project, "sealed").as_str(), text(&project, "used").as_str()),
        ("wrong-one\nfirst-right\n", "first-right\n")
    );
    // A step that is over keeps what it sealed, whatever has become of the place since.
    with(&project, "ops.key", "second-right", &["resume"]).with_code(1);
    assert_eq!(text(&project, "used"), "first-right\nfirst-right\n");
    // One that is begun anew takes it anew.
    project.file("broken", "");
    project.file("go", "");
    let said = with(&project, "ops.key", "second-right", &["resume"]);
    assert!(said.err.contains("going back to step `seal`"), "{}", said.err);
    assert_eq!(text(&project, "used").lines().last(), Some("second-right"), "{}", said.err);
}

#[test]
fn a_probe_seals_nothing() {
    let steps = r#"
fn keeps(made) { secret::seal(env("OLD")); true }
step("first", || 1).hold("kept", "keeps");
step("second", || command::run(["true"], #{ repeatable: true }));
"#;
    let project = project("sealed_probe", steps);
    key(&project, "ops.key");
    // With a key and without one.
    with(&project, "ops.key", "a value", &["run", "seals"])
        .with_code(1)
        .saying("`keeps` only looks")
        .saying("secret::seal");
    project.run(&["abandon", "--why", "a test"]).with_code(0);
    project.run_with("OLD", "a value", &["run", "seals"]).with_code(1).saying("`keeps` only looks");
}

#[test]
fn what_was_sealed_and_damaged_since_is_named_and_nothing_is_done() {
    let project = project("sealed_damaged", TWICE);
    key(&project, "ops.key");
    with(&project, "ops.key", "the-old-one", &["run", "seals"]).with_code(1);
    let path = project.path().join(".runsheet/journal.db");
    let whole = std::fs::read(&path).expect("the journal");
    let database = rusqlite::Connection::open(&path).expect("the journal");
    let (id, line): (i64, String) = database
        .query_row("select id, text from entry where text like '%BEGIN AGE%' limit 1", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .expect("something sealed");
    let at = line.find("BEGIN AGE").expect("it") + 150;
    let other = if line.as_bytes()[at] == b'A' { "B" } else { "A" };
    let changed = format!("{}{other}{}", &line[..at], &line[at + 1..]);
    database.execute("update entry set text = ?2 where id = ?1", rusqlite::params![id, changed]).expect("damage");
    drop(database);
    let entries = project.entries("seals-1").len();
    project.file("go", "");
    for word in ["resume", "undo"] {
        let said = with(&project, "ops.key", "the-old-one", &[word, "seals-1"]).with_code(2);
        said.saying("not as it was written").saying("next: runsheet audit verify seals-1");
    }
    assert_eq!((project.entries("seals-1").len(), text(&project, "used").lines().count()), (entries, 1));
    project.run(&["audit", "verify", "seals-1"]).with_code(3);
    // From a backup it goes on.
    std::fs::write(&path, whole).expect("the backup");
    for beside in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(project.path().join(format!(".runsheet/journal.db{beside}")));
    }
    with(&project, "ops.key", "the-old-one", &["resume"]).with_code(0);
}

#[test]
fn a_journal_on_a_machine_without_the_key_can_be_read_and_verified_and_not_gone_on_with() {
    let project = project("sealed_elsewhere", TWICE);
    key(&project, "ops.key");
    with(&project, "ops.key", "the-old-one", &["run", "seals"]).with_code(1);
    std::fs::remove_file(project.path().join("ops.key")).expect("it goes");
    let used = text(&project, "used");
    for args in [
        &["report"][..],
        &["status"],
        &["audit", "verify"],
        &["resume", "--plan"],
        &["runs"],
        &["audit", "show", "--json"],
    ] {
        let said = project.run(args).with_code(0);
        assert!(used.trim().split(' ').all(|secret| !said.out.contains(secret)), "{args:?}: {}", said.out);
    }
    let entries = project.entries("seals-1").len();
    project.run_with("OLD", "the-old-one", &["resume"]).with_code(2).saying("there is no key to open it");
    assert_eq!(project.entries("seals-1").len(), entries);
}

#[test]
fn the_first_identity_of_a_key_file_seals_and_any_opens() {
    let project = project("sealed_two", TWICE);
    let (one, two) = (key(&project, "one"), key(&project, "two"));
    let both = [&one, &two].map(|path| std::fs::read_to_string(path).expect("a key")).concat();
    std::fs::write(&one, both).expect("both");
    with(&project, "one", "the-old-one", &["run", "seals"]).with_code(1);
    with(&project, "two", "the-old-one", &["resume"]).with_code(2).saying("for another key");
    project.file("go", "");
    with(&project, "one", "the-old-one", &["resume"]).with_code(0);
}

#[test]
fn a_key_in_an_env_file_seals_and_no_child_sees_a_key() {
    let steps = r#"
step("make", || random::password(24));
step("show", || command::run(["sh", "-c", "env > seen; echo \"$PW\" > used; cat /proc/$PPID/environ > parent"], #{ env: #{ PW: done.make }, repeatable: true }));
"#;
    let project = project("sealed_env", steps);
    let secret = std::fs::read_to_string(key(&project, "ops.key")).expect("the key");
    let secret = secret.lines().find(|line| line.starts_with("AGE-SECRET-KEY-1")).expect("a key").to_owned();
    project.file(".env", &format!("RUNSHEET_KEY={secret}\n"));
    let unseen = || {
        for name in ["seen", "parent"] {
            let seen = text(&project, name);
            assert!(!seen.contains("AGE-SECRET") && !seen.contains("RUNSHEET_KEY"), "{name}: {seen}");
        }
    };
    project.run(&["run", "seals"]).with_code(0);
    unseen();
    assert_eq!(sealed(&project, "seals-1").len(), 1);
    std::fs::remove_file(project.path().join(".env")).expect("it goes");
    project.run_with("RUNSHEET_KEY", &secret, &["run", "seals"]).with_code(0);
    unseen();
    for entry in std::fs::read_dir(project.path().join(".runsheet")).expect("the state").flatten() {
        let bytes = std::fs::read(entry.path()).unwrap_or_default();
        assert!(!String::from_utf8_lossy(&bytes).contains(&secret), "{}", entry.path().display());
    }
}
