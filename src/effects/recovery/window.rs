//! From when to when a target can be recovered, and the live server's part in it: recovery to a time ends well only if a
//! later commit is in the archive.

use std::time::{Duration, Instant};

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::json;

use super::base::{self, Base};
use super::{Recovering, server};
use crate::effects::Done;
use crate::effects::postgres::connect::{Session, column};
use crate::model::fault::{Fault, FaultClass};
use crate::model::lsn;
use crate::model::request::recovery::{Moment, PgRecoveryWindow};

/// How long the archive may take for the segment that was ended just now.
const ARCHIVING: Duration = Duration::from_secs(60);

/// What is asked of the live server. Settings: those that a standby needs at least, and those that queries depend on.
const LOOK: &str = "
select clock_timestamp(), pg_is_in_recovery(), current_setting('archive_mode'),
       has_function_privilege('pg_switch_wal()', 'execute'), a.last_archived_wal, a.last_archived_time, a.last_failed_wal,
       (select coalesce(jsonb_object_agg(name, setting), '{}')::text from pg_settings
         where name in ('max_connections', 'max_worker_processes', 'max_wal_senders', 'max_prepared_transactions',
                        'max_locks_per_transaction')
            or (source = 'configuration file' and name in ('default_text_search_config', 'lc_monetary', 'lc_numeric', 'lc_time')))
  from pg_stat_archiver a";

/// The live server, as far as recovering depends on it.
pub struct Live {
    /// A session to it.
    pub session: Session,
    /// Its clock.
    pub now: DateTime<Utc>,
    /// Whether it archives, and the role may have the current segment archived.
    pub switches: bool,
    /// When it last archived a segment.
    pub archived: Option<DateTime<Utc>>,
    /// See [`LOOK`].
    pub settings: Vec<(String, String)>,
}

/// Looks at the live server; `None` when it is not there.
pub async fn look(recovering: &Recovering<'_>, target: &str, application: &str) -> Result<Option<Live>, Fault> {
    let session = match recovering.postgres.session(target, application).await {
        Ok(session) => session,
        Err(fault) if fault.class == FaultClass::Retryable => return Ok(None),
        Err(fault) => return Err(fault),
    };
    let rows = session.ask(LOOK, &[], "pg::recovery_window").await?;
    let row = rows.first().ok_or_else(|| Fault::fatal("server.answer", "the server said nothing of its archive"))?;
    let (standby, mode): (bool, &str) = (column(row, 1)?, column(row, 2)?);
    let settings: std::collections::BTreeMap<String, String> =
        serde_json::from_str(column(row, 7)?).unwrap_or_default();
    Ok(Some(Live {
        now: column(row, 0)?,
        switches: !standby && mode != "off" && column(row, 3)?,
        archived: column(row, 5)?,
        settings: settings.into_iter().collect(),
        session,
    }))
}

/// `pg::recovery_window`.
pub async fn perform(recovering: &Recovering<'_>, request: &PgRecoveryWindow) -> Result<Done, Fault> {
    let target = recovering.postgres.target(&request.target).await?;
    let bases = bases(base::history(&target)?.clone()).await?;
    let live = look(recovering, &request.target, "runsheet recovery").await?;
    if let Some(live) = &live {
        require_of(&bases, &live.session)?;
    }
    let (to, by) = match &live {
        Some(live) if live.switches => {
            (Some(live.now), "the live server, whose current segment is archived when it is needed")
        }
        Some(live) => (live.archived, "the last segment in the archive; the role may not call pg_switch_wal()"),
        None => (None, "nobody: the server is not there to say what it archived"),
    };
    let oldest = bases.first().map(|base| base.from);
    let value = json!({
        "from": oldest.map(shown),
        "to": to.map(shown),
        "by": by,
        "bases": bases.len(),
        "bytes": bases.last().map(|base| base.bytes),
        "now": live.as_ref().map(|live| shown(live.now)),
    });
    if let Some(live) = live {
        recovering.postgres.give_back(live.session);
    }
    Ok(Done { value, rows: None })
}

