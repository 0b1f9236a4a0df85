//! The shipped `pitr-restore` as its users meet it: a loss found to the second, and taken back.

pub mod branches;
mod copies;
mod found;
mod kills;
mod refused;
mod repaired;
mod world;
