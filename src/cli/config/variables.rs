//! Which environment was chosen, and the variables of it: the process environment first, then the `.env` files.

use std::collections::BTreeMap;
use std::path::Path;

use super::dotenv;
use super::error::{ConfigError, did_you_mean};

/// Who chose the environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// `-e NAME`.
    Flag,
    /// `$ENVIRONMENT`.
    Environment,
    /// `$NODE_ENV`.
    NodeEnv,
}

impl std::fmt::Display for Why {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Flag => "from -e",
            Self::Environment => "from $ENVIRONMENT",
            Self::NodeEnv => "from $NODE_ENV",
        })
    }
}

/// The environment that was chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// Its name.
    pub name: String,
    /// Who chose it.
    pub why: Why,
}

impl Chosen {
    /// Whether it was named on this command line, not inherited from a shell.
    pub fn explicit(&self) -> bool {
        self.why == Why::Flag
    }
}

/// Chooses the environment; `declared` are the ones that `runsheet.toml` knows.
pub fn choose(
    flag: Option<&str>,
    process: &BTreeMap<String, String>,
    declared: &[&str],
) -> Result<Option<Chosen>, ConfigError> {
    let set = |name: &str| process.get(name).map(String::as_str);
    let found = [(flag, Why::Flag), (set("ENVIRONMENT"), Why::Environment), (set("NODE_ENV"), Why::NodeEnv)]
        .into_iter()
        .find_map(|(name, why)| Some((name.filter(|name| !name.is_empty() || why == Why::Flag)?, why)));
    let Some((name, why)) = found else { return Ok(None) };
    let meant = did_you_mean(name, declared.iter().copied());
    let refused = |problem: &str, hint: String| {
        Err(ConfigError::Environment {
            name: name.to_owned(),
            why: why.to_string(),
            problem: problem.to_owned(),
            hint: Some(hint),
            other: meant.or(declared.first().copied()).map(str::to_owned),
        })
    };
    // The name becomes part of a file's name.
    if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c)) {
        return refused("is not a name", "use letters, digits, `-` and `_`".into());
    }
    if !declared.is_empty() && !declared.contains(&name) {
        let hint = match meant {
            Some(meant) => format!("did you mean `{meant}`? declared: {}", declared.join(", ")),
            None => format!("name one with `-e`: {}", declared.join(", ")),
        };
        return refused("is not declared in `runsheet.toml`", hint);
    }
    Ok(Some(Chosen { name: name.to_owned(), why }))
}

/// The variables, and where they were looked for.
#[derive(Debug, Default)]
pub struct Variables {
    /// Values by name; an empty one counts as unset.
    pub values: BTreeMap<String, String>,
    /// Where they were looked for, for messages.
    pub looked: Vec<String>,
    /// What people should know.
    pub warnings: Vec<String>,
}

/// Reads the `.env` files of `project` beneath the process environment.
pub fn gather(
    project: &Path,
    chosen: Option<&Chosen>,
    process: BTreeMap<String, String>,
) -> Result<Variables, ConfigError> {
    let mut names = vec![".env.local".to_owned(), ".env".to_owned()];
    if let Some(chosen) = chosen {
        names.insert(0, format!(".env.{}.local", chosen.name));
    }
    let mut found = Variables { looked: vec!["the process environment".into()], ..Variables::default() };
    let mut from_files: BTreeMap<String, (String, String)> = BTreeMap::new();
    for name in names {
        let path = project.join(&name);
        match std::fs::read_to_string(&path) {
            Ok(text) => {
                let parsed = dotenv::parse(&path, &text)?;
                for variable in parsed.doubtful {
                    found.warnings.push(format!(
                        "{name}: the value of {variable} contains `#` without quotes; some readers cut it there, this one does not"
                    ));
                }
                for (variable, value) in parsed.values.into_iter().filter(|(_, value)| !value.is_empty()) {
                    from_files.entry(variable).or_insert((value, name.clone()));
                }
                found.looked.push(name);
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => found.looked.push(format!("{name} (none)")),
            // A folder of that name is most likely a Python environment.
            Err(_) if path.is_dir() => found.looked.push(format!("{name} (a folder)")),
            Err(error) => return Err(ConfigError::unreadable(&path, &error)),
        }
    }
    for (variable, (value, file)) in from_files {
        match process.get(&variable).filter(|value| !value.is_empty()) {
            Some(set) if *set != value => {
                found
                    .warnings
                    .push(format!("{variable} of the process environment overrides a different value in {file}"));
            }
            Some(_) => {}
            None => {
                found.values.insert(variable, value);
            }
        }
    }
    found.values.extend(process.into_iter().filter(|(_, value)| !value.is_empty()));
    Ok(found)
}
