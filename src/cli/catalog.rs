//! Where runbooks are found: the project's own, then those built into the program.

use std::collections::BTreeMap;
use std::path::Path;

use super::config::{Config, ConfigError, did_you_mean};
use super::error::CliError;
use super::out::quoted;
use crate::model::digest;
use crate::runbook::{self, Runbook, Sources};

/// The shipped files, by path.
const SHIPPED: &[(&str, &str)] = &[
    ("runbooks/branch-purge.rhai", include_str!("../../runbooks/branch-purge.rhai")),
    ("runbooks/branch-verify.rhai", include_str!("../../runbooks/branch-verify.rhai")),
    ("runbooks/credential-rotation.rhai", include_str!("../../runbooks/credential-rotation.rhai")),
    ("runbooks/cutover.rhai", include_str!("../../runbooks/cutover.rhai")),
    ("runbooks/cutover-finalize.rhai", include_str!("../../runbooks/cutover-finalize.rhai")),
    ("runbooks/cutover-rollback.rhai", include_str!("../../runbooks/cutover-rollback.rhai")),
    ("runbooks/hello.rhai", include_str!("../../runbooks/hello.rhai")),
    ("runbooks/pool-exhaustion.rhai", include_str!("../../runbooks/pool-exhaustion.rhai")),
    ("runbooks/lib/pitr.rhai", include_str!("../../runbooks/lib/pitr.rhai")),
    ("runbooks/pitr-restore.rhai", include_str!("../../runbooks/pitr-restore.rhai")),
    ("runbooks/preview-branch.rhai", include_str!("../../runbooks/preview-branch.rhai")),
    ("runbooks/restore-drill.rhai", include_str!("../../runbooks/restore-drill.rhai")),
    ("runbooks/lib/consumers.rhai", include_str!("../../runbooks/lib/consumers.rhai")),
    ("runbooks/lib/consumers/command.rhai", include_str!("../../runbooks/lib/consumers/command.rhai")),
    ("runbooks/lib/consumers/env_file.rhai", include_str!("../../runbooks/lib/consumers/env_file.rhai")),
    ("runbooks/lib/consumers/hyperdrive.rhai", include_str!("../../runbooks/lib/consumers/hyperdrive.rhai")),
    ("runbooks/lib/consumers/railway.rhai", include_str!("../../runbooks/lib/consumers/railway.rhai")),
    ("runbooks/lib/consumers/values.rhai", include_str!("../../runbooks/lib/consumers/values.rhai")),
    ("runbooks/lib/consumers/pgbouncer.rhai", include_str!("../../runbooks/lib/consumers/pgbouncer.rhai")),
    ("runbooks/lib/moving.rhai", include_str!("../../runbooks/lib/moving.rhai")),
    ("runbooks/lib/preflight.rhai", include_str!("../../runbooks/lib/preflight.rhai")),
    ("runbooks/lib/preflight/alike.rhai", include_str!("../../runbooks/lib/preflight/alike.rhai")),
    ("runbooks/lib/preflight/findings.rhai", include_str!("../../runbooks/lib/preflight/findings.rhai")),
    ("runbooks/lib/preflight/server.rhai", include_str!("../../runbooks/lib/preflight/server.rhai")),
    ("runbooks/lib/pooler_settings.rhai", include_str!("../../runbooks/lib/pooler_settings.rhai")),
    ("runbooks/lib/preview.rhai", include_str!("../../runbooks/lib/preview.rhai")),
    ("runbooks/lib/waiting.rhai", include_str!("../../runbooks/lib/waiting.rhai")),
    ("runbooks/lib/branches.rhai", include_str!("../../runbooks/lib/branches.rhai")),
    ("runbooks/lib/managed.rhai", include_str!("../../runbooks/lib/managed.rhai")),
    ("runbooks/lib/rotating.rhai", include_str!("../../runbooks/lib/rotating.rhai")),
    ("runbooks/lib/roles.rhai", include_str!("../../runbooks/lib/roles.rhai")),
    ("runbooks/lib/roles/granted.rhai", include_str!("../../runbooks/lib/roles/granted.rhai")),
    ("runbooks/lib/roles/nature.rhai", include_str!("../../runbooks/lib/roles/nature.rhai")),
    ("runbooks/lib/roles/owned.rhai", include_str!("../../runbooks/lib/roles/owned.rhai")),
];

