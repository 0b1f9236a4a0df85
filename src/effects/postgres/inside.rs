//! What is in a database, by kind and name: to refuse one that is not empty, and to empty one that was.
//!
//! Object by object and a few in a transaction, so that no server runs out of room for locks, and so that what is cut off
//! goes on from what is left.

use tokio_postgres::types::Type;

use super::connect::{Session, column};
use crate::model::fault::Fault;

/// Objects dropped in one transaction.
const AT_ONCE: usize = 40;

/// Large objects dropped in one transaction; each takes a lock.
const LARGE_AT_ONCE: usize = 500;

/// Something in a database.
pub struct Inside {
    /// What it is, as the server calls it: `table`, `text search configuration`, `large objects`.
    pub kind: String,
    /// Its name, ready for SQL; for large objects how many.
    pub name: String,
}

impl Inside {
    /// The statement that drops it; nothing for what is not dropped by one.
    fn drop(&self) -> Option<String> {
        let kind = match self.kind.as_str() {
            "large objects" | "publication" | "subscription" => return None,
            "foreign-data wrapper" => "foreign data wrapper".to_owned(),
            other => other.to_owned(),
        };
        let name =
            if kind == "transform" { self.name.replacen(" on language ", " language ", 1) } else { self.name.clone() };
        Some(format!("DROP {kind} IF EXISTS {name} CASCADE"))
    }
}

/// Everything in a database but the schemas, extensions and event triggers called `apart`.
pub async fn list(session: &Session, apart: &[String], word: &str) -> Result<Vec<Inside>, Fault> {
    let rows = session.ask(include_str!("inside.sql"), &[(&apart, Type::TEXT_ARRAY)], word).await?;
    rows.iter().map(|row| Ok(Inside { kind: column(row, 0)?, name: column(row, 1)? })).collect()
}

/// What whoever provides the server put there: extensions and event triggers of a superuser's, which our role cannot drop.
pub async fn provided(session: &Session, word: &str) -> Result<Vec<String>, Fault> {
    let asked = "
        with powers as (select oid from pg_catalog.pg_roles where rolsuper), own as (
            select rolsuper from pg_catalog.pg_roles where rolname = current_user)
        select extname::text from pg_catalog.pg_extension, own where not own.rolsuper and extowner in (select oid from powers)
        union
        select evtname::text from pg_catalog.pg_event_trigger, own where not own.rolsuper and evtowner in (select oid from powers)
        order by 1";
    session.ask(asked, &[], word).await?.iter().map(|row| column(row, 0)).collect()
}

/// The first few of what is there, for a message.
pub fn told(found: &[Inside]) -> String {
    let shown: Vec<String> = found.iter().take(5).map(|it| format!("{} {}", it.kind, it.name)).collect();
    let more = found.len().saturating_sub(shown.len());
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", shown.join(", "))
}

/// Empties a database but for what `apart` names. Answers how many objects went.
///
/// Faults: `control.replicated` while it publishes or subscribes, `control.left` when something does not go.
pub async fn empty(session: &Session, apart: &[String], word: &str) -> Result<usize, Fault> {
    let mut gone = 0;
    let mut found = list(session, apart, word).await?;
    let replicating = found.iter().find(|it| matches!(it.kind.as_str(), "publication" | "subscription"));
    if let Some(it) = replicating {
        let message = format!("{} still has the {} {}: it is not emptied under it", session.target, it.kind, it.name);
        return Err(Fault::fatal("control.replicated", message)
            .hinted("remove it first (logical::remove, or DROP by hand), then resume"));
    }
    while !found.is_empty() {
        if found.iter().any(|it| it.kind == "large objects") {
            let unlink = format!(
                "select count(lo_unlink(oid)) from (select oid from pg_catalog.pg_largeobject_metadata limit {LARGE_AT_ONCE}) few"
            );
            while session.ask(&unlink, &[], word).await?.first().map_or(Ok(0), |row| column::<i64>(row, 0))? > 0 {}
        }
        let drops: Vec<String> = found.iter().filter_map(Inside::drop).collect();
        for few in drops.chunks(AT_ONCE) {
            let sql = format!(
                "BEGIN READ WRITE; SET LOCAL lock_timeout = '60s'; SET LOCAL client_min_messages = error; {}; COMMIT",
                few.join("; ")
            );
            if let Err(fault) = session.batch(&sql, word).await {
                session.batch("ROLLBACK", word).await?;
                return Err(match fault.code.as_str() {
                    "sql.55P03" => Fault { class: crate::model::fault::FaultClass::Retryable, ..fault }
                        .hinted("some session holds a lock on it; look at pg_stat_activity"),
                    _ => fault,
                });
            }
        }
        let left = list(session, apart, word).await?;
        if left.len() >= found.len() {
            let message = format!("{} cannot be emptied: there is still {}", session.target, told(&left));
            return Err(Fault::fatal("control.left", message).hinted("look who owns it, and drop it by hand"));
        }
        gone += found.len() - left.len();
        found = left;
    }
    Ok(gone)
}
