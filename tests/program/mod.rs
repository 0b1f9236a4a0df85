//! The whole program, run as people run it: real processes, a real PostgreSQL, exit codes and words.

mod attacks;
mod examples;
mod json;
mod kills;
mod lifecycle;
mod notify;
mod preview;
pub mod project;
mod readme;
mod refusals;
mod scan;
mod sealed;
mod sealing;
mod secrets;
mod words;
