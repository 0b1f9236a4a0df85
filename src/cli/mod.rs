//! The command line: arguments, configuration, printing and exit codes.

pub mod config;
