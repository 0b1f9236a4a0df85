//! What machines read: `--json` of every command is one document, and completions work in a real shell.

use std::process::Command;

use serde_json::Value;

use super::project::{Project, Said};
use crate::support::Cluster;

/// A project with one run of each kind of end.
fn lived_in() -> Project {
    let database = Cluster::shared().database("json");
    database.sql("create table numbers (n int)");
    let project = Project::on(&database);
    project.runbook(
        "fill",
        r#"step("fill", || sql::exec(params.app, "insert into numbers values (1)", #{}, #{ rows: 1 }));"#,
    );
    project.runbook("ask", r#"step("ask", || flow::approve("Really?"));"#);
    project.runbook(
        "bad",
        r#"step("bad", || sql::exec(params.app, "insert into numbers values (1)", #{}, #{ rows: 7 }));"#,
    );
    project.run(&["run", "fill"]).with_code(0);
    project
}

#[test]
fn every_command_prints_one_json_document() {
    let project = lived_in();
    for (args, code) in [
        (&["list"][..], 0),
        (&["show", "fill"], 0),
        (&["words"], 0),
        (&["words", "sql::exec"], 0),
        (&["lint"], 0),
        (&["plan", "fill"], 0),
        (&["run", "fill", "--dry-run"], 0),
        (&["run", "fill"], 0),
        (&["run", "ask"], 5),
        (&["resume"], 5),
        (&["runs"], 0),
        (&["status"], 0),
        (&["status", "--max-age", "1d"], 1),
        (&["abandon", "--why", "a test"], 0),
        (&["run", "bad"], 1),
        (&["undo"], 0),
        (&["report"], 0),
        (&["report", "fill-1"], 0),
        (&["audit", "verify"], 0),
        (&["audit", "verify", "--head", "0000"], 3),
        (&["doctor"], 0),
        // What is refused is a document too.
        (&["run", "nonsense"], 2),
        (&["run", "fill", "app=nonsense"], 2),
        (&["report", "fill-99"], 2),
        (&["resume"], 2),
        (&["words", "nonsense"], 2),
    ] {
        let said = project.run(&[args, &["--json"]].concat());
        assert_eq!(said.code, code, "{args:?}\n{}\n{}", said.out, said.err);
        let document: Value =
            serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{args:?}: {error}: {}", said.out));
        if code == 2 {
            assert_eq!(document["verdict"], "refused", "{args:?}");
            assert!(document["next"].as_str().is_some_and(|next| next.starts_with("runsheet ")), "{args:?}");
        }
        if code != 0 {
            assert!(
                said.err.lines().last().is_some_and(|line| line.starts_with("next: runsheet")),
                "{args:?}: {}",
                said.err
            );
        }
    }
}

#[test]
fn the_audit_log_is_json_lines() {
    let project = lived_in();
    for args in [&["audit", "export"][..], &["audit", "show", "fill-1", "--json"]] {
        let said = project.run(args).with_code(0);
        assert!(said.out.lines().count() > 5, "{}", said.out);
        for line in said.out.lines() {
            serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{args:?}: {error}: {line}"));
        }
    }
    let shown = project.run(&["audit", "show"]).with_code(0);
    assert!(shown.out.lines().any(|line| line.contains("intent fill#1")), "{}", shown.out);
}

#[test]
fn next_lines_repeat_the_options_that_lead_to_the_same_project() {
    let project = lived_in();
    let folder = project.path().to_string_lossy().into_owned();
    let mut command = project.command(&["--project", &folder, "run", "ask"]);
    let said = Said::from(command.current_dir("/").output().expect("it runs"));
    said.with_code(5).saying(&format!("next: runsheet approve ask-1 --project {folder}"));
}

#[test]
fn wrong_arguments_end_with_a_next_command_too() {
    let project = lived_in();
    project.run(&["plna"]).with_code(2).saying("next: runsheet --help");
    project.run(&["abandon"]).with_code(2).saying("next: runsheet abandon --help");
    project.run(&["audit"]).with_code(2).saying("next: runsheet audit --help");
    project.run(&[]).with_code(2).saying("next: runsheet --help");
    project.run(&["--help"]).with_code(0);
}

#[test]
fn completions_of_bash_know_commands_and_options() {
    let project = lived_in();
    let script = project.run(&["completions", "bash"]).with_code(0).out;
    let file = project.file("completions.bash", &script);
    let ask = |words: &str| {
        // What bash does when somebody presses tab behind the last word.
        let ask = r#"
            source "$1"; shift
            COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}
            how=$(complete -p runsheet); function=${how#* -F }; function=${function%% *}
            "$function" runsheet "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
            printf '%s\n' "${COMPREPLY[@]}""#;
        let mut bash = Command::new("bash");
        bash.args(["--norc", "-c", ask, "bash"]).arg(&file).args(words.split(' '));
        let said = Said::from(bash.output().expect("bash runs")).with_code(0);
        said.out.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(ask("runsheet resu"), ["resume"]);
    assert_eq!(ask("runsheet audit ver"), ["verify"]);
    assert!(ask("runsheet run --if-").contains(&"--if-unfinished".to_owned()));
    for shell in ["zsh", "fish", "elvish", "powershell"] {
        assert!(project.run(&["completions", shell]).with_code(0).out.contains("resume"), "{shell}");
    }
}
