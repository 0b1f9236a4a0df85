//! The services around a database, as configured: who runs its branches, where its pull requests are, and the pooler before it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::Value;
use super::fault::Fault;
use super::target::Target;

/// Access to one Neon project. It holds a key, so it is never printed or serialised.
#[derive(Clone)]
pub struct NeonAccess {
    /// Where the API is, without a slash at its end.
    pub api_base: String,
    /// The key.
    pub api_key: String,
    /// Id of the project.
    pub project: String,
    /// What the project must be called.
    pub expect_project_name: Option<String>,
}

/// Access to one GitHub repository. It may hold a token, so it is never printed or serialised.
#[derive(Clone)]
pub struct GithubAccess {
    /// Where the API is, without a slash at its end.
    pub api_base: String,
    /// The token; a public repository can be read without one.
    pub token: Option<String>,
    /// `OWNER/NAME`.
    pub repo: String,
}

/// Access to the admin console of a PgBouncer. Its URL holds a password, so it is never printed or serialised.
#[derive(Clone)]
pub struct PgbouncerAccess {
    /// The console, as a target of its own: its database is always `pgbouncer`.
    pub admin: Target,
}

/// What is configured of each service.
#[derive(Clone, Default)]
pub struct Providers {
    /// `[neon]`.
    pub neon: Option<NeonAccess>,
    /// `[github]`.
    pub github: Option<GithubAccess>,
    /// `[pgbouncer]`.
    pub pgbouncer: Option<PgbouncerAccess>,
    /// `[[consumers]]`: a map each, secrets as handles.
    pub consumers: Vec<Value>,
    /// `[ssh] config`: what ssh is given instead of the user's own configuration.
    pub ssh_config: Option<PathBuf>,
    /// Why a table that is there cannot be used, by its name: only what needs it is refused.
    pub unusable: BTreeMap<&'static str, Fault>,
}

impl Providers {
    /// Access to Neon, or what to configure.
    pub fn neon(&self) -> Result<&NeonAccess, Fault> {
        self.neon.as_ref().ok_or_else(|| {
            self.missing("neon", "api_key = \"${NEON_API_KEY}\" and project = \"…\" below `[neon]` in runsheet.toml")
        })
    }

    /// Access to GitHub, or what to configure.
    pub fn github(&self) -> Result<&GithubAccess, Fault> {
        self.github
            .as_ref()
            .ok_or_else(|| self.missing("github", "repo = \"OWNER/NAME\" below `[github]` in runsheet.toml"))
    }

    /// Access to PgBouncer's console, or what to configure.
    pub fn pgbouncer(&self) -> Result<&PgbouncerAccess, Fault> {
        self.pgbouncer.as_ref().ok_or_else(|| {
            self.missing("pgbouncer", "admin_url = \"${PGBOUNCER_ADMIN_URL}\" below `[pgbouncer]` in runsheet.toml")
        })
    }

    /// Who uses the databases, or why that cannot be said.
    pub fn consumers(&self) -> Result<Value, Fault> {
        match self.unusable.get("consumers") {
            Some(fault) => Err(fault.clone()),
            None => Ok(Value::Array(self.consumers.clone())),
        }
    }

    /// Whether a table is there, usable or not.
    pub fn mentions(&self, table: &str) -> bool {
        self.unusable.contains_key(table)
            || match table {
                "neon" => self.neon.is_some(),
                "github" => self.github.is_some(),
                "pgbouncer" => self.pgbouncer.is_some(),
                _ => false,
            }
    }

    fn missing(&self, table: &'static str, write: &str) -> Fault {
        self.unusable.get(table).cloned().unwrap_or_else(|| {
            Fault::fatal(format!("{table}.config"), format!("this project has no `[{table}]`"))
                .hinted(format!("write {write}"))
        })
    }
}
