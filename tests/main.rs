//! The whole suite, in one binary so that it links once.

mod config;
mod process;
mod support;
