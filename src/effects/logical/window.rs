//! `logical::compare_changed`: what [`super::compare`] left out, compared while nobody writes, within a time limit. Together
//! they say that both sides are equal at this position. The rows that changed come first; what the time does not suffice for
//! is left out by name, the largest first.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use serde_json::{Value, json};
use tokio_postgres::types::Type;

use super::changed::{Changed, Key, Name, Part};
use super::gather::Stream;
use super::rows::{self, CHUNK, Difference, Pair, WHAT};
use super::sides::{self, LeftOut, Sides};
use super::{Logical, disk, place};
use crate::effects::postgres::application_name;
use crate::effects::postgres::connect::{Session, column};
use crate::effects::postgres::measure;
use crate::effects::{Done, Ticket};
use crate::model::fault::Fault;
use crate::model::lsn;
use crate::model::request::logical::LogicalCompareChanged;

/// The least that is left to a statement; below it, there is no time.
const LEAST: Duration = Duration::from_millis(5);

/// One thing to compare.
enum Task<'a> {
    Keys(&'a Name, Vec<&'a Key>),
    Count(&'a Name),
    Whole(&'a Name),
}

/// Compares.
pub async fn perform(logical: &Logical<'_>, request: &LogicalCompareChanged, ticket: &Ticket) -> Result<Done, Fault> {
    let until = Instant::now() + Duration::from_secs_f64(request.limit);
    let name = application_name(ticket);
    let read = async {
        let source = logical.postgres.session(&request.source, &name).await?;
        let place = place::find(&source, request.schema.as_deref(), ticket).await?;
        let way = place.outgoing(&source, request.back)?;
        let stream = Stream::open(&source, &place, way).await?;
        let mut changed = stream.known(logical).await?;
        let upto = disk::flushed(&source, WHAT).await?;
        let since = stream.since(&mut changed, upto, 0).await?;
        require_drained(&source, &place.stream(way), since.touched).await?;
        let keyed = stream.keyed;
        Ok::<_, Fault>((source, place, changed, upto, keyed))
    };
    let pairs = try_join_all((0..request.connections.max(1)).map(|_| async {
        let (source, target) = tokio::try_join!(
            measure::read_only(logical.postgres, &request.source),
            measure::read_only(logical.postgres, &request.target)
        )?;
        Ok::<_, Fault>(Pair { source, target })
    }));
    let ((source, place, changed, upto, keyed), pairs) = tokio::try_join!(read, pairs)?;
    let first = pairs.first().ok_or_else(|| Fault::fatal("logical.compare", "there is no session to compare by"))?;
    let sides = sides::read(&first.source, &first.target, keyed, &place.schema).await?;

    let window = Window { sides: &sides, changed: &changed, until };
    let tasks = Mutex::new(window.tasks(request.counts));
    let found = Mutex::new(Found::default());
    let pairs = try_join_all(pairs.into_iter().map(|pair| window.work(pair, &tasks, &found))).await?;
    for pair in pairs {
        measure::end(logical.postgres, pair.source).await;
        measure::end(logical.postgres, pair.target).await;
    }
    logical.postgres.give_back(source);

    let found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    let differing: Vec<Value> = found.differing().iter().map(|(name, it)| it.value(&sides::full(name))).collect();
    let mut left_out: Vec<Value> = found.late(&sides).iter().map(LeftOut::value).collect();
    left_out.extend(sides.left_out.iter().map(LeftOut::value));
    let value = json!({
        "equal": differing.is_empty(),
        "lsn": lsn::text(upto),
        "differing": differing,
        "left_out": left_out,
        "rows": found.rows,
        "changed": changed.keys(),
    });
    Ok(Done { value, rows: Some(found.rows) })
}

/// Refuses to compare with a target that has not got everything: it would differ, and nothing would be wrong.
async fn require_drained(source: &Session, slot: &str, last: Option<u64>) -> Result<(), Fault> {
    let asked = "select (confirmed_flush_lsn - '0/0')::int8 from pg_catalog.pg_replication_slots where slot_name = $1";
    let rows = source.ask(asked, &[(&slot, Type::TEXT)], WHAT).await?;
    let confirmed: Option<i64> = rows.first().map(|row| column(row, 0)).transpose()?.flatten();
    if confirmed.unwrap_or(0).cast_unsigned() >= last.unwrap_or(0) {
        return Ok(());
    }
    Err(Fault::fatal("logical.not-drained", "the target has not applied everything yet")
        .hinted("logical::drain comes first, and before it nobody may write any more"))
}

#[derive(Default)]
struct Found {
    rows: u64,
    differing: BTreeMap<Name, Difference>,
    /// Tables whose counts differ.
    counted: BTreeMap<Name, Difference>,
    /// What there was no time for: rows that changed, whole tables, counts.
    late: BTreeMap<Name, &'static str>,
}

impl Found {
    fn take(&mut self, task: &Task<'_>, (rows, difference): (u64, Option<Difference>)) {
        self.rows += rows;
        let (name, all) = match task {
            Task::Count(name) => (*name, &mut self.counted),
            Task::Keys(name, _) | Task::Whole(name) => (*name, &mut self.differing),
        };
        if let Some(difference) = difference {
            all.entry(name.clone()).or_default().join(difference);
        }
    }

    /// What differs. Of a table whose rows are named, counts say nothing new, whichever was known first.
    fn differing(&self) -> BTreeMap<&Name, &Difference> {
        self.counted.iter().chain(&self.differing).collect()
    }

    /// What there was no time for, the largest first.
    fn late(&self, sides: &Sides) -> Vec<LeftOut> {
        let mut late: Vec<(&Name, &&str)> = self.late.iter().collect();
        late.sort_by_key(|(name, _)| std::cmp::Reverse(sides.size(name)));
        let told = |(name, why): (&Name, &&str)| LeftOut { table: sides::full(name), why: (*why).to_owned() };
        late.into_iter().map(told).collect()
    }
}

struct Window<'a> {
    sides: &'a Sides,
    changed: &'a Changed,
    until: Instant,
}

