//! The whole suite, in one binary so that it links once.

mod runbook;
mod support;
