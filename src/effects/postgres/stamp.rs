//! The stamp on what a run made: the comment of a database or schema, the annotation of a branch, the page of a recovered
//! server. Only what carries one is ever dropped.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::effects::{Past, Ticket, World};
use crate::model::fault::Fault;

/// Who made something.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// Id of the run.
    #[serde(rename = "runsheet")]
    pub run: String,
    /// What tells it from runs of the same id elsewhere.
    pub stamp: String,
    /// Host on which the run began.
    pub host: String,
    /// Who began it.
    pub operator: String,
    /// When it was made, by that host's clock.
    pub at: DateTime<Utc>,
    /// Whether something was restored into it, or began to be.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub filled: bool,
    /// Whether it is to outlive its run: no sweep drops it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keep: bool,
    /// Whether it is the schema for a run's own things, which may be needed when that run is over; of a database, whether
    /// such a schema was made in it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub control: bool,
    /// Whether the database held nothing else when it was made: what came in since is the run's.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub empty: bool,
    /// What was there all the same and stays: extensions and the like of whoever provides the server.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kept: Vec<String>,
}

/// A condition of SQL: the schema `n` of `pg_namespace` is a run's own, and no part of the database's contents.
/// Kept in step with `measure/*.sql`.
pub const IS_STAMPED: &str = r#"(starts_with(n.nspname, 'runsheet_')
 and coalesce(starts_with(obj_description(n.oid, 'pg_namespace'), '{"runsheet":'), false))"#;

impl Stamp {
    /// The stamp for what this action makes now.
    pub fn new(world: &World, ticket: &Ticket) -> Result<Self, Fault> {
        let run = ticket.run.as_ref().filter(|_| !ticket.origin.stamp.is_empty());
        let run = run.ok_or_else(|| Fault::fatal("scratch.run", "only a run makes what carries its stamp"))?;
        Ok(Self {
            run: run.to_string(),
            stamp: ticket.origin.stamp.clone(),
            host: ticket.origin.host.clone(),
            operator: ticket.origin.operator.clone(),
            at: world.clock.now(),
            ..Self::default()
        })
    }

    /// The stamp that a comment is, if it is one.
    pub fn read(comment: Option<&str>) -> Option<Self> {
        serde_json::from_str(comment?).ok()
    }

    /// The comment that it is.
    pub fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Why what another run made must stay; `None` when that run is over for good.
    pub fn held(&self, past: &dyn Past) -> Option<String> {
        if self.keep {
            return Some(format!("{self}, made it to be kept"));
        }
        match past.finished(&self.run, &self.stamp) {
            Some(true) => None,
            Some(false) => {
                Some(format!("{self}, is not finished: `runsheet resume {0}`, or `runsheet abandon {0}`", self.run))
            }
            None => Some(format!("made by {self}, which this project does not know")),
        }
    }

    /// Whether the run of this action made it.
    pub fn is_of(&self, ticket: &Ticket) -> bool {
        !self.stamp.is_empty() && self.stamp == ticket.origin.stamp
    }
}

impl std::fmt::Display for Stamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "run {} of {} on {}, {}", self.run, self.operator, self.host, self.at.format("%F %T UTC"))
    }
}