impl<'a> Window<'a> {
    /// Everything to compare, what comes first last.
    fn tasks(&self, counts: bool) -> Vec<Task<'a>> {
        let names = self.sides.names();
        let whole = |name: &Name| matches!(self.changed.tables.get(name), Some(Part::Whole(_)));
        let mut tasks: Vec<Task<'a>> = Vec::new();
        tasks.extend(names.iter().filter(|name| whole(name)).map(|name| Task::Whole(name)));
        // Large ones first, so that all sessions end at about the same time; but what cannot be done in time is the largest.
        if counts {
            let counted = names.iter().filter(|name| !whole(name));
            tasks.extend(counted.map(|name| Task::Count(name)));
        }
        for (name, part) in &self.changed.tables {
            if let (Part::Keys(keys), Some(_)) = (part, self.sides.both(name)) {
                let keys: Vec<&Key> = keys.iter().collect();
                tasks.extend(keys.chunks(CHUNK).map(|chunk| Task::Keys(name, chunk.to_vec())));
            }
        }
        tasks
    }

    async fn work(&self, pair: Pair, tasks: &Mutex<Vec<Task<'a>>>, found: &Mutex<Found>) -> Result<Pair, Fault> {
        let mut pair = pair;
        loop {
            let task = tasks.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let Some(task) = task else { return Ok(pair) };
            let (name, late) = match &task {
                Task::Keys(name, _) => (*name, "there was no time to compare its changed rows"),
                Task::Count(name) => (*name, "there was no time to count it"),
                Task::Whole(name) => (*name, "there was no time to compare it as a whole"),
            };
            let left = self.until.saturating_duration_since(Instant::now());
            let done = if left < LEAST { Ok(None) } else { self.one(&pair, &task, left).await.map(Some) };
            let done = match done {
                // The server stopped the statement; the transaction is over, and another one sees the same, since nobody writes.
                Err(fault) if fault.code == "sql.57014" => {
                    pair = again(pair).await?;
                    None
                }
                done => done?,
            };
            let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
            match done {
                Some(done) => found.take(&task, done),
                None => {
                    found.late.insert(name.clone(), late);
                }
            }
        }
    }

    async fn one(&self, pair: &Pair, task: &Task<'_>, left: Duration) -> Result<(u64, Option<Difference>), Fault> {
        let limit = i64::try_from(left.as_millis()).unwrap_or(i64::MAX).max(1);
        pair.limit(limit).await?;
        let of = |name: &Name| self.sides.both(name).ok_or_else(|| Fault::fatal("logical.compare", "a table is gone"));
        match task {
            Task::Keys(name, keys) => Ok((keys.len() as u64, pair.of_keys(&of(name)?, keys).await?)),
            Task::Whole(name) => pair.outside(&of(name)?, &std::collections::BTreeSet::new()).await,
            Task::Count(name) => {
                let both = of(name)?;
                let (here, there) = pair.count(&both).await?;
                let difference = Difference::default();
                Ok((here, (here != there).then(|| difference.or_counts(pair, here, there))))
            }
        }
    }
}

/// The same sessions in new transactions.
async fn again(pair: Pair) -> Result<Pair, Fault> {
    let sql = format!("ROLLBACK; BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {}", measure::SETTINGS);
    tokio::try_join!(pair.source.batch(&sql, rows::WHAT), pair.target.batch(&sql, rows::WHAT))?;
    Ok(pair)
}
