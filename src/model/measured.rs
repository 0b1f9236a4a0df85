//! What was measured of one database at one moment: rows, contents, objects. It lies in a file beside a dump, or is taken anew.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Version of [`Measured`] as it is written now.
pub const FORMAT: u32 = 1;

/// What kind of table it is, as far as it decides what a difference means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TableKind {
    /// A table or a leaf partition: a difference is a loss.
    #[default]
    Table,
    /// A materialised view, which a restore fills anew.
    MaterialisedView,
    /// A table of an extension, of which the extension decides what is dumped.
    OfExtension,
    /// All large objects together, as if they were one table.
    LargeObjects,
}

/// One table that holds rows of its own: a leaf of a partitioned table counts by itself, its parent not at all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableMeasure {
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// What kind of table it is.
    #[serde(default)]
    pub kind: TableKind,
    /// Rows.
    pub rows: u64,
    /// How rows were hashed, so that only like is compared with like: the form, then a digest of names and types of the
    /// columns, a space between them. Absent when they were only counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// The sum of the 64-bit hashes of its rows, as decimal text; absent when they were only counted, or there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
}

impl TableMeasure {
    /// As people read it: `public.orders`.
    pub fn full_name(&self) -> String {
        if self.schema.is_empty() { self.name.clone() } else { format!("{}.{}", self.schema, self.name) }
    }
}

/// A sequence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SequenceMeasure {
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// The value it was at, as it was read first: sequences know no snapshots.
    pub last_value: i64,
    /// Whether that value has been given out.
    pub is_called: bool,
    /// Its step; below zero it runs downwards.
    pub increment: i64,
}

/// Something in a database that is no row: a view, a function, a constraint.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ObjectMeasure {
    /// What it is: `function`, `trigger`, `index`.
    pub kind: String,
    /// Its name, with all that tells it from others of its kind.
    pub name: String,
    /// Its definition and state; a digest where they are long.
    pub definition: String,
}

/// Something that was not measured.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Gap {
    /// What it is: `foreign table`, `unlogged table`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Why it was not measured.
    pub why: String,
}

/// A database at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measured {
    /// Version of this form.
    pub format: u32,
    /// When its snapshot was taken.
    pub at: DateTime<Utc>,
    /// Name of the database.
    pub database: String,
    /// Version of its server, as `server_version_num`.
    pub server: u32,
    /// Its tables, by schema and name.
    pub tables: Vec<TableMeasure>,
    /// Its sequences, by schema and name.
    #[serde(default)]
    pub sequences: Vec<SequenceMeasure>,
    /// Everything else in it, by kind and name.
    #[serde(default)]
    pub objects: Vec<ObjectMeasure>,
    /// What was left out, by kind and name.
    #[serde(default)]
    pub gaps: Vec<Gap>,
}

impl Measured {
    /// Rows of all tables together.
    pub fn rows(&self) -> u64 {
        self.tables.iter().filter(|table| table.kind != TableKind::LargeObjects).map(|table| table.rows).sum()
    }
}
