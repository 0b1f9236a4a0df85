//! What the service says when it refuses, in its own words.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::backing::StorageError;
use crate::model::fault::Fault;

/// A refusal; the request id is added where the answer is written.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// The HTTP status.
    pub status: StatusCode,
    /// The code, most often the empty text.
    pub code: &'static str,
    /// The message.
    pub message: String,
    /// Seconds that the client is told to wait, if it is told.
    pub retry_after: Option<u64>,
}

impl Refusal {
    /// One with the empty code.
    pub fn new(status: u16, message: impl Into<String>) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self { status, code: "", message: message.into(), retry_after: None }
    }

    /// With a code.
    pub fn coded(status: u16, code: &'static str, message: &str) -> Self {
        Self { code, ..Self::new(status, message) }
    }

    /// 404 for something that is not there.
    pub fn missing(what: &str) -> Self {
        Self::new(404, format!("{what} not found"))
    }

    /// 423: nothing was executed.
    pub fn locked() -> Self {
        Self::new(423, "project already has running conflicting operations, scheduling of new ones is prohibited")
    }

    /// 409 for a branch name that is taken.
    pub fn branch_exists(name: &str) -> Self {
        Self::new(409, format!("branch already exists; branch_name:\"{name}\""))
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self::new(500, fault.to_string())
    }
}

impl From<StorageError> for Refusal {
    fn from(error: StorageError) -> Self {
        match error {
            // The service's own words for this are not known.
            StorageError::OutOfHistory { earliest, latest } => {
                Self::new(400, format!("the requested point is outside of the history, {earliest} to {latest}"))
            }
            StorageError::Failed(fault) => fault.into(),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}
