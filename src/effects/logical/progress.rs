//! `logical::progress`: how far the copy has come, table by table, and what is wrong with it if something is.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tokio_postgres::types::Type;

use super::Logical;
use super::beat;
use super::health::health;
use super::place::{self, Place, Way};
use crate::effects::postgres::connect::{Session, column};
use crate::effects::{Done, Ticket};
use crate::model::event::Event;
use crate::model::fault::Fault;
use crate::model::request::Request;
use crate::model::request::logical::LogicalProgress;

const WORD: &str = LogicalProgress::WORD;

/// The tables of a subscription and what is copied of them now. `states` are those of `pg_subscription_rel`.
const TABLES: &str = "
select n.nspname::text, c.relname::text, r.srsubstate::text, p.tuples_processed
  from pg_catalog.pg_subscription s
  join pg_catalog.pg_subscription_rel r on r.srsubid = s.oid
  join pg_catalog.pg_class c on c.oid = r.srrelid
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  left join pg_catalog.pg_stat_progress_copy p on p.relid = c.oid and p.command = 'COPY FROM'
        and p.datname = current_database()
 where s.subname = $1 and s.subdbid = (select oid from pg_catalog.pg_database where datname = current_database())
 order by 1, 2";

/// How many rows the publishing server thinks there are.
const ROWS: &str = "
select p.schemaname::text, p.tablename::text, c.reltuples::int8
  from pg_catalog.pg_publication_tables p
  join pg_catalog.pg_class c on c.oid = to_regclass(format('%I.%I', p.schemaname, p.tablename))
 where p.pubname = $1";

/// How many tables of a subscription are not followed yet.
pub async fn unready(session: &Session, name: &str) -> Result<i64, Fault> {
    let asked = "
select count(*) from pg_catalog.pg_subscription_rel r join pg_catalog.pg_subscription s on s.oid = r.srsubid
 where s.subname = $1 and r.srsubstate <> 'r'
   and s.subdbid = (select oid from pg_catalog.pg_database where datname = current_database())";
    let rows = session.ask(asked, &[(&name, Type::TEXT)], WORD).await?;
    rows.first().map_or(Ok(0), |row| column(row, 0))
}

/// `logical::progress`.
pub async fn perform(logical: &Logical<'_>, request: &LogicalProgress, ticket: &Ticket) -> Result<Done, Fault> {
    let (source, target) = logical.sessions(&request.source, &request.target, ticket).await?;
    let place = place::find(&target, request.schema.as_deref(), ticket).await?;
    let way = place.incoming(&target, request.back)?;
    let stream = place.stream(way);
    let (health, unready) = tokio::try_join!(health(&source, &target, &stream), unready(&target, &stream))?;
    let tables = tables(&source, &target, &stream, &place.schema).await?;
    let behind = lag(&source, &target, &place, way).await?;
    logical.give_back(source, target);
    for (what, done, of) in tables.iter().filter(|table| table.state == "copying").map(Table::told) {
        logical.world.sink.event(Event::Progress { what, done, of });
    }
    let copied = tables.iter().filter(|table| table.state == "following").count();
    let what = format!("tables of {} that are followed", request.target);
    logical.world.sink.event(Event::Progress { what, done: copied as u64, of: Some(tables.len() as u64) });
    if let Some(trouble) = &health.trouble {
        logical.world.sink.event(Event::Warning(trouble.clone()));
    }
    // The table of heartbeats counts too, and is not shown.
    let ready = unready == 0 && health.active && health.status != "lost";
    let listed: Vec<Value> = tables.iter().map(Table::value).collect();
    let value = json!({
        "ready": ready,
        "tables": listed,
        "lag_bytes": health.behind,
        "lag_seconds": behind,
        "slot": { "name": stream, "active": health.active, "wal_status": health.status, "room": health.room },
        "failures": health.failures,
        "lost": health.lost,
        "trouble": health.trouble,
    });
    Ok(Done { value, rows: None })
}

struct Table {
    name: String,
    state: &'static str,
    done: Option<i64>,
    of: Option<i64>,
}

impl Table {
    fn value(&self) -> Value {
        json!({ "name": self.name, "state": self.state, "done": self.done, "of": self.of })
    }

    fn told(&self) -> (String, u64, Option<u64>) {
        let count = |count: i64| u64::try_from(count).unwrap_or(0);
        (format!("rows of {}", self.name), self.done.map_or(0, count), self.of.map(count))
    }
}

/// Rows copied of every table, the control schema's own left out.
async fn tables(source: &Session, target: &Session, stream: &str, schema: &str) -> Result<Vec<Table>, Fault> {
    let given: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 1] = [(&stream, Type::TEXT)];
    let (there, here) = tokio::try_join!(target.ask(TABLES, &given, WORD), source.ask(ROWS, &given, WORD))?;
    let mut rows: BTreeMap<(String, String), i64> = BTreeMap::new();
    for row in &here {
        rows.insert((column(row, 0)?, column(row, 1)?), column(row, 2)?);
    }
    let mut tables = Vec::with_capacity(there.len());
    for row in &there {
        let key: (String, String) = (column(row, 0)?, column(row, 1)?);
        if key.0 == schema {
            continue;
        }
        let of = rows.get(&key).copied().filter(|rows| *rows >= 0);
        let (state, done) = match column::<&str>(row, 2)? {
            "i" => ("waiting", Some(0)),
            "d" => ("copying", column(row, 3)?),
            "f" | "s" => ("catching up", of),
            _ => ("following", of),
        };
        tables.push(Table { name: format!("{}.{}", key.0, key.1), state, done, of });
    }
    Ok(tables)
}

/// Seconds since the first heartbeat that has not arrived, by the clock of the server that beats; 0 if all have.
async fn lag(source: &Session, target: &Session, place: &Place, way: Way) -> Result<Value, Fault> {
    let arrived = beat::last(target, place, way).await?;
    let asked = format!(
        "select count(*), extract(epoch from clock_timestamp() - min(at) filter (where beat > $1))::float8 from {}",
        place.heartbeat(way)
    );
    let rows = source.ask(&asked, &[(&arrived, Type::INT8)], WORD).await?;
    let Some(row) = rows.first() else { return Ok(Value::Null) };
    Ok(match (column::<i64>(row, 0)?, column::<Option<f64>>(row, 1)?) {
        (0, _) => Value::Null,
        (_, seconds) => json!(seconds.unwrap_or(0.0)),
    })
}
