//! The project, its environment and its targets, found and read before anything else happens.
//!
//! Reads files and asks git for the revision; everything else is handed in, so that tests drive it.

mod consumer;
mod dotenv;
mod error;
mod file;
mod git;
pub mod key;
mod provider;
mod reach;
pub mod state;
mod target;
mod url;
mod variables;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub use error::{ConfigError, did_you_mean};
pub use file::RunbookValues;
pub use variables::{Chosen, Why};

use crate::model::environment::Environment;
use crate::model::provider::Providers;
use crate::model::target::Target;

/// Name of the file that makes a folder a project.
pub const FILE: &str = "runsheet.toml";

/// What the command line says about the configuration.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// `--project DIR`.
    pub project: Option<PathBuf>,
    /// `--state DIR`.
    pub state: Option<PathBuf>,
    /// `-e NAME`.
    pub environment: Option<String>,
}

/// Everything configured.
pub struct Config {
    /// The project's folder, absolute.
    pub project: PathBuf,
    /// The state folder, absolute; [`state::open`] makes it.
    pub state: PathBuf,
    /// The environment, if one was chosen.
    pub environment: Option<Chosen>,
    /// Names of the environments that `runsheet.toml` declares.
    pub environments: Vec<String>,
    /// Targets that can be used, by name.
    pub targets: BTreeMap<String, Target>,
    /// Why the other targets cannot be used: a command is refused only when it needs one of them.
    pub unusable: BTreeMap<String, ConfigError>,
    /// Services around the targets.
    pub providers: Providers,
    /// Parameter values that the command line need not name.
    pub runbooks: RunbookValues,
    /// The process environment with the `.env` files beneath it.
    pub variables: Environment,
    /// Lines that people should read before every plan and run.
    pub warnings: Vec<String>,
    /// The URL that gets the closing object of every run; it may hold a token, so it is never printed.
    pub notify: Option<String>,
    /// Revision of the project's git checkout, with `+` behind it when it is dirty.
    pub git: Option<String>,
    passwords: Vec<(String, String)>,
    secrets: Vec<(String, String)>,
}

impl Config {
    /// A target by its name, or why there is none.
    pub fn target(&self, name: &str) -> Result<&Target, ConfigError> {
        if let Some(target) = self.targets.get(name) {
            return Ok(target);
        }
        Err(self.unusable.get(name).cloned().unwrap_or_else(|| {
            let known = self.targets.keys().chain(self.unusable.keys()).map(String::as_str);
            ConfigError::NoTarget { name: name.to_owned(), meant: did_you_mean(name, known).map(str::to_owned) }
        }))
    }

