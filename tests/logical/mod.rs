//! Live copies between two real servers, with somebody writing all the while.

mod back;
mod follow;
mod lost;
mod proved;
mod removed;
pub mod world;
