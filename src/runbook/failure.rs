//! How a stop travels through a script: a fault as an error that `try` can catch, everything else past it.
//!
//! All travel as Rhai's run-time errors, the only ones whose places it keeps on the way; our own `try` tells them
//! apart.

use rhai::{Dynamic, EvalAltResult, Map, Position};

use super::convert;
use crate::model::fault::{Fault, FaultClass, Halt, Stop};
use crate::model::script::Location;

type Error = Box<EvalAltResult>;

/// A stop that no script can catch.
#[derive(Clone, Debug)]
pub(crate) struct Carried(pub Stop, pub Option<Location>);

/// A halt as an error of Rhai.
pub(crate) fn halt(halt: Halt) -> Error {
    EvalAltResult::ErrorRuntime(Dynamic::from(Carried(Stop::Halted(halt), None)), Position::NONE).into()
}

/// A mistake in the runbook as an error of Rhai. It is not for `try`: mending it needs an editor.
pub(crate) fn misuse(message: impl Into<String>) -> Error {
    let fault = Fault::fatal("script.misuse", message);
    EvalAltResult::ErrorRuntime(Dynamic::from(Carried(Stop::Failed(fault), None)), Position::NONE).into()
}

/// The same with a way out.
pub(crate) fn misuse_hinted(message: impl Into<String>, hint: impl Into<String>) -> Error {
    let fault = Fault::fatal("script.misuse", message).hinted(hint);
    EvalAltResult::ErrorRuntime(Dynamic::from(Carried(Stop::Failed(fault), None)), Position::NONE).into()
}

/// A stop of the door as an error of Rhai.
pub(crate) fn stop(stop: Stop) -> Error {
    match stop {
        Stop::Failed(fault) => EvalAltResult::ErrorRuntime(to_map(&fault), Position::NONE).into(),
        Stop::Halted(reason) => halt(reason),
    }
}

/// A fault as the map that `catch (error)` gets.
pub(crate) fn to_map(fault: &Fault) -> Dynamic {
    let mut map = Map::new();
    let class = match fault.class {
        FaultClass::Retryable => "retryable",
        FaultClass::Fatal => "fatal",
        FaultClass::Unknown => "unknown",
    };
    map.insert("class".into(), class.into());
    map.insert("code".into(), fault.code.clone().into());
    map.insert("message".into(), fault.message.clone().into());
    for (key, text) in [("detail", &fault.detail), ("hint", &fault.hint)] {
        map.insert(key.into(), text.clone().map_or(Dynamic::UNIT, Into::into));
    }
    Dynamic::from_map(map)
}

/// What was thrown as a fault: a map of ours, or whatever the script threw itself.
pub(crate) fn thrown(value: &Dynamic) -> Fault {
    let Some(map) = value.read_lock::<Map>() else {
        return Fault::fatal("script.throw", convert::display(value));
    };
    let text = |key: &str| map.get(key).and_then(|value| value.clone().into_string().ok());
    let class = match text("class").as_deref() {
        Some("retryable") => FaultClass::Retryable,
        Some("unknown") => FaultClass::Unknown,
        _ => FaultClass::Fatal,
    };
    Fault {
        class,
        code: text("code").unwrap_or_else(|| "script.throw".into()),
        message: text("message").unwrap_or_else(|| convert::display(value)),
        detail: text("detail"),
        hint: text("hint"),
    }
}

/// A template that could not be rendered, with its place.
pub(crate) fn template(message: String, file: Option<&str>, line: usize, column: usize) -> Error {
    let fault = Fault::fatal("template", message);
    let at = file.filter(|_| line > 0).map(|file| Location { file: file.to_owned(), line, column: column.max(1) });
    EvalAltResult::ErrorRuntime(Dynamic::from(Carried(Stop::Failed(fault), at)), Position::NONE).into()
}
