//! Ports on loopback, for servers that are started here.

use std::net::TcpListener;

use crate::model::fault::Fault;

/// A port that nobody listens on. Somebody may be quicker: whoever starts a server there tries again with another one.
pub fn free_port() -> Result<u16, Fault> {
    let listener = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    listener
        .map(|address| address.port())
        .map_err(|error| Fault::retryable("loopback.port", format!("there is no free port on 127.0.0.1: {error}")))
}
