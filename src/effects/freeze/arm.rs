//! `freeze::arm`: nobody but the run writes from now on. Whatever goes wrong half-way, everything is released at once.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::json;

use super::guard::Guard;
use super::{Freezing, ground};
use crate::effects::postgres::connect::Session;
use crate::effects::postgres::faults::Stage;
use crate::effects::postgres::{application_name, quote};
use crate::effects::{Done, Ledger, Ticket};
use crate::model::Value;
use crate::model::fault::Fault;
use crate::model::request::Request;
use crate::model::request::freeze::FreezeArm;

/// How often sessions are looked for.
const LOOK: Duration = Duration::from_millis(10);

/// How often in a row none may be found before all are believed to be gone: one that is just coming in is not seen at first.
const CLEAN: u32 = 3;

/// Freezes what is guarded.
pub async fn perform(
    freezing: &Freezing<'_>,
    request: &FreezeArm,
    ticket: &Ticket,
    ledger: &dyn Ledger,
) -> Result<Done, Fault> {
    let word = FreezeArm::WORD;
    let session = freezing.postgres.session(&request.source, &application_name(ticket)).await?;
    session.require_writable()?;
    let schema = ground::schema(&session, request.schema.as_deref(), ticket).await?;
    let row = ground::require_row(&session, &schema, word).await?;
    let token = ground::text(&row, "token").to_owned();
    let guard = match freezing.guards.of(&token) {
        Some(guard) if guard.alive().await => guard,
        _ => return Err(super::unguarded(&request.source, &row)),
    };
    ledger.started(session.holds())?;
    ledger.intent(json!({ "token": token }))?;
    let armed = arm(request, &session, &schema, &token, &guard).await;
    match armed {
        Ok(value) => {
            // Sessions from before keep the old default; the run's own next ones are to have the new one.
            freezing.postgres.close_idle(&request.source);
            Ok(Done { value, rows: None })
        }
        Err(fault) => {
            let told = match guard.lift(&format!("arming failed: {}", fault.code)).await {
                Some(_) => "everything was released",
                None => "the watchdog releases everything",
            };
            Err(Fault { message: format!("{}; {told}", fault.message), ..fault })
        }
    }
}

async fn arm(request: &FreezeArm, session: &Session, schema: &str, token: &str, guard: &Guard) -> Result<Value, Fault> {
    let word = FreezeArm::WORD;
    let quoted = quote::literal(token);
    let names: Vec<String> = request.allow.iter().map(|name| quote::literal(name)).collect();
    let asked = format!("freeze_arm({quoted}, ARRAY[{}]::text[])", names.join(", "));
    let answer = ground::call(&session.client, schema, &asked).await;
    let armed = answer.map_err(|error| ground::harmless(&error, &session.what(word)))?.unwrap_or_default();
    if armed["ok"] != true {
        return Err(ground::broken(&armed, &request.source));
    }
    let ended = settle(request, session, schema, &quoted).await?;
    let checked = ground::ask(session, schema, &format!("freeze_check({quoted})"), Stage::Harmless, word).await?;
    if checked["ok"] != true {
        return Err(ground::broken(&checked, &request.source));
    }
    let mark = format!(
        "BEGIN READ WRITE; SET LOCAL TimeZone = 'UTC';
         UPDATE {}.freeze AS f SET lsn = pg_current_wal_insert_lsn() WHERE token = {quoted} RETURNING to_jsonb(f); COMMIT",
        quote::name(schema)
    );
    let row = ground::single(&session.client, &mark).await;
    let row = row.map_err(|error| ground::harmless(&error, &session.what(word)))?.unwrap_or_default();
    if !guard.armed().await {
        return Err(Fault::fatal("freeze.broken", "the watchdog does not answer any more"));
    }
    Ok(json!({
        "lsn": row["lsn"],
        "at": row["frozen_at"],
        "deadline": row["deadline"],
        "ended": ended,
        "roles": armed["roles"],
    }))
}

/// Ends sessions from before the freeze until none is left. Answers how many there were.
async fn settle(request: &FreezeArm, session: &Session, schema: &str, token: &str) -> Result<usize, Fault> {
    let limit = Duration::try_from_secs_f64(request.settle).unwrap_or(Duration::from_secs(5));
    let begun = Instant::now();
    let (mut clean, mut ended) = (0, BTreeSet::new());
    loop {
        let asked = format!("freeze_settle({token})");
        let seen = ground::ask(session, schema, &asked, Stage::Harmless, FreezeArm::WORD).await?;
        ended.extend(seen["who"].as_array().into_iter().flatten().map(|one| one["pid"].to_string()));
        clean = if seen["left"] == 0 { clean + 1 } else { 0 };
        if clean >= CLEAN {
            return Ok(ended.len());
        }
        if begun.elapsed() > limit {
            let message = format!(
                "sessions on {} could not be ended within {} s: {}",
                request.source,
                limit.as_secs_f64(),
                ground::who(&seen["who"])
            );
            return Err(Fault::fatal("freeze.sessions", message).hinted(
                "ending them needs pg_signal_backend, and a superuser for sessions of superusers; name applications that only read in `allow`",
            ));
        }
        tokio::time::sleep(LOOK).await;
    }
}
