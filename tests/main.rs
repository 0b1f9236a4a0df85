//! The whole suite, in one binary so that it links once.

mod journal;
mod report;
mod support;
