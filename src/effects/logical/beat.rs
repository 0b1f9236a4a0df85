//! `logical::beat` and `logical::arrived`: a row that travels with everything else. A follower can look healthy and apply
//! nothing; one on which a heartbeat arrived has applied everything that was committed before it.

use serde_json::json;

use super::Logical;
use super::place::{self, Place, Way};
use crate::effects::postgres::application_name;
use crate::effects::postgres::connect::{Session, column};
use crate::effects::{Done, Ledger, Ticket};
use crate::model::fault::Fault;
use crate::model::lsn;
use crate::model::request::Request;
use crate::model::request::logical::{LogicalArrived, LogicalBeat};

/// How many heartbeats are kept: the time since the first one that did not arrive is the lag.
const KEPT: i64 = 1000;

/// One heartbeat.
#[derive(Clone, Copy, Debug)]
pub struct Beat {
    /// Its number.
    pub beat: i64,
    /// A position of the WAL behind its commit, flushed.
    pub lsn: u64,
}

/// `logical::beat`.
pub async fn perform(
    logical: &Logical<'_>,
    request: &LogicalBeat,
    ticket: &Ticket,
    ledger: &dyn Ledger,
) -> Result<Done, Fault> {
    let session = logical.postgres.session(&request.source, &application_name(ticket)).await?;
    session.require_writable()?;
    let place = place::find(&session, request.schema.as_deref(), ticket).await?;
    let way = place.outgoing(&session, request.back)?;
    ledger.started(session.holds())?;
    ledger.intent(json!({ "schema": place.schema }))?;
    let beat = send(&session, &place, way).await?;
    logical.postgres.give_back(session);
    Ok(Done { value: json!({ "beat": beat.beat, "lsn": lsn::text(beat.lsn) }), rows: None })
}

/// Beats once, in one message to the server. It is let through where everything else is read only.
pub async fn send(session: &Session, place: &Place, way: Way) -> Result<Beat, Fault> {
    let table = place.heartbeat(way);
    // The message makes no difference to the follower, and tells whoever reads the WAL what this was.
    let sql = format!(
        "BEGIN READ WRITE; SET LOCAL synchronous_commit = on; SET LOCAL lock_timeout = '5s'; \
         SELECT pg_logical_emit_message(true, 'runsheet', {schema}); \
         DELETE FROM {table} WHERE beat < (SELECT max(beat) FROM {table}) - {KEPT}; \
         INSERT INTO {table} (beat) SELECT coalesce(max(beat), 0) + 1 FROM {table} RETURNING beat; \
         COMMIT; SELECT pg_current_wal_flush_lsn()",
        schema = crate::effects::postgres::quote::literal(&place.schema),
    );
    let what = session.what(LogicalBeat::WORD);
    let answered = session.client.simple_query(&sql).await;
    let answered = match answered {
        Ok(answered) => answered,
        Err(error) => {
            if !session.client.is_closed() {
                session.batch("ROLLBACK", LogicalBeat::WORD).await?;
            }
            let stage = crate::effects::postgres::faults::Stage::Harmless;
            return Err(crate::effects::postgres::faults::of(&error, stage, &what));
        }
    };
    let texts: Vec<String> = answered
        .iter()
        .filter_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        })
        .collect();
    let beat = texts.get(1).and_then(|text| text.parse().ok());
    let at = texts.last().and_then(|text| lsn::read(text));
    beat.zip(at)
        .map(|(beat, lsn)| Beat { beat, lsn })
        .ok_or_else(|| Fault::fatal("server.answer", format!("{what}: the server did not say which heartbeat it was")))
}

/// `logical::arrived`.
pub async fn arrived(logical: &Logical<'_>, request: &LogicalArrived, ticket: &Ticket) -> Result<Done, Fault> {
    let session = logical.postgres.session(&request.target, &application_name(ticket)).await?;
    let place = place::find(&session, request.schema.as_deref(), ticket).await?;
    let way = place.incoming(&session, request.back)?;
    let last = last(&session, &place, way).await?;
    logical.postgres.give_back(session);
    let beat = request.beat.as_i64().ok_or_else(|| Fault::fatal("action.shape", "`beat` is no number"))?;
    Ok(Done { value: json!(last >= beat), rows: None })
}

/// The last heartbeat that is in the table of this side; 0 if none is.
pub async fn last(session: &Session, place: &Place, way: Way) -> Result<i64, Fault> {
    let asked = format!("select coalesce(max(beat), 0) from {}", place.heartbeat(way));
    let rows = session.ask(&asked, &[], LogicalArrived::WORD).await?;
    rows.first().map_or(Ok(0), |row| column(row, 0))
}
