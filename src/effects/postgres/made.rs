//! Databases that runs make: created, looked at, emptied and dropped, always by their stamp.
//!
//! A new one takes no connections until it is stamped and closed to the public, so that a kill in between leaves
//! nothing that anybody could mistake for a finished one.

use serde::Deserialize;
use tokio_postgres::types::Type;

use super::connect::{Session, column};
use super::faults::{self, Stage};
use super::quote;
use super::stamp::Stamp;
use crate::model::fault::Fault;

/// Begins the name of every database that a run makes.
pub const PREFIX: &str = "runsheet_";

/// Ends the name of an empty successor that is about to take a database's place.
const NEXT: &str = "_n";

/// A database as the server lists it.
pub struct Found {
    /// Its name.
    pub name: String,
    /// Who made it, if a run did.
    pub stamp: Option<Stamp>,
    /// Whether it takes connections.
    pub open: bool,
    /// Its encoding and locale.
    pub settings: Settings,
}

/// Encoding and locale of a database. Fields that older servers do not have are absent.
#[derive(Clone, Debug, Deserialize)]
pub struct Settings {
    encoding: String,
    datcollate: Option<String>,
    datctype: Option<String>,
    datlocprovider: Option<String>,
    #[serde(alias = "datlocale")]
    daticulocale: Option<String>,
}

impl Settings {
    /// As options of CREATE DATABASE.
    fn options(&self) -> String {
        let mut options = format!(" ENCODING {}", quote::literal(&self.encoding));
        let mut add = |name: &str, value: &Option<String>| {
            if let Some(value) = value {
                options.push_str(&format!(" {name} {}", quote::literal(value)));
            }
        };
        add("LC_COLLATE", &self.datcollate);
        add("LC_CTYPE", &self.datctype);
        match self.datlocprovider.as_deref() {
            Some("i") => {
                options.push_str(" LOCALE_PROVIDER icu");
                if let Some(locale) = &self.daticulocale {
                    options.push_str(&format!(" ICU_LOCALE {}", quote::literal(locale)));
                }
            }
            Some("b") => {
                options.push_str(" LOCALE_PROVIDER builtin");
                if let Some(locale) = &self.daticulocale {
                    options.push_str(&format!(" BUILTIN_LOCALE {}", quote::literal(locale)));
                }
            }
            _ => {}
        }
        options
    }
}

const LISTED: &str = "select d.datname::text, d.datallowconn, shobj_description(d.oid, 'pg_database'),
       (to_jsonb(d) - 'datacl' || jsonb_build_object('encoding', pg_encoding_to_char(d.encoding)))::text
  from pg_database d";

/// Every database whose name begins as those that runs make.
pub async fn all(session: &Session, word: &str) -> Result<Vec<Found>, Fault> {
    list(session, "starts_with(d.datname, $1) order by 1", PREFIX, word).await
}

/// The database of that name.
pub async fn find(session: &Session, name: &str, word: &str) -> Result<Option<Found>, Fault> {
    Ok(list(session, "d.datname = $1", name, word).await?.pop())
}

async fn list(session: &Session, which: &str, name: &str, word: &str) -> Result<Vec<Found>, Fault> {
    let rows = session.ask(&format!("{LISTED} where {which}"), &[(&name, Type::TEXT)], word).await?;
    rows.iter()
        .map(|row| {
            let settings = serde_json::from_str(column(row, 3)?)
                .map_err(|error| Fault::fatal("server.answer", format!("pg_database cannot be read: {error}")))?;
            Ok(Found { name: column(row, 0)?, open: column(row, 1)?, stamp: Stamp::read(column(row, 2)?), settings })
        })
        .collect()
}

/// Makes a database. It takes connections, of its owner only, once it is stamped.
pub async fn create(
    session: &Session,
    name: &str,
    settings: Option<&Settings>,
    stamp: &Stamp,
    word: &str,
) -> Result<(), Fault> {
    begin(session, name, settings, stamp, word).await?;
    send(session, &format!("ALTER DATABASE {} ALLOW_CONNECTIONS true", quote::name(name)), word).await
}

