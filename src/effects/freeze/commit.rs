//! `freeze::holds` and what ends a freeze: `freeze::commit`, `freeze::lift`, `freeze::open`.

use serde_json::json;

use super::charge::{Ended, Place, Pooler};
use super::{Freezing, book, ground, release};
use crate::effects::postgres::connect::Session;
use crate::effects::postgres::faults::Stage;
use crate::effects::postgres::{application_name, backend, quote, resolve as asking};
use crate::effects::{Done, Doubt, Ledger, Resolution, Ticket};
use crate::model::Value;
use crate::model::fault::{Fault, FaultClass};
use crate::model::request::Request;
use crate::model::request::freeze::{FreezeCommit, FreezeHolds, FreezeLast, FreezeLift, FreezeOpen};

/// Whether what was guarded is guarded, and what was frozen is frozen, at this very moment; if not, why.
pub async fn holds(freezing: &Freezing<'_>, request: &FreezeHolds, ticket: &Ticket) -> Result<Done, Fault> {
    let done = |broken: Option<String>| Ok(Done { value: broken.map_or(Value::Bool(true), Value::String), rows: None });
    let (session, schema) = opened(freezing, &request.source, request.schema.as_deref(), ticket).await?;
    let Some(row) = ground::row(&session, &schema, FreezeHolds::WORD).await? else {
        return done(Some(format!("there is no freeze on {}", request.source)));
    };
    let token = ground::text(&row, "token");
    let gone = || super::unguarded(&request.source, &row);
    let broken = match ground::text(&row, "state") {
        // From there only forward.
        "committed" => None,
        "guarded" if row["left"].as_f64().is_none_or(|left| left <= 0.0) => Some(ground::broken(&row, &request.source)),
        "guarded" => (!guarded(freezing, token).await).then(gone),
        "armed" => {
            let asked = format!("freeze_check({})", quote::literal(token));
            let checked = ground::ask(&session, &schema, &asked, Stage::Harmless, FreezeHolds::WORD).await?;
            match checked["ok"] == true {
                true => (!guarded(freezing, token).await).then(gone),
                false => Some(ground::broken(&checked, &request.source)),
            }
        }
        _ => Some(gone()),
    };
    freezing.postgres.give_back(session);
    done(broken.map(|fault| fault.message))
}

/// Whether a watchdog of this process is there.
async fn guarded(freezing: &Freezing<'_>, token: &str) -> bool {
    match freezing.guards.of(token) {
        Some(guard) => guard.alive().await,
        None => false,
    }
}

/// How the newest freeze of the run stands.
pub async fn last(freezing: &Freezing<'_>, request: &FreezeLast, ticket: &Ticket) -> Result<Done, Fault> {
    let (session, schema) = opened(freezing, &request.source, request.schema.as_deref(), ticket).await?;
    let row = ground::row(&session, &schema, FreezeLast::WORD).await?;
    freezing.postgres.give_back(session);
    let value = row.map_or(Value::Null, |row| {
        let at = if row["ended_at"].is_null() { &row["guarded_at"] } else { &row["ended_at"] };
        json!({ "state": row["state"], "at": at, "by": row["ended_by"], "why": row["why"], "deadline": row["deadline"], "lsn": row["lsn"] })
    });
    Ok(Done { value, rows: None })
}

/// Proves the freeze unbroken and ends every way to release it, in one transaction of the server's.
pub async fn commit(
    freezing: &Freezing<'_>,
    request: &FreezeCommit,
    ticket: &Ticket,
    ledger: &dyn Ledger,
) -> Result<Done, Fault> {
    let (session, schema) = opened(freezing, &request.source, request.schema.as_deref(), ticket).await?;
    session.require_writable()?;
    let row = ground::require_row(&session, &schema, FreezeCommit::WORD).await?;
    let token = ground::text(&row, "token").to_owned();
    let guard = freezing.guards.of(&token);
    if ground::text(&row, "state") != "committed" && guard.is_none() {
        return Err(super::unguarded(&request.source, &row));
    }
    ledger.started(session.holds())?;
    ledger.intent(json!({ "token": token, "schema": schema }))?;
    let asked = format!("freeze_commit({})", quote::literal(&token));
    let checked = ground::ask(&session, &schema, &asked, Stage::Sent, FreezeCommit::WORD).await?;
    if checked["ok"] != true {
        let fault = ground::broken(&checked, &request.source);
        if let Some(guard) = &guard {
            guard.lift(&format!("it could not be committed: {}", fault.message)).await;
        }
        return Err(fault);
    }
    // It is committed: what fails from here on must not say that it is not.
    let row = ground::require_row(&session, &schema, FreezeCommit::WORD).await;
    let row = row.map_err(|fault| Fault { class: FaultClass::Unknown, ..fault })?;
    if let Some(guard) = guard {
        guard.committed().await;
    }
    freezing.postgres.give_back(session);
    Ok(answer(&row))
}

fn answer(row: &Value) -> Done {
    Done { value: json!({ "at": row["ended_at"], "lsn": row["lsn"] }), rows: None }
}

