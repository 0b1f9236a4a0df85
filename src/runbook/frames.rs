//! Rhai's errors, unwound into places and words that authors know.

use std::sync::Arc;

use rhai::{EvalAltResult, ParseError, ParseErrorType, Position};

use super::diagnostic::Diagnostic;
use super::failure::{Carried, thrown};
use super::sources::Sources;
use super::vocabulary::words;
use super::{profile, stage, unknown};
use crate::model::fault::{Fault, Halt, Stop};
use crate::model::script::ScriptError;

/// What went wrong while a step ran.
pub(crate) fn script_error(sources: &Sources, error: &EvalAltResult) -> ScriptError {
    let stop = stop(error);
    ScriptError { shown: diagnostic_of(sources, error, &stop).render(false), stop }
}

/// What went wrong while a runbook was loaded.
pub(crate) fn diagnostic(sources: &Sources, error: &EvalAltResult) -> Diagnostic {
    let stop = stop(error);
    diagnostic_of(sources, error, &stop)
}

/// The innermost error.
fn innermost(error: &EvalAltResult) -> &EvalAltResult {
    match error {
        EvalAltResult::ErrorInFunctionCall(_, _, inner, _) | EvalAltResult::ErrorInModule(_, inner, _) => {
            innermost(inner)
        }
        other => other,
    }
}

/// Why a script stopped.
pub(crate) fn stop(error: &EvalAltResult) -> Stop {
    match innermost(error) {
        EvalAltResult::ErrorRuntime(value, _) => {
            value.read_lock::<Carried>().map_or_else(|| Stop::Failed(thrown(value)), |carried| carried.0.clone())
        }
        inner => match unknowable(inner) {
            Some(after) => Stop::Halted(Halt::Unknowable { after }),
            None => Stop::Failed(Fault::fatal("script.error", message(inner))),
        },
    }
}

/// The step that an error of Rhai's own waits for: it names the type, or the text that holds the handle.
fn unknowable(error: &EvalAltResult) -> Option<String> {
    let text = match error {
        EvalAltResult::ErrorMismatchDataType(_, actual, _) | EvalAltResult::ErrorMismatchOutputType(_, actual, _) => {
            actual
        }
        EvalAltResult::ErrorIndexingType(text, _)
        | EvalAltResult::ErrorDotExpr(text, _)
        | EvalAltResult::ErrorFunctionNotFound(text, _)
        | EvalAltResult::ErrorPropertyNotFound(text, _) => text,
        _ => return None,
    };
    let named = crate::model::unknown::first(text).map(str::to_owned);
    named.or_else(|| {
        (text.contains(unknown::TYPE_NAME) || text.contains(std::any::type_name::<unknown::Unknown>()))
            .then(stage::last_touched)
            .flatten()
    })
}

fn diagnostic_of(sources: &Sources, error: &EvalAltResult, stop: &Stop) -> Diagnostic {
    let (message, hint, code) = match stop {
        Stop::Failed(fault) => (fault.to_string(), fault.hint.clone(), "script"),
        Stop::Halted(halt) => (halt.to_string(), None, "halt"),
    };
    let mut places = Vec::new();
    unwind(error, &sources.main, &mut places);
    let mut found = Diagnostic::error(code, clean(&message));
    if let Some(hint) = hint {
        found = found.hinted(clean(&hint));
    }
    if let EvalAltResult::ErrorRuntime(value, _) = innermost(error)
        && let Some(at) = value.read_lock::<Carried>().and_then(|carried| carried.1.clone())
    {
        let text = sources.text(&at.file);
        found = found.at(at, "", text);
    }
    // The message stands above: on the line where it happened it says nothing new, and neither does "in this closure".
    let mut above = None;
    for (depth, (file, at, label)) in places.into_iter().rev().enumerate() {
        let line = Some((file.clone(), at.line()));
        if depth > 0 && line == above {
            continue;
        }
        above = line;
        let label = if depth == 0 { String::new() } else { label };
        found = found.at(profile::location(&file, at), label, sources.text(&file));
    }
    found
}

/// Handles as people read them.
fn clean(text: &str) -> String {
    crate::model::unknown::readable(&crate::model::secret::readable(text))
}

/// Places from the outermost to the innermost. A call's position belongs to the outer source, what is inside to its own.
fn unwind(error: &EvalAltResult, source: &str, places: &mut Vec<(String, Position, String)>) {
    match error {
        EvalAltResult::ErrorInFunctionCall(name, inner_source, inner, at) => {
            if !at.is_none() {
                let label = if name.starts_with("anon$") {
                    "in this closure".into()
                } else {
                    format!("in this call of `{name}`")
                };
                places.push((source.to_owned(), *at, label));
            }
            let next = if inner_source.is_empty() { source } else { inner_source };
            unwind(inner, next, places);
        }
        EvalAltResult::ErrorInModule(path, inner, at) => {
            if !at.is_none() {
                places.push((source.to_owned(), *at, "imported here".into()));
            }
            unwind(inner, if path.is_empty() { source } else { path }, places);
        }
        other => {
            if !other.position().is_none() {
                places.push((source.to_owned(), other.position(), String::new()));
            }
        }
    }
}

