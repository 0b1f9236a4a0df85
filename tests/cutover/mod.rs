//! Moving a database from one server to another, with what must be so before.

mod preflight;
