//! Who a server is, and at which moment of its history.

use chrono::{DateTime, SecondsFormat, Utc};
use tokio_postgres::{Client, Config};

use super::connect::{Session, column};
use super::faults::{self, Stage};
use super::stamp::Stamp;
use super::url;
use crate::model::fault::Fault;
use crate::model::identity::{Identity, ServerMoment};
use crate::model::target::Target;

/// On a primary the timeline comes from the name of the segment that is being written: after a promotion the control
/// file still shows the old one until the next checkpoint.
const WHO: &str = "
select s.system_identifier::text,
       case when pg_is_in_recovery() then c.timeline_id
            else ('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))::bit(32)::int end,
       d.datname::text, d.oid, pg_postmaster_start_time(),
       (case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_insert_lsn() end - '0/0')::int8,
       pg_is_in_recovery(), a.pid, a.backend_start, current_setting('runsheet.direct', true),
       shobj_description(d.oid, 'pg_database')
  from pg_control_system() s, pg_control_checkpoint() c, pg_database d, pg_stat_get_activity(pg_backend_pid()) a
 where d.datname = current_database()";

/// Asks a fresh connection who is at the other end.
pub async fn session(
    client: Client,
    target: &Target,
    config: &Config,
    nonce: &str,
    what: &str,
) -> Result<Session, Fault> {
    let rows = client.query_typed(WHO, &[]).await.map_err(|error| {
        let fault = faults::of(&error, Stage::Harmless, what);
        if fault.code == "sql.42501" {
            return Fault::fatal(
                "identity.denied",
                format!("the role of target `{}` may not ask which database this is: {fault}", target.name),
            )
            .hinted("grant execute on function pg_control_system(), pg_control_checkpoint() to it");
        }
        fault
    })?;
    let row = rows.first().ok_or_else(|| Fault::fatal("server.answer", format!("{what}: no identity was answered")))?;
    let told: Option<&str> = column(row, 9)?;
    let start: DateTime<Utc> = column(row, 8)?;
    let pooled = (told != Some(nonce)).then(|| "settings given at the start of the session got lost".to_owned());
    let moment = ServerMoment {
        identity: Identity {
            system: column(row, 0)?,
            timeline: column::<i32>(row, 1)?.cast_unsigned(),
            database: column(row, 2)?,
            database_oid: column(row, 3)?,
            address: url::place(target, config),
            branch: None,
        },
        started: column(row, 4)?,
        insert_lsn: column::<Option<i64>>(row, 5)?.unwrap_or_default().cast_unsigned(),
    };
    let (standby, pid) = (column(row, 6)?, column(row, 7)?);
    let backend_start = start.to_rfc3339_opts(SecondsFormat::Micros, true);
    Ok(Session {
        client,
        target: target.name.clone(),
        moment,
        pid,
        backend_start,
        pooled,
        standby,
        made: Stamp::read(column(row, 10)?),
        renamed: String::new(),
        before_reads: tokio::sync::OnceCell::new(),
    })
}

/// Why the word of the server `now` about a transaction made at `then` must not be believed; `None` if it may.
pub fn distrust(then: &ServerMoment, now: &ServerMoment) -> Option<String> {
    if !then.identity.same_history(&now.identity) {
        return Some(format!(
            "the transaction was made on system {}, timeline {}, database oid {}; this is system {}, timeline {}, database oid {}",
            then.identity.system,
            then.identity.timeline,
            then.identity.database_oid,
            now.identity.system,
            now.identity.timeline,
            now.identity.database_oid
        ));
    }
    (then.started != now.started && now.insert_lsn < then.insert_lsn).then(|| {
        "the server was restarted and its history is shorter than it was: it was restored from an older state"
            .to_owned()
    })
}
