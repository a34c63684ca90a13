//! How the API answers: JSON, and problems with a sentence.

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::store::sql::StoreError;

/// An answer that is not what was asked for.
#[derive(Debug)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    pub(crate) text: String,
}

impl Problem {
    pub(crate) fn bad(text: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, text: text.into() }
    }

    pub(crate) fn absent(what: &str) -> Self {
        Self { status: StatusCode::NOT_FOUND, text: format!("no such {what}") }
    }
}

impl From<StoreError> for Problem {
    fn from(e: StoreError) -> Self {
        let status = match e {
            StoreError::Absent(_) => StatusCode::NOT_FOUND,
            StoreError::Refused(_) => StatusCode::BAD_REQUEST,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self { status, text: e.to_string() }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = Json(json!({ "status": "error", "error": self.text }));
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            return (self.status, [(header::RETRY_AFTER, "5")], body).into_response();
        }
        (self.status, body).into_response()
    }
}
