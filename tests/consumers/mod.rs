//! Consumers of a database: told of its new place, looked at, told of the old one again, whatever the platforms do meanwhile.

mod command;
mod config;
mod file;
mod hyperdrive;
mod railway;
mod world;
