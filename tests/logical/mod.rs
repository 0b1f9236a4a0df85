//! Live copies between two real servers, with somebody writing all the while.

mod follow;
mod removed;
pub mod world;
