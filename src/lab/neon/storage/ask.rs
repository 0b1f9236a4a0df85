//! SQL as the servers' own superuser.

use std::time::{Duration, Instant};

use tokio_postgres::config::SslMode;
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage};

use super::Ground;
use super::template::SUPERUSER;
use crate::lab::neon::backing::Rows;
use crate::model::fault::Fault;

/// How long connecting may be tried again while a server is starting up.
const STARTING: Duration = Duration::from_secs(20);

/// A session; dropping it ends it.
pub struct Session(Client);

/// Opens a session.
pub async fn superuser(ground: &Ground, port: u16, database: &str) -> Result<Session, Fault> {
    login(port, database, SUPERUSER, &ground.superuser).await
}

/// Opens a session of a role.
pub async fn login(port: u16, database: &str, role: &str, password: &str) -> Result<Session, Fault> {
    let mut config = Config::new();
    config.host("127.0.0.1").port(port).user(role).password(password).dbname(database);
    config.ssl_mode(SslMode::Disable).application_name("runsheet lab");
    let begun = Instant::now();
    loop {
        match config.connect(NoTls).await {
            Ok((client, connection)) => {
                tokio::spawn(connection);
                return Ok(Session(client));
            }
            Err(error) => {
                let starting = error.code() == Some(&tokio_postgres::error::SqlState::CANNOT_CONNECT_NOW);
                if !starting || begun.elapsed() > STARTING {
                    return Err(fault(&error));
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }
}

impl Session {
    /// Runs statements; answers the rows of the last one that has any.
    pub async fn rows(&self, sql: &str) -> Result<Rows, Fault> {
        let mut rows = Rows::new();
        for message in self.0.simple_query(sql).await.map_err(|error| fault(&error))? {
            match message {
                SimpleQueryMessage::RowDescription(_) => rows.clear(),
                SimpleQueryMessage::Row(row) => {
                    rows.push((0..row.len()).map(|column| row.get(column).map(str::to_owned)).collect());
                }
                _ => {}
            }
        }
        Ok(rows)
    }
}

fn fault(error: &tokio_postgres::Error) -> Fault {
    let Some(said) = error.as_db_error() else { return Fault::fatal("lab.sql", error.to_string()) };
    // The code first: a control plane has its own words for a role that is there already.
    Fault::fatal(format!("sql.{}", said.code().code()), said.message().to_owned())
}
