//! Rows of one table on two servers, compared by hashes that servers compute: as a whole but for some keys, by keys, and in
//! parts until it is known which rows differ.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde_json::{Value, json};
use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};

use super::changed::Key;
use super::keyed::Column;
use crate::effects::postgres::connect::{Session, column};
use crate::effects::postgres::measure::row_hash;
use crate::effects::postgres::measure::tables::Table;
use crate::effects::postgres::quote;
use crate::model::fault::Fault;

/// Differences of a table that are named.
const NAMED: usize = 20;

/// Parts into which rows are divided by their keys to find those that differ.
const PARTS: i64 = 4096;

/// Parts that are looked at row by row.
const LOOKED_AT: usize = 64;

/// Keys in one statement.
pub const CHUNK: usize = 5000;

/// What messages call the work.
pub const WHAT: &str = "comparing";

/// A session to each side.
pub struct Pair {
    /// To the source.
    pub source: Session,
    /// To the target.
    pub target: Session,
}

/// A table as both sides have it.
pub struct Both<'a> {
    /// As the source has it.
    pub source: &'a Table,
    /// As the target has it.
    pub target: &'a Table,
    /// By which its rows are told apart; empty if by nothing.
    pub key: &'a [Column],
}

/// Rows of a table that are not the same on both sides.
#[derive(Debug, Default)]
pub struct Difference {
    /// How many there are; `None` where only parts were looked at.
    pub count: u64,
    /// The first of them.
    pub keys: Vec<String>,
}

impl Difference {
    /// As the answer has it.
    pub fn value(&self, table: &str) -> Value {
        json!({ "table": table, "keys": self.keys, "count": self.count })
    }

    fn add(&mut self, key: &str, what: &str) {
        self.count += 1;
        if self.keys.len() < NAMED {
            self.keys.push(format!("{key} ({what})"));
        }
    }
}

type Given<'a> = Vec<(&'a (dyn ToSql + Sync), Type)>;

impl Pair {
    /// Asks both sides at once.
    async fn ask(&self, here: &str, there: &str, given: &Given<'_>) -> Result<(Vec<Row>, Vec<Row>), Fault> {
        tokio::try_join!(self.source.ask(here, given, WHAT), self.target.ask(there, given, WHAT))
    }

    /// Rows outside of some keys: how many the source has, and what differs.
    pub async fn outside(&self, both: &Both<'_>, keys: &BTreeSet<Key>) -> Result<(u64, Option<Difference>), Fault> {
        let columns = by_column(both.key, keys.iter());
        let given = given(&columns);
        let sql = |table: &Table| {
            let hash = row_hash::expression(table);
            format!("select count(*), sum({hash})::text from {} {}", from(table), apart(both.key, keys))
        };
        let (here, there) = self.ask(&sql(both.source), &sql(both.target), &given).await?;
        let (here, there) = (summed(&here)?, summed(&there)?);
        if here == there {
            return Ok((here.0, None));
        }
        let found = if both.key.is_empty() { Difference::default() } else { self.search(both, keys, &given).await? };
        Ok((here.0, Some(found.or_counts(self, here.0, there.0))))
    }

    /// The rows of some keys: what differs of them.
    pub async fn of_keys(&self, both: &Both<'_>, keys: &[&Key]) -> Result<Option<Difference>, Fault> {
        let columns = by_column(both.key, keys.iter().copied());
        let given = given(&columns);
        let sql = |table: &Table| {
            let hash = row_hash::expression(table);
            let source = unnested(both.key.len(), " with ordinality");
            let names = (1..=both.key.len()).map(|nth| format!("k{nth}, ")).collect::<String>();
            format!("select k.nth, {hash} from {source} k({names}nth) join {} on {}", from(table), equal(both.key))
        };
        let (here, there) = self.ask(&sql(both.source), &sql(both.target), &given).await?;
        let (here, there) = (hashes(&here)?, hashes(&there)?);
        let mut found = Difference::default();
        for (nth, key) in (1_i64..).zip(keys) {
            self.judge(&mut found, &shown(both.key, key), here.get(&nth), there.get(&nth));
        }
        Ok((found.count > 0).then_some(found))
    }

    /// Limits what both sides do next, in milliseconds.
    pub async fn limit(&self, millis: i64) -> Result<(), Fault> {
        let set = format!("select set_config('statement_timeout', '{millis}', true)");
        self.ask(&set, &set, &Vec::new()).await.map(|_| ())
    }

    /// How many rows both sides have.
    pub async fn count(&self, both: &Both<'_>) -> Result<(u64, u64), Fault> {
        let sql = |table: &Table| format!("select count(*), null::text from {}", from(table));
        let (here, there) = self.ask(&sql(both.source), &sql(both.target), &Vec::new()).await?;
        Ok((summed(&here)?.0, summed(&there)?.0))
    }

    fn judge(&self, found: &mut Difference, key: &str, here: Option<&i64>, there: Option<&i64>) {
        match (here, there) {
            (Some(_), None) => found.add(key, &format!("missing in {}", self.target.target)),
            (None, Some(_)) => found.add(key, &format!("only in {}", self.target.target)),
            (Some(here), Some(there)) if here != there => found.add(key, "differs"),
            _ => {}
        }
    }

