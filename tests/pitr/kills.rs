//! A restore that is killed at any of its journal's writes is carried on with, repairs once, and leaves nothing behind.

use super::world::World;
use crate::program::project::Project;
use crate::support::kills;

/// How far apart the writes are at which a run is killed: there are many.
pub const APART: usize = 23;

/// Carries a run on to its end, whatever it waits for.
#[track_caller]
pub fn carried_on(project: &Project, when: &str) {
    for _ in 0..4 {
        let status = project.run(&["status", "--json"]).json();
        let Some(run) = status["unfinished"].as_array().and_then(|runs| runs.first()) else { return };
        if run["state"] == "waiting" {
            project.run(&["approve", "--why", "looks right"]).with_code(0);
        }
        let said = project.run(&["resume"]);
        assert!(said.code == 0 || said.code == 5, "{when}: {}\n{}", said.code, said.err);
    }
    panic!("{when}: it does not come to its end");
}

#[test]
fn a_restore_killed_around_its_journal_writes_repairs_once_and_leaves_nothing() {
    let world = World::with(
        "create table notes (id int primary key, note text); insert into notes select n, 'note' from generate_series(1, 9) n",
    );
    let from = world.second();
    world.app.sql("delete from notes where id > 6");
    let to = world.second();
    let (from, to) = (format!("from={from}"), format!("to={to}"));
    let run =
        ["run", "pitr-restore", "source=app", "predicate=select count(*) = 9 from notes", &from, &to, "tables=notes"];
    let mut died = 0;
    for write in kills(APART) {
        let when = format!("{}:{write}", if write % 2 == 0 { "before" } else { "after" });
        let said = world.project.run_with("RUNSHEET_CRASH", &when, &run);
        if said.code == 5 {
            carried_on(&world.project, &when);
            break;
        }
        assert_eq!(said.code, -1, "{when}: {}", said.err);
        died += 1;
        carried_on(&world.project, &when);
        let rows = world.app.sql("select count(*) from notes");
        if rows != "9" {
            // It died before it had begun anything that must be carried on with.
            assert_eq!(rows, "6", "{when}");
        }
        world.nothing_is_left();
        world.app.sql("delete from notes where id > 6");
    }
    assert!(died > 1, "it died {died} times");
    world.nothing_is_left();
    world.project.run(&["audit", "verify"]).with_code(0);
}

#[test]
fn a_repair_killed_behind_its_approval_is_made_once() {
    let world = World::with(
        "create table notes (id int primary key, note text); insert into notes select n, 'note' from generate_series(1, 9) n",
    );
    let at = format!("at={}", world.second());
    for write in kills(7) {
        world.app.sql("delete from notes where id > 6");
        world.restore(&[&at, "predicate=select count(*) = 9 from notes", "tables=notes"]).with_code(5);
        world.project.run(&["approve", "--why", "looks right"]).with_code(0);
        let when = format!("{}:{write}", if write % 2 == 0 { "before" } else { "after" });
        let said = world.project.run_with("RUNSHEET_CRASH", &when, &["resume"]);
        if said.code == -1 {
            carried_on(&world.project, &when);
        }
        assert_eq!(world.app.sql("select count(*) from notes"), "9", "{when}");
        world.nothing_is_left();
        if said.code != -1 {
            assert!(write > 4, "it died too seldom");
            return;
        }
    }
}
