//! `logical::sweep`: what live copies of finished runs left in a database.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Logical, place, remove};
use crate::effects::postgres::application_name;
use crate::effects::postgres::connect::{Session, column};
use crate::effects::postgres::stamp::Stamp;
use crate::effects::{Done, Ledger, Ticket};
use crate::model::fault::Fault;
use crate::model::request::Request;
use crate::model::request::logical::LogicalSweep;

const WORD: &str = LogicalSweep::WORD;

/// Everything that is named as live copies are, with the stamp that it carries. Slots carry none.
const NAMED: &str = "
select substr(name, 1, 17), stamp, name ~ '_back' from (
    select pubname::text as name, pg_catalog.obj_description(oid, 'pg_publication') as stamp from pg_catalog.pg_publication
    union all
    select subname, pg_catalog.obj_description(oid, 'pg_subscription') from pg_catalog.pg_subscription
     where subdbid = (select oid from pg_catalog.pg_database where datname = current_database())
    union all
    select slot_name, null from pg_catalog.pg_replication_slots where database = current_database()) as named
 where name ~ '^runsheet_[0-9a-f]{8}(_w|_back|_back_w)?$'";

/// Removes what may go, and names what stays.
pub async fn perform(
    logical: &Logical<'_>,
    request: &LogicalSweep,
    ticket: &Ticket,
    ledger: &dyn Ledger,
) -> Result<Done, Fault> {
    let session = logical.postgres.session(&request.target, &application_name(ticket)).await?;
    session.require_writable()?;
    let (mut going, mut kept): (Vec<String>, Vec<Value>) = (Vec::new(), Vec::new());
    for (schema, Found { stamp, back }) in found(&session).await? {
        let why = match stamp {
            // A cutover is over long before nobody wants to go back any more.
            Some(stamp) if back => Some(format!("the way back of {stamp}: logical::remove with its schema ends it")),
            Some(stamp) if stamp.is_of(ticket) => Some("this run made it".to_owned()),
            Some(stamp) => stamp.held(&*logical.world.past),
            None => Some("nothing of it carries a stamp any more: look who reads it, and drop it by hand".to_owned()),
        };
        match why {
            None => going.push(schema),
            Some(why) => kept.push(json!({ "name": schema, "why": why })),
        }
    }
    ledger.started(session.holds())?;
    ledger.intent(json!({ "schemas": going }))?;
    let mut removed = Vec::new();
    for schema in &going {
        remove::subscriptions(&session, schema, &mut removed).await?;
        remove::publications(&session, schema, &[], &mut removed).await?;
    }
    logical.postgres.give_back(session);
    Ok(Done { value: json!({ "removed": removed, "kept": kept }), rows: None })
}

/// What a live copy left in a database.
#[derive(Default)]
struct Found {
    stamp: Option<Stamp>,
    /// Whether a stream goes back to the old database.
    back: bool,
}

/// Everything that live copies left, by control schema.
async fn found(session: &Session) -> Result<BTreeMap<String, Found>, Fault> {
    let mut found: BTreeMap<String, Found> = BTreeMap::new();
    for row in session.ask(NAMED, &[], WORD).await? {
        let known = found.entry(column(&row, 0)?).or_default();
        known.stamp = known.stamp.take().or(Stamp::read(column(&row, 1)?));
        known.back |= column::<bool>(&row, 2)?;
    }
    for (place, _) in place::list(session).await? {
        if let Some(known) = found.get_mut(&place.schema) {
            known.stamp = Some(place.stamp);
        }
    }
    Ok(found)
}
