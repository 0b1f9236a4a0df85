//! Text in, declarations and actions out: what a runbook may say and what becomes of it.

mod calls;
mod desk;
mod examples;
mod lint;
mod realistic;
mod shipped;
mod sql;
mod traps;
