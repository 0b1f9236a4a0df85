//! A drill that is killed at any of its journal's writes is carried on with, and leaves nothing behind.

use super::world::World;
use crate::support::kills;

#[test]
fn a_drill_killed_around_its_journal_writes_is_resumed_and_passes() {
    let world = World::new();
    let mut died = 0;
    for write in kills(9) {
        let when = if write % 2 == 0 { "before" } else { "after" };
        let said = world.project.run_with("RUNSHEET_CRASH", &format!("{when}:{write}"), &["run", "restore-drill"]);
        if said.code == 0 {
            break;
        }
        died += 1;
        assert_eq!(said.code, -1, "{when} write {write}: {}", said.err);
        let unfinished = world.project.run(&["status", "--json"]).json();
        if unfinished["unfinished"].as_array().is_some_and(|runs| !runs.is_empty()) {
            let resumed = world.project.run(&["resume"]);
            assert_eq!(resumed.code, 0, "{when} write {write}: {}", resumed.err);
        }
        world.nothing_is_left();
    }
    assert!(died > 2, "it died {died} times");
    world.project.run(&["audit", "verify"]).with_code(0);
}
