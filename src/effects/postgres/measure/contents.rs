//! Counting and hashing tables: a big one by itself, small ones many at a time.
//!
//! The hash of a table is the sum of the hashes of its rows, whose order therefore does not matter; a row that occurs twice
//! counts twice.

use std::fmt::Write as _;

use super::super::connect::{Session, column};
use super::super::quote;
use super::row_hash;
use super::snapshot;
use super::tables::Table;
use crate::model::digest;
use crate::model::fault::Fault;
use crate::model::measured::{TableKind, TableMeasure};

/// Bytes from which a table is read by itself.
const BIG: i64 = 4 << 20;

/// The most tables that are read by one statement.
const TOGETHER: usize = 25;

/// Tables that are read by one statement.
pub struct Batch {
    pub tables: Vec<Table>,
    /// How this server hashes; absent when rows are only counted.
    form: Option<String>,
}

/// Tables in the order given, the small ones in groups.
pub fn batches(tables: Vec<Table>, form: Option<&str>) -> Vec<Batch> {
    let mut batches: Vec<Batch> = Vec::new();
    for table in tables {
        let room = |batch: &&mut Batch| batch.tables.len() < TOGETHER && batch.tables[0].size < BIG;
        match batches.last_mut().filter(room).filter(|_| table.size < BIG) {
            Some(batch) => batch.tables.push(table),
            None => batches.push(Batch { tables: vec![table], form: form.map(str::to_owned) }),
        }
    }
    batches
}

impl Batch {
    /// Reads the tables.
    pub async fn read(&self, session: &Session) -> Result<Vec<TableMeasure>, Fault> {
        let mut sql = String::new();
        for (index, table) in self.tables.iter().enumerate() {
            let hash = if self.form.is_some() { format!("sum({})::text", hash(table)) } else { "null::text".into() };
            let separator = if index == 0 { "" } else { "\nunion all\n" };
            let _ = write!(sql, "{separator}select {index}, count(*), {hash} from {}", source(table));
        }
        let mut measured = Vec::with_capacity(self.tables.len());
        for row in snapshot::ask(session, &sql).await? {
            let (index, rows): (i32, i64) = (column(&row, 0)?, column(&row, 1)?);
            let Some(table) = usize::try_from(index).ok().and_then(|index| self.tables.get(index)) else { continue };
            measured.push(TableMeasure {
                schema: table.schema.clone(),
                name: table.name.clone(),
                kind: table.kind,
                rows: rows.cast_unsigned(),
                method: self.form.as_ref().map(|form| method(form, table)),
                hash: column(&row, 2)?,
            });
        }
        Ok(measured)
    }
}

/// What rows are read from: those of the table itself, not of tables that inherit from it.
fn source(table: &Table) -> String {
    match table.kind {
        TableKind::LargeObjects => "pg_catalog.pg_largeobject_metadata t".to_owned(),
        _ => format!("only {} t", quote::qualified(&table.schema, &table.name)),
    }
}

/// The hash of a row, as SQL.
fn hash(table: &Table) -> String {
    if table.kind == TableKind::LargeObjects {
        return "hashtextextended(encode(sha256(lo_get(t.oid)), 'hex') collate \"C\", t.oid::bigint)".to_owned();
    }
    row_hash::expression(table)
}

/// How a table's rows are hashed: the form with the server's own way of hashing, and what columns there are.
fn method(form: &str, table: &Table) -> String {
    let columns: Vec<[&str; 2]> = table.columns.iter().map(|column| [column.name.as_str(), &column.kind]).collect();
    format!("{}-{form} {}", row_hash::form(table), &digest::of_value(&columns)[..16])
}
