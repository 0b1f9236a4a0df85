//! The typed parameters of a runbook.

use serde::{Deserialize, Serialize};

use super::Value;

/// What a parameter accepts.
///
/// The value that a script sees is plain data: a duration is a number of seconds, a size a number of bytes,
/// a share a number from 0 to 1, a time RFC 3339 text in UTC, a target its name, a command its argument list,
/// a secret its handle.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParamKind {
    /// Any text.
    Text,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// A length of time: `90s`, `30m`, `2h`, `1d`.
    Duration,
    /// A number of bytes: `512kB`, `10MB`, `2GB` (powers of 1024, as PostgreSQL reads them).
    Size,
    /// A part of a whole: `0.05` or `5%`.
    Share,
    /// A moment with its zone: `2026-03-01T02:00:00+01:00`.
    Time,
    /// A moment of a database's history: a time with its zone, a position of the WAL, or `name:RESTORE_POINT`.
    Moment,
    /// Several values of one kind, separated by commas on the command line.
    List(Box<ParamKind>),
    /// One of the given texts.
    OneOf(Vec<String>),
    /// The name of a target.
    Target,
    /// An argument list.
    Command,
    /// A secret, given as `env:VAR` or `file:PATH`.
    Secret,
}

impl ParamKind {
    /// The kind as people read it: `list of text`.
    pub fn describe(&self) -> String {
        match self {
            Self::Text => "text".into(),
            Self::Integer => "integer".into(),
            Self::Number => "number".into(),
            Self::Boolean => "true or false".into(),
            Self::Duration => "duration".into(),
            Self::Size => "size".into(),
            Self::Share => "share".into(),
            Self::Time => "time with zone".into(),
            Self::Moment => "moment".into(),
            Self::List(kind) => format!("list of {}", kind.describe()),
            Self::OneOf(choices) => format!("one of {}", choices.join(", ")),
            Self::Target => "target".into(),
            Self::Command => "command".into(),
            Self::Secret => "secret".into(),
        }
    }

    /// A value of this kind as people type it: 2592000 seconds are `30d`, a list is separated by commas.
    pub fn show(&self, value: &Value) -> String {
        /// Seconds and bytes of the units, largest first.
        const TIMES: [(f64, &str); 3] = [(86_400.0, "d"), (3600.0, "h"), (60.0, "m")];
        const SIZES: [(f64, &str); 3] = [(1_073_741_824.0, "GB"), (1_048_576.0, "MB"), (1024.0, "kB")];
        let in_units = |units: &[(f64, &str)], smallest: &str| {
            let number = value.as_f64()?;
            let whole = units.iter().find(|(unit, _)| number > 0.0 && number % unit == 0.0);
            Some(whole.map_or_else(|| format!("{number}{smallest}"), |(unit, name)| format!("{}{name}", number / unit)))
        };
        let shown = match (self, value) {
            (Self::Duration, _) => in_units(&TIMES, "s"),
            (Self::Size, _) => in_units(&SIZES, " bytes"),
            // Rounded, since 0.07 times 100 is not quite 7.
            (Self::Share, _) => value.as_f64().map(|share| format!("{}%", (share * 1e6).round() / 1e4)),
            (Self::List(kind), Value::Array(items)) => {
                Some(items.iter().map(|item| kind.show(item)).collect::<Vec<_>>().join(", "))
            }
            (_, Value::String(text)) => Some(text.clone()),
            (Self::Target, Value::Null) => Some(String::new()),
            _ => None,
        };
        shown.unwrap_or_else(|| value.to_string())
    }
}

/// One declared parameter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ParamSpec {
    /// Its name.
    pub name: String,
    /// What it accepts.
    pub kind: ParamKind,
    /// What it means.
    pub about: String,
    /// The value when none is given, already read as its kind; without one the parameter is required.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub or: Option<Value>,
}