    /// Passwords inside URLs and keys of services, each with the name to show instead: the vault hides them.
    pub fn passwords(&self) -> impl Iterator<Item = (&str, &str)> {
        self.passwords.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Secrets of consumers, each with the name of its handle: the vault keeps them.
    pub fn secrets(&self) -> impl Iterator<Item = (&str, &str)> {
        self.secrets.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The first line of every command: `environment: staging (from -e)`.
    pub fn environment_line(&self) -> String {
        match &self.environment {
            Some(chosen) => format!("environment: {} ({})", chosen.name, chosen.why),
            None if self.environments.is_empty() => "environment: none".into(),
            None => format!("environment: none chosen (there are: {})", self.environments.join(", ")),
        }
    }
}

/// Finds the project from `cwd`, chooses the environment, and reads everything configured.
pub fn load(options: &Options, process: BTreeMap<String, String>, cwd: &Path) -> Result<Config, ConfigError> {
    let project = discover(options.project.as_deref(), cwd)?;
    let mut file = file::File::read(&project.join(FILE))?;
    let notify = std::mem::take(&mut file.notify.url);
    let ssh_config = std::mem::take(&mut file.ssh.config);
    let environments: Vec<String> = file.env.keys().cloned().collect();
    let declared: Vec<&str> = environments.iter().map(String::as_str).collect();
    let environment = variables::choose(options.environment.as_deref(), &process, &declared)?;
    let git = git::revision(&project, &process);
    let mut variables = variables::gather(&project, environment.as_ref(), process)?;
    let (tables, runbooks, services) = file.of_environment(environment.as_ref().map(|chosen| chosen.name.as_str()));
    refuse_variables_in_parameters(&runbooks)?;

    let mut warnings = std::mem::take(&mut variables.warnings);
    // A command that tells nobody anything must not be refused for it, and one that would must not go unnoticed.
    let notify = notify.and_then(|url| {
        let expanded = target::expand(&url, "notify.url", &variables);
        expanded.map_err(|error| warnings.push(format!("nobody is told how runs end: {error}"))).ok()
    });
    let (mut targets, mut unusable, mut passwords) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
    for (name, table) in tables {
        if name.contains(':') {
            return Err(ConfigError::key(format!("target `{name}`"), "has a `:` in its name")
                .hinted("SERVER:DATABASE is how databases that runs make are called; use `-` or `_`"));
        }
        match target::resolve(&name, table, &variables, &project) {
            Ok(resolved) => {
                warnings.extend(resolved.warning);
                passwords
                    .extend(resolved.passwords.into_iter().map(|password| (format!("password of {name}"), password)));
                targets.insert(name, resolved.target);
            }
            Err(error) => {
                unusable.insert(name, error);
            }
        }
    }
    let (mut providers, secrets) = provider::resolve(services, &variables, &project);
    providers.ssh_config = reach::ssh_config(ssh_config, &variables, &project)?;
    passwords.extend(provider::keys(&providers));
    Ok(Config {
        state: state_in(options, &project, cwd),
        project,
        environment,
        environments,
        targets,
        unusable,
        providers,
        runbooks,
        variables: Environment::new(variables.values),
        warnings,
        notify,
        git,
        passwords,
        secrets,
    })
}

/// The state folder for what needs no project: of the project that is found, or else of `cwd` itself.
pub fn state_anywhere(options: &Options, cwd: &Path) -> Result<PathBuf, ConfigError> {
    match discover(options.project.as_deref(), cwd) {
        Ok(project) => Ok(state_in(options, &project, cwd)),
        Err(ConfigError::NoProject { upward: true, .. }) => Ok(state_in(options, cwd, cwd)),
        Err(error) => Err(error),
    }
}

fn state_in(options: &Options, project: &Path, cwd: &Path) -> PathBuf {
    options.state.as_ref().map_or_else(|| project.join(".runsheet"), |state| cwd.join(state))
}

/// The folder with `runsheet.toml`: the one that was named, or the nearest from `cwd` upward.
fn discover(named: Option<&Path>, cwd: &Path) -> Result<PathBuf, ConfigError> {
    if let Some(named) = named {
        let project = cwd.join(named);
        return if project.join(FILE).exists() {
            Ok(project)
        } else {
            Err(ConfigError::NoProject { from: project, upward: false })
        };
    }
    cwd.ancestors()
        .find(|folder| folder.join(FILE).exists())
        .map(Path::to_owned)
        .ok_or_else(|| ConfigError::NoProject { from: cwd.to_owned(), upward: true })
}

/// Parameters are written to the journal as they are: a variable's value, often a secret, must not slip in among them.
fn refuse_variables_in_parameters(runbooks: &RunbookValues) -> Result<(), ConfigError> {
    fn mentions(value: &toml::Value) -> bool {
        match value {
            toml::Value::String(text) => text.contains("${"),
            toml::Value::Array(items) => items.iter().any(mentions),
            toml::Value::Table(table) => table.values().any(mentions),
            _ => false,
        }
    }
    for (runbook, values) in runbooks {
        if let Some((name, _)) = values.iter().find(|(_, value)| mentions(value)) {
            return Err(ConfigError::key(
                format!("`runbooks.{runbook}.{name}`"),
                "has a `${…}`, which is only expanded in targets and services",
            )
            .hinted(
                "a secret parameter is given as `env:NAME`; anything else is written out, or given as `name=value`",
            ));
        }
    }
    Ok(())
}
