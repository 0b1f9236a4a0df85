//! `[[consumers]]`: who uses a database, and what each must be told when it moves.
//!
//! Scripts get them as maps. Keys, tokens and passwords are handles in those, and `variables` is always a map.

use serde_json::{Map, Value, json};

use super::error::{ConfigError, did_you_mean};
use super::target::expand;
use super::variables::Variables;
use crate::model::secret;

/// A kind of consumer: the keys it needs, and those it may have beside `kind`, `name`, `variables` and `pooled`.
struct Kind {
    name: &'static str,
    needs: &'static [&'static str],
    may: &'static [&'static str],
}

const KINDS: [Kind; 5] = [
    Kind { name: "env-file", needs: &["path", "variables"], may: &["ssh"] },
    Kind {
        name: "railway",
        needs: &["project", "environment"],
        may: &[
            "token",
            "project_token",
            "api_base",
            "service",
            "services",
            "overwrite_references",
            "deploy_timeout",
            "per_second",
            "internal_hosts",
        ],
    },
    Kind {
        name: "hyperdrive",
        needs: &["account", "config", "token"],
        may: &["api_base", "database", "binding", "terraform", "terraform_acknowledged"],
    },
    Kind { name: "pgbouncer", needs: &["database"], may: &["config", "ssh", "host", "port", "user", "auth_file"] },
    Kind {
        name: "command",
        needs: &["run", "variables"],
        may: &["env", "check", "read_back", "cwd", "ssh", "timeout", "repeatable"],
    },
];

/// Consumers as scripts get them, and the secrets behind their handles.
#[derive(Default)]
pub struct Resolved {
    /// A map each.
    pub consumers: Vec<Value>,
    /// Names and values.
    pub secrets: Vec<(String, String)>,
}

/// The entries of an environment over those of the project: the same `name` overrides key by key.
pub fn overridden(mut base: Vec<toml::Table>, over: Vec<toml::Table>) -> Vec<toml::Table> {
    for entry in over {
        let named = entry.get("name").and_then(toml::Value::as_str);
        let known = base.iter_mut().find(|it| it.get("name").and_then(toml::Value::as_str) == named && named.is_some());
        match known {
            Some(known) => known.extend(entry),
            None => base.push(entry),
        }
    }
    base
}

/// Reads them all.
pub fn resolve(tables: Vec<toml::Table>, variables: &Variables) -> Result<Resolved, ConfigError> {
    let mut resolved = Resolved::default();
    for table in tables {
        let consumer = one(table, variables, &mut resolved.secrets)?;
        if resolved.consumers.iter().any(|known| known["name"] == consumer["name"]) {
            let name = consumer["name"].as_str().unwrap_or_default();
            return Err(ConfigError::key(format!("consumer `{name}`"), "is there twice")
                .hinted("give each entry of `[[consumers]]` a name of its own"));
        }
        resolved.consumers.push(consumer);
    }
    Ok(resolved)
}

fn one(table: toml::Table, variables: &Variables, secrets: &mut Vec<(String, String)>) -> Result<Value, ConfigError> {
    let text = |key: &str| table.get(key).and_then(toml::Value::as_str).filter(|text| !text.is_empty());
    let plain = |text: &&str| text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    let name = text("name").filter(plain).map(str::to_owned).ok_or_else(|| {
        ConfigError::key("an entry of `[[consumers]]`", "has no `name` of letters, digits, `-`, `_` and `.`")
    })?;
    let whose = format!("consumer `{name}`");
    let known = || KINDS.iter().map(|kind| kind.name).collect::<Vec<_>>().join(", ");
    let kind = text("kind")
        .ok_or_else(|| ConfigError::key(whose.as_str(), "has no `kind`").hinted(format!("there are: {}", known())))?;
    let kind = KINDS.iter().find(|it| it.name == kind).ok_or_else(|| {
        ConfigError::key(whose.as_str(), "is of a kind that is not known").hinted(format!("there are: {}", known()))
    })?;
    if let Some(lacking) = kind.needs.iter().find(|key| !table.contains_key(**key)) {
        return Err(ConfigError::key(whose.as_str(), format!("has no `{lacking}`, which {} needs", kind.name)));
    }
    let mut consumer = Map::new();
    for (key, value) in table {
        let place = format!("`consumers.{name}.{key}`");
        let keys = [&["kind", "name", "variables", "pooled"], kind.needs, kind.may].concat();
        if !keys.contains(&key.as_str()) {
            let meant = did_you_mean(&key, keys.iter().copied()).map(|meant| format!("did you mean `{meant}`?"));
            return Err(ConfigError::key(place, format!("is no key of {}", kind.name))
                .hinted(meant.unwrap_or_else(|| format!("it may have: {}", keys.join(", ")))));
        }
        consumer.insert(key.clone(), read(value, &format!("{name}.{key}"), &place, variables, secrets)?);
    }
    let pooled = consumer.entry("pooled").or_insert(json!(false)).as_bool();
    let pooled = pooled.ok_or_else(|| ConfigError::key(format!("`consumers.{name}.pooled`"), "is no true or false"))?;
    let given = consumer.remove("variables").unwrap_or_else(|| json!([]));
    consumer.insert("variables".into(), named(&given, pooled, &format!("`consumers.{name}.variables`"))?);
    if let Some(services) = consumer.get_mut("services") {
        let place = format!("`consumers.{name}.services`");
        let list = services.as_array_mut().filter(|list| !list.is_empty());
        for service in list.ok_or_else(|| ConfigError::key(&*place, "is no list of services"))? {
            let given = service["variables"].take();
            let sound = service["id"].is_string() && service.as_object().is_some_and(|map| map.len() == 2);
            if !sound {
                return Err(ConfigError::key(&*place, "has an entry that is not { id, variables }"));
            }
            service["variables"] = named(&given, pooled, &place)?;
        }
    }
    Ok(Value::Object(consumer))
}

