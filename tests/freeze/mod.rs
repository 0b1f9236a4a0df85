//! Writes frozen on a source, and let go again whatever dies; and the pooler before it.

mod console;
mod deaths;
mod pooler;
mod world;
mod writers;
