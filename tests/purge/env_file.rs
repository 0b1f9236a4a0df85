//! Env files: for their owner only, whole or not at all, read alike by shells and by us, and nothing of them in the journal.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::program::project::Project;

/// Values that have broken somebody's quoting.
const AWKWARD: [&str; 7] = [
    "postgresql://a:p%20w@h/d?sslmode=require&channel_binding=require",
    "with space and #hash",
    "$(rm -rf /) `id` ${HOME}",
    "it's \"quoted\"",
    "back\\slash\\n",
    "",
    "ünïcode \u{1f980}",
];

fn project() -> Project {
    let project = Project::with_url("postgresql://nobody@127.0.0.1:1/none");
    let mut text = "runbook(\"envs\", \"1.0.0\", #{ about: \"a test\" });\nstep(\"write\", || files::env(\".env.out\", #{ TOKEN: env(\"TOKEN\"), ".to_owned();
    for (nth, value) in AWKWARD.iter().enumerate() {
        let literal = value.replace('\\', "\\\\").replace('"', "\\\"");
        text += &format!("V{nth}: \"{literal}\", ");
    }
    text += "}));\n";
    project.file("runbooks/envs.rhai", &text);
    project
}

#[test]
fn a_shell_and_runsheet_read_back_what_was_written() {
    let project = project();
    project.run_with("TOKEN", "tok-9f8e7d6c5b", &["run", "envs"]).with_code(0);
    let file = project.path().join(".env.out");
    let mode = std::fs::metadata(&file).expect("the file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "{mode:o}");
    for (nth, value) in AWKWARD.iter().enumerate() {
        let script = format!(". ./.env.out; printf %s \"$V{nth}\"");
        let read = Command::new("sh").args(["-c", &script]).current_dir(project.path()).output().expect("a shell");
        assert_eq!(String::from_utf8_lossy(&read.stdout), *value, "{}", std::fs::read_to_string(&file).expect("text"));
    }
    // The same file as one of ours.
    std::fs::copy(&file, project.path().join(".env")).expect("a copy");
    let read = AWKWARD.iter().enumerate().map(|(nth, _)| format!("env(\"V{nth}\")"));
    let read: Vec<String> = read.filter(|call| !call.contains("V5")).collect();
    let args = read.iter().enumerate().map(|(nth, call)| format!("V{nth}: {call}")).collect::<Vec<_>>().join(", ");
    let again = format!(
        "runbook(\"again\", \"1.0.0\", #{{ about: \"a test\" }});\nstep(\"write\", || files::env(\".env.again\", #{{ {args} }}));\n"
    );
    project.file("runbooks/again.rhai", &again);
    project.run(&["run", "again"]).with_code(0);
    let again = std::fs::read_to_string(project.path().join(".env.again")).expect("text");
    let first = std::fs::read_to_string(&file).expect("text");
    for nth in 0..5 {
        let value =
            |text: &str| text.lines().find_map(|line| line.strip_prefix(&format!("V{nth}=")).map(str::to_owned));
        assert_eq!(value(&first), value(&again));
    }
}

#[test]
fn the_secret_is_in_the_file_and_nowhere_else() {
    let project = project();
    let said = project.run_with("TOKEN", "tok-9f8e7d6c5b", &["run", "envs"]).with_code(0);
    assert!(std::fs::read_to_string(project.path().join(".env.out")).expect("text").contains("TOKEN=tok-9f8e7d6c5b"));
    let journal: String = project.entries("envs-1").iter().map(|entry| format!("{entry:?}")).collect();
    assert!(!journal.contains("tok-9f8e7d6c5b") && !said.err.contains("tok-9f8e7d6c5b"));
    assert!(journal.contains("fingerprints"), "{journal}");
}

#[test]
fn what_somebody_else_wrote_is_not_overwritten_and_kept_on_request() {
    let project = Project::with_url("postgresql://nobody@127.0.0.1:1/none");
    let book = |name: &str, options: &str| {
        let text = format!(
            "runbook(\"{name}\", \"1.0.0\", #{{ about: \"a test\" }});\nstep(\"write\", || files::env(\".env.out\", #{{ NAME: \"{name}\" }}{options}));\n"
        );
        project.file(&format!("runbooks/{name}.rhai"), &text);
    };
    book("plain", "");
    book("kept", ", #{ previous: true }");
    let (file, beside) = (project.path().join(".env.out"), project.path().join(".env.out.previous"));
    project.file(".env.out", "MINE=1\n");
    project.run(&["plan", "plain"]).with_code(1);
    let refused = project.run(&["run", "plain"]).with_code(1);
    assert!(refused.err.contains("Runsheet did not write it"), "{}", refused.err);
    project.run(&["abandon", "--why", "a test"]);
    assert_eq!(std::fs::read_to_string(&file).expect("text"), "MINE=1\n");
    for _ in 0..2 {
        project.run(&["run", "kept"]).with_code(0);
        assert_eq!(std::fs::read_to_string(&beside).expect("what was there"), "MINE=1\n");
    }
    // Ours may be replaced, and what was somebody's stays.
    project.run(&["run", "plain"]).with_code(0);
    project.run(&["run", "kept"]).with_code(0);
    assert_eq!(std::fs::read_to_string(&beside).expect("what was there"), "MINE=1\n");
    assert!(std::fs::read_to_string(&file).expect("text").contains("NAME=kept"));
}

#[test]
fn a_run_removes_what_it_wrote_and_nothing_else_wherever_it_is_killed() {
    let project = Project::with_url("postgresql://nobody@127.0.0.1:1/none");
    let text = "runbook(\"gone\", \"1.0.0\", #{ about: \"a test\", on_failure: \"clean_up\" });\nstep(\"write\", || files::env(\".env.gone\", #{ NAME: \"x\" })).cleanup(|| files::remove(\".env.gone\"));\n";
    project.file("runbooks/gone.rhai", text);
    let file = project.path().join(".env.gone");
    for write in 1.. {
        let said = project.run_with("RUNSHEET_CRASH", &format!("after:{write}"), &["run", "gone"]);
        if said.code == 0 {
            break;
        }
        if !project.run(&["status", "--json"]).json()["unfinished"][0].is_null() {
            project.run(&["resume"]).with_code(0);
        }
        assert!(!file.exists(), "killed after write {write}");
    }
    project.file(".env.mine", "MINE=1\n");
    let wrong =
        "runbook(\"wrong\", \"1.0.0\", #{ about: \"a test\" });\nstep(\"take\", || files::remove(\".env.mine\"));\n";
    project.file("runbooks/wrong.rhai", wrong);
    let said = project.run(&["run", "wrong"]).with_code(1);
    assert!(said.err.contains("was not written by this run"), "{}", said.err);
    assert!(project.path().join(".env.mine").exists());
}

#[test]
fn what_a_kill_or_a_stranger_left_beside_it_is_never_written_into() {
    let project = project();
    let draft = project.path().join(".env.out.new");
    std::fs::write(&draft, "left").expect("a draft");
    std::fs::set_permissions(&draft, std::fs::Permissions::from_mode(0o644)).expect("its mode");
    let elsewhere = project.path().join("elsewhere");
    let file = project.path().join(".env.out");
    for link in [false, true] {
        if link {
            std::fs::write(&elsewhere, "theirs").expect("a file");
            std::os::unix::fs::symlink(&elsewhere, &draft).expect("a link");
        }
        project.run_with("TOKEN", "tok-9f8e7d6c5b", &["run", "envs"]).with_code(0);
        let about = std::fs::symlink_metadata(&file).expect("the file");
        assert!(about.is_file() && about.permissions().mode() & 0o777 == 0o600, "{:o}", about.permissions().mode());
    }
    assert_eq!(std::fs::read_to_string(&elsewhere).expect("text"), "theirs");
}
