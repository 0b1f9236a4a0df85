//! Ratios against named peers, measured in the same run: what Runsheet costs beside what it is compared with.
//!
//! Nothing here is a test. Disks and neighbours change from one minute to the next, so that no figure means anything
//! but beside another one of the same rounds; `benches/README.md` says what each ratio means.

#[path = "../shared/measure.rs"]
mod measure;
mod peers;
#[path = "../shared/program.rs"]
mod program;
mod project;
#[path = "../../tests/support/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the tests use more of it than the ratios do")]
mod support;

use std::path::Path;

use measure::{Bars, Rounds};
use peers::Venv;
use project::Project;

/// Rounds of everything that takes seconds.
const ROUNDS: usize = 5;
/// Rounds of what takes milliseconds.
const MANY_ROUNDS: usize = 15;
/// Steps of the long run.
const STEPS: usize = 1000;
/// Actions of the runs that are resumed.
const ACTIONS: usize = 100_000;

fn main() {
    let tmp = Path::new(env!("CARGO_TARGET_TMPDIR"));
    std::fs::create_dir_all(tmp).expect("the folder for temporary files");
    let venv = Venv::open(&tmp.join("peers"));
    let mut bars = Bars::default();
    steps(&mut bars, tmp, &venv);
    start(&mut bars, tmp, &venv);
    resume(&mut bars, tmp);
    preview(&mut bars, tmp);
    bars.print();
}

/// Many trivial steps, each with a durable checkpoint.
fn steps(bars: &mut Bars, tmp: &Path, venv: &Venv) {
    let project = Project::new(tmp, None);
    project.runbook("one", &project::trivial_steps(1));
    project.runbook("many", &project::trivial_steps(STEPS));
    // One durable entry a step, one for the start of the run and one for its end.
    let writes = STEPS + 2;
    let mut rounds = Rounds::new("1,000 trivial steps");
    for _ in 0..ROUNDS {
        rounds.add("runsheet, 1 step", project.run(&["run", "one"]).took);
        rounds.add("runsheet", project.run(&["run", "many"]).took);
        rounds.add("append + fdatasync", peers::sync_loop(tmp, writes));
        if venv.dbos.is_ok() {
            rounds.add("DBOS, 1 step", venv.dbos(tmp, 1));
            rounds.add("DBOS", venv.dbos(tmp, STEPS));
        }
    }
    rounds.print();
    let bar = "1,000 steps / append+fdatasync loop of as many writes";
    bars.ratio(bar, rounds.ratio("runsheet", "append + fdatasync"), 2.0);
    let bar = "one step more / one step more of DBOS Transact on SQLite";
    match &venv.dbos {
        Ok(_) => {
            let peer = ("DBOS, 1 step", "DBOS");
            bars.ratio(bar, rounds.ratio_of_growth(("runsheet, 1 step", "runsheet"), peer), 0.1);
            let write = rounds.median("append + fdatasync") / writes as f64;
            let step = (rounds.median("DBOS") - rounds.median("DBOS, 1 step")) / (STEPS - 1) as f64;
            bars.note(&format!("below which no durable step can be: one bare append + fdatasync, {:.3}", write / step));
        }
        Err(why) => bars.skipped(bar, why),
    }
}

/// A run of one step, from the start of the process to its end; beside it what starting alone takes.
fn start(bars: &mut Bars, tmp: &Path, venv: &Venv) {
    let project = Project::new(tmp, None);
    project.runbook("one", &project::trivial_steps(1));
    let mut rounds = Rounds::new("start to exit");
    for _ in 0..MANY_ROUNDS {
        rounds.add("runsheet --version", project.run(&["--version"]).took);
        rounds.add("runsheet words", project.run(&["words"]).took);
        rounds.add("runsheet, 1 step", project.run(&["run", "one"]).took);
        if venv.ansible.is_ok() {
            rounds.add("ansible-playbook, 1 debug task", venv.ansible(tmp));
        }
    }
    rounds.print();
    let bar = "a run of one step / ansible-playbook with one debug task";
    match &venv.ansible {
        Ok(_) => bars.ratio(bar, rounds.ratio("runsheet, 1 step", "ansible-playbook, 1 debug task"), 0.03),
        Err(why) => bars.skipped(bar, why),
    }
}

/// Going on with a run that has 100,000 recorded actions.
fn resume(bars: &mut Bars, tmp: &Path) {
    let cluster = support::Cluster::start(&[]);
    let shapes = [
        ("in one interrupted step", project::one_long_step(ACTIONS)),
        ("in one step that failed", project::one_failed_step(ACTIONS)),
        ("in 1,000 done steps", project::many_steps_of_actions(STEPS, ACTIONS / STEPS)),
    ];
    for (shape, steps) in shapes {
        let database = cluster.database("resume");
        database.sql("create table trace (n int)");
        let project = Project::new(tmp, Some(&database.url));
        project.runbook("long", &steps);
        let first = project.attempt(&["run", "long"]);
        let name = format!("resume of 100,000 actions {shape}");
        eprintln!("{name}: recorded in {:.1} s, {} entries", first.took, project.entries("long-1"));
        if first.code == 5 {
            project.run(&["approve", "long-1", "--why", "the ratio"]);
        } else {
            project.write("go-on", "");
        }
        let mut rounds = Rounds::new(&name);
        let mut peak = Vec::new();
        for _ in 0..ROUNDS {
            let again = project.copy(tmp);
            let resumed = again.run(&["resume", "long-1"]);
            rounds.add("runsheet resume", resumed.took);
            peak.push(resumed.peak_mb);
        }
        rounds.print();
        bars.at_most(&format!("{name}, seconds"), rounds.median("runsheet resume"), 1.0);
        bars.at_most(&format!("{name}, peak RSS in MB"), measure::median(&peak), 60.0);
    }
}

/// The preview of a runbook of 200 steps.
fn preview(bars: &mut Bars, tmp: &Path) {
    let cluster = support::Cluster::start(&[]);
    let database = cluster.database("preview");
    database.sql("create table orders (id int primary key, state text); create table audit (id int, note text)");
    let with = Project::new(tmp, Some(&database.url));
    with.runbook("reads", &project::steps_of_sql(200));
    let without = Project::new(tmp, None);
    without.runbook("commands", &project::steps_of_commands(200));
    let mut rounds = Rounds::new("preview of 200 steps");
    for _ in 0..MANY_ROUNDS {
        rounds.add("100 reads, 100 prepared", with.run(&["plan", "reads"]).took);
        rounds.add("200 rendered, no database", without.run(&["plan", "commands"]).took);
    }
    rounds.print();
    for name in ["100 reads, 100 prepared", "200 rendered, no database"] {
        bars.at_most(&format!("preview of 200 steps, {name}, seconds"), rounds.median(name), 0.2);
    }
}
