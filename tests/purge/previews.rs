//! A branch for a pull request, found again; a command on a branch that is thrown away.

use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use super::world::{LONG_AGO, World};

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