/// What became of a commit: the row says it.
pub async fn resolve(freezing: &Freezing<'_>, doubt: &Doubt) -> Result<Resolution, Fault> {
    let Some(holds) = &doubt.holds else { return Ok(Resolution::NotDone) };
    let session = asking::reach(freezing.postgres, holds).await?;
    backend::end_with(&session, holds, std::time::Duration::from_secs(1)).await?;
    let Some(proof) = &doubt.proof else { return Ok(Resolution::NotDone) };
    let row = ground::row(&session, ground::text(proof, "schema"), FreezeCommit::WORD).await?;
    Ok(match row {
        Some(row)
            if row["token"] == proof["token"] && matches!(ground::text(&row, "state"), "committed" | "opened") =>
        {
            Resolution::Done(answer(&row))
        }
        _ => Resolution::NotDone,
    })
}

/// Releases everything: by the watchdog where there is one, else from here.
pub async fn lift(
    freezing: &Freezing<'_>,
    request: &FreezeLift,
    ticket: &Ticket,
    ledger: &dyn Ledger,
) -> Result<Done, Fault> {
    let (session, schema) = opened(freezing, &request.source, request.schema.as_deref(), ticket).await?;
    session.require_writable()?;
    ledger.intent(Value::Null)?;
    let Some(row) = ground::row(&session, &schema, FreezeLift::WORD).await? else {
        return Ok(Done { value: json!({ "state": "lifted", "at": (), "by": "nobody" }), rows: None });
    };
    let why = "the run said so";
    let ended = match freezing.guards.of(ground::text(&row, "token")) {
        Some(guard) if guard.alive().await => guard.lift(why).await,
        _ => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => by_hand(freezing, &session, &schema, &row, why).await?,
    };
    freezing.postgres.close_idle(&request.source);
    if ended.state == "committed" {
        return Err(Fault::fatal(
            "freeze.committed",
            format!("the freeze of {} is committed: from there only forward", request.source),
        )
        .hinted("freeze::open makes it writable again, as a way back does"));
    }
    Ok(Done { value: json!({ "state": ended.state, "at": ended.at, "by": ended.by }), rows: None })
}

/// The same without a watchdog: what it would have done, from what the row says of the freeze.
async fn by_hand(
    freezing: &Freezing<'_>,
    session: &Session,
    schema: &str,
    row: &Value,
    why: &str,
) -> Result<Ended, Fault> {
    let what = session.what(FreezeLift::WORD);
    let broken = |error: tokio_postgres::Error| ground::harmless(&error, &what);
    let token = ground::text(row, "token");
    let row = release::database(&session.client, schema, token, "engine", why).await.map_err(broken)?;
    let mut ended = Ended::of(&row);
    if ended.state != "lifted" {
        return Ok(ended);
    }
    let until = release::thawed_until(&session.client, &row).await.map_err(broken)?;
    release::thaw(&session.client, schema, token, &until).await.map_err(broken)?;
    if row["flipped"] == true {
        if let Some(database) = row["pooler"].as_str() {
            let admin = &freezing.world.providers.pgbouncer()?.admin;
            let pooler = Pooler { admin: Place::of(admin), database: database.to_owned() };
            release::pooler(freezing.postgres, &pooler).await?;
            ended.pooler = "its clients go on".to_owned();
        }
        if let Ok(command) = serde_json::from_value(row["resume"].clone()) {
            release::command(freezing.world, &command).await?;
            ended.command = "started".to_owned();
        }
    }
    book::change(&freezing.world.state, token, |page| {
        page.state.clone_from(&ended.state);
        page.ended = Some(ended.clone());
        page.trouble = None;
    });
    Ok(ended)
}

/// Makes a side writable whose freeze was committed.
pub async fn open(
    freezing: &Freezing<'_>,
    request: &FreezeOpen,
    ticket: &Ticket,
    ledger: &dyn Ledger,
) -> Result<Done, Fault> {
    let (session, schema) = opened(freezing, &request.source, request.schema.as_deref(), ticket).await?;
    session.require_writable()?;
    let row = ground::require_row(&session, &schema, FreezeOpen::WORD).await?;
    let token = ground::text(&row, "token").to_owned();
    if matches!(ground::text(&row, "state"), "guarded" | "armed") {
        let message = format!("the freeze of {} is not committed", request.source);
        return Err(Fault::fatal("freeze.armed", message).hinted("freeze::lift releases it"));
    }
    ledger.intent(json!({ "token": token }))?;
    let what = session.what(FreezeOpen::WORD);
    let broken = |error: tokio_postgres::Error| ground::harmless(&error, &what);
    let asked = format!("freeze_open({})", quote::literal(&token));
    let opened = ground::call(&session.client, &schema, &asked).await.map_err(broken)?.unwrap_or_default();
    if opened["flipped"] == true {
        let until = release::thawed_until(&session.client, &opened).await.map_err(broken)?;
        release::thaw(&session.client, &schema, &token, &until).await.map_err(broken)?;
    }
    book::change(&freezing.world.state, &token, |page| "opened".clone_into(&mut page.state));
    freezing.postgres.close_idle(&request.source);
    Ok(Done { value: json!({ "opened": opened["flipped"] }), rows: None })
}

async fn opened(
    freezing: &Freezing<'_>,
    source: &str,
    schema: Option<&str>,
    ticket: &Ticket,
) -> Result<(Session, String), Fault> {
    let session = freezing.postgres.session(source, &application_name(ticket)).await?;
    let schema = ground::schema(&session, schema, ticket).await?;
    Ok((session, schema))
}
