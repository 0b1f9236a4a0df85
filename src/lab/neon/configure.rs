//! Roles, passwords and databases as they are in the data of a branch.

use std::fmt::Write;
use std::sync::Arc;

use super::state::{Branch, Project};
use crate::model::fault::Fault;

/// The group that the service's roles are members of.
const GROUP: &str = "do $$ begin if not exists (select from pg_roles where rolname = 'neon_superuser') then \
     create role neon_superuser nologin createdb createrole bypassrls replication; \
     grant pg_read_all_data, pg_write_all_data, pg_monitor to neon_superuser with admin option; end if; end $$";

/// Runs statements on a branch, each in its database. A branch without data of its own has nothing to be changed yet.
pub async fn apply(project: &Arc<Project>, branch: &str, statements: &[(String, String)]) -> Result<(), Fault> {
    let (storage, running) = {
        let mut state = project.state.lock().await;
        if let Some(branch) = state.branch_mut(branch).filter(|branch| branch.storage.is_none()) {
            branch.unconfigured = true;
        }
        let running = state.endpoints_of(branch).any(|endpoint| endpoint.state == "active");
        (state.branch(branch).and_then(|branch| branch.storage.clone()), running)
    };
    let Some(storage) = storage else { return Ok(()) };
    for (database, sql) in statements {
        project.storages.sql(&storage, database, sql).await?;
    }
    // A compute that sleeps is woken for this alone.
    if running { Ok(()) } else { project.storages.stop(&storage).await }
}

/// Puts roles and databases into the data of a branch whose server was just started, if they are not known to be there.
pub async fn bring_up(project: &Arc<Project>, endpoint: &str) -> Result<(), Fault> {
    let mut state = project.state.lock().await;
    let Some(branch) = state.endpoints.get(endpoint).map(|endpoint| endpoint.branch.clone()) else { return Ok(()) };
    let Some(branch) = state.branch_mut(&branch).filter(|branch| branch.unconfigured) else { return Ok(()) };
    let Some(storage) = branch.storage.clone() else { return Ok(()) };
    branch.unconfigured = false;
    let branch = branch.clone();
    drop(state);
    for (database, sql) in whole(&branch) {
        project.storages.sql(&storage, &database, &sql).await?;
    }
    let there = project.storages.sql(&storage, "postgres", "select datname from pg_database").await?;
    let there: Vec<String> = there.into_iter().flatten().flatten().collect();
    for database in branch.databases.iter().filter(|database| !there.contains(&database.name)) {
        project.storages.sql(&storage, "postgres", &make_database(&database.name, &database.owner)).await?;
    }
    Ok(())
}

/// Statements that make every role of a branch, with its password.
fn whole(branch: &Branch) -> Vec<(String, String)> {
    let mut sql = format!("{GROUP};\n");
    for role in &branch.roles {
        let name = literal(&role.name);
        let _ = writeln!(
            sql,
            "do $lab$ begin if not exists (select from pg_roles where rolname = {name}) then {} end if; end $lab$;",
            make_role(&role.name, None)
        );
        if let Some(password) = &role.password {
            let _ = writeln!(sql, "{};", set_password(&role.name, password));
        }
    }
    vec![("postgres".into(), sql)]
}

/// The statement that makes a role.
pub fn make_role(name: &str, password: Option<&str>) -> String {
    let login = password.map_or_else(|| "login".to_owned(), |password| format!("login password {}", literal(password)));
    format!(
        "create role {} {login} createdb createrole bypassrls replication in role neon_superuser;",
        identifier(name)
    )
}

/// The statements that make a role of the service's kind, on a branch whose data may not know the group yet.
pub fn make_grouped_role(name: &str, password: Option<&str>) -> String {
    format!("{GROUP};\n{}", make_role(name, password))
}

/// The statement that gives a role a password.
pub fn set_password(name: &str, password: &str) -> String {
    format!("alter role {} login password {}", identifier(name), literal(password))
}

/// The statement that makes a database.
pub fn make_database(name: &str, owner: &str) -> String {
    format!("create database {} owner {}", identifier(name), identifier(owner))
}

/// A quoted name.
pub fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
