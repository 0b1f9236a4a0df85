//! The whole suite, in one binary so that it links once.

mod config;
mod journal;
mod postgres;
mod program;
mod process;
mod report;
mod runbook;
mod support;
