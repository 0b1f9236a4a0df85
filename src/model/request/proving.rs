//! Requests of the words that measure databases and compare what was measured.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Request;
use crate::model::verdict::CheckVerdict;

/// One side of a comparison.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// A target, measured now.
    Target(String),
    /// What was measured earlier, in a file.
    File {
        /// The file.
        path: PathBuf,
        /// SHA-256 of its bytes.
        digest: String,
    },
    /// Nothing was measured of it: why.
    Nothing(String),
}

impl std::fmt::Display for Side {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Target(name) => f.write_str(name),
            Self::File { path, .. } => f.write_str(&path.file_name().unwrap_or_default().to_string_lossy()),
            Self::Nothing(_) => f.write_str("nothing"),
        }
    }
}

/// `pg::measure`: rows, contents and objects of a database at one snapshot, into a file.
/// Answers `{ measured, digest, tables, rows, at, database }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measure {
    /// Name of the target.
    pub target: String,
    /// Whether contents are hashed, or rows only counted.
    pub contents: bool,
    /// Sessions that measure at once.
    pub connections: usize,
}

impl Request for Measure {
    const WORD: &'static str = "pg::measure";
}

/// `check::same_rows`: every table of both sides. Answers a [`Comparison`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SameRows {
    /// What is taken for right.
    pub left: Side,
    /// What must equal it.
    pub right: Side,
    /// Whether contents are compared, or only counts.
    pub contents: bool,
    /// The left side once more, measured after the right one was made: what changed in between need not be equal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Side>,
    /// Share by which a count on the right may be off from the left one, from 0 to 1. With `after`, only of tables that
    /// changed in between.
    #[serde(default, skip_serializing_if = "exact")]
    pub tolerance: f64,
    /// Sessions a side.
    pub connections: usize,
    /// Tables and kinds of gaps that are tolerated.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accept: Vec<String>,
}

fn exact(tolerance: &f64) -> bool {
    *tolerance == 0.0
}

impl Request for SameRows {
    const WORD: &'static str = "check::same_rows";
}

/// `check::same_objects`: everything of both sides that is no row. Answers a [`Comparison`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SameObjects {
    /// What is taken for right.
    pub left: Side,
    /// What must equal it.
    pub right: Side,
    /// Whether owners and grants are compared too.
    pub grants: bool,
    /// Whether the right side is older than the left one, which has gone on since: where sequences stand, and how many large
    /// objects there are, is then not compared.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub older: bool,
    /// Objects and kinds that are tolerated.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accept: Vec<String>,
}

impl Request for SameObjects {
    const WORD: &'static str = "check::same_objects";
}

/// `check::sequences_ahead`: no sequence gives out a value that its column has already. Answers a [`Comparison`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SequencesAhead {
    /// Name of the target.
    pub target: String,
    /// Sequences that are tolerated.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accept: Vec<String>,
}

impl Request for SequencesAhead {
    const WORD: &'static str = "check::sequences_ahead";
}

/// `check::amcheck`: the files of tables and indexes are sound. Answers a [`Comparison`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Amcheck {
    /// Name of the target.
    pub target: String,
    /// Indexes and kinds of gaps that are tolerated.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accept: Vec<String>,
}

impl Request for Amcheck {
    const WORD: &'static str = "check::amcheck";
}

/// Something that speaks against a pass.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What it is about: a table, `function public.total(integer)`.
    pub name: String,
    /// What is wrong with it, with the figures of both sides.
    pub what: String,
}

/// One table on both sides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TablePair {
    /// Its full name.
    pub name: String,
    /// Rows on the left; absent where the table is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left: Option<u64>,
    /// Rows on the right; absent where the table is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub right: Option<u64>,
    /// `equal`, `same count`, `differs`, `not compared`.
    pub verdict: String,
}

/// What came of a comparison, within what a journal can keep.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// How it came out.
    pub verdict: CheckVerdict,
    /// All of it in one line.
    pub detail: String,
    /// What the sides are called.
    pub left: String,
    /// The same of the other one; empty where there is none.
    pub right: String,
    /// How much was compared: tables, objects, sequences, indexes.
    pub compared: u64,
    /// Rows on the left.
    pub left_rows: u64,
    /// Rows on the right.
    pub right_rows: u64,
    /// What differs, at most [`Comparison::MOST`].
    pub differences: Vec<Finding>,
    /// What could not be compared, at most [`Comparison::MOST`].
    pub gaps: Vec<Finding>,
    /// What was tolerated by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tolerated: Vec<Finding>,
    /// Table by table, differing ones first, at most [`Comparison::MOST`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<TablePair>,
    /// How many entries all lists together leave out.
    pub left_out: u64,
}

impl Comparison {
    /// The longest that its lists get.
    pub const MOST: usize = 1000;
}

impl Default for Comparison {
    fn default() -> Self {
        Self {
            verdict: CheckVerdict::CouldNotVerify,
            detail: String::new(),
            left: String::new(),
            right: String::new(),
            compared: 0,
            left_rows: 0,
            right_rows: 0,
            differences: Vec::new(),
            gaps: Vec::new(),
            tolerated: Vec::new(),
            tables: Vec::new(),
            left_out: 0,
        }
    }
}
