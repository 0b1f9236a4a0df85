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
    /// The branch it lies on, where a provider has branches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<BranchIdentity>,
}

impl Identity {
    /// The name under which locks and resources know this database, whatever a target is called.
    pub fn key(&self) -> String {
        match &self.branch {
            Some(branch) => format!("{branch}/{}", self.database),
            None => format!("{}/{}", self.system, self.database_oid),
        }
    }

    /// Where it lies, for people: its branch where it has one, since branches of one project share a system.
    pub fn place(&self) -> String {
        match &self.branch {
            Some(it) => format!("project {}, branch {}", it.project, it.branch),
            None => format!("system {}", self.system),
        }
    }

    /// The name under which resources know its server.
    pub fn server_key(&self) -> String {
        self.branch.as_ref().map_or_else(|| self.system.clone(), |branch| branch.to_string().replace(':', "/"))
    }

    /// The name under which resources know it on its server.
    pub fn database_key(&self) -> String {
        if self.branch.is_some() { self.database.clone() } else { self.database_oid.to_string() }
    }

    /// Whether this is the same database; the address may differ (direct and pooled). Branches of one project share a
    /// system identifier, and rewinding one in place is no other database: what knows its branch is compared by it alone.
    pub fn same_database(&self, other: &Self) -> bool {
        match (&self.branch, &other.branch) {
            (Some(one), Some(two)) => one == two && self.database == other.database,
            (None, None) => self.same_history(other),
            _ => false,
        }
    }

    /// Whether this is the same database on the same history, of which a transaction's fate may be asked.
    pub fn same_history(&self, other: &Self) -> bool {
        self.branch == other.branch
            && self.system == other.system
            && self.database_oid == other.database_oid
            && self.timeline == other.timeline
    }

    /// Whether both lie on one server.
    pub fn same_server(&self, other: &Self) -> bool {
        match (&self.branch, &other.branch) {
            (Some(one), Some(two)) => one == two,
            (None, None) => self.system == other.system,
            _ => false,
        }
    }
}

/// The branch of a provider that a database lies on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BranchIdentity {
    /// Id of the project.
    pub project: String,
    /// Id of the branch.
    pub branch: String,
}

impl std::fmt::Display for BranchIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "neon:{}/{}", self.project, self.branch)
    }
}

/// What a configuration says a target must be.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Written")]
pub enum ExpectedIdentity {
    /// A database of a server.
    Database {
        /// System identifier, as text since it exceeds what JSON and TOML readers keep exact.
        system: String,
        /// Name of the database.
        database: String,
    },
    /// A database of a branch.
    Branch {
        /// The branch.
        branch: BranchIdentity,
        /// Name of the database.
        database: String,
    },
}

/// `identity = { … }` as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    database: String,
    system: Option<String>,
    project: Option<String>,
    branch: Option<String>,
}

impl TryFrom<Written> for ExpectedIdentity {
    type Error = &'static str;

    fn try_from(written: Written) -> Result<Self, Self::Error> {
        let Written { database, system, project, branch } = written;
        match (system, project, branch) {
            (Some(system), None, None) => Ok(Self::Database { system, database }),
            (None, Some(project), Some(branch)) => {
                Ok(Self::Branch { branch: BranchIdentity { project, branch }, database })
            }
            _ => Err("`identity` needs either `system` and `database`, or `project`, `branch` and `database`"),
        }
    }
}

impl ExpectedIdentity {
    /// Whether `found` is what was expected.
    pub fn matches(&self, found: &Identity) -> bool {
        match self {
            Self::Database { system, database } => *system == found.system && *database == found.database,
            Self::Branch { branch, database } => found.branch.as_ref() == Some(branch) && *database == found.database,
        }
    }

    /// The same place, another database of it.
    #[must_use]
    pub fn with_database(self, name: &str) -> Self {
        let database = name.to_owned();
        match self {
            Self::Database { system, .. } => Self::Database { system, database },
            Self::Branch { branch, .. } => Self::Branch { branch, database },
        }
    }
}

impl std::fmt::Display for ExpectedIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Database { system, database } => write!(f, "`{database}` of system {system}"),
            Self::Branch { branch, database } => write!(f, "`{database}` of {branch}"),
        }
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
