//! Parameters as they were given: on the command line, in `runsheet.toml`, or by default.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, json};

use super::config::{Config, ConfigError, did_you_mean};
use super::error::CliError;
use crate::journal::entry::SecretSource;
use crate::model::Value;
use crate::model::declaration::Declaration;
use crate::model::param::{ParamKind, ParamSpec};
use crate::model::secret::{SHORTEST_REDACTED, Vault};
use crate::runbook::read_param;

/// Parameters, read and checked.
pub struct Given {
    /// Values; secrets are handles.
    pub params: Value,
    /// Where each secret came from.
    pub secrets: BTreeMap<String, SecretSource>,
    /// What people should know of what they gave.
    pub warnings: Vec<String>,
}

/// Reads `name=value` arguments over the values of `runsheet.toml` over the defaults. Everything that is wrong is
/// said at once.
pub fn read(
    declaration: &Declaration,
    arguments: &[String],
    config: &Config,
    vault: &Vault,
    ask: &dyn Fn(&str) -> Option<String>,
) -> Result<Given, CliError> {
    let mut wrong = Vec::new();
    let mut given: BTreeMap<String, (Value, bool)> = BTreeMap::new();
    let names: Vec<&str> = declaration.params.iter().map(|spec| spec.name.as_str()).collect();
    let unknown = |name: &str, place: &str| {
        let meant = did_you_mean(name, names.iter().copied());
        let meant = meant.map(|meant| format!("; did you mean `{meant}`?")).unwrap_or_default();
        format!("`{}` has no parameter `{name}` ({place}){meant}", declaration.name)
    };
    for (name, value) in config.runbooks.get(&declaration.name).into_iter().flatten() {
        if names.contains(&name.as_str()) {
            let value = serde_json::to_value(value).unwrap_or_default();
            given.insert(name.clone(), (value, false));
        } else {
            wrong.push(unknown(name, "in runsheet.toml"));
        }
    }
    let mut typed = Vec::new();
    for argument in arguments {
        match argument.split_once('=') {
            None => wrong.push(format!("`{argument}` is not `name=value`")),
            Some((name, _)) if !names.contains(&name) => wrong.push(unknown(name, "on the command line")),
            Some((name, _)) if typed.contains(&name) => wrong.push(format!("parameter `{name}` is given twice")),
            Some((name, value)) => {
                typed.push(name);
                given.insert(name.to_owned(), (Value::from(value), true));
            }
        }
    }
    let mut params = Map::new();
    let mut secrets = BTreeMap::new();
    let mut misconfigured = false;
    for spec in &declaration.params {
        let value = match given.remove(&spec.name) {
            Some((value, from_command_line)) => read_one(spec, &value, from_command_line, config, vault, &mut secrets),
            None => match (&spec.or, &spec.kind) {
                (Some(value), _) => Ok(value.clone()),
                (None, ParamKind::Secret) => match ask(&spec.about) {
                    Some(value) => Ok(keep(spec, value, "asked", vault, &mut secrets)),
                    None => Err(format!(
                        "parameter `{}` is missing: give {}=env:VAR or {}=file:PATH",
                        spec.name, spec.name, spec.name
                    )),
                },
                (None, kind) => {
                    Err(format!("parameter `{}` is missing: {} ({})", spec.name, spec.about, kind.describe()))
                }
            },
        };
        match value {
            Ok(value) => {
                for error in unknown_targets(&spec.kind, &value, config) {
                    misconfigured |= !matches!(error, ConfigError::NoTarget { .. });
                    let hint = error.hint().map(|hint| format!(" ({hint})")).unwrap_or_default();
                    wrong.push(format!("parameter `{}`: {error}{hint}", spec.name));
                }
                params.insert(spec.name.clone(), value);
            }
            Err(why) => wrong.push(why),
        }
    }
    if wrong.is_empty() {
        let short = secrets.keys().filter(|name| !vault.redacts(name));
        let warnings = short.map(|name| {
            format!(
                "secret `{name}` is shorter than {} characters: a server's or a command's answer that repeats it is shown \
                 and recorded as it is",
                SHORTEST_REDACTED
            )
        });
        return Ok(Given { params: Value::Object(params), warnings: warnings.collect(), secrets });
    }
    let count = wrong.len();
    let message = if count == 1 { wrong.remove(0) } else { format!("{count} parameters are wrong") };
    let next = if misconfigured { "runsheet doctor".into() } else { format!("runsheet show {}", declaration.name) };
    let error = CliError::refused(message).next(next);
    Err(CliError { detail: wrong.iter().map(|why| format!("  {why}")).collect::<Vec<_>>().join("\n"), ..error })
}

fn read_one(
    spec: &ParamSpec,
    value: &Value,
    from_command_line: bool,
    config: &Config,
    vault: &Vault,
    secrets: &mut BTreeMap<String, SecretSource>,
) -> Result<Value, String> {
    if spec.kind != ParamKind::Secret {
        return read_param(&spec.kind, value).map_err(|why| format!("parameter `{}` {why}", spec.name));
    }
    let reference = value.as_str().unwrap_or_default();
    let literal = !reference.starts_with("env:") && !reference.starts_with("file:");
    let value = open_secret(reference, config).map_err(|why| {
        // Whatever was given may be the secret itself, so it is not repeated.
        let seen = literal && from_command_line;
        let place = if seen { "; everyone on this machine can read a command line" } else { "" };
        format!("parameter `{}` is a secret: {why}{place}", spec.name)
    })?;
    Ok(keep(spec, value, reference, vault, secrets))
}

fn keep(
    spec: &ParamSpec,
    value: String,
    from: &str,
    vault: &Vault,
    secrets: &mut BTreeMap<String, SecretSource>,
) -> Value {
    let handle = vault.keep(&spec.name, value);
    let fingerprint = vault.fingerprint(&spec.name).unwrap_or_default();
    secrets.insert(spec.name.clone(), SecretSource { from: from.to_owned(), fingerprint });
    json!(handle)
}

/// Opens `env:VAR` or `file:PATH`. The error never repeats what was given.
pub fn open_secret(reference: &str, config: &Config) -> Result<String, String> {
    if let Some(name) = reference.strip_prefix("env:") {
        return match config.variables.get(name) {
            Some(value) => Ok(value.to_owned()),
            None => Err(format!("the variable `{name}` is not set")),
        };
    }
    if let Some(path) = reference.strip_prefix("file:") {
        let text = std::fs::read_to_string(config.project.join(Path::new(path)))
            .map_err(|error| format!("the file `{path}` cannot be read: {error}"))?;
        let value = text.trim_end_matches(['\n', '\r']);
        return if value.is_empty() { Err(format!("the file `{path}` is empty")) } else { Ok(value.to_owned()) };
    }
    Err("give it as env:VAR or file:PATH".to_owned())
}

fn unknown_targets<'a>(
    kind: &'a ParamKind,
    value: &'a Value,
    config: &'a Config,
) -> impl Iterator<Item = ConfigError> + 'a {
    let names: Vec<&str> = match kind {
        ParamKind::Target => value.as_str().into_iter().collect(),
        ParamKind::List(inner) if **inner == ParamKind::Target => {
            value.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
        }
        _ => Vec::new(),
    };
    names.into_iter().filter_map(|name| config.target(name).err())
}
