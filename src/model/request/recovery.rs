//! Requests of the words that bring an earlier moment of a database back beside it, and take rows from there.

use serde::{Deserialize, Serialize};

use super::Request;

/// `pg::recovery_window`: from when to when a target can be recovered. Answers `{ from, to, … }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PgRecoveryWindow {
    /// The target.
    pub target: String,
}

impl Request for PgRecoveryWindow {
    const WORD: &'static str = "pg::recovery_window";
}

/// A moment of a database's history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Moment {
    /// The last commit at or before this time, RFC 3339.
    At(String),
    /// The end of the record at this position of the WAL.
    Lsn(String),
    /// A restore point.
    Name(String),
}

impl std::fmt::Display for Moment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::At(time) => f.write_str(time),
            Self::Lsn(lsn) => write!(f, "LSN {lsn}"),
            Self::Name(name) => write!(f, "restore point `{name}`"),
        }
    }
}

/// `pg::recover`: a server of the run's own that stands still at an earlier moment. Answers `{ target, at, lsn, base }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PgRecover {
    /// The target whose history it is.
    pub target: String,
    /// When.
    pub moment: Moment,
}

impl Request for PgRecover {
    const WORD: &'static str = "pg::recover";
}

/// `pg::drop_recovered`: ends and removes a server that this run made. Answers `{ dropped }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PgDropRecovered {
    /// `TARGET:pit_…`.
    pub made: String,
}

impl Request for PgDropRecovered {
    const WORD: &'static str = "pg::drop_recovered";
}

/// `pg::sweep_recovered`: ends and removes the servers that runs left. Answers `{ dropped, kept }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PgSweepRecovered {
    /// Whether those of this very run are meant, instead of those of finished ones.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub own: bool,
}

impl Request for PgSweepRecovered {
    const WORD: &'static str = "pg::sweep_recovered";
}

/// `pg::staging`: a schema of the run's own. Answers its name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PgStaging {
    /// The target in which it is made.
    pub target: String,
}

impl Request for PgStaging {
    const WORD: &'static str = "pg::staging";
}

/// `pg::drop_staging`: drops the schemas that this run made in a target. Answers `{ dropped }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PgDropStaging {
    /// The target.
    pub target: String,
}

impl Request for PgDropStaging {
    const WORD: &'static str = "pg::drop_staging";
}

/// `pg::copy_rows`: rows of a table into a table of a schema that the run made. Answers `{ schema, table, rows, columns }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PgCopyRows {
    /// The target they come from.
    pub from: String,
    /// The target with the schema.
    pub to: String,
    /// Schema of the table they come from.
    pub schema: String,
    /// Its name.
    pub table: String,
    /// The schema that they go to.
    pub into: String,
    /// Which of them; all without it.
    #[serde(default, rename = "where", skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// Why text was let through in it that is no literal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw: Option<String>,
}

impl Request for PgCopyRows {
    const WORD: &'static str = "pg::copy_rows";
}
