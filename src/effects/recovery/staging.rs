//! Schemas that a run makes in a live database, for rows on their way back into its tables. Each carries the run's stamp
//! as its comment from the transaction on that makes it; what carries none is never dropped.

use serde_json::json;
use tokio_postgres::types::Type;

use super::Recovering;
use crate::effects::postgres::connect::{Session, column};
use crate::effects::postgres::stamp::Stamp;
use crate::effects::postgres::{application_name, backend, quote, resolve as asking};
use crate::effects::{Done, Doubt, Ledger, Resolution, Ticket};
use crate::model::action::Action;
use crate::model::fault::Fault;
use crate::model::request::Request;
use crate::model::request::recovery::{PgDropStaging, PgStaging};

/// Begins the name of every schema that a run makes.
const PREFIX: &str = "runsheet_";

/// `pg::staging`.
pub async fn perform(
    recovering: &Recovering<'_>,
    request: &PgStaging,
    ticket: &Ticket,
    ledger: &dyn Ledger,
) -> Result<Done, Fault> {
    let stamp = Stamp::new(recovering.world, ticket)?;
    let session = recovering.postgres.session(&request.target, &application_name(ticket)).await?;
    session.require_writable()?;
    let name = name(ticket);
    let there = stamp_of(&session, &name).await?;
    // An attempt whose answer got lost may have made it.
    if there.as_ref().is_some_and(|stamp| stamp.as_ref().is_some_and(|stamp| stamp.is_of(ticket))) {
        ledger.intent(json!({ "schema": name }))?;
        return Ok(Done { value: name.into(), rows: None });
    }
    if there.is_some() {
        let message = format!("there is a schema `{name}` on {} that this action did not make", request.target);
        return Err(Fault::fatal("staging.exists", message).hinted("look who made it, and drop it by hand"));
    }
    ledger.started(session.holds())?;
    ledger.intent(json!({ "schema": name }))?;
    let quoted = quote::name(&name);
    let made = format!(
        "BEGIN; CREATE SCHEMA {quoted}; COMMENT ON SCHEMA {quoted} IS {}; COMMIT",
        quote::literal(&stamp.text())
    );
    if let Err(fault) = session.batch(&made, PgStaging::WORD).await {
        return Err(match fault.code.as_str() {
            "sql.42501" => fault.hinted("the role needs CREATE on the database: grant create on database … to it"),
            _ => fault,
        });
    }
    recovering.postgres.give_back(session);
    Ok(Done { value: name.into(), rows: None })
}

/// `pg::drop_staging`: those of this run, and those of finished ones.
pub async fn drop(
    recovering: &Recovering<'_>,
    request: &PgDropStaging,
    ticket: &Ticket,
    ledger: &dyn Ledger,
) -> Result<Done, Fault> {
    let session = recovering.postgres.session(&request.target, &application_name(ticket)).await?;
    session.require_writable()?;
    let listed =
        "select nspname::text, obj_description(oid, 'pg_namespace') from pg_namespace where starts_with(nspname, $1)";
    let rows = session.ask(listed, &[(&PREFIX, Type::TEXT)], PgDropStaging::WORD).await?;
    let mut names: Vec<String> = Vec::new();
    for row in &rows {
        // What a cutover keeps in its schema may be needed when it is over.
        let Some(stamp) = Stamp::read(column(row, 1)?).filter(|stamp| !stamp.control) else { continue };
        if stamp.is_of(ticket) || stamp.held(&*recovering.world.past).is_none() {
            names.push(column(row, 0)?);
        }
    }
    ledger.started(session.holds())?;
    ledger.intent(json!({ "dropped": names }))?;
    for name in &names {
        session.batch(&format!("DROP SCHEMA IF EXISTS {} CASCADE", quote::name(name)), PgDropStaging::WORD).await?;
    }
    recovering.postgres.give_back(session);
    Ok(Done { value: json!({ "dropped": names }), rows: None })
}

/// What became of an attempt of a word that works in such a schema, after ending its session.
pub async fn resolve(
    recovering: &Recovering<'_>,
    action: &Action,
    ticket: &Ticket,
    doubt: &Doubt,
) -> Result<Resolution, Fault> {
    let Some(holds) = &doubt.holds else { return Ok(Resolution::NotDone) };
    let session = asking::reach(recovering.postgres, holds).await?;
    backend::end_with(&session, holds, std::time::Duration::ZERO).await?;
    if action.word != PgStaging::WORD || doubt.proof.is_none() {
        return Ok(Resolution::NotDone);
    }
    let name = name(ticket);
    Ok(match stamp_of(&session, &name).await? {
        None => Resolution::NotDone,
        Some(Some(stamp)) if stamp.is_of(ticket) => Resolution::Done(Done { value: name.into(), rows: None }),
        Some(_) => Resolution::Unknown(format!(
            "there is a schema `{name}` on {}, and it does not carry this run's stamp",
            session.target
        )),
    })
}

/// Refuses a schema that the run of this action did not make.
pub async fn require_ours(session: &Session, name: &str, ticket: &Ticket) -> Result<(), Fault> {
    let found = stamp_of(session, name).await?;
    if found.flatten().is_some_and(|stamp| stamp.is_of(ticket)) {
        return Ok(());
    }
    let message = format!("`{name}` on {} is no schema that this run made", session.target);
    Err(Fault::fatal("staging.not-ours", message)
        .hinted("give what pg::staging answered; tables are only ever replaced in a schema of the run's own"))
}

/// The stamp of a schema, if there is one of that name.
async fn stamp_of(session: &Session, name: &str) -> Result<Option<Option<Stamp>>, Fault> {
    let ask = "select obj_description(oid, 'pg_namespace') from pg_namespace where nspname = $1";
    let rows = session.ask(ask, &[(&name, Type::TEXT)], PgStaging::WORD).await?;
    rows.first().map(|row| Ok(Stamp::read(column(row, 0)?))).transpose()
}

/// The name of what this action makes: known before it is made, and again after a crash.
fn name(ticket: &Ticket) -> String {
    format!("{PREFIX}{}", ticket.unique())
}
