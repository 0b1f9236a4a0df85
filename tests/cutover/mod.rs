//! Moving a database from one server to another, with what must be so before.

mod attacks;
mod dump;
mod far;
mod kills;
mod live;
mod moving;
mod preflight;
mod stalls;
mod trials;
