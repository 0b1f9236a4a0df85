//! `preview-branch` makes one branch however often it is run, and `branch-verify` leaves none.

use serde_json::{Value, json};

use super::carried::{behave, carried, carried_on, misbehave, peak, with_every_seed};
use super::kills;
use crate::program::project::Said;
use crate::purge::world::{LONG_AGO, World};

fn world() -> World {
    let world = World::new(&json!({ "created_at": LONG_AGO }));
    world.neon.seed(&json!([{ "name": "dev", "created_at": LONG_AGO }, { "name": "preview/pr-1-theirs" }]));
    world
}

const VERIFY: [&str; 3] = [
    "run",
    "branch-verify",
    "command=sh -c 'test -n \"$DATABASE_URL\" && test \"$DATABASE_URL\" != \"$DIRECT_DATABASE_URL\"'",
];

/// Brings a verification to its end; no branch is left but those of before.
#[track_caller]
fn verified(world: &World, before: &[String], first: Said) {
    let course = carried_on(&world.neon, &world.ours, &VERIFY, first);
    behave(&world.neon);
    assert_eq!(world.neon.names(), before, "{}", course.said);
    assert!(peak(&world.neon) <= before.len() + 1, "two branches at once: {:?}\n{}", world.neon.made(), course.said);
    let removed = world.neon.removed();
    assert!(removed.iter().all(|name| name.starts_with("runsheet/branch-verify-")), "deleted {removed:?}");
}

/// Brings a preview to its end; there is one branch of that name, and it is named in the file.
#[track_caller]
fn previewed(world: &World, before: &[String], pr: u64, first: Said) {
    let course = carried_on(&world.neon, &world.ours, &preview(pr).each_ref().map(String::as_str), first);
    let name = format!("preview/pr-{pr}");
    assert_eq!(left(world, before), std::slice::from_ref(&name), "{}", course.said);
    assert!(peak(&world.neon) <= before.len() + 1, "two branches at once: {:?}\n{}", world.neon.made(), course.said);
    let removed = world.neon.removed();
    assert!(removed.iter().all(|it| *it == name), "deleted {removed:?}\n{}", course.said);
    let file = std::fs::read_to_string(world.ours.path().join(".env.preview")).expect("the file");
    let state = world.neon.state();
    let branches = state["branches"].as_array().expect("branches");
    let made = branches.iter().find(|branch| branch["deleted"] == false && branch["name"] == name.as_str());
    let endpoint = made.expect("the branch")["endpoints"][0]["id"].as_str().expect("an endpoint").to_owned();
    assert!(file.contains(&endpoint), "{file} is not of {endpoint}");
}

fn preview(pr: u64) -> [String; 4] {
    ["run".into(), "preview-branch".into(), format!("pr={pr}"), "schema=fennec".into()]
}

fn left(world: &World, before: &[String]) -> Vec<String> {
    world.neon.names().into_iter().filter(|name| !before.contains(name)).collect()
}

#[test]
fn a_preview_run_twice_is_one_branch_whatever_the_service_does() {
    with_every_seed(1, |seed| {
        let world = world();
        let before = world.neon.names();
        misbehave(&world.neon, seed);
        let args = preview(7);
        let args = args.each_ref().map(String::as_str);
        let first = world.ours.run(&args);
        previewed(&world, &before, 7, first);
        let made = world.neon.made();
        carried(&world.neon, &world.ours, &args);
        behave(&world.neon);
        assert_eq!(world.neon.made(), made, "made once more");
        assert_eq!(left(&world, &before), ["preview/pr-7"]);
        world.neon.lab("DELETE", "", &Value::Null);
    });
}

#[test]
fn a_verification_leaves_no_branch_whatever_the_service_does() {
    with_every_seed(1, |seed| {
        let world = world();
        let before = world.neon.names();
        misbehave(&world.neon, seed);
        let first = world.ours.run(&VERIFY);
        verified(&world, &before, first);
        world.neon.lab("DELETE", "", &Value::Null);
    });
}

#[test]
fn a_preview_killed_around_its_journal_writes_is_one_branch() {
    let mut died = 0;
    for moment in kills::moments(2, 15) {
        let world = world();
        let before = world.neon.names();
        let args = preview(7);
        let args = args.each_ref().map(String::as_str);
        misbehave(&world.neon, moment as u64);
        let first = world.ours.run_with("RUNSHEET_CRASH", &kills::when(moment), &args);
        let over = first.code == 0;
        previewed(&world, &before, 7, first);
        world.neon.lab("DELETE", "", &Value::Null);
        if over {
            break;
        }
        died += 1;
    }
    println!("died {died} times");
    assert!(died > 0, "it never died");
}

#[test]
fn a_verification_killed_around_its_journal_writes_leaves_no_branch() {
    let world = world();
    let before = world.neon.names();
    let mut died = 0;
    for moment in kills::moments(2, 17) {
        misbehave(&world.neon, moment as u64);
        let first = world.ours.run_with("RUNSHEET_CRASH", &kills::when(moment), &VERIFY);
        let over = first.code == 0;
        verified(&world, &before, first);
        if over {
            break;
        }
        died += 1;
    }
    println!("died {died} times");
    assert!(died > 0, "it never died");
}
