//! `restore-drill via=branch` leaves no branch, and touches none but its own.

use serde_json::Value;

use super::carried::{Course, behave, carried_on, misbehave, peak, with_every_seed};
use super::kills;
use crate::pitr::branches::{NOTES, World};
use crate::program::project::Said;

const DRILL: [&str; 4] = ["run", "restore-drill", "via=branch", "source=app"];

/// Brings a drill to its end: it is proved, and no branch is left.
#[track_caller]
fn drilled(world: &World, first: Said) -> Course {
    let course = carried_on(&world.neon, &world.project, &DRILL, first);
    behave(&world.neon);
    assert_eq!(world.neon.names(), ["main"], "{}", course.said);
    assert!(peak(&world.neon) <= 2, "two branches at once: {:?}\n{}", world.neon.made(), course.said);
    let removed = world.neon.removed();
    assert!(removed.iter().all(|name| name.starts_with("runsheet/restore-drill-")), "deleted {removed:?}");
    assert!(course.said.contains("equal in rows and contents"), "{}", course.said);
    assert_eq!(world.app.sql("select count(*) from notes"), "20");
    course
}

#[test]
fn a_drill_on_a_branch_leaves_none_whatever_the_service_does() {
    with_every_seed(1, |seed| {
        let world = World::with(NOTES);
        misbehave(&world.neon, seed);
        let first = world.project.run(&DRILL);
        let course = drilled(&world, first);
        println!("begun {} times, resumed {} times", course.begun, course.resumed);
        world.neon.lab("DELETE", "", &Value::Null);
    });
}

#[test]
fn a_drill_on_a_branch_killed_around_its_journal_writes_leaves_none() {
    let world = World::with(NOTES);
    let mut died = 0;
    for moment in kills::moments(1, 60) {
        misbehave(&world.neon, moment as u64);
        let first = world.project.run_with("RUNSHEET_CRASH", &kills::when(moment), &DRILL);
        let over = first.code == 0;
        drilled(&world, first);
        if over {
            break;
        }
        died += 1;
    }
    println!("died {died} times");
    assert!(died > 0, "it never died");
}
