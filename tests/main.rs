//! The whole suite, in one binary so that it links once.

mod config;
mod journal;
mod lab;
mod layers;
mod postgres;
mod process;
mod program;
mod report;
mod runbook;
mod support;
