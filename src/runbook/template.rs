//! SQL text with placeholders, and values to put there: every `{{ value }}` becomes a quoted literal.
//!
//! Values are plain data. `{{ name | ident }}` becomes a quoted name, `{{ secret | scram }}` a literal that the
//! door turns into a SCRAM verifier.

use std::fmt::Write as _;
use std::sync::{Arc, LazyLock};

use minijinja::value::{Object, Value as Jinja, ValueKind};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, State, UndefinedBehavior};

use super::sql_lexer::{self, MARK_CLOSE, MARK_OPEN};
use crate::model::{Value, secret, unknown};

/// Why a template could not be rendered.
#[derive(Debug)]
pub(crate) struct TemplateError {
    pub message: String,
    /// Line and column in the template, counted from 1; 0 where unknown.
    pub line: usize,
    pub column: usize,
    /// The step after which it can be.
    pub after: Option<String>,
}

/// Text that stands in the SQL as it is: a quoted name, or a literal that was made here.
#[derive(Debug)]
struct Verbatim(String);

impl Object for Verbatim {
    fn render(self: &Arc<Self>, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Something unknown, as a whole: its properties are as unknown as itself.
#[derive(Debug)]
struct Later(String);

impl Object for Later {
    fn get_value(self: &Arc<Self>, _: &Jinja) -> Option<Jinja> {
        Some(Jinja::from_object(Self(self.0.clone())))
    }
}

fn place(text: &str, at: usize) -> (usize, usize) {
    let before = &text[..at.min(text.len())];
    let line = before.rsplit('\n').next().unwrap_or_default();
    (before.matches('\n').count() + 1, line.chars().count() + 1)
}

/// Checks a template without values: where its placeholders stand, and that it can be parsed.
pub(crate) fn check(text: &str) -> Result<(), TemplateError> {
    let tokens = sql_lexer::lex(text, true);
    tokens.map_err(|refused| {
        let (line, column) = place(text, refused.at);
        TemplateError { message: refused.message, line, column, after: None }
    })?;
    environment().template_from_str(text).map(drop).map_err(|error| located(text, &error))
}

/// Checks that a template holds nothing but statements that may stand in a transaction of ours.
pub(crate) fn check_statements(text: &str) -> Result<(), TemplateError> {
    sql_lexer::check_statements(text).map_err(|refused| {
        let (line, column) = place(text, refused.at);
        TemplateError { message: refused.message, line, column, after: None }
    })
}

/// Names that a template takes from the values given, in order.
pub(crate) fn names(text: &str) -> Vec<String> {
    let environment = environment();
    let Ok(template) = environment.template_from_str(text) else { return Vec::new() };
    let mut names: Vec<String> = template.undeclared_variables(false).into_iter().collect();
    names.sort();
    names
}

/// Renders SQL; every value lies between two marks.
pub(crate) fn render(text: &str, args: &Value) -> Result<String, TemplateError> {
    check(text)?;
    if text.contains([MARK_OPEN, MARK_CLOSE]) {
        return Err(TemplateError {
            message: "the text holds a character (U+F0010, U+F0011) that Runsheet keeps for itself".into(),
            line: 0,
            column: 0,
            after: None,
        });
    }
    if let Some(step) = unknown::first_in(args)
        && !plain(text)
    {
        let message = "the template decides on a value that is not known yet".into();
        return Err(TemplateError { message, line: 0, column: 0, after: Some(step.to_owned()) });
    }
    environment().render_str(text, to_jinja(args)).map_err(|error| located(text, &error))
}

/// Whether every placeholder only names a value, so that nothing is decided or computed.
fn plain(text: &str) -> bool {
    !text.contains("{%")
        && text.split("{{").skip(1).all(|part| {
            let inside = part.split("}}").next().unwrap_or_default();
            inside.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | '|' | ' '))
                && !inside.split_whitespace().any(|word| matches!(word, "if" | "in" | "is" | "not" | "and" | "or"))
                && inside.split('|').skip(1).all(|filter| matches!(filter.trim(), "ident" | "scram"))
        })
}

/// Made once: it takes longer to make than a template takes to render.
fn environment() -> &'static Environment<'static> {
    static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(make_environment);
    &ENVIRONMENT
}

