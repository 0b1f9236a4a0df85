//! Secrets that a run made or took are sealed in its journal, and whoever goes on with the run has them again.

use super::project::Project;
use crate::support::{Cluster, Database};

/// Makes a password and keeps an old one, hands both to a command that dies once, and compares afterwards.
const STEPS: &str = r#"
step("make", || #{ made: random::password(24), old: secret::seal(env("OLD")) });
step("use", || command::run(["sh", "-c", "printf '%s %s' \"$NEW\" \"$OLD\" > used.tmp; mv used.tmp \"used$(ls used* 2>/dev/null | wc -l)\"; test -e go || kill -9 $(cut -d' ' -f4 /proc/$PPID/stat)"],
    #{ env: #{ NEW: done.make.made, OLD: done.make.old }, repeatable: true }));
"#;

fn sealing(rule: &str) -> (Database, Project) {
    let database = Cluster::shared().database("sealing");
    let project = Project::on(&database);
    let head = format!(
        "runbook(\"seals\", \"1.0.0\", #{{ about: \"a test\", params: #{{ app: target(\"the database\", #{{ or: \"app\" }}) }}{rule} }});\n"
    );
    project.file("runbooks/seals.rhai", &format!("{head}{STEPS}"));
    (database, project)
}

/// Makes a key and says where it lies.
fn key(project: &Project, name: &str) -> String {
    let said = project.run(&["key", "new", name]).with_code(0);
    said.out.trim().strip_prefix("export RUNSHEET_KEY_FILE=").expect("a place").to_owned()
}

fn used(project: &Project, which: u32) -> String {
    std::fs::read_to_string(project.path().join(format!("used{which}"))).expect("what the command was given")
}

#[test]
fn a_run_resumed_by_another_process_has_the_password_that_it_made_and_the_one_that_was_meanwhile_replaced() {
    let (_database, project) = sealing(", key: \"required\"");
    let key = key(&project, "ops.key");
    let with = |old: &str, args: &[&str]| {
        let mut command = project.command(args);
        command.env("OLD", old).env("RUNSHEET_KEY_FILE", &key);
        crate::support::Said::from(command.output().expect("the program runs"))
    };
    with("yesterday's value", &["run", "seals"]).with_code(-1);
    project.file("go", "");
    with("tomorrow's value", &["resume"]).with_code(0);
    let (first, second) = (used(&project, 1), used(&project, 2));
    assert_eq!(first, second);
    assert!(first.ends_with(" yesterday's value") && first.len() == 24 + 18, "{first}");
    let journal = std::fs::read(project.path().join(".runsheet/journal.db")).expect("the journal");
    for secret in [first.split(' ').next().expect("the password"), "yesterday's value"] {
        assert!(!journal.windows(secret.len()).any(|window| window == secret.as_bytes()), "{secret} is in the journal");
    }
    let report = project.run(&["report", "seals-1"]).with_code(0);
    assert!(report.out.contains("was sealed in the journal"), "{}", report.out);
}

#[test]
fn without_a_key_a_run_that_needs_one_is_refused_before_it_begins() {
    let (_database, project) = sealing(", key: \"required\"");
    let said = project.run_with("OLD", "a value", &["run", "seals"]).with_code(2);
    said.saying("no key").saying("runsheet key new").saying("next: runsheet key new");
    assert!(project.run(&["runs"]).out.contains("no runs") || !project.run(&["runs"]).out.contains("seals-1"));
    let plan = project.run_with("OLD", "a value", &["plan", "seals"]).with_code(0);
    assert!(plan.out.contains("needs the key of RUNSHEET_KEY_FILE"), "{}", plan.out);
}

#[test]
fn going_on_without_the_key_or_with_another_one_is_refused_and_changes_nothing() {
    let (_database, project) = sealing("");
    let (right, wrong) = (key(&project, "right"), key(&project, "wrong"));
    let mut command = project.command(&["run", "seals"]);
    command.env("OLD", "a value").env("RUNSHEET_KEY_FILE", &right).output().expect("it runs");
    project.file("go", "");
    let entries = project.entries("seals-1").len();
    for word in ["resume", "undo"] {
        project.run(&[word, "seals-1"]).with_code(2).saying("no key to open it").saying("next: runsheet");
    }
    project.run_with("RUNSHEET_KEY_FILE", &wrong, &["resume"]).with_code(2).saying("for another key");
    assert_eq!(project.entries("seals-1").len(), entries);
    // A key that follows another: the first line seals, any of them opens.
    let both = [&wrong, &right].map(|path| std::fs::read_to_string(path).expect("a key")).concat();
    let mut resumed = project.command(&["resume"]);
    resumed.env("OLD", "a value").env("RUNSHEET_KEY", &both);
    crate::support::Said::from(resumed.output().expect("it runs")).with_code(0);
}

#[test]
fn giving_up_needs_no_key() {
    let (_database, project) = sealing("");
    let key = key(&project, "ops.key");
    let mut command = project.command(&["run", "seals"]);
    command.env("OLD", "a value").env("RUNSHEET_KEY_FILE", &key).output().expect("it runs");
    project.run(&["abandon", "seals-1", "--why", "the key is lost"]).with_code(0);
}

#[test]
fn a_key_is_never_overwritten_nor_taken_from_where_others_can_read_it() {
    use std::os::unix::fs::PermissionsExt;
    let (_database, project) = sealing("");
    let place = key(&project, "ops.key");
    let before = std::fs::read_to_string(&place).expect("the key");
    assert_eq!(std::fs::metadata(&place).expect("the key").permissions().mode() & 0o777, 0o600);
    project.run(&["key", "new", "ops.key"]).with_code(2).saying("is there");
    assert_eq!(std::fs::read_to_string(&place).expect("the key"), before);
    std::fs::set_permissions(&place, std::fs::Permissions::from_mode(0o644)).expect("chmod");
    project.run_with("RUNSHEET_KEY_FILE", &place, &["run", "seals"]).with_code(2).saying("chmod 600");
    project.run_with("RUNSHEET_KEY", "no key at all", &["run", "seals"]).with_code(2).saying("is no key");
    project.run_with("RUNSHEET_KEY_FILE", "nowhere", &["run", "seals"]).with_code(2).saying("nowhere");
    let printed = project.run(&["key", "new", "--print"]).with_code(0);
    assert!(printed.out.contains("AGE-SECRET-KEY-1"), "{}", printed.out);
    assert!(project.run(&["key", "new"]).with_code(0).out.contains("/.config/runsheet/key"));
}
