//! The sealed world that tests run in.
