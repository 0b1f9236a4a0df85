//! Consumers of a database: told of its new place, looked at, told of the old one again, whatever the platforms do meanwhile.

mod command;
mod config;
mod file;
mod hyperdrive;
mod kills;
mod railway;
mod urls;
mod world;
