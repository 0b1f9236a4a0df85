//! What of an answer leaves the effect: the parts that were asked for, or all of it without any secret that is known.

use serde_json::Map;

use super::client::{Answer, short};
use super::open::opened;
use crate::model::Value;
use crate::model::fault::{Fault, FaultClass};
use crate::model::request::http::{Compared, HttpSend};
use crate::model::scan;
use crate::model::secret::Vault;

/// The largest answer that is kept.
const KEPT: usize = 1_000_000;
/// How much of a body is searched for secrets before a part of it is shown.
const SEARCHED: usize = 64 << 10;

/// The answer of an exchange that went well, as the script gets it. `changed` where asking was a change.
pub fn answered(
    request: &HttpSend,
    answer: &Answer,
    vault: &Vault,
    changed: bool,
    name: &dyn Fn(&str) -> String,
) -> Result<Value, Fault> {
    let body: Option<Value> = serde_json::from_slice(&answer.body).ok();
    let unreadable = || {
        // Something came back for a change, and nobody can tell what it says.
        let class = if changed { FaultClass::Unknown } else { FaultClass::Fatal };
        let why = format!("{}: HTTP {}, and the body is no JSON", request.line(), answer.status);
        with_body(Fault::new(class, "http.answer", why), answer, vault)
    };
    if let Some(pointer) = &request.fail {
        refuse_said(request, answer, body.as_ref().ok_or_else(unreadable)?, pointer, vault)?;
    }
    let mut given = Map::from_iter([("status".to_owned(), answer.status.into())]);
    if request.picks() {
        let body = body.as_ref().ok_or_else(unreadable)?;
        for (key, pointer) in &request.take {
            given.insert(key.clone(), body.pointer(pointer).cloned().unwrap_or_default());
        }
        clean(request, &mut given, vault)?;
        for (key, compared) in &request.same {
            given.insert(key.clone(), same(body, compared, vault)?.into());
        }
        for (key, pointer) in &request.secret {
            let value = match body.pointer(pointer) {
                None | Some(Value::Null) => Value::Null,
                Some(Value::String(text)) => vault.keep(&name(key), text.as_str()).into(),
                Some(_) => {
                    return Err(Fault::fatal("http.pointer", format!("{}: {pointer} is not text", request.line())));
                }
            };
            given.insert(key.clone(), value);
        }
    } else {
        match body {
            Some(body) => given.insert("json".to_owned(), body),
            None => given.insert("text".to_owned(), String::from_utf8_lossy(&answer.body).into()),
        };
        clean(request, &mut given, vault)?;
    }
    Ok(Value::Object(given))
}

/// Takes known secrets out, and refuses what must not be kept.
fn clean(request: &HttpSend, given: &mut Map<String, Value>, vault: &Vault) -> Result<(), Fault> {
    let whole = Value::Object(std::mem::take(given));
    scan::refuse_handles_in(&whole, &format!("the answer of {}", request.line()))?;
    if whole.to_string().len() > KEPT {
        let why = format!("{}: the answer is larger than {KEPT} bytes, too large for the journal", request.line());
        return Err(Fault::fatal("result.large", why).hinted("take only what is needed of it: #{ take: #{ … } }"));
    }
    if let Value::Object(map) = vault.redact_value(whole) {
        *given = map;
    }
    Ok(())
}

fn same(body: &Value, compared: &Compared, vault: &Vault) -> Result<bool, Fault> {
    let found = body.pointer(&compared.at).unwrap_or(&Value::Null);
    let has = match &compared.has {
        Some(text) => found.as_str().unwrap_or_default().contains(&vault.open(text)?),
        None => true,
    };
    let equal = match &compared.equal {
        Some(value) => *found == opened(value, vault)?,
        None => true,
    };
    Ok(has && equal)
}

/// Refuses an answer that reports errors in its body.
fn refuse_said(request: &HttpSend, answer: &Answer, body: &Value, pointer: &str, vault: &Vault) -> Result<(), Fault> {
    match messages(body, pointer) {
        None => Ok(()),
        Some(said) => {
            let said = short(&vault.redact(&said));
            let fault = Fault::fatal("http.answered", format!("{}: {said}", request.line()));
            Err(fault.detailed(format!("HTTP {}", answer.status)))
        }
    }
}

/// The messages that a body has at a pointer, unless it is absent or empty.
fn messages(body: &Value, pointer: &str) -> Option<String> {
    let message = |one: &Value| match one.get("message").and_then(Value::as_str) {
        Some(text) => match &one["code"] {
            Value::Number(code) => format!("{code} {text}"),
            _ => text.to_owned(),
        },
        None => one.as_str().map_or_else(|| one.to_string(), str::to_owned),
    };
    match body.pointer(pointer)? {
        Value::Null | Value::Bool(false) => None,
        Value::Array(items) => {
            let said: Vec<String> = items.iter().map(message).collect();
            (!said.is_empty()).then(|| said.join("; "))
        }
        Value::Object(map) if map.is_empty() => None,
        Value::String(text) if text.is_empty() => None,
        one => Some(message(one)),
    }
}

/// The fault of a status that is no success.
pub fn refused(request: &HttpSend, answer: &Answer, vault: &Vault, class: FaultClass) -> Fault {
    let code = format!("http.{}", answer.status);
    let fault = Fault::new(class, code, format!("{}: HTTP {}", request.line(), answer.status));
    let body: Option<Value> = serde_json::from_slice(&answer.body).ok();
    match request.fail.as_ref().and_then(|pointer| messages(body.as_ref()?, pointer)) {
        Some(said) => fault.detailed(short(&vault.redact(&said))),
        None => with_body(fault, answer, vault),
    }
}

/// Adds the beginning of the body, without secrets.
fn with_body(fault: Fault, answer: &Answer, vault: &Vault) -> Fault {
    let body = &answer.body[..answer.body.len().min(SEARCHED)];
    let text = vault.redact(&String::from_utf8_lossy(body));
    // A secret that is cut in two where the search ends is behind what is shown.
    let text = short(text.trim());
    if text.is_empty() { fault } else { fault.detailed(text) }
}
