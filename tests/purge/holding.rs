//! Between plan and run, and while it runs, the world goes on: nothing is deleted that the plan did not name as it was.

use serde_json::json;

use super::world::{LONG_AGO, World};

#[test]
fn without_a_plan_it_is_refused() {
    let world = World::new(&json!({}));
    world.ours.run(&["run", "branch-purge"]).with_code(2).saying("runsheet plan branch-purge --out");
}

#[test]
fn another_list_of_candidates_is_drift() {
    let world = World::new(&json!({}));
    world.closed(&["preview/pr-1", "preview/pr-2"]);
    world.plan(&[]).with_code(0);
    // A branch that changes nothing about what is deleted is none.
    world.closed(&["dev"]);
    world.closed(&["preview/pr-3"]);
    world.run().with_code(8);
    world.plan(&[]).with_code(0);
    world.neon.alter("preview/pr-1", &json!({ "name": "preview/pr-1-renamed" }));
    world.run().with_code(8);
    world.plan(&[]).with_code(0);
    // Deleted and made again under its name: another branch.
    world.neon.alter("preview/pr-2", &json!({ "removed": true }));
    world.closed(&["preview/pr-2"]);
    let removed = world.neon.removed().len();
    world.run().with_code(8);
    assert_eq!(world.neon.removed().len(), removed, "somebody else removed one, and we none");
}

#[test]
fn a_new_branch_that_stays_is_no_drift() {
    let world = World::new(&json!({}));
    world.closed(&["preview/pr-1"]);
    world.plan(&[]).with_code(0);
    world.closed(&["dev", "feature"]);
    world.run().with_code(0);
    assert_eq!(world.neon.removed(), ["preview/pr-1"]);
}

#[test]
fn the_caps_stop_the_whole_run_before_the_first_deletion() {
    let world = World::new(&json!({}));
    world.closed(&["preview/pr-1", "preview/pr-2", "preview/pr-3"]);
    world.plan(&["max_count=2"]).with_code(0);
    world.run().with_code(3).saying("at most 2 branches are deleted");
    world.ours.run(&["abandon", "--why", "too many"]).with_code(0);
    world.plan(&["max_share=50%"]).with_code(0);
    world.run().with_code(3).saying("at most 50");
    assert_eq!(world.neon.removed(), [""; 0]);
}

#[test]
fn what_changes_while_it_runs_is_kept_and_told() {
    let world = World::new(&json!({}));
    world.closed(&["preview/pr-1", "preview/pr-2", "preview/pr-3", "preview/pr-4"]);
    world.plan(&[]).with_code(0);
    // Killed after the listing and the caps, before the first deletion.
    let mut before = 0;
    for write in 4..40 {
        let said = world.ours.run_with(
            "RUNSHEET_CRASH",
            &format!("before:{write}"),
            &["run", "branch-purge", "--plan", "p.json"],
        );
        assert_ne!(said.code, 0);
        let run = world.ours.run(&["status", "--json"]).json()["unfinished"][0]["run"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let capped =
            world.ours.entries(&run).iter().any(|entry| format!("{entry:?}").contains("StepEnded { step: \"caps\""));
        if capped {
            before = write;
            break;
        }
        world.ours.run(&["abandon", "--why", "too early"]).with_code(0);
    }
    assert!(before > 0, "it never came to the caps");
    world.neon.alter("preview/pr-1", &json!({ "protected": true }));
    world.neon.alter("preview/pr-2", &json!({ "name": "preview/pr-2-renamed" }));
    world.neon.alter("preview/pr-3", &json!({ "removed": true }));
    let removed = world.neon.removed();
    let said = world.ours.run(&["resume"]).with_code(0);
    assert!(said.err.contains("protected"), "{}", said.err);
    assert!(said.err.contains("1 + 1 + "), "{}", said.err);
    let mut ours = world.neon.removed();
    ours.drain(..removed.len());
    assert_eq!(ours, ["preview/pr-4"]);
}

#[test]
fn two_purges_at_once_delete_each_branch_once_and_both_account_for_all() {
    let world = World::new(&json!({}));
    let names: Vec<String> = (1..=12).map(|nth| format!("preview/pr-{nth}")).collect();
    world.closed(&names.iter().map(String::as_str).collect::<Vec<_>>());
    world.plan(&[]).with_code(0);
    let command = || world.ours.command(&["run", "branch-purge", "--plan", "p.json"]);
    let pipes = || std::process::Stdio::piped();
    let one = command().stderr(pipes()).stdout(pipes()).spawn().expect("it starts");
    let two = command().stderr(pipes()).stdout(pipes()).spawn().expect("it starts");
    let (one, two) = (one.wait_with_output().expect("it ends"), two.wait_with_output().expect("it ends"));
    for said in [&one, &two] {
        // The second may already see another list than the plan.
        assert!([Some(0), Some(8)].contains(&said.status.code()), "{}", String::from_utf8_lossy(&said.stderr));
    }
    assert!(one.status.code() == Some(0) || two.status.code() == Some(0));
    let mut removed = world.neon.removed();
    removed.sort();
    removed.dedup();
    assert_eq!(removed.len(), 12);
    assert_eq!(world.neon.removed().len(), 12);
}

#[test]
fn killed_at_any_write_it_deletes_what_the_plan_named_and_accounts_for_all() {
    let mut write = 1;
    loop {
        let world = World::new(&json!({}));
        world.closed(&["preview/pr-1", "preview/pr-2", "dev"]);
        world.neon.seed(&json!([{ "name": "preview/pr-1-child", "parent": "preview/pr-1", "created_at": LONG_AGO }]));
        world.plan(&[]).with_code(0);
        let when = if write % 2 == 0 { "before" } else { "after" };
        let said = world.ours.run_with(
            "RUNSHEET_CRASH",
            &format!("{when}:{write}"),
            &["run", "branch-purge", "--plan", "p.json"],
        );
        let unfinished = || !world.ours.run(&["status", "--json"]).json()["unfinished"][0].is_null();
        if said.code != 0 && unfinished() {
            world.ours.run(&["resume"]).with_code(0).saying("deleted + gone + kept + unknown = listed");
            let mut removed = world.neon.removed();
            removed.sort();
            assert_eq!(removed, ["preview/pr-1", "preview/pr-1-child", "preview/pr-2"], "killed {when} {write}");
        }
        if said.code == 0 {
            assert!(write > 10, "{write} writes");
            break;
        }
        write += 3;
    }
}
