//! What a patient operator does: types the next command until the run is over, or it is clear that something is wrong.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde_json::json;

use crate::program::project::{Project, Said};
use crate::support::neon;

/// How many commands are typed before it counts as stuck.
const PATIENCE: usize = 12;

/// Share of each kind of misbehaviour; seven of them strike requests, three operations, five what answers look like. `RUNSHEET_SHARE` is another.
const SHARE: f64 = 0.05;

/// Tries something with every seed, and tells all that it failed with.
pub fn with_every_seed(few: u64, one: impl Fn(u64)) {
    let number = |name: &str, or| std::env::var(name).map_or(or, |text| text.parse().expect("a number"));
    let (count, first) = (number("RUNSHEET_SEEDS", few), number("RUNSHEET_SEED", 1));
    let mut failed = Vec::new();
    for seed in first..first + count {
        println!("RUNSHEET_SEED={seed}");
        if catch_unwind(AssertUnwindSafe(|| one(seed))).is_err() {
            failed.push(seed);
        }
    }
    println!("{} of {count} seeds came through", count - failed.len() as u64);
    assert_eq!(failed, Vec::<u64>::new(), "seeds that failed");
}

/// Has it misbehave in every way, and be as it may be where that is not known: in pages, in what a refusal says, in what
/// becomes of deleted branches and of restored roots.
pub fn misbehave(neon: &neon::Project, seed: u64) {
    neon.knobs(&json!({
        "page_cap": ([0, 3, 7][usize::try_from(seed % 3).expect("small")]),
        "cursor_on_last_page": seed % 4 < 2,
        "retry_after": seed.is_multiple_of(2),
        "soft_delete": !seed.is_multiple_of(5),
        "root_becomes_child": seed % 4 == 1,
        "operation_ms": ([5, 20, 80][usize::try_from(seed % 7 % 3).expect("small")]),
    }));
    let share = std::env::var("RUNSHEET_SHARE").map_or(SHARE, |text| text.parse().expect("a number"));
    neon.chaos(&json!({ "seed": seed, "all": share }));
}

/// Has it behave again, and waits until it has nothing to do.
pub fn behave(neon: &neon::Project) {
    neon.chaos(&json!({ "seed": 0, "all": 0.0 }));
    neon.settle();
}

/// Whether a run waits to be gone on with.
pub fn unfinished(project: &Project) -> bool {
    let status = project.run(&["status", "--json"]).json();
    status["unfinished"].as_array().is_some_and(|runs| !runs.is_empty())
}

/// How a run was brought to its end.
pub struct Course {
    /// All that was said.
    pub said: String,
    /// How many runs were begun.
    pub begun: usize,
    /// How often one was gone on with.
    pub resumed: usize,
}

/// Begins a run and brings it to its end: approves what is asked, goes on with what gave up, and begins anew where a run
/// that gave up was cleaned up.
#[track_caller]
pub fn carried(neon: &neon::Project, project: &Project, args: &[&str]) -> Course {
    let first = project.run(args);
    carried_on(neon, project, args, first)
}

/// The same from what a first command came to.
#[track_caller]
pub fn carried_on(neon: &neon::Project, project: &Project, args: &[&str], first: Said) -> Course {
    let (mut said, mut begun, mut resumed) = (Vec::new(), 1, 0);
    let mut last = first;
    for _ in 0..PATIENCE {
        said.push(format!("exit {}\n{}", last.code, last.err));
        match last.code {
            0 => return Course { said: said.join("\n----\n"), begun, resumed },
            5 => {
                project.run(&["approve", "--why", "looks right"]).with_code(0);
            }
            // It gave up, or was killed. Everything else needs a person, and nothing here does.
            1 | -1 => resumed += 1,
            _ => break,
        }
        last = if unfinished(project) {
            project.run(&["resume"])
        } else {
            begun += 1;
            project.run(args)
        };
    }
    let state = neon.state();
    panic!(
        "it does not come through\n{}\nmisbehaved: {}\nanswered: {}\nbranches: {:?}",
        said.join("\n----\n"),
        state["chaos"],
        state["statuses"],
        neon.names()
    );
}

/// How often each name was removed.
pub fn removals(neon: &neon::Project) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for name in neon.removed() {
        *counts.entry(name).or_default() += 1;
    }
    counts
}

/// The most branches that were there at once.
pub fn peak(neon: &neon::Project) -> usize {
    usize::try_from(neon.state()["peak"].as_u64().expect("a number")).expect("a number")
}
