//! SQL run by psql: a lab is made before anything of Runsheet's is there to talk to it.

use std::io::Write;
use std::process::{Command, Stdio};

use super::failed;
use super::programs::Programs;
use crate::model::fault::Fault;

/// Whom psql connects as.
pub struct Login<'a> {
    /// Port on loopback.
    pub port: u16,
    /// The role.
    pub role: &'a str,
    /// Its password.
    pub password: &'a str,
    /// The database.
    pub database: &'a str,
}

impl Login<'_> {
    /// A psql that reads statements, stops at the first error, and prints values alone.
    pub fn psql(&self, programs: &Programs) -> Command {
        let mut psql = Command::new(programs.path("psql"));
        psql.args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-f", "-"]).current_dir("/").env_clear();
        psql.env("PGHOST", "127.0.0.1").env("PGPORT", self.port.to_string()).env("PGUSER", self.role);
        psql.env("PGDATABASE", self.database).env("PGPASSWORD", self.password).env("PGAPPNAME", "runsheet lab");
        psql.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        psql
    }

    /// Runs a script, called `name` in messages, with these settings.
    pub fn run(&self, programs: &Programs, name: &str, settings: &str, script: &str) -> Result<(), Fault> {
        self.told(self.psql(programs).env("PGOPTIONS", settings), name, script).map(drop)
    }

    /// Runs a query, called `name` in messages; answers what it prints.
    pub fn ask(&self, programs: &Programs, name: &str, query: &str) -> Result<String, Fault> {
        self.told(self.psql(programs).stdout(Stdio::piped()), name, query).map(|said| said.trim_end().to_owned())
    }

    fn told(&self, psql: &mut Command, name: &str, script: &str) -> Result<String, Fault> {
        let cannot = |error: std::io::Error| failed("psql cannot be run", &error);
        let mut psql = psql.spawn().map_err(cannot)?;
        if let Some(mut stdin) = psql.stdin.take() {
            // A psql that ended early says why on its standard error.
            let _ = stdin.write_all(script.as_bytes());
        }
        let said = psql.wait_with_output().map_err(cannot)?;
        if said.status.success() {
            return Ok(String::from_utf8_lossy(&said.stdout).into_owned());
        }
        Err(Fault::fatal("lab.sql", format!("{name} failed in database {}", self.database))
            .detailed(String::from_utf8_lossy(&said.stderr).trim().to_owned()))
    }
}
