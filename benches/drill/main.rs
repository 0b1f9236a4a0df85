//! The restore drill beside the recipe that people follow, and its proof beside the plain way to prove the same.
//!
//! Source and copy are the clusters of the lab, so that both sides of every ratio read the same rows from the same disk.

mod lab;
#[path = "../shared/measure.rs"]
#[allow(dead_code, reason = "the other ratios use the rest of it")]
mod measure;
#[path = "../shared/program.rs"]
mod program;
mod recipe;

use std::path::Path;

use lab::Lab;
use measure::{Bars, Rounds};

/// Rounds of everything but the large drill.
const ROUNDS: usize = 3;
/// Rows of the lab's default database.
const ROWS: u64 = 2_000_000;
/// Rows of a database of 2 GB or a little more.
const LARGE: u64 = 16_000_000;

fn main() {
    let tmp = Path::new(env!("CARGO_TARGET_TMPDIR"));
    std::fs::create_dir_all(tmp).expect("the folder for temporary files");
    let mut bars = Bars::default();
    let lab = Lab::up(tmp, ROWS);
    drill(&mut bars, &lab);
    proof(&mut bars, &lab);
    drop(lab);
    memory(&mut bars, tmp);
    bars.print();
}

/// Dump, restore, and proof of everything, beside dump, restore, and the counts of four tables.
fn drill(bars: &mut Bars, lab: &Lab) {
    let mut rounds = Rounds::new("the whole drill");
    for _ in 0..ROUNDS {
        rounds.add("pg_dump -Fc, pg_restore, count(*) of 4", recipe::drill(lab));
        rounds.add("restore-drill, everything proved", lab.run(&["run", "restore-drill"]).took);
    }
    rounds.print();
    let ratio = rounds.ratio("restore-drill, everything proved", "pg_dump -Fc, pg_restore, count(*) of 4");
    bars.ratio("the whole drill / the documented recipe", ratio, 0.75);
}

/// Contents and counts of all tables, both sides.
fn proof(bars: &mut Bars, lab: &Lab) {
    recipe::copy(lab);
    lab.write("runbooks/contents.rhai", &comparing("contents", true));
    lab.write("runbooks/counts.rhai", &comparing("counts", false));
    let mut rounds = Rounds::new("proof");
    for _ in 0..ROUNDS {
        rounds.add("sum(hashtextextended(t::text, 0)), 2 + 2", recipe::contents(lab));
        rounds.add("same_rows, contents", lab.run(&["run", "contents"]).took);
        rounds.add("psql count(*) of the 4 biggest", recipe::counts(lab));
        rounds.add("same_rows, counts", lab.run(&["run", "counts"]).took);
    }
    rounds.print();
    let ratio = rounds.ratio("same_rows, contents", "sum(hashtextextended(t::text, 0)), 2 + 2");
    bars.ratio("contents of all tables, both sides / the plain way, both sides at once", ratio, 1.0);
    bars.note("the aim is 0.65");
    let ratio = rounds.ratio("same_rows, counts", "psql count(*) of the 4 biggest");
    bars.ratio("counts of all tables, both sides / psql counting the 4 biggest, one after the other", ratio, 1.0);
}

/// A runbook that compares source and copy and does nothing else.
fn comparing(name: &str, contents: bool) -> String {
    format!(
        "runbook(\"{name}\", \"1.0.0\", #{{ about: \"a ratio\", params: #{{ left: target(\"the one\"), right: target(\"the other\") }} }});\n\
         step(\"compare\", || check::same_rows(params.left, params.right, #{{ contents: {contents} }}));\n"
    )
}

/// What the engine itself takes while it drills a database of 2 GB.
fn memory(bars: &mut Bars, tmp: &Path) {
    let lab = Lab::up(tmp, LARGE);
    let gb = lab.source_bytes() as f64 / 1e9;
    let ran = lab.run(&["run", "restore-drill"]);
    println!("drill of {gb:.1} GB: {:.1} s, engine's peak RSS {:.1} MB", ran.took, ran.peak_mb);
    bars.at_most(&format!("peak RSS of the engine in a drill of {gb:.1} GB, MB"), ran.peak_mb, 60.0);
}