fn make_environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_keep_trailing_newline(true);
    environment.set_formatter(|out, _: &State<'_, '_>, value| {
        let literal = literal(value)?;
        if literal.contains([MARK_OPEN, MARK_CLOSE]) {
            return Err(invalid("a value holds a character (U+F0010, U+F0011) that Runsheet keeps for itself"));
        }
        out.write_char(MARK_OPEN)?;
        out.write_str(&literal)?;
        out.write_char(MARK_CLOSE)?;
        Ok(())
    });
    environment.add_filter("ident", |name: &Jinja| -> Result<Jinja, Error> {
        let later = name.downcast_object_ref::<Later>().map(|later| later.0.clone());
        let Some(name) = later.or_else(|| name.as_str().map(str::to_owned)) else {
            return Err(invalid("`ident` needs a name as text"));
        };
        if secret::contains_handle(&name) {
            return Err(invalid("a secret cannot be a name"));
        }
        if name.is_empty() || name.contains('\0') {
            return Err(invalid("a name must not be empty and must not hold a NUL character"));
        }
        Ok(Jinja::from_object(Verbatim(format!("\"{}\"", name.replace('"', "\"\"")))))
    });
    environment.add_filter("scram", |value: &Jinja| -> Result<Jinja, Error> {
        if let Some(later) = value.downcast_object_ref::<Later>() {
            return Ok(Jinja::from_object(Verbatim(later.0.clone())));
        }
        let Some(name) = value.as_str().and_then(secret::whole) else {
            return Err(invalid("`scram` needs a whole secret, as a parameter or random::password(n) gives it"));
        };
        Ok(Jinja::from_object(Verbatim(format!("'{}'", secret::handle(&format!("{name}|scram"))))))
    });
    environment
}

fn invalid(message: &'static str) -> Error {
    Error::new(ErrorKind::InvalidOperation, message)
}

fn to_jinja(value: &Value) -> Jinja {
    match value {
        Value::Null => Jinja::from(()),
        Value::Array(items) => items.iter().map(to_jinja).collect(),
        Value::Object(map) => map.iter().map(|(key, item)| (key.clone(), to_jinja(item))).collect(),
        Value::String(_) => match unknown::whole(value) {
            Some(step) => Jinja::from_object(Later(unknown::handle(step))),
            None => Jinja::from_serialize(value),
        },
        other => Jinja::from_serialize(other),
    }
}

/// A value as a SQL literal.
fn literal(value: &Jinja) -> Result<String, Error> {
    if let Some(verbatim) = value.downcast_object_ref::<Verbatim>() {
        return Ok(verbatim.0.clone());
    }
    if let Some(later) = value.downcast_object_ref::<Later>() {
        return Ok(later.0.clone());
    }
    match value.kind() {
        ValueKind::Undefined => Err(Error::new(ErrorKind::UndefinedError, "a value is missing")),
        ValueKind::None => Ok("NULL".into()),
        ValueKind::Bool => Ok(if value.is_true() { "true" } else { "false" }.into()),
        ValueKind::Number => {
            let text = value.to_string();
            match text.as_str() {
                "inf" | "-inf" | "NaN" => Err(invalid("not a finite number")),
                // `-{{ n }}` with a negative number would otherwise begin a comment.
                negative if negative.starts_with('-') => Ok(format!("({negative})")),
                _ => Ok(text),
            }
        }
        ValueKind::String => text_literal(value.as_str().unwrap_or_default()),
        ValueKind::Seq | ValueKind::Iterable => {
            let items: Result<Vec<String>, Error> = value.try_iter()?.map(|item| literal(&item)).collect();
            Ok(format!("ARRAY[{}]", items?.join(", ")))
        }
        ValueKind::Map => {
            let json = serde_json::to_string(value)
                .map_err(|error| Error::new(ErrorKind::BadSerialization, error.to_string()))?;
            text_literal(&json)
        }
        other => Err(Error::new(ErrorKind::InvalidOperation, format!("a value of kind {other} cannot stand in SQL"))),
    }
}

fn text_literal(text: &str) -> Result<String, Error> {
    if text.contains([secret::OPEN, secret::CLOSE]) {
        return Err(invalid(
            "a secret cannot stand in SQL, where logs would keep it; a password is set with `{{ pw | scram }}`",
        ));
    }
    if text.contains('\0') {
        return Err(invalid("a value holds a NUL character"));
    }
    let mut literal = String::with_capacity(text.len() + 2);
    let _ = write!(literal, "'{}'", text.replace('\'', "''"));
    Ok(literal)
}

fn located(text: &str, error: &Error) -> TemplateError {
    let (mut line, mut column) = (error.line().unwrap_or(0), 0);
    let mut message = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    if let Some(range) = error.range() {
        (line, column) = place(text, range.start);
        if error.kind() == ErrorKind::UndefinedError {
            let name = text.get(range).unwrap_or_default().trim_matches(['{', '}', ' ']);
            message = format!("`{name}` is used here and not among the values given");
        }
    }
    TemplateError { message, line, column, after: None }
}
