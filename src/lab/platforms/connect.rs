//! The connection that Hyperdrive tries before it takes a new origin, and the code by which it refuses one.

use std::time::Duration;

use tokio_postgres::config::SslMode;
use tokio_postgres::{Config, NoTls};

use super::hyperdrive::Origin;

/// The longest it tries.
const LIMIT: Duration = Duration::from_secs(5);

/// Tries an origin; the refusal is its code and what the service says.
pub async fn tried(origin: &Origin) -> Result<(), (u64, &'static str)> {
    if origin.host.ends_with(".internal") || tokio::net::lookup_host((origin.host.as_str(), origin.port)).await.is_err()
    {
        return Err((2008, "Bad hostname."));
    }
    match tokio::time::timeout(LIMIT, tokio::net::TcpStream::connect((origin.host.as_str(), origin.port))).await {
        Err(_) => return Err((2010, "Failed to connect to the provided hostname and port.")),
        Ok(Err(_)) => return Err((2011, "Connection refused by the database.")),
        Ok(Ok(_)) => {}
    }
    let mut config = Config::new();
    config.host(&origin.host).port(origin.port).user(&origin.user).password(&origin.password);
    config.dbname(&origin.database).ssl_mode(SslMode::Disable).connect_timeout(LIMIT);
    match config.connect(NoTls).await {
        Ok((client, connection)) => {
            tokio::spawn(connection);
            client.simple_query(";").await.map(drop).map_err(|_| (2016, "Test query failed."))
        }
        Err(error) => Err(match error.code().map(tokio_postgres::error::SqlState::code) {
            Some("28P01" | "28000") => (2013, "Invalid database credentials."),
            Some("3D000") => (2014, "The specified database does not exist."),
            _ => (2015, "Failed to connect to the database."),
        }),
    }
}
