//! `logical::progress`: how far the copy has come, table by table, and what is wrong with it if something is.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tokio_postgres::types::Type;

use super::Logical;
use super::beat;
use super::place::{self, Place, Way};
use crate::effects::postgres::connect::{Session, column};
use crate::effects::{Done, Ticket};
use crate::model::event::Event;
use crate::model::fault::Fault;
use crate::model::request::Request;
use crate::model::request::logical::LogicalProgress;

const WORD: &str = LogicalProgress::WORD;

/// The stream as the publishing server sees it.
const SLOT: &str = "
select active, coalesce(wal_status, ''), safe_wal_size, (pg_current_wal_flush_lsn() - confirmed_flush_lsn)::int8, active_pid
  from pg_catalog.pg_replication_slots where slot_name = $1";

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

/// Tables that are being copied by nobody: their copy failed, and is tried again now and then. Those that are copied and only
/// have to catch up do that by a slot of their own, of which this is how its name begins.
const STUCK: &str = "
select format('%I.%I', n.nspname, c.relname), r.srsubstate = 'f', format('pg_%s_sync_%s_', s.oid, r.srrelid)
  from pg_catalog.pg_subscription s
  join pg_catalog.pg_subscription_rel r on r.srsubid = s.oid
  join pg_catalog.pg_class c on c.oid = r.srrelid
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
 where s.subname = $1 and s.subdbid = (select oid from pg_catalog.pg_database where datname = current_database())
   and r.srsubstate in ('d', 'f')
   and not exists (select from pg_catalog.pg_stat_subscription w where w.subid = s.oid and w.relid = c.oid and w.pid is not null)
 order by 1";

/// A stream, as both sides see it.
pub struct Health {
    /// What is wrong with it, in one sentence, if something is.
    pub trouble: Option<String>,
    /// Whether nothing but a new copy helps.
    pub lost: bool,
    /// Whether somebody reads the slot.
    pub active: bool,
    /// `reserved`, `extended`, `unreserved`, `lost`, or empty if there is no slot.
    pub status: String,
    /// Bytes of WAL that may still be written before the slot is lost; `None` without a limit.
    pub room: Option<i64>,
    /// Bytes of WAL that are not confirmed; `None` when nobody can say any more.
    pub behind: Option<i64>,
    /// Failures that the target counted.
    pub failures: i64,
}

/// Looks at a stream from both sides.
pub async fn health(source: &Session, target: &Session, name: &str) -> Result<Health, Fault> {
    let given: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 1] = [(&name, Type::TEXT)];
    let worked = async {
        let asked = "
select s.subenabled, (select count(*) from pg_catalog.pg_stat_subscription w where w.subid = s.oid and w.pid is not null), s.oid
  from pg_catalog.pg_subscription s
 where s.subname = $1 and s.subdbid = (select oid from pg_catalog.pg_database where datname = current_database())";
        let rows = target.ask(asked, &given, WORD).await?;
        rows.first().map(|row| Ok::<_, Fault>((column::<bool>(row, 0)?, column::<i64>(row, 1)?))).transpose()
    };
    let (slots, worked, failures) = tokio::try_join!(source.ask(SLOT, &given, WORD), worked, failures(target, name))?;
    let (active, status) = (false, String::new());
    let mut health = Health { trouble: None, lost: false, active, status, room: None, behind: None, failures };
    if let Some(row) = slots.first() {
        health.active = column(row, 0)?;
        health.status = column::<String>(row, 1)?;
        health.room = column(row, 2)?;
        health.behind = column(row, 3)?;
    }
    health.lost = slots.is_empty() || health.status == "lost";
    let (from, to) = (&source.target, &target.target);
    health.trouble = match worked {
        _ if slots.is_empty() => {
            Some(format!("the slot `{name}` is gone from {from}: the copy must be removed and made again"))
        }
        _ if health.status == "lost" => Some(format!(
            "the slot `{name}` is lost: {from} kept less WAL (max_slot_wal_keep_size) than {to} was behind. Remove the copy, \
             raise the limit, and copy again"
        )),
        None => Some(format!("there is no subscription `{name}` in {to}")),
        Some((false, _)) => {
            Some(format!("the subscription `{name}` in {to} is disabled: it applies nothing, and {from} keeps its WAL"))
        }
        Some((true, _)) if failures > 0 && !health.active => Some(format!(
            "{to} failed {failures} times to apply what {from} sends, and tries again: mostly a row is there already, or is \
             missing, because somebody wrote to {to}. Its server log has table and key; no row of it is skipped"
        )),
        Some((true, 0)) if !health.active => Some(format!("no worker of {to} is connected to {from}")),
        Some(_) if health.status == "unreserved" => Some(format!(
            "{from} will remove WAL that {to} still needs at its next checkpoint: raise max_slot_wal_keep_size at once"
        )),
        Some(_) => None,
    };
    if health.trouble.is_none() && failures > 0 {
        stuck(source, target, name, &mut health).await?;
    }
    Ok(health)
}

/// What keeps tables from being copied, once something failed.
async fn stuck(source: &Session, target: &Session, name: &str, health: &mut Health) -> Result<(), Fault> {
    let given: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 1] = [(&name, Type::TEXT)];
    let stuck = async || {
        let rows = target.ask(STUCK, &given, WORD).await?;
        let read = |row| Ok::<(String, bool, String), Fault>((column(row, 0)?, column(row, 1)?, column(row, 2)?));
        rows.iter().map(read).collect::<Result<Vec<_>, Fault>>()
    };
    let seen = stuck().await?;
    let mut gone = Vec::new();
    for (table, _, slot) in seen.iter().filter(|(_, copied, _)| *copied) {
        let asked = "select from pg_catalog.pg_replication_slots where starts_with(slot_name, $1)";
        if source.ask(asked, &[(slot, Type::TEXT)], WORD).await?.is_empty() {
            gone.push(table);
        }
    }
    // A slot also goes when its table has caught up, which may have been just now.
    let still = if gone.is_empty() { Vec::new() } else { stuck().await? };
    let (from, to) = (&source.target, &target.target);
    if let Some(table) =
        gone.into_iter().find(|table| still.iter().any(|(stuck, copied, _)| copied & (stuck == *table)))
    {
        health.lost = true;
        health.trouble = Some(format!(
            "{table} can never catch up: the slot by which it would is gone from {from}, as after a crash at that very moment. \
             Remove the copy, and copy again"
        ));
    } else if !seen.is_empty() {
        let tables: Vec<&str> = seen.iter().map(|(table, ..)| table.as_str()).collect();
        health.trouble = Some(format!(
            "{to} failed {} times to copy {}, and tries again: the log of its server says which row it does not take, and why",
            health.failures,
            tables.join(", ")
        ));
    }
    Ok(())
}

/// Failures of applying and of copying; servers before 15 do not count them.
pub async fn failures(session: &Session, name: &str) -> Result<i64, Fault> {
    let asked = "
select coalesce(sum((to_jsonb(s)->>'apply_error_count')::int8 + (to_jsonb(s)->>'sync_error_count')::int8), 0)::int8
  from pg_catalog.pg_stat_subscription_stats s where subname = $1";
    match session.ask(asked, &[(&name, Type::TEXT)], WORD).await {
        Ok(rows) => rows.first().map_or(Ok(0), |row| column(row, 0)),
        Err(fault) if fault.code == "sql.42P01" => Ok(0),
        Err(fault) => Err(fault),
    }
}

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
