//! Moving a database from one server to another, with what must be so before.

mod dump;
mod live;
mod moving;
mod preflight;
mod trials;