    /// Finds rows that differ outside of some keys: first in which parts they are, then which they are.
    async fn search(&self, both: &Both<'_>, keys: &BTreeSet<Key>, given: &Given<'_>) -> Result<Difference, Fault> {
        let texts: Vec<String> = both.key.iter().map(|it| format!("t.{}::text", quote::name(&it.name))).collect();
        let part = format!("(hashtextextended(array[{}]::text collate \"C\", 0) & {})", texts.join(", "), PARTS - 1);
        let rest = apart(both.key, keys);
        let summed = |table: &Table| {
            let hash = row_hash::expression(table);
            format!("select {part}, count(*) || ' ' || sum({hash})::text from {} {rest} group by 1", from(table))
        };
        let (here, there) = self.ask(&summed(both.source), &summed(both.target), given).await?;
        let (here, there) = (parts(&here)?, parts(&there)?);
        let all: BTreeSet<i64> = here.keys().chain(there.keys()).copied().collect();
        let differing: Vec<i64> = all.into_iter().filter(|part| here.get(part) != there.get(part)).collect();
        let looked: Vec<String> = differing.iter().take(LOOKED_AT).map(ToString::to_string).collect();
        let listed = |table: &Table| {
            let hash = row_hash::expression(table);
            let and = if rest.is_empty() { "where" } else { "and" };
            format!(
                "select array[{}]::text[], {hash} from {} {rest} {and} {part} in ({})",
                texts.join(", "),
                from(table),
                looked.join(", ")
            )
        };
        let mut found = Difference::default();
        if looked.is_empty() {
            return Ok(found);
        }
        let (here, there) = self.ask(&listed(both.source), &listed(both.target), given).await?;
        let (here, there) = (by_key(&here)?, by_key(&there)?);
        let all: BTreeSet<&Key> = here.keys().chain(there.keys()).collect();
        for key in all {
            self.judge(&mut found, &shown(both.key, key), here.get(key), there.get(key));
        }
        if differing.len() > LOOKED_AT {
            found.count = found.count.max(differing.len() as u64);
        }
        Ok(found)
    }
}

impl Difference {
    /// Adds another one of the same table.
    pub fn join(&mut self, other: Self) {
        self.count += other.count;
        self.keys.extend(other.keys);
        self.keys.truncate(NAMED);
    }

    /// What can be said where no row can be named.
    pub fn or_counts(mut self, pair: &Pair, here: u64, there: u64) -> Self {
        if self.count == 0 {
            self.count = here.abs_diff(there).max(1);
            self.keys.push(counts(pair, here, there));
        }
        self
    }
}

/// How many rows both sides have, as a sentence.
pub fn counts(pair: &Pair, here: u64, there: u64) -> String {
    format!("{here} rows in {}, {there} in {}", pair.source.target, pair.target.target)
}

/// Rows of the table itself, which is called `t`.
fn from(table: &Table) -> String {
    format!("only {} t", quote::qualified(&table.schema, &table.name))
}

/// A condition that leaves out the keys that are given; nothing where there are none.
fn apart(key: &[Column], keys: &BTreeSet<Key>) -> String {
    if key.is_empty() || keys.is_empty() {
        return String::new();
    }
    let names = (1..=key.len()).map(|nth| format!("k{nth}")).collect::<Vec<_>>().join(", ");
    format!("where not exists (select from {} k({names}) where {})", unnested(key.len(), ""), equal(key))
}

fn unnested(columns: usize, with: &str) -> String {
    let arrays = (1..=columns).map(|nth| format!("${nth}::text[]")).collect::<Vec<_>>().join(", ");
    format!("unnest({arrays}){with}")
}

/// That a key `k` is that of the row `t`.
fn equal(key: &[Column]) -> String {
    let mut sql = String::new();
    for (nth, it) in key.iter().enumerate() {
        let and = if nth == 0 { "" } else { " and " };
        let _ = write!(sql, "{and}(k.k{}::{}) {} t.{}", nth + 1, it.kind, it.equal, quote::name(&it.name));
    }
    sql
}

fn by_column<'k>(key: &[Column], keys: impl Iterator<Item = &'k Key>) -> Vec<Vec<&'k str>> {
    let mut columns = vec![Vec::new(); key.len()];
    for key in keys {
        for (column, text) in columns.iter_mut().zip(key) {
            column.push(text.as_str());
        }
    }
    // Without a key to leave out there is no parameter either.
    if columns.first().is_some_and(Vec::is_empty) {
        columns.clear();
    }
    columns
}

fn given<'c>(columns: &'c [Vec<&'c str>]) -> Given<'c> {
    columns.iter().map(|column| (column as &(dyn ToSql + Sync), Type::TEXT_ARRAY)).collect()
}

fn summed(rows: &[Row]) -> Result<(u64, Option<String>), Fault> {
    let row = rows.first().ok_or_else(|| Fault::fatal("server.answer", "the server did not count"))?;
    Ok((column::<i64>(row, 0)?.cast_unsigned(), column(row, 1)?))
}

fn parts(rows: &[Row]) -> Result<BTreeMap<i64, String>, Fault> {
    rows.iter().map(|row| Ok((column(row, 0)?, column(row, 1)?))).collect()
}

fn hashes(rows: &[Row]) -> Result<BTreeMap<i64, i64>, Fault> {
    rows.iter().map(|row| Ok((column(row, 0)?, column(row, 1)?))).collect()
}

fn by_key(rows: &[Row]) -> Result<BTreeMap<Key, i64>, Fault> {
    rows.iter().map(|row| Ok((column(row, 0)?, column(row, 1)?))).collect()
}

/// A key as people read it: `id=7`.
fn shown(columns: &[Column], key: &Key) -> String {
    columns.iter().zip(key).map(|(column, text)| format!("{}={text}", column.name)).collect::<Vec<_>>().join(", ")
}
