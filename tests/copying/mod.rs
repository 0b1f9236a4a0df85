//! Copies of databases on real servers: made, filled, proved to be a run's own, and gone afterwards.

mod dump;
mod kills;
mod scratch;
mod tools;

use crate::program::project::Project;
use crate::support::{Cluster, Database};

/// A project with the targets `app`, this database, and `server`, where copies are made.
pub fn project(app: &Database) -> Project {
    project_on(app, &Cluster::second().open("postgres"))
}

/// The same with another server for the copies.
pub fn project_on(app: &Database, server: &Database) -> Project {
    let project = Project::on(app);
    let toml = format!("[targets.app]\nurl = \"{}\"\n[targets.server]\nurl = \"{}\"\n", app.url, server.url);
    project.file("runsheet.toml", &toml);
    project
}

/// Writes a runbook with these steps and the parameters `app` and `server`.
pub fn runbook(project: &Project, name: &str, steps: &str) {
    let head = format!(
        "runbook(\"{name}\", \"1.0.0\", #{{ about: \"a test\", params: #{{ app: target(\"source\", #{{ or: \"app\" }}), \
         server: target(\"for copies\", #{{ or: \"server\" }}) }}, lock: [] }});\n"
    );
    project.file(&format!("runbooks/{name}.rhai"), &format!("{head}{steps}\n"));
}

/// Databases that runs made on the server, by a part of their names.
pub fn made(part: &str) -> Vec<String> {
    let listed = Cluster::second().open("postgres").sql(&format!(
        "select datname from pg_database where datname like 'runsheet\\_%' and datname like '%{part}%' order by 1"
    ));
    listed.lines().map(str::to_owned).collect()
}
