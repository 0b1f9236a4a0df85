//! At which writes of a journal a run is killed.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::support::seed;

/// Every so many moments from a random one on; `RUNSHEET_EVERY=1` is each of them: before and after every write.
pub fn moments(stride: usize) -> impl Iterator<Item = usize> {
    let stride = std::env::var("RUNSHEET_EVERY").map_or(stride, |text| text.parse().expect("a number"));
    let first = StdRng::seed_from_u64(seed()).random_range(1..=stride);
    (first..).step_by(stride)
}

/// The moment, as the program takes it.
pub fn when(moment: usize) -> String {
    let write = moment.div_ceil(2);
    if moment % 2 == 1 { format!("before:{write}") } else { format!("after:{write}") }
}
