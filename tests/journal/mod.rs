//! The journal: what every store does, what the SQLite file survives, and what the audit finds.

mod contract;
mod samples;
