//! Runsheet: a runbook engine for PostgreSQL operations.
//!
//! Data runs one way: `cli` → `runbook` → `engine` → `effects`; `model` is known to all, `journal` lies beneath.

pub mod cli;
pub mod effects;
pub mod engine;
pub mod journal;
pub mod lab;
pub mod model;
pub mod report;
pub mod runbook;
