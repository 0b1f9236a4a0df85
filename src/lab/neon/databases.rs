//! Databases of a branch.

use serde_json::{Value, json};

use super::call::{Answer, Call, Reply, ok, text};
use super::configure::{identifier, make_database};
use super::operations::{self, Task};
use super::refusal::Refusal;
use super::state::{Database, Project, State};
use super::view;
use super::work::Work;

/// Most databases of a branch.
const MOST: usize = 500;

fn find<'a>(state: &'a State, call: &Call) -> Result<&'a Database, Refusal> {
    let branch = state.existing(call.part("branch"))?;
    let found = branch.databases.iter().find(|database| database.name == call.part("database"));
    found.ok_or_else(|| Refusal::missing("database"))
}

/// `GET …/databases`.
pub async fn list(call: Call) -> Answer {
    let project = call.project()?;
    let mut state = project.state.lock().await;
    learn(&project, &mut state, call.part("branch")).await?;
    let branch = state.existing(call.part("branch"))?;
    let views: Vec<Value> = branch.databases.iter().map(|it| view::database(&state, &branch.id, it)).collect();
    ok(json!({ "databases": views }))
}

/// Takes notice of what was made or dropped by SQL, as the service does while a compute is active.
async fn learn(project: &Project, state: &mut State, id: &str) -> Result<(), Refusal> {
    let active = state.endpoints_of(id).any(|endpoint| endpoint.state == "active");
    let branch = state.branch(id).filter(|branch| active && !branch.unconfigured);
    let Some(storage) = branch.and_then(|branch| branch.storage.clone()) else { return Ok(()) };
    let asked = "select datname, pg_get_userbyid(datdba) from pg_database \
                 where not datistemplate and datname <> 'postgres' order by oid";
    let rows = project.storages.sql(&storage, "postgres", asked).await?;
    let now = project.clock.now();
    let there: Vec<(String, String)> =
        rows.into_iter().filter_map(|row| Some((row.first()?.clone()?, row.get(1)?.clone()?))).collect();
    // Without databases nothing is known.
    if there.is_empty() || state.busy() {
        return Ok(());
    }
    let mut number = state.next_database;
    let Some(branch) = state.branch_mut(id) else { return Ok(()) };
    branch.databases.retain(|database| there.iter().any(|(name, _)| *name == database.name));
    for (name, owner) in there {
        if !branch.databases.iter().any(|database| database.name == name) {
            number += 1;
            branch.databases.push(Database { id: number, name, owner, created_at: now, updated_at: now });
        }
    }
    state.next_database = number;
    Ok(())
}

/// `GET …/databases/{database}`.
pub async fn get(call: Call) -> Answer {
    let project = call.project()?;
    let state = project.state.lock().await;
    ok(json!({ "database": view::database(&state, call.part("branch"), find(&state, &call)?) }))
}

/// `POST …/databases`.
pub async fn create(call: Call) -> Answer {
    let project = call.project()?;
    let mut state = project.state.lock().await;
    let state = &mut *state;
    let id = call.part("branch");
    let branch = state.existing(id)?;
    let wanted = call.body.get("database").cloned().unwrap_or(Value::Null);
    let (Some(name), Some(owner)) = (text(&wanted, "name"), text(&wanted, "owner_name")) else {
        return Err(Refusal::new(400, "name and owner_name are required"));
    };
    if branch.databases.iter().any(|database| database.name == name) {
        return Err(Refusal::new(409, format!("database already exists; database_name:\"{name}\"")));
    }
    if !branch.roles.iter().any(|role| role.name == owner) {
        return Err(Refusal::new(404, "role not found"));
    }
    if branch.databases.len() >= MOST {
        return Err(Refusal::new(422, "databases limit exceeded"));
    }
    operations::refuse_busy(state)?;
    let now = project.clock.now();
    state.next_database += 1;
    let (name, owner) = (name.to_owned(), owner.to_owned());
    let sql = make_database(&name, &owner);
    let database = Database { id: state.next_database, name, owner, created_at: now, updated_at: now };
    let view = view::database(state, id, &database);
    if let Some(branch) = state.branch_mut(id) {
        branch.databases.push(database);
    }
    let operations = schedule(&project, state, id, sql);
    Ok(Reply(201, json!({ "database": view, "operations": operations })))
}

fn schedule(project: &Project, state: &mut State, branch: &str, sql: String) -> Value {
    let statements = vec![("postgres".to_owned(), sql)];
    let work = Work::Apply { branch: branch.to_owned(), statements, password: None, cut: false };
    operations::schedule(project, state, vec![Task::of_branch("apply_config", branch, work)])
}

/// `PATCH …/databases/{database}`.
pub async fn patch(call: Call) -> Answer {
    let project = call.project()?;
    let mut state = project.state.lock().await;
    let state = &mut *state;
    let id = call.part("branch");
    let mut database = find(state, &call)?.clone();
    operations::refuse_busy(state)?;
    let wanted = call.body.get("database").cloned().unwrap_or(Value::Null);
    let old = database.name.clone();
    let mut sql = Vec::new();
    if let Some(owner) = text(&wanted, "owner_name") {
        owner.clone_into(&mut database.owner);
        sql.push(format!("alter database {} owner to {}", identifier(&old), identifier(owner)));
    }
    if let Some(name) = text(&wanted, "name").filter(|name| *name != old) {
        name.clone_into(&mut database.name);
        sql.push(format!("alter database {} rename to {}", identifier(&old), identifier(name)));
    }
    database.updated_at = project.clock.now();
    let view = view::database(state, id, &database);
    if let Some(branch) = state.branch_mut(id) {
        branch.databases.retain(|other| other.name != old);
        branch.databases.push(database);
    }
    let operations = schedule(&project, state, id, sql.join("; "));
    ok(json!({ "database": view, "operations": operations }))
}

/// `DELETE …/databases/{database}`; 204 for one that is not there.
pub async fn delete(call: Call) -> Answer {
    let project = call.project()?;
    let mut state = project.state.lock().await;
    let state = &mut *state;
    let id = call.part("branch");
    state.existing(id)?;
    let Ok(database) = find(state, &call) else { return Ok(Reply(204, Value::Null)) };
    let database = database.clone();
    operations::refuse_busy(state)?;
    let view = view::database(state, id, &database);
    if let Some(branch) = state.branch_mut(id) {
        branch.databases.retain(|other| other.name != database.name);
    }
    let sql = format!("drop database if exists {} with (force)", identifier(&database.name));
    let operations = schedule(&project, state, id, sql);
    ok(json!({ "database": view, "operations": operations }))
}
