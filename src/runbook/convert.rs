//! Values between a script and the door: Rhai's dynamic values and plain data.

use rhai::{Array, Dynamic, FnPtr, ImmutableString, Map};

use super::sql_text::SqlText;
use super::unknown::Unknown;
use crate::model::{Value, secret, unknown};

/// A script's value as plain data, or why it is none.
pub(crate) fn to_value(value: &Dynamic) -> Result<Value, String> {
    if value.is_unit() {
        return Ok(Value::Null);
    }
    if let Ok(flag) = value.as_bool() {
        return Ok(Value::Bool(flag));
    }
    if let Ok(number) = value.as_int() {
        return Ok(number.into());
    }
    if let Ok(number) = value.as_float() {
        return serde_json::Number::from_f64(number)
            .map(Value::Number)
            .ok_or_else(|| format!("{number} is not a number that can be recorded"));
    }
    if let Ok(character) = value.as_char() {
        return Ok(character.to_string().into());
    }
    if let Some(text) = value.read_lock::<ImmutableString>() {
        return Ok(text.as_str().into());
    }
    if let Some(items) = value.read_lock::<Array>() {
        return items.iter().map(to_value).collect();
    }
    if let Some(map) = value.read_lock::<Map>() {
        return map.iter().map(|(key, item)| Ok((key.to_string(), to_value(item)?))).collect();
    }
    if let Some(later) = value.read_lock::<Unknown>() {
        return Ok(unknown::handle(&later.0).into());
    }
    if let Some(range) = value.read_lock::<std::ops::Range<i64>>() {
        return Ok(range.clone().map(Value::from).collect());
    }
    if let Some(range) = value.read_lock::<std::ops::RangeInclusive<i64>>() {
        return Ok(range.clone().map(Value::from).collect());
    }
    Err(format!("{} cannot be recorded: it is not data", kind(value)))
}

/// Plain data as a script's value. Text that is one unknown's handle becomes an unknown.
pub(crate) fn from_value(value: &Value) -> Dynamic {
    match value {
        Value::Null => Dynamic::UNIT,
        Value::Bool(flag) => (*flag).into(),
        Value::Number(number) => number
            .as_i64()
            .map(Dynamic::from_int)
            .or_else(|| number.as_f64().map(Dynamic::from_float))
            .unwrap_or(Dynamic::UNIT),
        Value::String(text) => match unknown::whole(value) {
            Some(step) => Dynamic::from(Unknown::new(step)),
            None => text.clone().into(),
        },
        Value::Array(items) => Dynamic::from_array(items.iter().map(from_value).collect()),
        Value::Object(map) => {
            Dynamic::from_map(map.iter().map(|(key, item)| (key.as_str().into(), from_value(item))).collect())
        }
    }
}

/// What kind of value it is, in words that authors know.
pub(crate) fn kind(value: &Dynamic) -> &'static str {
    if value.is::<Unknown>() {
        super::unknown::TYPE_NAME
    } else if value.read_lock::<ImmutableString>().is_some_and(|text| secret::contains_handle(&text)) {
        "a secret"
    } else if value.is_string() {
        "text"
    } else if value.is_int() {
        "an integer"
    } else if value.is_float() {
        "a number"
    } else if value.is_bool() {
        "true or false"
    } else if value.is_unit() {
        "nothing `()`"
    } else if value.is_array() {
        "a list"
    } else if value.is_map() {
        "a map"
    } else if value.is_char() {
        "a character"
    } else if value.is::<FnPtr>() {
        "a closure"
    } else if value.is::<SqlText>() {
        "SQL text"
    } else {
        "a value of another kind"
    }
}

/// A value as text, for messages and log lines: text as it is, everything else as JSON.
pub(crate) fn display(value: &Dynamic) -> String {
    match to_value(value) {
        Ok(Value::String(text)) => text,
        Ok(Value::Null) => "()".into(),
        Ok(value) => value.to_string(),
        Err(_) => kind(value).to_owned(),
    }
}
