//! What deletes in bulk: previews that are held to, the purge of branches, and what it tells of each.

mod env_file;
mod holding;
mod judging;
mod planned;
mod previews;
pub mod world;
