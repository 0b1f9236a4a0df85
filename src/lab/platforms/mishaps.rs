//! Misbehaviour on purpose: what befalls the next request of a kind.

use std::collections::VecDeque;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

/// What can befall a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mishap {
    /// 429 with Retry-After, nothing done.
    Limited,
    /// 503 with Retry-After, nothing done.
    Unavailable,
    /// 500, after the work was done.
    Broken,
    /// The connection breaks after the work was done.
    Dropped,
    /// The connection breaks before anything is done.
    Cut,
    /// It says yes and forgets what it was told.
    Forgets,
}

/// What is to come, and what was asked.
#[derive(Debug, Default)]
pub struct Mishaps {
    waiting: VecDeque<(String, Mishap)>,
    /// What was asked, in order.
    pub asked: Vec<String>,
}

impl Mishaps {
    /// Takes `[[what, mishap], …]`; `*` is any request.
    pub fn add(&mut self, wish: &Value) -> Value {
        let given: Vec<(String, Mishap)> = serde_json::from_value(wish.clone()).unwrap_or_default();
        self.waiting.extend(given);
        json!({ "waiting": self.waiting.len() })
    }

    /// What befalls this request.
    pub fn of(&mut self, what: &str) -> Option<Mishap> {
        self.asked.push(what.to_owned());
        let at = self.waiting.iter().position(|(kind, _)| kind == what || kind == "*")?;
        self.waiting.remove(at).map(|(_, mishap)| mishap)
    }
}

/// The answer of a request that was refused before anything was done.
pub fn refused(mishap: Mishap) -> Option<Response> {
    let status = match mishap {
        Mishap::Limited => StatusCode::TOO_MANY_REQUESTS,
        Mishap::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Mishap::Cut => cut(),
        _ => return None,
    };
    let mut response = (status, "come back later").into_response();
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(1));
    response.headers_mut().insert("x-ratelimit-remaining", HeaderValue::from(0));
    Some(response)
}

/// What comes instead of the answer, once the work was done.
pub fn spoilt(mishap: Option<Mishap>, response: Response) -> Response {
    match mishap {
        Some(Mishap::Broken) => (StatusCode::INTERNAL_SERVER_ERROR, "internal error").into_response(),
        Some(Mishap::Dropped) => cut(),
        _ => response,
    }
}

/// Ends the task of this connection, which breaks off without an answer, and nothing is printed.
fn cut<T>() -> T {
    std::panic::resume_unwind(Box::new("dropped"))
}
