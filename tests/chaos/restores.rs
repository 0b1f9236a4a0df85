//! `pitr-restore` on branches with real data: what was lost is back, and only the kept present is left.

use serde_json::{Value, json};

use super::carried::{Course, behave, carried_on, misbehave, peak, with_every_seed};
use super::kills;
use crate::pitr::branches::{NOTES, World, text};
use crate::program::project::Said;

const LOST: &str = "predicate=select count(*) = 20 from notes";
const SPOILT: &str = "predicate=select count(*) > 0 from notes where note like 'note %'";

/// Brings a restore to its end. Nothing is left but the presents that were kept, one for each run at most.
#[track_caller]
fn restored(world: &World, args: &[&str], kept: usize, first: Said) -> Course {
    let course = carried_on(&world.neon, &world.project, args, first);
    behave(&world.neon);
    let left: Vec<String> = world.neon.names().into_iter().filter(|name| name != "main").collect();
    let presents = left.iter().filter(|name| name.starts_with("pitr-")).count();
    assert_eq!(left.len(), presents, "{left:?}\n{}", course.said);
    assert!((kept + 1..=kept + course.begun).contains(&presents), "{left:?} of {} runs\n{}", course.begun, course.said);
    let removed = world.neon.removed();
    let strange: Vec<&String> = removed.iter().filter(|name| !name.starts_with("runsheet/pitr-restore-")).collect();
    assert!(strange.is_empty(), "deleted {strange:?}\n{}", course.said);
    // The branch itself, presents, and one copy at a time.
    assert!(peak(&world.neon) <= presents + 2, "two copies at once: {:?}\n{}", world.neon.made(), course.said);
    course
}

/// By which moment, or between which it is searched.
fn moment(world: &World, search: bool) -> String {
    let at = world.now();
    world.passed(at, if search { 1.1 } else { 0.0 });
    format!("at={}", text(at))
}

#[test]
fn lost_rows_come_back_from_a_branch_whatever_the_service_does() {
    with_every_seed(1, |seed| {
        let world = World::with(NOTES);
        // Every other one is searched for.
        let search = seed % 2 == 0;
        let at = moment(&world, search);
        world.app.sql("delete from notes where id > 15");
        world.passed(world.now(), if search { 1.1 } else { 0.0 });
        misbehave(&world.neon, seed);
        let args = ["run", "pitr-restore", "source=app", LOST, "tables=notes", &at];
        let args = if search { &args[..5] } else { &args[..] };
        let first = world.project.run(args);
        let course = restored(&world, args, 0, first);
        assert_eq!(world.app.sql("select count(*) from notes"), "20");
        assert_eq!(world.app.sql("select count(*) from pg_namespace where nspname like 'runsheet%'"), "0");
        println!("begun {} times, resumed {} times", course.begun, course.resumed);
        world.neon.lab("DELETE", "", &Value::Null);
    });
}

#[test]
fn a_branch_is_rewound_once_whatever_the_service_does() {
    with_every_seed(1, |seed| {
        let world = World::with(NOTES);
        let guarded = seed % 2 == 1;
        world.neon.alter("main", &json!({ "protected": guarded }));
        let at = moment(&world, false);
        world.app.sql("update notes set note = 'spoilt'");
        misbehave(&world.neon, seed);
        let args = ["run", "pitr-restore", "source=app", SPOILT, "mode=rewind", &at];
        let first = world.project.run(&args);
        let course = restored(&world, &args, 0, first);
        rewound(&world, guarded, 1);
        println!("begun {} times, resumed {} times", course.begun, course.resumed);
        world.neon.lab("DELETE", "", &Value::Null);
    });
}

/// It was rewound as often as presents are kept, the last of which has what was spoilt.
#[track_caller]
fn rewound(world: &World, guarded: bool, times: usize) {
    assert_eq!(world.app.sql("select min(note) from notes"), "note 1");
    let main = world.neon.api("GET", &format!("/branches/{}", world.neon.branch), &Value::Null).with(200);
    assert_eq!(main["branch"]["protected"], guarded);
    let presents: Vec<String> = world.neon.names().into_iter().filter(|name| name != "main").collect();
    assert_eq!(presents.len(), times, "{presents:?}");
    let present = presents.last().expect("a present");
    let rows = world.neon.sql(present, "select min(note) from notes");
    assert!(rows.to_string().contains("spoilt"), "{present}: {rows}");
}

#[test]
fn a_rewind_killed_around_its_journal_writes_is_made_once() {
    let world = World::with(NOTES);
    world.neon.alter("main", &json!({ "protected": true }));
    // Every kept present may be a branch without a parent.
    world.neon.knobs(&json!({ "root_branches_limit": 5000 }));
    let (mut died, mut times, mut approval) = (0, 0, None);
    for moment in kills::moments(2, 59) {
        let at = format!("at={}", text(world.now()));
        world.app.sql("update notes set note = 'spoilt'");
        let args = ["run", "pitr-restore", "source=app", SPOILT, "mode=rewind", &at];
        misbehave(&world.neon, moment as u64);
        let mut first = world.project.run_with("RUNSHEET_CRASH", &kills::when(moment), &args);
        let mut over = false;
        if first.code == 5 {
            // Another process counts from the approval on.
            let behind = moment - *approval.get_or_insert(moment) + 1;
            world.project.run(&["approve", "--why", "looks right"]).with_code(0);
            first = world.project.run_with("RUNSHEET_CRASH", &kills::when(behind), &["resume"]);
            over = first.code == 0;
        }
        died += usize::from(first.code == -1);
        restored(&world, &args, times, first);
        times += 1;
        rewound(&world, true, times);
        if over {
            break;
        }
    }
    println!("died {died} times");
    assert!(died > 0, "it never died");
}
