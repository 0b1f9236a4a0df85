//! A session of an application, or of whoever checks it, with what a refusal means told apart.

use std::time::Duration;

use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage};

/// How long connecting may take.
const CONNECTING: Duration = Duration::from_secs(10);

/// Why something was not done.
#[derive(Debug)]
pub struct Refusal {
    /// A SQLSTATE, or `connection` where the server said nothing.
    pub why: String,
    /// What was said, in one line.
    pub said: String,
    /// Whether the connection is of no use any more.
    pub gone: bool,
}

/// What a URL says.
pub struct Login {
    /// The host.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The database.
    pub database: String,
    /// The role.
    pub role: String,
    /// Its password.
    pub password: String,
}

impl Login {
    /// Takes a URL apart.
    pub fn of(url: &str) -> Option<Self> {
        let config = config(url).ok()?;
        let Some(Host::Tcp(host)) = config.get_hosts().first().cloned() else { return None };
        Some(Self {
            host,
            port: config.get_ports().first().copied().unwrap_or(5432),
            database: config.get_dbname()?.to_owned(),
            role: config.get_user()?.to_owned(),
            password: String::from_utf8_lossy(config.get_password()?).into_owned(),
        })
    }
}

/// What stands behind the `?` of a URL is for other programs.
fn config(url: &str) -> Result<Config, Refusal> {
    url.split('?').next().unwrap_or_default().parse().map_err(|error| refusal(&error))
}

/// A session; dropping it ends it.
pub struct Session(Client);

impl Session {
    /// Opens one on loopback, without TLS.
    pub async fn open(url: &str) -> Result<Self, Refusal> {
        let mut config = config(url)?;
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
            said: in_one_line(said.message()),
            gone: error.is_closed() || matches!(said.severity(), "FATAL" | "PANIC"),
        },
        None => Refusal { why: "connection".to_owned(), said: in_one_line(&error.to_string()), gone: true },
    }
}

fn in_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