/// The base backups of a history, read away from the threads that others wait for.
pub async fn bases(history: crate::model::target::History) -> Result<Vec<Base>, Fault> {
    let read = tokio::task::spawn_blocking(move || base::all(&history)).await;
    read.unwrap_or_else(|_| Err(Fault::fatal("recover.failed", "reading the base backup broke down")))
}

/// Refuses backups of another server: the wrong archive is the classic of restores.
pub fn require_of(bases: &[Base], session: &Session) -> Result<(), Fault> {
    let live = &session.moment.identity.system;
    match bases.iter().find(|base| base.system != *live) {
        None => Ok(()),
        Some(base) => Err(Fault::fatal(
            "recover.other-system",
            format!(
                "{} is a backup of system {}, and target `{}` is system {live}",
                base.folder.display(),
                base.system,
                session.target
            ),
        )
        .hinted("point `base` and `restore_command` of its recovery table at its own backups")),
    }
}

/// The backup to begin from: the newest that was finished before the moment. A moment before the first has none.
pub fn choose<'a>(bases: &'a [Base], moment: &Moment) -> Result<&'a Base, Fault> {
    let before = |base: &&Base| match moment {
        Moment::At(time) => DateTime::parse_from_rfc3339(time).is_ok_and(|time| base.from <= time),
        Moment::Lsn(text) => lsn::read(text).is_some_and(|lsn| base.stop <= lsn),
        Moment::Name(_) => true,
    };
    let found = match moment {
        // Where a name lies nobody says before it is met; from the first backup on it is met in any case.
        Moment::Name(_) => bases.first(),
        _ => bases.iter().rev().find(before),
    };
    found.ok_or_else(|| {
        let first = bases.first().map(|base| match moment {
            Moment::Lsn(_) => lsn::text(base.stop),
            _ => shown(base.from),
        });
        let first = first.unwrap_or_default();
        Fault::fatal("recover.before", format!("{moment} is before what can be recovered, which begins at {first}"))
            .hinted("choose a later moment, or point `base` at an older base backup whose WAL is still in the archive")
    })
}

/// Has a commit that is later than now archived, with everything before it. Answers the moment up to which the archive is
/// then complete.
pub async fn extend(live: &Live) -> Result<DateTime<Utc>, Fault> {
    let word = "pg_switch_wal()";
    let session = &live.session;
    let rows = session.ask("select clock_timestamp()", &[], word).await?;
    let now: DateTime<Utc> = rows.first().map_or(Ok(live.now), |row| column(row, 0))?;
    session.ask("select pg_logical_emit_message(true, 'runsheet', 'recovery')::text", &[], word).await?;
    let rows = session.ask("select pg_walfile_name(pg_switch_wal())", &[], word).await?;
    let file: String = rows.first().map_or_else(|| Ok(String::new()), |row| column(row, 0))?;
    let begun = Instant::now();
    loop {
        let rows = session
            .ask("select coalesce(last_archived_wal, ''), last_failed_wal, last_failed_time > coalesce(last_archived_time, '-infinity') from pg_stat_archiver", &[], word)
            .await?;
        let (archived, failed): (String, Option<String>) = match rows.first() {
            Some(row) => {
                (column(row, 0)?, if column::<Option<bool>>(row, 2)? == Some(true) { column(row, 1)? } else { None })
            }
            None => (String::new(), None),
        };
        // Names of segments sort by timeline and position; a backup's history file begins with that of its segment.
        if archived.get(..24).is_some_and(|archived| archived >= file.as_str()) {
            return Ok(now);
        }
        if begun.elapsed() > ARCHIVING {
            let why = failed.map_or_else(|| "nothing failed yet".to_owned(), |it| format!("archiving {it} fails"));
            return Err(Fault::retryable(
                "recover.archive",
                format!("the segment {file} is not in the archive after {} s: {why}", ARCHIVING.as_secs()),
            )
            .hinted("look at archive_command and the server's log"));
        }
        tokio::time::sleep(server::LOOK).await;
    }
}

/// A time as every word answers it.
pub fn shown(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}
