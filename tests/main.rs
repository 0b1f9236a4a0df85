//! The whole suite, in one binary so that it links once.

mod chaos;
mod config;
mod consumers;
mod copying;
mod cutover;
mod drill;
mod freeze;
mod http;
mod journal;
mod lab;
mod layers;
mod logical;
mod measure;
mod neon;
mod pgbouncer;
mod pitr;
mod pool;
mod postgres;
mod process;
mod program;
mod purge;
mod reach;
mod report;
mod roles;
mod runbook;
mod support;
