//! `logical::drain`: everything that was committed until now is applied by the copy, and on its disk.
//!
//! A heartbeat that arrived says that everything before it was applied. Whether that would survive a crash of the copy says
//! what the slot has confirmed, which the copy reports when its own WAL is flushed and something new arrives: both are
//! brought about here rather than waited for.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio_postgres::types::Type;

use super::place::{self, Place, Way};
use super::{Logical, beat, disk, health, progress, subscribe};
use crate::effects::postgres::connect::{Session, column};
use crate::effects::{Done, Ledger, Ticket};
use crate::model::fault::Fault;
use crate::model::lsn;
use crate::model::request::Request;
use crate::model::request::logical::LogicalDrain;

const WORD: &str = LogicalDrain::WORD;

/// Between two looks.
const POLL: Duration = Duration::from_millis(1);

/// How long nothing may happen before the reason is looked for, and the stream is given something new to see.
const PATIENCE: Duration = Duration::from_millis(200);

/// Waits for it.
pub async fn perform(
    logical: &Logical<'_>,
    request: &LogicalDrain,
    ticket: &Ticket,
    ledger: &dyn Ledger,
) -> Result<Done, Fault> {
    let begun = Instant::now();
    let (source, target) = logical.sessions(&request.source, &request.target, ticket).await?;
    source.require_writable()?;
    target.require_writable()?;
    let place = place::find(&source, request.schema.as_deref(), ticket).await?;
    let drain = Drain { source: &source, target: &target, way: place.outgoing(&source, request.back)?, place: &place };
    ledger.started(source.holds())?;
    ledger.intent(json!({ "schema": place.schema }))?;
    let at = drain.wait(begun + Duration::from_secs_f64(request.limit), request.limit).await?;
    logical.give_back(source, target);
    Ok(Done { value: json!({ "lsn": lsn::text(at), "took": begun.elapsed().as_secs_f64() }), rows: None })
}

/// Waits until a copy has applied what its source committed until now. Answers the position behind that.
pub async fn wait(source: &Session, target: &Session, place: &Place, way: Way, limit: f64) -> Result<u64, Fault> {
    let drain = Drain { source, target, way, place };
    drain.wait(Instant::now() + Duration::from_secs_f64(limit), limit).await
}

struct Drain<'a> {
    source: &'a Session,
    target: &'a Session,
    way: Way,
    place: &'a Place,
}

impl Drain<'_> {
    async fn wait(&self, until: Instant, limit: f64) -> Result<u64, Fault> {
        let stream = self.place.stream(self.way);
        let (marker, unready, failures) = tokio::try_join!(
            beat::send(self.source, self.place, self.way),
            progress::unready(self.target, &stream),
            health::failures(self.target, &stream)
        )?;
        if unready > 0 {
            let message = format!("{unready} tables of {} are not followed yet", self.target.target);
            return Err(Fault::fatal("logical.not-ready", message).hinted("wait until logical::progress is `ready`"));
        }
        let mut looked = Instant::now();
        while beat::last(self.target, self.place, self.way).await? < marker.beat {
            self.pause(&mut looked, until, limit, failures).await?;
        }
        self.nudge().await?;
        while self.confirmed(&stream).await? < marker.lsn {
            self.pause(&mut looked, until, limit, failures).await?;
        }
        Ok(marker.lsn)
    }

    /// The copy flushes its WAL, and gets something that it answers.
    async fn nudge(&self) -> Result<(), Fault> {
        disk::flush(self.target, WORD).await?;
        beat::send(self.source, self.place, self.way).await.map(|_| ())
    }

    async fn confirmed(&self, stream: &str) -> Result<u64, Fault> {
        let asked =
            "select (confirmed_flush_lsn - '0/0')::int8 from pg_catalog.pg_replication_slots where slot_name = $1";
        let rows = self.source.ask(asked, &[(&stream, Type::TEXT)], WORD).await?;
        let Some(row) = rows.first() else { return Err(subscribe::no_slot(&self.source.target, stream)) };
        Ok(column::<Option<i64>>(row, 0)?.unwrap_or(0).cast_unsigned())
    }

    async fn pause(&self, looked: &mut Instant, until: Instant, limit: f64, failures: i64) -> Result<(), Fault> {
        if looked.elapsed() > PATIENCE {
            *looked = Instant::now();
            let health = health::health(self.source, self.target, &self.place.stream(self.way)).await?;
            if let Some(trouble) = health.trouble.filter(|_| !health.active || health.failures > failures) {
                return Err(Fault::fatal("logical.broken", trouble));
            }
            self.nudge().await?;
        }
        if Instant::now() >= until {
            let health = health::health(self.source, self.target, &self.place.stream(self.way)).await?;
            let (from, to) = (&self.source.target, &self.target.target);
            let behind = health.behind.map_or("an unknown number of".to_owned(), |bytes| bytes.to_string());
            let message = format!("{to} has not applied within {limit} s what {from} wrote: {behind} bytes are left");
            let fault = Fault::fatal("logical.drain", message);
            return Err(match health.trouble {
                Some(trouble) => fault.detailed(trouble),
                None => fault.hinted("it follows, but too slowly: begin when lag_bytes of logical::progress is small"),
            });
        }
        tokio::time::sleep(POLL).await;
        Ok(())
    }
}
