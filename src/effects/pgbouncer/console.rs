//! The admin console: the one way in which this program speaks with a PgBouncer. It knows the simple protocol alone.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio_postgres::{Client, SimpleQueryMessage};

use crate::effects::postgres::faults::{self, Stage};
use crate::effects::postgres::{connect, quote, url};
use crate::model::fault::Fault;
use crate::model::target::Target;

/// How long the console may take to answer what does not wait for clients.
const ANSWER: Duration = Duration::from_secs(5);

/// A row of what the console shows, by column.
pub type Row = BTreeMap<String, String>;

/// One connection to the console.
pub struct Console {
    client: Client,
    place: String,
}

impl Console {
    /// Connects as an administrator.
    pub async fn open(admin: &Target) -> Result<Self, Fault> {
        let mut config = url::config(admin)?;
        // Nothing but who and where: the console refuses most settings at the start of a session.
        config.dbname("pgbouncer").application_name("runsheet");
        let place = url::address(&config);
        let what = format!("connecting to the console of PgBouncer ({place})");
        let client = connect::bare(admin, &config, &what).await.map_err(|fault| match fault.code.as_str() {
            "connection.refused" | "connection.timeout" | "connection.name" => {
                fault.hinted("is PgBouncer up, and are host and port of `[pgbouncer] admin_url` right?")
            }
            "sql.28P01" | "sql.28000" | "sql.08P01" => fault.hinted(
                "the user of `[pgbouncer] admin_url` must stand in `admin_users` of PgBouncer, with its password in the auth file",
            ),
            _ => fault,
        })?;
        Ok(Self { client, place })
    }

    /// Sends one command and waits `limit` for its end; `None` when it did not come to one.
    pub async fn within(&self, limit: Duration, command: &str) -> Result<Option<Vec<Row>>, Fault> {
        let Ok(answered) = tokio::time::timeout(limit, self.client.simple_query(command)).await else {
            return Ok(None);
        };
        let what = format!("{command} at PgBouncer ({})", self.place);
        let messages = answered.map_err(|error| faults::of(&error, Stage::Harmless, &what))?;
        let row = |message: SimpleQueryMessage| match message {
            SimpleQueryMessage::Row(row) => {
                let cell = |(index, column): (usize, &tokio_postgres::SimpleColumn)| {
                    (column.name().to_owned(), row.get(index).unwrap_or_default().to_owned())
                };
                Some(row.columns().iter().enumerate().map(cell).collect())
            }
            _ => None,
        };
        Ok(Some(messages.into_iter().filter_map(row).collect()))
    }

    /// Sends one command that is answered at once.
    pub async fn run(&self, command: &str) -> Result<Vec<Row>, Fault> {
        self.within(ANSWER, command).await?.ok_or_else(|| {
            let message = format!("{command} at PgBouncer ({}): no answer within {} s", self.place, ANSWER.as_secs());
            Fault::retryable("pgbouncer.timeout", message)
        })
    }

    /// The rows of a table that are of this database.
    pub async fn of_database(&self, table: &str, column: &str, database: &str) -> Result<Vec<Row>, Fault> {
        let mut rows = self.run(&format!("SHOW {table}")).await?;
        rows.retain(|row| row.get(column).is_some_and(|name| name == database));
        Ok(rows)
    }

    /// What it shows of one database.
    pub async fn database(&self, name: &str) -> Result<Row, Fault> {
        let found = self.of_database("DATABASES", "name", name).await?.pop();
        found.ok_or_else(|| {
            Fault::fatal("pgbouncer.database", format!("PgBouncer ({}) knows no database `{name}`", self.place))
                .hinted("it is the name that clients connect to, the left side of a line below `[databases]`")
        })
    }

    /// Whether a database is paused.
    pub async fn paused(&self, name: &str) -> Result<bool, Fault> {
        Ok(self.database(name).await?.get("paused").is_some_and(|paused| paused == "1"))
    }

    /// Lets clients go on. Answers whether they had to wait.
    pub async fn resume(&self, name: &str) -> Result<bool, Fault> {
        // One that waits for its pause shows itself as paused too.
        let paused = self.paused(name).await?;
        if paused
            && let Err(fault) = self.run(&format!("RESUME {}", quote::name(name))).await
            && self.paused(name).await?
        {
            return Err(fault);
        }
        if self.paused(name).await? {
            let message = format!("`{name}` is still paused after RESUME at PgBouncer ({})", self.place);
            return Err(Fault::retryable("pgbouncer.paused", message));
        }
        Ok(paused)
    }

    /// Has connections to the server made anew.
    pub async fn reconnect(&self, name: &str) -> Result<(), Fault> {
        self.run(&format!("RECONNECT {}", quote::name(name))).await.map(drop)
    }

    /// Where it is, for messages.
    pub fn place(&self) -> &str {
        &self.place
    }
}

/// A column of a row; empty where this version does not have it.
pub fn cell<'a>(row: &'a Row, column: &str) -> &'a str {
    row.get(column).map_or("", String::as_str)
}