/// A runbook that can be run.
pub struct Listed {
    /// Name, as typed.
    pub name: String,
    /// Path of its file, relative to the project.
    pub path: String,
    /// Whether it is built in.
    pub shipped: bool,
}

/// All runbooks that a project can run, by name; its own come before shipped ones of the same name.
pub fn list(config: &Config) -> Vec<Listed> {
    let mut found = BTreeMap::new();
    for (path, _) in SHIPPED {
        if let Some(name) = name_of(path) {
            found.insert(name.to_owned(), Listed { name: name.to_owned(), path: (*path).to_owned(), shipped: true });
        }
    }
    for entry in std::fs::read_dir(config.project.join("runbooks")).into_iter().flatten().flatten() {
        let path = format!("runbooks/{}", entry.file_name().to_string_lossy());
        if let Some(name) = name_of(&path) {
            found.insert(name.to_owned(), Listed { name: name.to_owned(), path: path.clone(), shipped: false });
        }
    }
    found.into_values().collect()
}

fn name_of(path: &str) -> Option<&str> {
    path.strip_prefix("runbooks/")?.strip_suffix(".rhai").filter(|name| !name.contains('/'))
}

/// The text of a runbook and everything that it names. `name` is a runbook's name, or a path to a `.rhai` file.
pub fn sources(config: &Config, name: &str) -> Result<Sources, CliError> {
    let main = if name.ends_with(".rhai") {
        let path = Path::new(name);
        let inside = path.strip_prefix(&config.project).unwrap_or(path);
        inside.to_string_lossy().into_owned()
    } else {
        let known = list(config);
        match known.iter().find(|listed| listed.name == name) {
            Some(listed) => listed.path.clone(),
            None => {
                let meant = did_you_mean(name, known.iter().map(|listed| listed.name.as_str()));
                let hint = meant.map(|meant| format!("did you mean `{meant}`?"));
                let error = CliError::refused(format!("there is no runbook `{name}`")).next("runsheet list");
                return Err(CliError { hint, ..error });
            }
        }
    };
    let unreadable = std::cell::RefCell::new(None);
    let read = |path: &str| match std::fs::read_to_string(config.project.join(path)) {
        Ok(text) => Some(text),
        Err(error) => {
            let shipped = SHIPPED.iter().find(|(shipped, _)| *shipped == path).map(|(_, text)| (*text).to_owned());
            if shipped.is_none() && error.kind() != std::io::ErrorKind::NotFound {
                *unreadable.borrow_mut() = Some(ConfigError::unreadable(Path::new(path), &error).to_string());
            }
            shipped
        }
    };
    runbook::gather(&main, &read).map_err(|finding| {
        let why = unreadable.take();
        let mut error = CliError::findings(format!("`{name}` cannot be read"), &[finding], false);
        error.hint = why;
        error.next(format!("runsheet lint {}", quoted(name)))
    })
}

/// Loads a runbook, refusing it with everything that is wrong with it.
pub fn load(sources: &Sources, color: bool) -> Result<Runbook, CliError> {
    let refused = |what: &str, findings: &[runbook::Diagnostic]| {
        let name = name_of(&sources.main).unwrap_or(&sources.main);
        CliError::findings(format!("`{}` {what}", sources.main), findings, color)
            .next(format!("runsheet lint {}", quoted(name)))
    };
    let loaded = runbook::load(sources).map_err(|findings| refused("cannot be loaded", &findings))?;
    let errors: Vec<_> =
        runbook::lint(&loaded).into_iter().filter(|finding| finding.severity == runbook::Severity::Error).collect();
    if errors.is_empty() { Ok(loaded) } else { Err(refused("is refused", &errors)) }
}

/// Digest of all the text of a runbook.
pub fn digest(sources: &Sources) -> String {
    digest::of_value(&sources.files)
}

/// The shipped runbook's text, to be copied out and edited.
pub fn shipped(name: &str) -> Option<(&'static str, &'static str)> {
    let path = format!("runbooks/{name}.rhai");
    SHIPPED.iter().find(|(shipped, _)| *shipped == path).copied()
}
