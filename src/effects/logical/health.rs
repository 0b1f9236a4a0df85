//! How a stream is: what is wrong with it, in one sentence, and whether anything but a new copy helps.

use tokio_postgres::types::Type;

use crate::effects::postgres::connect::{Session, column};
use crate::model::fault::Fault;
use crate::model::request::Request;
use crate::model::request::logical::LogicalProgress;

const WORD: &str = LogicalProgress::WORD;

/// The stream as the publishing server sees it.
const SLOT: &str = "
select active, coalesce(wal_status, ''), safe_wal_size, (pg_current_wal_flush_lsn() - confirmed_flush_lsn)::int8
  from pg_catalog.pg_replication_slots where slot_name = $1";

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
select s.subenabled, (select count(*) from pg_catalog.pg_stat_subscription w where w.subid = s.oid and w.pid is not null)
  from pg_catalog.pg_subscription s
 where s.subname = $1 and s.subdbid = (select oid from pg_catalog.pg_database where datname = current_database())";
        let rows = target.ask(asked, &given, WORD).await?;
        rows.first().map(|row| Ok::<_, Fault>((column::<bool>(row, 0)?, column::<i64>(row, 1)?))).transpose()
    };
    let (slots, worked, failures) = tokio::try_join!(source.ask(SLOT, &given, WORD), worked, failures(target, name))?;
    let mut health = Health {
        trouble: None,
        lost: slots.is_empty(),
        active: false,
        status: String::new(),
        room: None,
        behind: None,
        failures,
    };
    if let Some(row) = slots.first() {
        health.active = column(row, 0)?;
        health.status = column::<String>(row, 1)?;
        health.room = column(row, 2)?;
        health.behind = column(row, 3)?;
        health.lost = health.status == "lost";
    }
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
    let stuck = async || {
        let rows = target.ask(STUCK, &[(&name, Type::TEXT)], WORD).await?;
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
