//! Reading a parameter's value from text or TOML.

use chrono::{DateTime, SecondsFormat, Utc};

use crate::model::param::ParamKind;
use crate::model::scan::refuse_handles_in;
use crate::model::{Value, lsn};

/// Reads a value as `kind`: text as the command line gives it, anything else as TOML or a runbook gives it.
///
/// Durations become seconds, sizes bytes, shares a number from 0 to 1, times RFC 3339 text in UTC. The error is one
/// sentence that fits behind the parameter's name. A secret stays what was given, `env:VAR` or `file:PATH`: the
/// command line opens it.
pub fn read_param(kind: &ParamKind, given: &Value) -> Result<Value, String> {
    refuse_handles_in(given, "the value").map_err(|fault| fault.message)?;
    match (kind, given) {
        (_, Value::String(text)) if text.contains('\0') => Err("holds a NUL character".into()),
        (ParamKind::List(inner), Value::Array(items)) => items.iter().map(|item| read_param(inner, item)).collect(),
        (ParamKind::List(inner), Value::String(text)) => {
            let parts = text.split(',').map(str::trim);
            parts.filter(|_| !text.trim().is_empty()).map(|part| read_param(inner, &part.into())).collect()
        }
        (ParamKind::Command, Value::Array(items)) if !items.is_empty() && items.iter().all(Value::is_string) => {
            Ok(given.clone())
        }
        (ParamKind::Command, Value::String(text)) => match shlex::split(text) {
            Some(words) if !words.is_empty() => Ok(words.into()),
            _ => Err(format!("`{text}` is not an argument list: a quote is open, or it is empty")),
        },
        (ParamKind::Integer, Value::Number(number)) if number.is_i64() => Ok(given.clone()),
        (ParamKind::Number, Value::Number(_)) | (ParamKind::Boolean, Value::Bool(_)) => Ok(given.clone()),
        (ParamKind::Duration, Value::Number(number)) if number.as_f64().is_some_and(|seconds| seconds >= 0.0) => {
            Ok(number.as_f64().into())
        }
        (ParamKind::Size, Value::Number(number)) if number.as_i64().is_some_and(|bytes| bytes >= 0) => {
            Ok(given.clone())
        }
        (ParamKind::Share, Value::Number(number)) => share(number.as_f64().unwrap_or(-1.0), &number.to_string()),
        (_, Value::String(text)) => from_text(kind, text.trim(), text),
        (_, other) => Err(format!("`{other}` is not {}", wanted(kind))),
    }
}

/// What a kind wants, with an example.
fn wanted(kind: &ParamKind) -> String {
    match kind {
        ParamKind::Integer => "a whole number, such as 42".into(),
        ParamKind::Number => "a number, such as 0.5".into(),
        ParamKind::Boolean => "true or false".into(),
        ParamKind::Duration => "a duration, such as 90s, 30m, 2h or 1d".into(),
        ParamKind::Size => "a size, such as 512kB, 10MB or 2GB".into(),
        ParamKind::Share => "a share from 0 to 1, such as 0.05 or 5%".into(),
        ParamKind::Time => "a time with its zone, such as 2026-03-01T02:00:00+01:00".into(),
        ParamKind::Moment => "a moment: a time with its zone, such as 2026-03-01T02:00:00+01:00, a position of the WAL, such as 0/3000060, or name:RESTORE_POINT".into(),
        ParamKind::Secret => "a secret: give `env:VARIABLE` or `file:PATH`, never the value itself".into(),
        other => other.describe(),
    }
}

fn from_text(kind: &ParamKind, text: &str, exact: &str) -> Result<Value, String> {
    let refused = || format!("`{text}` is not {}", wanted(kind));
    match kind {
        ParamKind::Text => Ok(exact.into()),
        ParamKind::Target if !text.is_empty() => Ok(text.into()),
        ParamKind::Integer => text.parse::<i64>().map(Value::from).map_err(|_| refused()),
        ParamKind::Number => number(text).map(Value::from).ok_or_else(refused),
        ParamKind::Boolean => text.parse::<bool>().map(Value::from).map_err(|_| refused()),
        ParamKind::Duration => duration(text).map(Value::from).ok_or_else(refused),
        ParamKind::Size => size(text).map(Value::from).ok_or_else(refused),
        ParamKind::Share => match text.strip_suffix('%') {
            Some(percent) => share(number(percent.trim_end()).ok_or_else(refused)? / 100.0, text),
            None => share(number(text).ok_or_else(refused)?, text),
        },
        ParamKind::Time => DateTime::parse_from_rfc3339(text)
            .map(|time| time.with_timezone(&Utc).to_rfc3339_opts(SecondsFormat::AutoSi, true).into())
            .map_err(|_| refused()),
        ParamKind::Moment => moment(text).ok_or_else(refused),
        ParamKind::OneOf(choices) if choices.iter().any(|choice| choice == text) => Ok(text.into()),
        ParamKind::OneOf(_) => Err(refused()),
        // A literal secret would stand in the shell's history, and everyone on the machine could read it.
        ParamKind::Secret if text.starts_with("env:") || text.starts_with("file:") => Ok(text.into()),
        ParamKind::Secret => Err(format!("this is not {}", wanted(kind))),
        _ => Err(refused()),
    }
}

/// A moment as scripts see it; none at all is empty text.
fn moment(text: &str) -> Option<Value> {
    if let Some(name) = text.strip_prefix("name:") {
        return (!name.trim().is_empty()).then(|| text.into());
    }
    if text.contains('/') {
        return lsn::read(text).map(|position| lsn::text(position).into());
    }
    if text.is_empty() { Some(text.into()) } else { from_text(&ParamKind::Time, text, text).ok() }
}

fn number(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

fn share(share: f64, text: &str) -> Result<Value, String> {
    if (0.0..=1.0).contains(&share) {
        Ok(share.into())
    } else {
        Err(format!("`{text}` is not {}", wanted(&ParamKind::Share)))
    }
}

fn split_unit(text: &str) -> Option<(f64, &str)> {
    let at = text.find(|c: char| c.is_ascii_alphabetic())?;
    let number = number(text[..at].trim_end()).filter(|number| *number >= 0.0)?;
    Some((number, &text[at..]))
}

/// Seconds in text such as `90s`, `500ms` or `1h30m`.
pub(crate) fn duration(text: &str) -> Option<f64> {
    let mut seconds = 0.0;
    let mut rest = text.trim();
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let (number, unit) = split_unit(rest)?;
        let end = unit.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(unit.len());
        seconds += number
            * match &unit[..end] {
                "ms" => 0.001,
                "s" => 1.0,
                "m" | "min" => 60.0,
                "h" => 3_600.0,
                "d" => 86_400.0,
                _ => return None,
            };
        rest = &unit[end..];
    }
    seconds.is_finite().then_some(seconds)
}

fn size(text: &str) -> Option<i64> {
    let (number, unit) = if text.ends_with(|c: char| c.is_ascii_digit()) {
        (number(text).filter(|number| *number >= 0.0)?, "B")
    } else {
        split_unit(text)?
    };
    let factor: f64 = match unit {
        "B" => 1.0,
        "kB" | "KB" => 1024.0,
        "MB" => 1024.0 * 1024.0,
        "GB" => 1024.0 * 1024.0 * 1024.0,
        "TB" => 1024.0 * 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    };
    let bytes = number * factor;
    #[expect(clippy::cast_possible_truncation, reason = "checked to be below 2^53, where floats are exact")]
    (bytes < 9_007_199_254_740_992.0).then_some(bytes.round() as i64)
}
