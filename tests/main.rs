//! The whole suite, in one binary so that it links once.

mod config;
mod layers;
mod process;
mod support;
