//! The one table from what the API says to what may be done next.
//!
//! The status decides; `code` and `message` only refine, for the first is often empty and the second was never promised.

use serde_json::Value;

use super::met::met;
use crate::effects::http::client::{Missed, short};
use crate::model::fault::{Fault, FaultClass};

/// The fault of an answer that is no success.
pub fn of_status(status: u16, body: Option<&Value>, what: &str, id: &str) -> Fault {
    let text = |key: &str| body.and_then(|body| body[key].as_str()).unwrap_or_default();
    let (said, code) = (text("message"), text("code"));
    let low = said.to_lowercase();
    let has = |part: &str| low.contains(part);
    if (400..500).contains(&status) {
        met("the code of a refusal", format_args!("HTTP {status} {}", if code.is_empty() { "without" } else { code }));
    }
    let (class, code, hint) = match status {
        401 => (
            FaultClass::Fatal,
            "neon.key",
            "the key in `neon.api_key` is wrong or was revoked; make one in the Console, under API keys",
        ),
        403 => (
            FaultClass::Fatal,
            "neon.denied",
            "the key has no right to this; an organization's or a project's key may be too narrow",
        ),
        // "It is gone" is believed of the API alone: a page of a proxy, or of a wrong address, says nothing of a branch.
        404 if said.is_empty() => (FaultClass::Fatal, "neon.answer", "is `neon.api_base` the address of the API?"),
        // Nor is a branch gone because the whole project is out of sight.
        404 if has("project not found") => (
            FaultClass::Fatal,
            "neon.project",
            "the key may not see it, or it is another one's: check `neon.project` and `neon.api_key`",
        ),
        404 => (
            FaultClass::Fatal,
            "neon.missing",
            "it is gone, belongs to another project, or the key may not see it: check `neon.project` and `neon.api_key`",
        ),
        409 => (FaultClass::Fatal, "neon.exists", "the name is taken: give another one"),
        412 => (FaultClass::Fatal, "neon.plan", "the project's plan or settings do not allow it"),
        423 => (
            FaultClass::Retryable,
            "neon.busy",
            "another operation of the project is at work; neon::operations shows it",
        ),
        429 => (FaultClass::Retryable, "neon.rate", "the account asks too often; other programs count too"),
        503 => (FaultClass::Retryable, "neon.unavailable", "the service is not available at the moment"),
        422 if code.contains("LIMIT_EXCEEDED") || has("limit exceeded") => (
            FaultClass::Fatal,
            "neon.limit",
            "delete branches that nobody needs (`runsheet plan branch-purge`), or raise the limit of the plan",
        ),
        422 if has("not ready yet") => (FaultClass::Retryable, "neon.busy", "the branch is still being made"),
        422 if has("protected") => (
            FaultClass::Fatal,
            "neon.protected",
            "the branch is protected; take the protection off first, if that is meant",
        ),
        422 if has("children") => (FaultClass::Fatal, "neon.children", "delete the branches below it first"),
        400..=499 => (FaultClass::Fatal, "neon.refused", ""),
        300..=399 => (
            FaultClass::Fatal,
            "neon.answer",
            "`neon.api_base` answers with a redirection: is it the address of the API?",
        ),
        // 500, 502, 504, 524 …: it may have been executed.
        _ => (FaultClass::Unknown, "neon.server", "look whether it happened"),
    };
    let said = match (said.is_empty(), body) {
        (false, _) => short(said),
        (true, Some(_)) => "it gave no reason".to_owned(),
        (true, None) => "the answer is no JSON, so a proxy gave it".to_owned(),
    };
    let known_as = body.and_then(|body| body["request_id"].as_str()).filter(|id| !id.is_empty()).unwrap_or(id);
    let fault = Fault::new(class, code, format!("{what}: {said}")).detailed(trace(status, known_as));
    if hint.is_empty() { fault } else { fault.hinted(hint) }
}

/// Whether nothing was executed and waiting is what is asked for.
pub fn is_busy(status: u16, fault: &Fault) -> bool {
    matches!(status, 423 | 429 | 503) || fault.code == "neon.busy"
}

/// The fault of a request that got no whole answer.
pub fn of_network(missed: &Missed, what: &str, id: &str) -> Fault {
    let why = missed.why();
    if matches!(missed, Missed::Unsent(_)) {
        return Fault::retryable("neon.unreachable", format!("{what}: the API cannot be reached: {why}"))
            .hinted("check the network, and `neon.api_base`");
    }
    Fault::unknown("neon.lost", format!("{what}: the answer of the API got lost: {why}"))
        .detailed(format!("request {id}"))
}

/// The fault of a success that cannot be read.
pub fn unreadable(status: u16, what: &str, id: &str) -> Fault {
    Fault::unknown("neon.answer", format!("{what}: the API's answer is no JSON")).detailed(trace(status, id))
}

/// The fault of an answer that lacks what it must have.
pub fn lacking(what: &str, part: &str) -> Fault {
    Fault::fatal("neon.answer", format!("{what}: the API's answer has no usable `{part}`"))
        .hinted("is `neon.api_base` the address of the API?")
}

fn trace(status: u16, id: &str) -> String {
    format!("HTTP {status}, request {}", short(id))
}
