//! The schema of a database as `pg_dump` writes it, at any point of a storage's history.

use std::process::Stdio;
use std::sync::Arc;

use super::Ground;
use super::history::History;
use super::template::SUPERUSER;
use crate::lab::failed;
use crate::model::fault::Fault;

/// Of a storage that nobody else uses: its server is stopped afterwards.
pub async fn of(ground: &Ground, history: &Arc<History>, database: &str) -> Result<String, Fault> {
    let port = history.start().await?;
    let mut dump = ground.user.command(ground.programs.path("pg_dump"));
    dump.args(["--schema-only", "--host=127.0.0.1", &format!("--port={port}"), &format!("--username={SUPERUSER}")]);
    // Not as an argument, where one could be taken for a connection string.
    dump.env("PGDATABASE", database).env("PGPASSWORD", &ground.superuser).stdout(Stdio::piped());
    let said = tokio::process::Command::from(dump).output().await;
    history.stop().await?;
    let said = said.map_err(|error| failed("pg_dump cannot be run", &error))?;
    if !said.status.success() {
        let detail = String::from_utf8_lossy(&said.stderr).trim().to_owned();
        return Err(Fault::fatal("lab.schema", format!("the schema of {database} cannot be read")).detailed(detail));
    }
    // Newer ones fence the text with a key made anew each time.
    let fence = |line: &&str| line.starts_with("\\restrict") || line.starts_with("\\unrestrict");
    Ok(String::from_utf8_lossy(&said.stdout)
        .lines()
        .filter(|line| !fence(line))
        .map(|line| format!("{line}\n"))
        .collect())
}
