//! A pair of roles that take turns: in what they differ, what they own, who uses them, and who may change them.

mod admin;
mod different;
mod used;
pub mod world;