/// A value with its variables expanded. What is secret by its key becomes a handle, and so does what a command gets of the
/// environment.
fn read(
    value: toml::Value,
    path: &str,
    place: &str,
    variables: &Variables,
    secrets: &mut Vec<(String, String)>,
) -> Result<Value, ConfigError> {
    Ok(match value {
        toml::Value::String(text) => {
            let expanded = expand(&text, place, variables)?;
            if secret::contains_handle(&expanded) {
                return Err(ConfigError::key(place, "holds a character that Runsheet keeps for itself"));
            }
            if is_secret(path) || path.contains(".env.") && text.contains("${") {
                let name = format!("consumer:{path}");
                secrets.push((name.clone(), expanded));
                return Ok(secret::handle(&name).into());
            }
            expanded.into()
        }
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) => number.into(),
        toml::Value::Boolean(flag) => flag.into(),
        toml::Value::Datetime(time) => time.to_string().into(),
        toml::Value::Array(items) => {
            items.into_iter().map(|item| read(item, path, place, variables, secrets)).collect::<Result<_, _>>()?
        }
        toml::Value::Table(table) => {
            let item = |(key, item): (String, toml::Value)| {
                read(item, &format!("{path}.{key}"), place, variables, secrets).map(|item| (key, item))
            };
            Value::Object(table.into_iter().map(item).collect::<Result<_, _>>()?)
        }
    })
}

fn is_secret(path: &str) -> bool {
    let key = path.rsplit('.').next().unwrap_or_default();
    ["token", "password", "secret", "api_key"].iter().any(|end| key.ends_with(end))
}

/// Which variable gets what: a map, whether it was written as one or as a list of names.
fn named(given: &Value, pooled: bool, place: &str) -> Result<Value, ConfigError> {
    let url = |pooled: bool| json!({ "gets": "url", "pooled": pooled });
    let wrong = |name: &str| {
        ConfigError::key(place, format!("does not say what `{name}` gets")).hinted(
            "say pooled, direct, ca_cert, ssl_mode, or { url = \"direct\", database = \"…\", parameters = { … } }",
        )
    };
    let one = |name: &str, what: &Value| -> Result<Value, ConfigError> {
        if !super::dotenv::is_name(name) {
            return Err(ConfigError::key(place, "has something in it that is no variable's name"));
        }
        match (what.as_str(), what.as_object()) {
            (Some("pooled"), _) => Ok(url(true)),
            (Some("direct"), _) => Ok(url(false)),
            (Some(own @ ("ca_cert" | "ssl_mode")), _) => Ok(json!({ "gets": own })),
            (_, Some(map)) if map.keys().all(|key| ["url", "database", "parameters"].contains(&key.as_str())) => {
                let mut wish = url(match map.get("url").and_then(Value::as_str) {
                    Some("pooled") => true,
                    Some("direct") => false,
                    None if !map.contains_key("url") => pooled,
                    _ => return Err(wrong(name)),
                });
                for key in ["database", "parameters"] {
                    if let Some(value) = map.get(key) {
                        wish[key] = value.clone();
                    }
                }
                Ok(wish)
            }
            _ => Err(wrong(name)),
        }
    };
    let own = json!(if pooled { "pooled" } else { "direct" });
    let pairs: Vec<(String, Value)> = match given {
        Value::Array(names) => {
            let name = |name: &Value| {
                let name = name.as_str().ok_or_else(|| ConfigError::key(place, "is no list of names"))?;
                one(name, &own).map(|what| (name.to_owned(), what))
            };
            names.iter().map(name).collect::<Result<_, _>>()?
        }
        Value::Object(map) => {
            map.iter().map(|(name, what)| one(name, what).map(|what| (name.clone(), what))).collect::<Result<_, _>>()?
        }
        _ => return Err(ConfigError::key(place, "is neither a list of names nor a table")),
    };
    Ok(Value::Object(pairs.into_iter().collect()))
}
