//! What the watchdog is told, and what it answers: lines of JSON over its standard input, a socket. Secrets come this way
//! and no other.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::ground;
use crate::model::Value;
use crate::model::fault::Fault;
use crate::model::reach::Tunnel;
use crate::model::request::CommandRun;
use crate::model::target::{Target, Tls, TlsMode};

/// What the engine says.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// First: what is guarded.
    Guard(Box<Charge>),
    /// Is anybody there?
    Ping,
    /// The database is frozen.
    Armed,
    /// Committed: look, and go.
    Committed,
    /// Release everything, for this reason. The end of the socket says the same.
    Lift(String),
}

/// What the watchdog says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// It is at work; the deadline by the server's clock.
    Guarding {
        /// RFC 3339.
        deadline: String,
    },
    /// It cannot guard.
    Failed(Fault),
    /// It is there, and guards.
    Here,
    /// It is done: what the row says, and how far everything was released.
    Over(Box<Ended>),
}

/// How a freeze ended.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Ended {
    /// `lifted` or `committed`.
    pub state: String,
    /// When, by the server's clock.
    pub at: String,
    /// Who did it.
    pub by: String,
    /// Why.
    pub why: String,
    /// What became of the pooler's clients; empty without a pooler.
    pub pooler: String,
    /// What became of the command that starts the application; empty without one.
    pub command: String,
}

impl Ended {
    /// What the row of a freeze says; empty where there is none any more.
    pub fn of(row: &Value) -> Self {
        let text = |key: &str| ground::text(row, key).to_owned();
        let (state, at, by, why) = (text("state"), text("ended_at"), text("ended_by"), text("why"));
        Self { state, at, by, why, ..Self::default() }
    }
}

/// Everything that the watchdog must know to release what is frozen.
#[derive(Clone, Serialize, Deserialize)]
pub struct Charge {
    /// The source.
    pub source: Place,
    /// Its label.
    pub label: String,
    /// The control schema.
    pub schema: String,
    /// The row.
    pub token: String,
    /// The run.
    pub run: String,
    /// Seconds until everything is released.
    pub deadline: f64,
    /// The pooler.
    pub pooler: Option<Pooler>,
    /// The command that starts the application again.
    pub resume: Option<CommandRun>,
    /// Variables that a command inherits.
    pub environment: BTreeMap<String, String>,
    /// What ssh is given instead of the user's own configuration.
    pub ssh_config: Option<PathBuf>,
    /// The project's folder.
    pub project: PathBuf,
    /// The state folder.
    pub state: PathBuf,
    /// This program.
    pub program: PathBuf,
    /// The name of the database among the files of the state folder.
    pub page: String,
}

/// A database at a pooler.
#[derive(Clone, Serialize, Deserialize)]
pub struct Pooler {
    /// The console.
    pub admin: Place,
    /// The database.
    pub database: String,
}

/// A target on its way to the watchdog. It holds passwords.
#[derive(Clone, Serialize, Deserialize)]
pub struct Place {
    name: String,
    url: String,
    verified: Option<bool>,
    ca: Option<String>,
    tunnel: Option<Tunnel>,
}

impl Place {
    /// A target as far as connecting to its server needs it.
    pub fn of(target: &Target) -> Self {
        let verified = match target.tls.mode {
            TlsMode::Disable => None,
            TlsMode::NoVerify => Some(false),
            TlsMode::Verify => Some(true),
        };
        Self {
            name: target.name.clone(),
            url: target.direct().to_owned(),
            verified,
            ca: target.tls.ca.clone(),
            tunnel: target.tunnel.clone(),
        }
    }

    /// The target again.
    pub fn target(&self) -> Target {
        let mode = match self.verified {
            None => TlsMode::Disable,
            Some(false) => TlsMode::NoVerify,
            Some(true) => TlsMode::Verify,
        };
        Target {
            name: self.name.clone(),
            url: self.url.clone(),
            direct_url: None,
            label: self.name.clone(),
            protected: false,
            identity: None,
            tls: Tls { mode, ca: self.ca.clone() },
            history: None,
            replication_url: None,
            tunnel: self.tunnel.clone(),
            tools: None,
        }
    }
}
