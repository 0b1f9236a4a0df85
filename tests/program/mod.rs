//! The whole program, run as people run it: real processes, a real PostgreSQL, exit codes and words.

mod attacks;
mod kills;
mod lifecycle;
mod notify;
pub mod project;
mod refusals;
mod secrets;
