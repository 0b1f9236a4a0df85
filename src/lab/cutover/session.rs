//! A session of the application, or of whoever checks it, with what a refusal means told apart.

use std::time::Duration;

use tokio_postgres::config::SslMode;
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage};

/// How long connecting may take.
const CONNECTING: Duration = Duration::from_secs(10);

/// Why something was not done.
#[derive(Debug)]
pub struct Refusal {
    /// A SQLSTATE, or `connection` where the server said nothing.
    pub why: String,
    /// Whether the connection is of no use any more.
    pub gone: bool,
}

/// A session; dropping it ends it.
pub struct Session(Client);

impl Session {
    /// Opens one on loopback, without TLS. What stands behind the `?` of a URL is for other programs.
    pub async fn open(url: &str) -> Result<Self, Refusal> {
        let plain = url.split('?').next().unwrap_or_default();
        let mut config: Config = plain.parse().map_err(|error| refusal(&error))?;
        config.ssl_mode(SslMode::Disable).application_name("lab application").connect_timeout(CONNECTING);
        let (client, connection) = config.connect(NoTls).await.map_err(|error| refusal(&error))?;
        tokio::spawn(connection);
        Ok(Self(client))
    }

    /// Runs statements in one round trip; answers all rows, as text.
    pub async fn run(&self, sql: &str) -> Result<Vec<Vec<String>>, Refusal> {
        let messages = self.0.simple_query(sql).await.map_err(|error| refusal(&error))?;
        let rows = messages.into_iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => {
                Some((0..row.len()).map(|column| row.get(column).unwrap_or_default().to_owned()).collect())
            }
            _ => None,
        });
        Ok(rows.collect())
    }
}

fn refusal(error: &tokio_postgres::Error) -> Refusal {
    match error.as_db_error() {
        Some(said) => Refusal {
            why: said.code().code().to_owned(),
            gone: error.is_closed() || matches!(said.severity(), "FATAL" | "PANIC"),
        },
        None => Refusal { why: "connection".to_owned(), gone: true },
    }
}
