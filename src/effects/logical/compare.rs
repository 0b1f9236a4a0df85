//! `logical::compare`: a proof that both sides are equal, made while somebody writes.
//!
//! The source is read at one moment and the target at another, and what the change stream names between the two, from before
//! the first to after the second, is left out on both sides: every other row was the same all the while, and must be equal.
//! What was left out is compared by [`super::window`] once nobody writes.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::try_join_all;
use serde_json::{Value, json};

use super::changed::{Changed, Name, Part};
use super::gather::Stream;
use super::rows::{Difference, Pair};
use super::sides::{self, LeftOut, Sides};
use super::{Logical, beat, drain, place};
use crate::effects::postgres::measure::{self, Exported};
use crate::effects::{Done, Ledger, Ticket};
use crate::model::event::Event;
use crate::model::fault::Fault;
use crate::model::lsn;
use crate::model::request::logical::LogicalCompare;

/// How long the target may take to apply what was written before.
const CATCHING_UP: f64 = 600.0;

/// Compares.
pub async fn perform(
    logical: &Logical<'_>,
    request: &LogicalCompare,
    ticket: &Ticket,
    ledger: &dyn Ledger,
) -> Result<Done, Fault> {
    let (source, target) = logical.sessions(&request.source, &request.target, ticket).await?;
    source.require_writable()?;
    target.require_writable()?;
    let place = place::find(&source, request.schema.as_deref(), ticket).await?;
    let way = place.outgoing(&source, request.back)?;
    let stream = Stream::open(&source, &place, way).await?;
    let mut changed = stream.known(logical).await?;
    ledger.started(source.holds())?;
    ledger.intent(json!({ "schema": place.schema }))?;

    // What was committed before the stream was watched must be applied before the target is looked at.
    drain::wait(&source, &target, &place, way, CATCHING_UP).await?;
    let (here, there) = tokio::try_join!(
        Exported::take(logical.postgres, &request.source),
        Exported::take(logical.postgres, &request.target)
    )?;
    // A commit that waits for the disk: one that does not may be seen before it is in the change stream.
    let upto = beat::send(&source, &place, way).await?.lsn;
    stream.gather(logical, &mut changed, upto).await?;
    let pairs = try_join_all((0..request.connections.max(1)).map(|_| async {
        let (source, target) = tokio::try_join!(here.import(logical.postgres), there.import(logical.postgres))?;
        Ok::<_, Fault>(Pair { source, target })
    }))
    .await?;
    let first = pairs.first().ok_or_else(|| Fault::fatal("logical.compare", "there is no session to compare by"))?;
    let mut sides = sides::read(&first.source, &first.target, stream.keyed.clone(), &place.schema).await?;
    let found = all(logical, &sides, &changed, pairs).await?;
    here.release(logical.postgres).await;
    there.release(logical.postgres).await;
    logical.give_back(source, target);

    let differing: Vec<Value> = found.differing.iter().map(|(name, it)| it.value(&sides::full(name))).collect();
    let left_out: Vec<Value> = std::mem::take(&mut sides.left_out).iter().map(LeftOut::value).collect();
    let value = json!({
        "equal": differing.is_empty(),
        "differing": differing,
        "left_out": left_out,
        "rows": found.rows,
        "changed": changed.keys(),
        "lsn": lsn::text(upto),
    });
    Ok(Done { value, rows: Some(found.rows) })
}

struct Found {
    rows: u64,
    differing: Vec<(Name, Difference)>,
}

/// Every table but the rows that changed, several at once.
async fn all(logical: &Logical<'_>, sides: &Sides, changed: &Changed, pairs: Vec<Pair>) -> Result<Found, Fault> {
    let names = sides.names();
    let next = AtomicUsize::new(0);
    let none = BTreeSet::new();
    let work = |pair: Pair| {
        let (names, next, none) = (&names, &next, &none);
        async move {
            let mut found = Found { rows: 0, differing: Vec::new() };
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some(name) = names.get(at) else { break };
                let what = "tables that are compared".to_owned();
                logical.world.sink.event(Event::Progress { what, done: at as u64, of: Some(names.len() as u64) });
                let keys = match changed.tables.get(*name) {
                    // The whole table is compared when nobody writes any more.
                    Some(Part::Whole(_)) => continue,
                    Some(Part::Keys(keys)) => keys,
                    None => none,
                };
                let Some(both) = sides.both(name) else { continue };
                let (rows, difference) = pair.outside(&both, keys).await?;
                found.rows += rows;
                found.differing.extend(difference.map(|it| ((*name).clone(), it)));
            }
            Ok::<_, Fault>((pair, found))
        }
    };
    let mut found = Found { rows: 0, differing: Vec::new() };
    for (pair, part) in try_join_all(pairs.into_iter().map(work)).await? {
        measure::end(logical.postgres, pair.source).await;
        measure::end(logical.postgres, pair.target).await;
        found.rows += part.rows;
        found.differing.extend(part.differing);
    }
    found.differing.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(found)
}
