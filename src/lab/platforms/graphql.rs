//! As much of GraphQL as clients of Railway write: one root field, arguments by variable, and a selection.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// A query that was understood.
pub struct Query {
    /// Whether it changes something.
    pub mutation: bool,
    /// Its root field.
    pub field: String,
    /// The arguments of that, with the variables filled in.
    pub args: BTreeMap<String, Value>,
    selection: Option<Selection>,
}

#[derive(Default)]
struct Selection(Vec<(String, Option<Selection>)>);

/// Reads a request's body; the error is what the service says.
pub fn read(body: &Value) -> Result<Query, String> {
    let text = body["query"].as_str().ok_or("Must provide a query string.")?;
    let mut tokens = tokens(text).into_iter().peekable();
    let mutation = match tokens.peek().map(String::as_str) {
        Some("mutation") => true,
        Some("query" | "{") => false,
        _ => return Err("Syntax Error: Unexpected token.".to_owned()),
    };
    while tokens.peek().is_some_and(|token| token != "{") {
        tokens.next();
    }
    tokens.next();
    let field = tokens.next().filter(|token| is_name(token)).ok_or("Syntax Error: Expected Name.")?;
    let mut args = BTreeMap::new();
    if tokens.peek().is_some_and(|token| token == "(") {
        tokens.next();
        while let Some(name) = tokens.next().filter(|token| token != ")") {
            let colon = tokens.next();
            let variable = tokens.next().and_then(|token| token.strip_prefix('$').map(str::to_owned));
            let (Some(":"), Some(variable)) = (colon.as_deref(), variable) else {
                return Err("Problem processing request".to_owned());
            };
            args.insert(name, body["variables"][variable.as_str()].clone());
        }
    }
    let selection = match tokens.peek().map(String::as_str) {
        Some("{") => Some(selection(&mut tokens)?),
        _ => None,
    };
    Ok(Query { mutation, field, args, selection })
}

impl Query {
    /// An argument as text.
    pub fn text(&self, name: &str) -> Result<String, String> {
        let value = self.args.get(name).and_then(Value::as_str);
        value
            .map(str::to_owned)
            .ok_or_else(|| format!("Variable \"${name}\" of required type \"String!\" was not provided."))
    }

    /// The answer, with the fields that were selected.
    pub fn answered(&self, value: &Value) -> Result<Value, String> {
        let value = picked(&self.field, value, self.selection.as_ref())?;
        Ok(json!({ "data": { self.field.as_str(): value } }))
    }
}

/// The answer that reports an error: its status is 200 all the same.
pub fn failed(field: &str, message: &str) -> Value {
    json!({ "errors": [{ "message": message, "path": [field], "extensions": { "code": "INTERNAL_SERVER_ERROR" } }], "data": null })
}

fn picked(name: &str, value: &Value, selection: Option<&Selection>) -> Result<Value, String> {
    match (value, selection) {
        // A map of variables is a scalar to them.
        (Value::Object(map), None) if map.contains_key("id") || map.contains_key("latestDeployment") => {
            Err(format!("Field \"{name}\" must have a selection of subfields."))
        }
        (Value::Object(map), Some(selection)) => {
            let mut found = Map::new();
            for (key, below) in &selection.0 {
                let inner = map.get(key).ok_or_else(|| format!("Cannot query field \"{key}\" on type \"{name}\"."))?;
                found.insert(key.clone(), picked(key, inner, below.as_ref())?);
            }
            Ok(Value::Object(found))
        }
        (Value::Null | Value::Object(_), _) | (_, None) => Ok(value.clone()),
        (_, Some(_)) => Err(format!("Field \"{name}\" must not have a selection since its type has no subfields.")),
    }
}

fn selection(tokens: &mut std::iter::Peekable<std::vec::IntoIter<String>>) -> Result<Selection, String> {
    let mut found = Selection::default();
    tokens.next();
    while let Some(token) = tokens.next() {
        if token == "}" {
            return Ok(found);
        }
        if !is_name(&token) {
            break;
        }
        let below = match tokens.peek().map(String::as_str) {
            Some("{") => Some(selection(tokens)?),
            _ => None,
        };
        found.0.push((token, below));
    }
    Err("Syntax Error: Expected Name.".to_owned())
}

fn is_name(token: &str) -> bool {
    token.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
}

fn tokens(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut joined = false;
    for c in text.chars() {
        let part = c.is_ascii_alphanumeric() || c == '_' || c == '$';
        match found.last_mut() {
            Some(last) if part && joined && c != '$' => last.push(c),
            _ if c.is_whitespace() || c == ',' => {}
            _ => found.push(c.to_string()),
        }
        joined = part;
    }
    found
}