/// Makes a stamped database that takes no connections yet.
async fn begin(
    session: &Session,
    name: &str,
    settings: Option<&Settings>,
    stamp: &Stamp,
    word: &str,
) -> Result<(), Fault> {
    let options = settings.map(Settings::options).unwrap_or_default();
    let quoted = quote::name(name);
    let create = format!("CREATE DATABASE {quoted} TEMPLATE template0{options} ALLOW_CONNECTIONS false");
    send(session, &create, word).await.map_err(|fault| match fault.code.as_str() {
        "sql.42501" => fault.hinted("the role needs CREATEDB on that server: alter role … createdb"),
        "sql.22023" | "sql.42704" if settings.is_some() => {
            fault.hinted("that server lacks the locale; install it there, or leave `like` away and know that texts may sort differently")
        }
        _ => fault,
    })?;
    mark(session, name, stamp, word).await?;
    send(session, &format!("REVOKE ALL ON DATABASE {quoted} FROM PUBLIC"), word).await
}

/// Writes a stamp on a database.
pub async fn mark(session: &Session, name: &str, stamp: &Stamp, word: &str) -> Result<(), Fault> {
    send(session, &format!("COMMENT ON DATABASE {} IS {}", quote::name(name), quote::literal(&stamp.text())), word)
        .await
}

/// Drops a database whoever is connected to it, and before it the successor that it may have: one that was not stamped yet
/// is known by the other alone.
pub async fn drop(session: &Session, name: &str, word: &str) -> Result<(), Fault> {
    drop_one(session, &format!("{name}{NEXT}"), word).await?;
    drop_one(session, name, word).await
}

async fn drop_one(session: &Session, name: &str, word: &str) -> Result<(), Fault> {
    let drop = format!("DROP DATABASE IF EXISTS {}", quote::name(name));
    match send(session, &format!("{drop} WITH (FORCE)"), word).await {
        // An autovacuum worker is nobody's to end but a superuser's. Without force the server ends it by itself.
        Err(fault) if fault.code == "sql.42501" => {
            let own =
                "select pg_terminate_backend(pid) from pg_stat_activity where datname = $1 and usename = current_user";
            session.ask(own, &[(&name, Type::TEXT)], word).await?;
            send(session, &drop, word).await
        }
        other => other,
    }
}

/// Puts an empty database of the same settings in the place of one, also where an earlier attempt was killed half-way:
/// there is at every instant a stamped database from which to go on.
pub async fn empty(session: &Session, name: &str, stamp: &Stamp, word: &str) -> Result<(), Fault> {
    let next = format!("{name}{NEXT}");
    let rename = format!("ALTER DATABASE {} RENAME TO {}", quote::name(&next), quote::name(name));
    let settings = match find(session, name, word).await? {
        Some(old) => old.settings,
        None => {
            // Only the successor is there; what it holds is begun anew like everything else.
            send(session, &rename, word).await?;
            find(session, name, word).await?.map(|found| found.settings).ok_or_else(|| gone(name))?
        }
    };
    drop_one(session, &next, word).await?;
    begin(session, &next, Some(&settings), stamp, word).await?;
    drop_one(session, name, word).await?;
    send(session, &rename, word).await?;
    send(session, &format!("ALTER DATABASE {} ALLOW_CONNECTIONS true", quote::name(name)), word).await
}

/// The fault of a database that was there a moment ago.
pub fn gone(name: &str) -> Fault {
    Fault::fatal("scratch.gone", format!("there is no database `{name}` any more"))
        .hinted("somebody dropped it; abandon the run and begin another")
}

/// The database of that name, or its successor where a kill came between the two.
pub async fn find_either(session: &Session, name: &str, word: &str) -> Result<Option<Found>, Fault> {
    match find(session, name, word).await? {
        Some(found) => Ok(Some(found)),
        None => find(session, &format!("{name}{NEXT}"), word).await,
    }
}

/// Sends a statement that takes effect at once.
async fn send(session: &Session, sql: &str, word: &str) -> Result<(), Fault> {
    session.client.batch_execute(sql).await.map_err(|error| faults::of(&error, Stage::Sent, &session.what(word)))
}
