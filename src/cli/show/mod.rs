//! How runs, endings and plans look at a terminal.

mod ending;
pub mod frozen;
mod plan;
mod terminal;

pub use ending::Closing;
pub use plan::{full, render};
pub use terminal::Terminal;

pub use crate::model::figures::{count, duration};
