//! Roles of a branch, and their passwords.

use serde_json::{Value, json};

use super::call::{Answer, Call, Reply, ok, text};
use super::configure::{identifier, make_grouped_role, set_password};
use super::names;
use super::operations::{self, Task};
use super::refusal::Refusal;
use super::state::{Role, State};
use super::view;
use super::work::Work;

/// Most roles of a branch.
const MOST: usize = 500;

fn find<'a>(state: &'a State, call: &Call) -> Result<&'a Role, Refusal> {
    let branch = state.existing(call.part("branch"))?;
    branch.roles.iter().find(|role| role.name == call.part("role")).ok_or_else(|| Refusal::missing("role"))
}

/// `GET …/roles`: without passwords.
pub async fn list(call: Call) -> Answer {
    let project = call.project()?;
    let state = project.state.lock().await;
    let branch = state.existing(call.part("branch"))?;
    let views: Vec<Value> = branch.roles.iter().map(|role| view::role(&state, &branch.id, role)).collect();
    ok(json!({ "roles": views }))
}

/// `GET …/roles/{role}`.
pub async fn get(call: Call) -> Answer {
    let project = call.project()?;
    let state = project.state.lock().await;
    ok(json!({ "role": view::role(&state, call.part("branch"), find(&state, &call)?) }))
}

/// `POST …/roles`: answers the password this one time.
pub async fn create(call: Call) -> Answer {
    let project = call.project()?;
    let mut state = project.state.lock().await;
    let state = &mut *state;
    let id = call.part("branch");
    let branch = state.existing(id)?;
    let wanted = call.body.get("role").cloned().unwrap_or(Value::Null);
    let name = text(&wanted, "name").filter(|name| !name.is_empty() && name.len() <= 63);
    let name = name.ok_or_else(|| Refusal::new(400, "role name must have between 1 and 63 bytes"))?;
    if branch.roles.iter().any(|role| role.name == name) {
        return Err(Refusal::new(409, format!("role already exists; role_name:\"{name}\"")));
    }
    if branch.roles.len() >= MOST {
        return Err(Refusal::new(422, "roles limit exceeded"));
    }
    operations::refuse_busy(state)?;
    let login = wanted.get("no_login").and_then(Value::as_bool) != Some(true);
    let password = login.then(|| names::secret(&*project.clock, "npg_"));
    let now = project.clock.now();
    let role = Role { name: name.to_owned(), password: password.clone(), created_at: now, updated_at: now };
    let mut view = view::role(state, id, &role);
    if let Some(password) = &password {
        view["password"] = password.clone().into();
    }
    if let Some(branch) = state.branch_mut(id) {
        branch.roles.push(role);
    }
    let mut sql = make_grouped_role(name, password.as_deref());
    if !login {
        sql = format!("{sql}\nalter role {} nologin", identifier(name));
    }
    let statements = vec![("postgres".to_owned(), sql)];
    let work = Work::Apply { branch: id.to_owned(), statements, password: None, cut: true };
    let operations = operations::schedule(&project, state, vec![Task::of_branch("apply_config", id, work)]);
    Ok(Reply(201, json!({ "role": view, "operations": operations })))
}

/// `DELETE …/roles/{role}`; 204 for one that is not there.
pub async fn delete(call: Call) -> Answer {
    let project = call.project()?;
    let mut state = project.state.lock().await;
    let state = &mut *state;
    let id = call.part("branch");
    state.existing(id)?;
    let Ok(role) = find(state, &call) else { return Ok(Reply(204, Value::Null)) };
    let role = role.clone();
    if state.branch(id).is_some_and(|branch| branch.databases.iter().any(|database| database.owner == role.name)) {
        return Err(Refusal::new(422, "cannot delete a role that owns databases"));
    }
    operations::refuse_busy(state)?;
    let view = view::role(state, id, &role);
    if let Some(branch) = state.branch_mut(id) {
        branch.roles.retain(|other| other.name != role.name);
    }
    let databases = state.branch(id).map(|branch| branch.databases.clone()).unwrap_or_default();
    let name = identifier(&role.name);
    let mut statements: Vec<(String, String)> = databases
        .into_iter()
        .map(|it| (it.name, format!("reassign owned by {name} to neon_superuser; drop owned by {name}")))
        .collect();
    statements.push(("postgres".into(), format!("drop role if exists {name}")));
    let work = Work::Apply { branch: id.to_owned(), statements, password: None, cut: false };
    let operations = operations::schedule(&project, state, vec![Task::of_branch("apply_config", id, work)]);
    ok(json!({ "role": view, "operations": operations }))
}

/// `GET …/roles/{role}/reveal_password`.
pub async fn reveal(call: Call) -> Answer {
    let project = call.project()?;
    let state = project.state.lock().await;
    let role = find(&state, &call)?;
    if !state.knobs.store_passwords {
        return Err(Refusal::new(412, "the project does not store passwords"));
    }
    let password = role.password.as_ref().ok_or_else(|| Refusal::missing("password"))?;
    ok(json!({ "password": password }))
}

/// `POST …/roles/{role}/reset_password`: the old password works until the last operation has ended.
pub async fn reset(call: Call) -> Answer {
    let project = call.project()?;
    let mut state = project.state.lock().await;
    let state = &mut *state;
    let id = call.part("branch");
    let role = find(state, &call)?.clone();
    operations::refuse_busy(state)?;
    let password = names::secret(&*project.clock, "npg_");
    let mut view = view::role(state, id, &role);
    view["password"] = password.clone().into();
    view["authentication_method"] = "password".into();
    let statements = vec![("postgres".to_owned(), set_password(&role.name, &password))];
    let change = Some((role.name, password));
    let work = Work::Apply { branch: id.to_owned(), statements, password: change, cut: true };
    // The password changes with the last one of them.
    let config = Task::of_branch("apply_config", id, Work::Nothing);
    let operations = operations::schedule(&project, state, vec![config, Task::of_branch("suspend_compute", id, work)]);
    ok(json!({ "role": view, "operations": operations }))
}
