//! How long writes stand still in a cutover, by the log of an application that goes on writing: `strategy=live` with everything
//! proved in the window, beside `strategy=dump`, which is what people do without it.
//!
//! `cargo bench --bench cutover -- ROWS` for a smaller database than 2 GB.

#[path = "../shared/measure.rs"]
#[allow(dead_code, reason = "the other ratios use the rest of it")]
mod measure;
#[path = "../shared/program.rs"]
#[allow(dead_code, reason = "the other ratios use the rest of it")]
mod program;
mod world;

use std::path::Path;

use measure::Bars;
use world::World;

/// Rows of a database of 2 GB or a little more.
const ROWS: u64 = 16_000_000;

fn main() {
    let rows = std::env::args().skip(1).find_map(|arg| arg.parse().ok()).unwrap_or(ROWS);
    let tmp = Path::new(env!("CARGO_TARGET_TMPDIR"));
    std::fs::create_dir_all(tmp).expect("the folder for temporary files");
    let live = World::up(tmp, rows).cutover("live", &["contents=true", "max_freeze=60s"]);
    let counted = World::up(tmp, rows).cutover("live", &["contents=false", "max_freeze=60s"]);
    let dump = World::up(tmp, rows).cutover("dump", &["contents=true", "max_freeze=6h"]);

    println!("frozen writes, {rows} rows, 200 transactions a second");
    for (name, window) in [("live, contents", &live), ("live, counts alone", &counted), ("dump", &dump)] {
        println!(
            "  {name:<20} {:>9.3} s, of which verification {:>8.3} s; {} writes acknowledged in all, {} refused; whole run {:.1} s",
            window.frozen, window.verified, window.acknowledged, window.refused, window.took
        );
        for (step, took) in &window.steps {
            println!("      {step:<16} {took:>9.3} s");
        }
    }
    let mut bars = Bars::default();
    bars.at_most("frozen writes of the live strategy beside verification, seconds", live.frozen - live.verified, 0.3);
    bars.ratio("frozen writes, live with verification / dump with verification", live.frozen / dump.frozen, 0.04);
    bars.print();
}
