//! At which writes of a journal a run is killed.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::support::{every, seed};

/// A few moments, so far apart, from a random one on; `RUNSHEET_EVERY=1` is each of them: before and after every write.
pub fn moments(few: usize, apart: usize) -> impl Iterator<Item = usize> {
    let every = every();
    let apart = every.unwrap_or(apart);
    let first = StdRng::seed_from_u64(seed()).random_range(1..=apart);
    (first..).step_by(apart).take(if every.is_some() { usize::MAX } else { few })
}

/// The moment, as the program takes it.
pub fn when(moment: usize) -> String {
    let write = moment.div_ceil(2);
    if moment % 2 == 1 { format!("before:{write}") } else { format!("after:{write}") }
}
