//! The requests of `http::…`: one request to a service, and which parts of its answer matter.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Request;
use crate::model::Value;

/// `http::get`, `http::post`, `http::put`, `http::patch`, `http::delete`. Secrets stand in it as handles.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HttpSend {
    /// `GET`, `POST` …
    pub method: String,
    /// Where to.
    pub url: String,
    /// Headers beside ours.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// A body that goes as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub json: Option<Value>,
    /// A body that goes as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Statuses that count as success, from and to; 200 to 299 when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ok: Vec<(u16, u16)>,
    /// Parts that are answered as they are, by JSON pointer.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub take: BTreeMap<String, String>,
    /// Parts that are answered as handles.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secret: BTreeMap<String, String>,
    /// Parts that are compared where they are read, and answered as true or false.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub same: BTreeMap<String, Compared>,
    /// What must not be there, or be empty, in the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fail: Option<String>,
    /// The header that carries the same value on every attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Most requests a second by these headers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_second: Option<f64>,
}

/// A part of an answer, and what it is compared with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Compared {
    /// Where it stands, as a JSON pointer.
    pub at: String,
    /// What it is compared with.
    #[serde(rename = "value", default, skip_serializing_if = "Option::is_none")]
    pub equal: Option<Value>,
    /// Text that it is looked for in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub has: Option<String>,
}

impl HttpSend {
    /// Whether only parts of the answer were asked for.
    pub fn picks(&self) -> bool {
        !(self.take.is_empty() && self.secret.is_empty() && self.same.is_empty())
    }

    /// The request in a line for people, without what may be secret in its URL.
    pub fn line(&self) -> String {
        format!("{} {}", self.method, shown(&self.url))
    }
}

impl Request for HttpSend {
    // The action says which of the five it is.
    const WORD: &'static str = "http::get";
}

/// A URL without credentials, query and fragment.
pub fn shown(url: &str) -> String {
    let plain = url.split(['?', '#']).next().unwrap_or_default();
    match plain.split_once("://") {
        None => plain.to_owned(),
        Some((scheme, rest)) => {
            let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            let host = authority.rsplit('@').next().unwrap_or_default();
            format!("{scheme}://{host}{path}")
        }
    }
}

/// `consumers()`: what is configured of those who use a database. Answers a list of maps.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Consumers {}

impl Request for Consumers {
    const WORD: &'static str = "consumers";
}
