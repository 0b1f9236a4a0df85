//! `pg::sweep`: what runs of this project made and left behind is dropped once they are over; what must stay is named.

use serde_json::json;

use super::connect::Session;
use super::made;
use super::stamp::Stamp;
use super::{Postgres, application_name};
use crate::effects::{Done, Ledger, Ticket};
use crate::model::Value;
use crate::model::fault::Fault;
use crate::model::request::Request;
use crate::model::request::copying::PgSweep;

/// Drops them. Done again, it finds what is still there.
pub async fn perform(
    postgres: &Postgres,
    request: &PgSweep,
    ticket: &Ticket,
    ledger: &dyn Ledger,
) -> Result<Done, Fault> {
    let session = postgres.session(&request.server, &application_name(ticket)).await?;
    session.require_writable()?;
    let (leftovers, kept) = sorted(postgres, &session, &ticket.origin.stamp).await?;
    let names: Vec<&str> = leftovers.iter().map(|(name, _)| name.as_str()).collect();
    ledger.started(session.holds())?;
    ledger.intent(json!({ "dropped": names }))?;
    for name in &names {
        postgres.close_idle(&format!("{}:{name}", request.server));
        made::drop(&session, name, PgSweep::WORD).await?;
    }
    postgres.give_back(session);
    let kept: Vec<Value> = kept.iter().map(|(name, why)| json!({ "name": name, "why": why })).collect();
    Ok(Done { value: json!({ "dropped": names, "kept": kept }), rows: None })
}

/// What would go, and what would stay.
pub async fn foresee(postgres: &Postgres, request: &PgSweep) -> Result<Vec<String>, Fault> {
    let session = postgres.session(&request.server, "runsheet preview").await?;
    let (leftovers, kept) = sorted(postgres, &session, "").await?;
    postgres.give_back(session);
    let mut notes: Vec<String> =
        leftovers.iter().map(|(name, stamp)| format!("would drop {name}, made by {stamp}")).collect();
    notes.extend(kept.iter().map(|(name, why)| format!("would keep {name}: {why}")));
    if notes.is_empty() {
        notes.push("there is nothing to drop".to_owned());
    }
    Ok(notes)
}

/// Names and makers of what may be dropped.
type Leftovers = Vec<(String, Stamp)>;
/// Names of what must stay, and why.
type Kept = Vec<(String, String)>;

/// What runs left on a server, and what of it must stay. `own` is the stamp of the run that asks.
async fn sorted(postgres: &Postgres, session: &Session, own: &str) -> Result<(Leftovers, Kept), Fault> {
    let (mut leftovers, mut kept) = (Vec::new(), Vec::new());
    for found in made::all(session, PgSweep::WORD).await? {
        let Some(stamp) = found.stamp else {
            kept.push((
                found.name,
                "it carries no stamp: no run made it, or it was killed at that very moment".to_owned(),
            ));
            continue;
        };
        if stamp.stamp == own {
            kept.push((found.name, "this run made it".to_owned()));
            continue;
        }
        match stamp.held(&*postgres.world.past) {
            None => leftovers.push((found.name, stamp)),
            Some(why) => kept.push((found.name, why)),
        }
    }
    Ok((leftovers, kept))
}
