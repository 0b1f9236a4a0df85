//! Writes frozen on a source, and let go again whatever dies; and the pooler before it.

mod console;
mod deaths;
pub mod pooler;
pub mod world;
mod writers;
