//! What can be wrong with a configuration: what, where, why and what to do. No message ever holds a configured value.

use std::path::{Path, PathBuf};

/// Why a configuration cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// There is no project here.
    #[error("no `runsheet.toml` in {}{}", .from.display(), if *.upward { " or in any folder above it" } else { "" })]
    NoProject {
        /// Where the search began.
        from: PathBuf,
        /// Whether the folders above were searched too.
        upward: bool,
    },
    /// A file cannot be read or written.
    #[error("{} cannot be {verb}: {why}", .path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// `read` or `written`.
        verb: &'static str,
        /// Why.
        why: String,
        /// What to do.
        hint: Option<String>,
    },
    /// A file's text is not what it should be.
    #[error("{}:{line}:{column}: {why}", .path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// Counted from 1, in characters.
        column: usize,
        /// What is wrong.
        why: String,
        /// What to do.
        hint: Option<String>,
    },
    /// The chosen environment does not exist.
    #[error("environment `{name}` ({why}) {problem}")]
    Environment {
        /// The name.
        name: String,
        /// Who chose it.
        why: String,
        /// What is wrong with it.
        problem: String,
        /// What to do.
        hint: Option<String>,
        /// The environment that may be meant.
        other: Option<String>,
    },
    /// A variable is needed and not set.
    #[error("{used_in} needs the variable `{name}`, which is not set")]
    Variable {
        /// The variable.
        name: String,
        /// The key that names it.
        used_in: String,
        /// Where it was looked for.
        looked: Vec<String>,
    },
    /// A key holds something that cannot be used.
    #[error("{key} {why}")]
    Key {
        /// The key, such as `targets.prod.url`.
        key: String,
        /// What is wrong with what it holds, without the value itself.
        why: String,
        /// What to do.
        hint: Option<String>,
    },
    /// There is no such target.
    #[error("there is no target `{name}` in `runsheet.toml`")]
    NoTarget {
        /// The name that was asked for.
        name: String,
        /// The closest one there is.
        meant: Option<String>,
    },
}

impl ConfigError {
    /// What to do next, in one sentence.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoProject { .. } => Some(
                "make a project here with `runsheet init`, go to the project's folder, or name it with `--project DIR`"
                    .into(),
            ),
            Self::Variable { name, looked, .. } => Some(format!("set `{name}`; looked in {}", looked.join(", "))),
            Self::NoTarget { meant, .. } => Some(match meant {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => "declare it under `[targets.NAME]`".into(),
            }),
            Self::File { hint, .. }
            | Self::Malformed { hint, .. }
            | Self::Environment { hint, .. }
            | Self::Key { hint, .. } => hint.clone(),
        }
    }

    pub(in crate::cli) fn unreadable(path: &Path, error: &std::io::Error) -> Self {
        let why = match error.kind() {
            std::io::ErrorKind::IsADirectory => "it is a folder".to_owned(),
            std::io::ErrorKind::InvalidData => "it is not UTF-8 text".to_owned(),
            std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
            std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
            _ => error.to_string(),
        };
        Self::File { path: path.to_owned(), verb: "read", why, hint: None }
    }

    pub(super) fn key(key: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Key { key: key.into(), why: why.into(), hint: None }
    }

    pub(super) fn hinted(mut self, text: impl Into<String>) -> Self {
        match &mut self {
            Self::File { hint, .. }
            | Self::Malformed { hint, .. }
            | Self::Environment { hint, .. }
            | Self::Key { hint, .. } => *hint = Some(text.into()),
            Self::NoProject { .. } | Self::Variable { .. } | Self::NoTarget { .. } => {}
        }
        self
    }
}

/// The closest of `known` to what was typed, if any is close.
pub fn did_you_mean<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|name| (strsim::jaro_winkler(typed, name), name))
        .filter(|(closeness, _)| *closeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}
