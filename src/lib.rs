//! Runsheet: a runbook engine for PostgreSQL operations.
//!
//! Data runs one way: `cli` → `runbook` → `engine` → `effects`; `model` is known to all, `journal` lies beneath.

pub mod effects;
pub mod journal;
pub mod model;
pub mod runbook;
