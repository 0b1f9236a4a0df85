//! What was measured of one database at one moment: rows, contents, objects. It lies in a file beside a dump, or is taken anew.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// One table that holds rows of its own: a leaf of a partitioned table counts by itself, its parent not at all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableMeasure {
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// Rows.
    pub rows: u64,
    /// How rows were hashed, so that only like is compared with like; absent when they were only counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// The sum of the 64-bit hashes of its rows, as decimal text; absent when they were only counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
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
}
