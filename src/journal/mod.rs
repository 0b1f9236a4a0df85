//! The journal: at once the engine's memory, the audit log and the only source of every report.
//!
//! A run is a chain of [`entry::Entry`]s, each holding the digest of the one before it. Entries are only ever appended.
//! The store keeps the exact text of every entry, so that the chain can be checked without this program.

pub mod audit;
pub mod chain;
pub mod entry;
pub mod export;
pub mod lease;
pub mod memory;
mod one_pass;
pub mod sqlite;
pub mod store;
