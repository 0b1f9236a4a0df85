//! The whole suite, in one binary so that it links once.

mod config;
mod copying;
mod journal;
mod layers;
mod measure;
mod postgres;
mod process;
mod program;
mod report;
mod runbook;
mod support;
