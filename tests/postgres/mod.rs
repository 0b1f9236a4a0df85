//! SQL effects on a real server.

mod connecting;
mod exactly_once;
pub mod harness;
mod reading;
pub mod tls;
mod urls;