/// A file that does not parse.
pub(crate) fn parse_error(path: &str, text: &Arc<str>, error: &ParseError) -> Diagnostic {
    let ParseError(kind, at) = error;
    let mut found =
        Diagnostic::error("syntax", parse_message(kind)).at(profile::location(path, *at), "", Arc::clone(text));
    if let Some(hint) = parse_hint(kind) {
        found = found.hinted(hint);
    }
    found
}

fn parse_message(kind: &ParseErrorType) -> String {
    match kind {
        ParseErrorType::VariableUndefined(name) => format!("there is no variable or function `{name}`"),
        ParseErrorType::ModuleUndefined(name) => format!("there is no family of words and no import `{name}`"),
        ParseErrorType::ForbiddenVariable(name) => {
            format!("`{name}` is the run's own and cannot be the name of a variable")
        }
        ParseErrorType::Reserved(name) => format!("`{name}` is a keyword and cannot be used here"),
        other => other.to_string(),
    }
}

fn parse_hint(kind: &ParseErrorType) -> Option<String> {
    let text = kind.to_string();
    let about = |word: &str| text.contains(&format!("'{word}'"));
    if about("switch") {
        return Some("`switch` takes its default arm without a word when kinds differ; write if … else if …".into());
    }
    if about("eval") {
        return Some("`eval` would run text that nobody reviewed; write the code itself".into());
    }
    if about("default") {
        return Some("a parameter's value when none is given is written `or: …`".into());
    }
    match kind {
        ParseErrorType::Reserved(name) => Some(format!("as a column, read it as row[\"{name}\"]")),
        ParseErrorType::VariableUndefined(name) => {
            let known: Vec<String> = profile::RESOLVED.iter().map(ToString::to_string).collect();
            let near = super::vocabulary::did_you_mean(name, &known);
            near.strip_prefix(", ").map(str::to_owned)
        }
        _ => None,
    }
}

/// An error of Rhai's own in words that authors know.
fn message(error: &EvalAltResult) -> String {
    match error {
        EvalAltResult::ErrorFunctionNotFound(signature, _) => not_found(signature),
        EvalAltResult::ErrorPropertyNotFound(name, _) => format!("there is no field `{name}`"),
        EvalAltResult::ErrorMismatchDataType(wanted, actual, _)
        | EvalAltResult::ErrorMismatchOutputType(wanted, actual, _) => {
            format!("{} is needed here, and this is {}", plain(wanted), plain(actual))
        }
        EvalAltResult::ErrorDataRace(what, _) => {
            format!("{what} is in use already: put it into a variable of its own first")
        }
        EvalAltResult::ErrorTooManyOperations(_) => {
            "the script runs away: it did more than 50 million operations".into()
        }
        EvalAltResult::ErrorStackOverflow(_) => "functions call each other too deeply".into(),
        EvalAltResult::ErrorFor(_) => "`for` needs a list or a range".into(),
        EvalAltResult::ErrorAssignmentToConstant(name, _) => {
            format!("`{name}` cannot be changed here: it is a constant, or captured from outside of the step")
        }
        EvalAltResult::ErrorNonPureMethodCallOnConstant(name, _) => {
            format!("`{name}` would change a value that is a constant, or captured from outside of the step")
        }
        other => {
            let mut copy = other.to_string();
            // Rhai adds its own position; ours stands beside the source line.
            if let Some((before, _)) = copy.rsplit_once(" (line ") {
                copy = before.to_owned();
            }
            plain(&copy)
        }
    }
}

/// A call that fits no word: name the word as it is written in the reference.
fn not_found(signature: &str) -> String {
    let name = signature.split(" (").next().unwrap_or_default().trim();
    if let Some(word) = words().into_iter().find(|word| word.name == name) {
        return format!("`{name}` is not called like this; it is {}", word.signature);
    }
    let names: Vec<String> = words().iter().map(|word| word.name.to_owned()).collect();
    let types = plain(signature.strip_prefix(name).unwrap_or_default().trim());
    format!("there is no function `{name}` of {types}{}", super::vocabulary::did_you_mean(name, &names))
}

/// Rhai's names of types as words.
fn plain(text: &str) -> String {
    let mut text = text.to_owned();
    for (rust, word) in [
        ("&str | ImmutableString | String", "text"),
        ("alloc::string::String", "text"),
        ("ImmutableString", "text"),
        ("string", "text"),
        ("i64", "integer"),
        ("f64", "number"),
        ("bool", "true or false"),
        ("array", "list"),
        ("rhai::FnPtr", "closure"),
        ("Fn", "closure"),
        ("()", "nothing"),
    ] {
        text = text.replace(rust, word);
    }
    text
}
