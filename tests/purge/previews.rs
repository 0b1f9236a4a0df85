//! A branch for a pull request, found again; a command on a branch that is thrown away.

use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use serde_json::json;

use super::world::{LONG_AGO, World};
use crate::support::wait_until;

#[test]
fn the_branch_of_a_pull_request_is_made_once_and_its_urls_are_written_for_their_owner() {
    let world = World::new(&json!({}));
    let args = ["run", "preview-branch", "pr=42", "head=Fix/$(rm -rf) `now`", "schema=fennec"];
    world.ours.run(&args).with_code(0);
    assert_eq!(world.neon.made(), ["preview/pr-42-fix-rm-rf-now"]);
    let file = world.ours.path().join(".env.preview");
    assert_eq!(std::fs::metadata(&file).expect("the file").permissions().mode() & 0o777, 0o600);
    let text = std::fs::read_to_string(&file).expect("text");
    let line =
        |name: &str| text.lines().find_map(|line| line.strip_prefix(&format!("{name}="))).expect(name).to_owned();
    assert!(line("DATABASE_URL").contains("-pooler."), "{text}");
    assert!(!line("DIRECT_DATABASE_URL").contains("-pooler."), "{text}");
    assert!(line("SCHEMA_DATABASE_URL").contains("schema=fennec"), "{text}");
    // Another push: the same branch, the same file.
    world.ours.run(&args).with_code(0).saying("is there already");
    assert_eq!(world.neon.made().len(), 1);
    let journal: String = world.ours.entries("preview-branch-1").iter().map(|entry| format!("{entry:?}")).collect();
    assert!(!journal.contains("postgresql://"), "no URL in the journal");
}

#[test]
fn a_branch_of_that_name_that_is_not_ours_is_left_alone() {
    let world = World::new(&json!({}));
    world.neon.seed(&json!([{ "name": "preview/pr-7-x", "created_at": LONG_AGO }]));
    world.ours.run(&["run", "preview-branch", "pr=7", "head=x"]).with_code(1);
    assert_eq!(world.neon.made(), [""; 0]);
    assert!(!world.ours.path().join(".env.preview").exists());
}

#[test]
fn a_command_is_tried_on_a_branch_that_is_gone_afterwards_however_it_ends() {
    let world = World::new(&json!({}));
    let before = world.neon.names();
    let run = |command: &str, code: i32| {
        world.ours.run(&["run", "branch-verify", &format!("command=sh -c '{command}'")]).with_code(code);
        assert_eq!(world.neon.names(), before, "{command}");
    };
    run("test -n \"$DATABASE_URL\" && test \"$DATABASE_URL\" != \"$DIRECT_DATABASE_URL\"", 0);
    run("exit 7", 3);
    assert_eq!(world.neon.made().len(), 2);
}

#[test]
fn killed_between_the_branch_and_its_file_it_is_taken_up_again_with_one_branch_and_one_file() {
    let world = World::new(&json!({ "knobs": { "operation_ms": 400 } }));
    let args = ["run", "preview-branch", "pr=42"];
    let mut child = world.ours.command(&args).stderr(Stdio::null()).stdout(Stdio::null()).spawn().expect("it starts");
    wait_until("the branch is made", || world.neon.made().len() == 1);
    child.kill().expect("it is killed");
    child.wait().expect("it ends");
    assert!(!world.ours.path().join(".env.preview").exists());
    world.ours.run(&["resume"]).with_code(0);
    assert_eq!(world.neon.made(), ["preview/pr-42"]);
    assert!(written(&world).contains("DATABASE_URL="));
}

#[test]
fn killed_at_any_write_it_makes_one_branch_and_one_file() {
    for write in 1.. {
        let world = World::new(&json!({ "knobs": { "operation_ms": 1 } }));
        let when = if write % 2 == 0 { "before" } else { "after" };
        let point = format!("{when}:{write}");
        let said = world.ours.run_with("RUNSHEET_CRASH", &point, &["run", "preview-branch", "pr=42"]);
        if said.code == 0 {
            assert!(write > 6, "{write} writes");
            return;
        }
        let unfinished = !world.ours.run(&["status", "--json"]).json()["unfinished"][0].is_null();
        let again: &[&str] = if unfinished { &["resume"] } else { &["run", "preview-branch", "pr=42"] };
        world.ours.run(again).with_code(0);
        assert_eq!(world.neon.made(), ["preview/pr-42"], "killed {point}");
        assert!(written(&world).contains("DATABASE_URL="), "killed {point}");
    }
}

#[test]
fn killed_while_the_command_is_at_work_the_branch_is_gone_all_the_same() {
    let world = World::new(&json!({ "knobs": { "operation_ms": 1 } }));
    let before = world.neon.names();
    let mark = world.ours.path().join("begun");
    let command = format!("command=sh -c 'test -e {0} || {{ touch {0}; sleep 60; }}'", mark.display());
    let args = ["run", "branch-verify", &command];
    let mut child = world.ours.command(&args).stderr(Stdio::null()).stdout(Stdio::null()).spawn().expect("it starts");
    wait_until("the command is at work", || mark.exists());
    child.kill().expect("it is killed");
    child.wait().expect("it ends");
    world.ours.run(&["resume"]).with_code(0);
    assert_eq!(world.neon.made().len(), 1);
    assert_eq!(world.neon.names(), before);
}

#[test]
fn programs_reach_the_branch_by_every_url_that_was_written() {
    let world = World::new(&json!({ "databases": true }));
    world.ours.run(&["run", "preview-branch", "pr=42", "schema=public"]).with_code(0);
    let text = written(&world);
    let url = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name}="))).expect(name);
        line.trim_matches('\'').to_owned()
    };
    for name in ["DIRECT_DATABASE_URL", "DATABASE_URL"] {
        let psql = Command::new("psql").args([&url(name), "-XAtc", "select 40 + 2"]).output().expect("psql");
        assert_eq!(String::from_utf8_lossy(&psql.stdout).trim(), "42", "{name}: {psql:?}");
    }
    // psql knows no `schema`; we do, and so do the programs that the URL is for.
    assert!(url("SCHEMA_DATABASE_URL").contains("schema=public"), "{text}");
    let toml = format!("{}[targets.preview]\nurl = \"${{SCHEMA_DATABASE_URL}}\"\n", world.neon.toml());
    world.ours.file("runsheet.toml", &toml);
    world.ours.file(
        "runbooks/look.rhai",
        "runbook(\"look\", \"1.0.0\", #{ about: \"a test\", params: #{ app: target(\"a database\", #{ or: \"preview\" }) } });\n\
         step(\"look\", || gate::that(\"reached\", sql::value(params.app, \"select 40 + 2\") == 42, \"\"));\n",
    );
    world.ours.run_with("SCHEMA_DATABASE_URL", &url("SCHEMA_DATABASE_URL"), &["run", "look"]).with_code(0);
    let looked = world.ours.run_with("SCHEMA_DATABASE_URL", &url("SCHEMA_DATABASE_URL"), &["plan", "look"]);
    let looked = looked.with_code(0);
    assert!(looked.out.contains(&format!("project {}, branch br-", world.neon.id)), "{}", looked.out);
}

/// The file of URLs.
fn written(world: &World) -> String {
    std::fs::read_to_string(world.ours.path().join(".env.preview")).expect("the file")
}
