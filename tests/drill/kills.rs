//! A drill that is killed at any of its journal's writes is carried on with, and leaves nothing behind.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::world::World;
use crate::support::seed;

/// Every so many writes one is died at, from a random one on; `RUNSHEET_EVERY=1` dies at each of them.
fn stride() -> usize {
    std::env::var("RUNSHEET_EVERY").ok().map_or(9, |text| text.parse().expect("a number"))
}

#[test]
fn a_drill_killed_around_its_journal_writes_is_resumed_and_passes() {
    let world = World::new();
    let stride = stride();
    let first = StdRng::seed_from_u64(seed()).random_range(1..=stride);
    let mut died = 0;
    for write in (first..).step_by(stride) {
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
