//! What `runsheet lab` says of the world of a rotation.

use super::super::error::CliError;
use super::super::out::{Out, quoted};
use super::super::show::count;
use crate::lab::Lab;
use crate::lab::rotation::Rotation;

/// The world of a rotation, if the lab has it.
pub fn of(lab: Option<Lab>) -> Result<Rotation, CliError> {
    lab.and_then(|lab| lab.rotation).ok_or_else(|| {
        CliError::refused("this lab is no world of a rotation".to_owned()).next("runsheet lab up --rotation")
    })
}

/// For a person.
pub fn talk(out: &Out, rotation: &Rotation) {
    let Rotation { pooler, client, .. } = rotation;
    let runs = |runs| if runs { "at work" } else { "not at work" };
    let number = |many: usize, what: &str| count(u64::try_from(many).unwrap_or(u64::MAX), what);
    let (state, users) = (runs(pooler.pid.is_some()), &pooler.auth_file);
    out.talk(&format!("pooler: {state} on 127.0.0.1:{}, it lets in whom {users} names", pooler.port));
    let (attempts, failures) = (number(client.logins.attempts, "login"), number(client.logins.failures, "failure"));
    let role = client.logins.last_role.as_deref().unwrap_or("nobody");
    let (state, rate) = (runs(client.pid.is_some()), client.rate);
    out.talk(&format!("client: {state}, {rate} a second; {attempts}, {failures}, the last one as {role}"));
    if let Some(line) = &client.logins.last_failure {
        out.talk(&format!("last failure: {line}"));
    }
    out.talk(&format!("its log: {}; of the server: {}", client.log, rotation.server_log));
    out.talk("its project: `runsheet lab toml > runsheet.toml` and `runsheet lab env > .env`");
}

/// For a shell.
pub fn exports(out: &Out, rotation: &Rotation) {
    out.data(&format!("export LAB_POOLED_URL={}", quoted(&rotation.pooled_url)));
    out.data(&format!("export LAB_DIRECT_URL={}", quoted(&rotation.direct_url)));
    out.data(&format!("export LAB_ADMIN_URL={}", quoted(&rotation.admin_url)));
    out.data(&format!("export LAB_POOLER_ADMIN_URL={}", quoted(&rotation.pooler.admin_url)));
}
