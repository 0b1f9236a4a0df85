//! What is known of a recovery before anything is made: whether the moment can be reached, from which backup, whether there
//! is room, and how far the archive goes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, Utc};

use super::Recovering;
use super::base::{self, Base};
use super::place::broken;
use super::window::{self, Live};
use crate::model::fault::Fault;
use crate::model::figures::size;
use crate::model::request::recovery::{Moment, PgRecover};
use crate::model::target::History;

/// Up to when each target's archive is known to be complete: one look back costs the live server one segment, seventeen
/// need not cost it seventeen.
#[derive(Default)]
pub struct Reach(Mutex<BTreeMap<String, DateTime<Utc>>>);

impl Reach {
    fn of(&self, target: &str) -> Option<DateTime<Utc>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(target).copied()
    }

    fn note(&self, target: &str, until: DateTime<Utc>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(target.to_owned(), until);
    }
}

/// Everything that is known before anything is made.
pub struct Known {
    /// The target's recovery table.
    pub history: History,
    /// The backup to begin from.
    pub base: Base,
    /// The live server, where it is there.
    pub live: Option<Live>,
    /// Where the folder of the server will lie.
    pub place: PathBuf,
}

/// Looks, and refuses what cannot end well.
pub async fn know(recovering: &Recovering<'_>, request: &PgRecover, application: &str) -> Result<Known, Fault> {
    let target = recovering.postgres.target(&request.target).await?;
    let history = base::history(&target)?.clone();
    let bases = window::bases(history.clone()).await?;
    let live = window::look(recovering, &request.target, application).await?;
    if let Some(live) = &live {
        window::require_of(&bases, &live.session)?;
    }
    if let Moment::At(time) = &request.moment {
        let time = DateTime::parse_from_rfc3339(time).map_err(|_| {
            Fault::fatal("recover.time", format!("`{time}` is no time with its zone"))
                .hinted("write 2026-11-21T09:30:00Z or 2026-11-21T10:30:00+01:00")
        })?;
        let now = live.as_ref().map_or_else(|| recovering.world.clock.now(), |live| live.now);
        if time > now {
            let from = bases.first().map(|base| window::shown(base.from)).unwrap_or_default();
            let now = window::shown(now);
            return Err(Fault::fatal(
                "recover.future",
                format!("{} is in the future: it is {now} now", request.moment),
            )
            .hinted(format!("moments from {from} to {now} can be recovered")));
        }
    }
    let base = window::choose(&bases, &request.moment)?.clone();
    let place = match &history.folder {
        Some(folder) => folder.clone(),
        // The server's user cannot enter a folder that is closed to all but root.
        None if base.owner.is_some() => PathBuf::from("/var/tmp"),
        None => recovering.world.state.join("recovered"),
    };
    let room = place.ancestors().find(|path| path.exists()).map_or_else(|| PathBuf::from("/"), Path::to_owned);
    let free = rustix::fs::statvfs(&room).map_err(|error| broken(&room, &error.into()))?;
    let free = free.f_bavail.saturating_mul(free.f_frsize);
    if free < base.bytes + base.bytes / 10 {
        let message = format!(
            "{} has {} free, and the base backup {} is {}",
            room.display(),
            size(free),
            base.folder.display(),
            size(base.bytes)
        );
        return Err(Fault::fatal("recover.space", message)
            .hinted("make room, or name a roomier place as `folder` of the target's recovery table"));
    }
    Ok(Known { history, base, live, place })
}

/// Sees to it that the archive goes past the moment.
pub async fn extend(recovering: &Recovering<'_>, request: &PgRecover, live: &Live) -> Result<(), Fault> {
    let reached = recovering.reach.of(&request.target);
    let enough = match &request.moment {
        Moment::At(time) => {
            DateTime::parse_from_rfc3339(time).is_ok_and(|time| reached.is_some_and(|reached| reached > time))
        }
        // Where these lie in time nobody says: once in a process is all that is sure to help.
        Moment::Lsn(_) | Moment::Name(_) => reached.is_some(),
    };
    if enough || !live.switches {
        return Ok(());
    }
    let until = window::extend(live).await?;
    recovering.reach.note(&request.target, until);
    Ok(())
}

/// What would be done, and whether it can be.
pub async fn foresee(recovering: &Recovering<'_>, request: &PgRecover) -> Result<Vec<String>, Fault> {
    let known = know(recovering, request, "runsheet preview").await?;
    Ok(vec![format!(
        "would copy {} of {} to {} and recover it there to {}",
        size(known.base.bytes),
        known.base.folder.display(),
        known.place.display(),
        request.moment
    )])
}
