//! Which database this really is.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// The identity of a target, re-read on every connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// `pg_control_system().system_identifier`. Every physical copy shares it.
    pub system: String,
    /// Timeline of the WAL.
    pub timeline: u32,
    /// Name of the database.
    pub database: String,
    /// Its OID.
    pub database_oid: u32,
    /// Host and port that were asked.
    pub address: String,
}

impl Identity {
    /// The name under which locks and resources know this database, whatever a target is called.
    pub fn key(&self) -> String {
        format!("{}/{}", self.system, self.database_oid)
    }

    /// Whether this is the same database on the same history; the address may differ (direct and pooled).
    pub fn same_database(&self, other: &Self) -> bool {
        self.system == other.system && self.database_oid == other.database_oid && self.timeline == other.timeline
    }
}

/// What a configuration says a target must be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectedIdentity {
    /// System identifier, as text since it exceeds what JSON and TOML readers keep exact.
    pub system: String,
    /// Name of the database.
    pub database: String,
}

impl ExpectedIdentity {
    /// Whether `found` is what was expected.
    pub fn matches(&self, found: &Identity) -> bool {
        self.system == found.system && self.database == found.database
    }
}

/// What must be unchanged for a server's word on an old transaction to be believed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerMoment {
    /// Who the server is.
    pub identity: Identity,
    /// Start of the postmaster.
    pub started: DateTime<Utc>,
    /// WAL insert position, in bytes.
    pub insert_lsn: u64,
}
