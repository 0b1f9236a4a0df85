//! A request as handlers get it, and the answer that they give.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{FromRequest, FromRequestParts, Query, RawPathParams, Request};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use super::clock;
use super::plane::Plane;
use super::refusal::Refusal;
use super::state::Project;

/// A request that was let through.
pub struct Call {
    /// The service.
    pub plane: Arc<Plane>,
    /// Parts of the path, decoded.
    pub path: BTreeMap<String, String>,
    /// What stands behind the question mark.
    pub query: BTreeMap<String, String>,
    /// The body; null if there was none.
    pub body: Value,
}

/// An answer.
pub struct Reply(pub u16, pub Value);

/// What a handler answers.
pub type Answer = Result<Reply, Refusal>;

/// 200 with a body.
#[expect(clippy::unnecessary_wraps, reason = "every handler ends with it")]
pub fn ok(body: Value) -> Answer {
    Ok(Reply(200, body))
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0).unwrap_or(StatusCode::OK);
        if status == StatusCode::NO_CONTENT {
            return status.into_response();
        }
        (status, axum::Json(self.1)).into_response()
    }
}

impl FromRequest<Arc<Plane>> for Call {
    type Rejection = Refusal;

    async fn from_request(request: Request, plane: &Arc<Plane>) -> Result<Self, Refusal> {
        let bad = |what: &str| Refusal::new(400, format!("the {what} cannot be read"));
        let (mut parts, body) = request.into_parts();
        let path = RawPathParams::from_request_parts(&mut parts, plane).await.map_err(|_| bad("path"))?;
        let path = path.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let query = Query::<BTreeMap<String, String>>::from_request_parts(&mut parts, plane).await;
        let query = query.map_err(|_| bad("query"))?.0;
        let body = axum::body::to_bytes(body, 64 << 20).await.map_err(|_| bad("body"))?;
        let body =
            if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).map_err(|_| bad("body"))? };
        Ok(Self { plane: Arc::clone(plane), path, query, body })
    }
}

impl Call {
    /// A part of the path.
    pub fn part(&self, name: &str) -> &str {
        self.path.get(name).map_or("", String::as_str)
    }

    /// The project of the path.
    pub fn project(&self) -> Result<Arc<Project>, Refusal> {
        self.plane.project(self.part("project"))
    }

    /// A value behind the question mark, if it is not empty.
    pub fn asked(&self, name: &str) -> Option<&str> {
        self.query.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Whether a value behind the question mark is `true`.
    pub fn says(&self, name: &str) -> bool {
        self.asked(name) == Some("true")
    }
}

/// A text of an object.
pub fn text<'a>(object: &'a Value, name: &str) -> Option<&'a str> {
    object.get(name).and_then(Value::as_str)
}

/// A time of an object, as shown; one without a zone is refused.
pub fn time(object: &Value, name: &str) -> Result<Option<chrono::DateTime<chrono::Utc>>, Refusal> {
    match object.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => read_time(name, value.as_str().unwrap_or_default()).map(Some),
    }
}

/// A time as shown.
pub fn read_time(name: &str, text: &str) -> Result<chrono::DateTime<chrono::Utc>, Refusal> {
    clock::parse(text).ok_or_else(|| Refusal::new(400, format!("{name} is no time in RFC 3339: {text:?}")))
}
