//! The shipped restore drill as its users meet it: by hand, from cron, against good backups and broken ones.

mod artefacts;
mod branch;
mod cron;
mod fresh;
mod kills;
mod world;
