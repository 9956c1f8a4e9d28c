//! Every error of the API: what the caller is told (RFC 9457), kept apart from what caused it.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use process::error_chain;
use serde::Serialize;
use utoipa::ToSchema;

/// Media type of every error.
const CONTENT_TYPE: &str = "application/problem+json";
/// Most rows or lines one problem tells the reasons of.
pub(super) const REASONS_MAX: usize = 1_000;
/// When a busy database is worth another try, in seconds.
const RETRY_AFTER_SECONDS: &str = "5";

/// What kind of problem it is; fixes status, type and title.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    BadRequest,
    Unauthorized,
    Forbidden,
    NotFound,
    MethodNotAllowed,
    NameTaken,
    AddressTaken,
    SkuTaken,
    KeyReused,
    InsufficientAvailable,
    NotReserved,
    NotNow,
    TooLarge,
    UnsupportedMediaType,
    Invalid,
    Internal,
    Unavailable,
    TimedOut,
}

impl Kind {
    const fn facts(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::BadRequest => (StatusCode::BAD_REQUEST, "bad-request", "The request cannot be read"),
            Self::Unauthorized => (StatusCode::UNAUTHORIZED, "unauthorized", "A valid token is needed"),
            Self::Forbidden => (StatusCode::FORBIDDEN, "forbidden", "The token does not allow this"),
            Self::NotFound => (StatusCode::NOT_FOUND, "not-found", "There is no such thing"),
            Self::MethodNotAllowed => {
                (StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "This cannot be done here")
            }
            Self::NameTaken => (StatusCode::CONFLICT, "name-taken", "The name is taken"),
            Self::AddressTaken => (StatusCode::CONFLICT, "address-taken", "The shop is connected already"),
            Self::SkuTaken => (StatusCode::CONFLICT, "sku-taken", "Another stock of the shop has the SKU"),
            Self::KeyReused => {
                (StatusCode::CONFLICT, "key-reused", "The idempotency key was used for something else")
            }
            Self::InsufficientAvailable => {
                (StatusCode::CONFLICT, "insufficient-available", "More would be taken than is available")
            }
            Self::NotReserved => {
                (StatusCode::CONFLICT, "not-reserved", "More would be shipped than is reserved")
            }
            Self::NotNow => (StatusCode::CONFLICT, "not-now", "Its present state does not allow this"),
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "too-large", "The request is too large"),
            Self::UnsupportedMediaType => {
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", "The body has another type")
            }
            Self::Invalid => {
                (StatusCode::UNPROCESSABLE_ENTITY, "invalid", "The request says something that cannot be")
            }
            Self::Internal => {
                (StatusCode::INTERNAL_SERVER_ERROR, "internal", "Something is broken on this side")
            }
            Self::Unavailable => {
                (StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Not possible at the moment")
            }
            Self::TimedOut => (StatusCode::GATEWAY_TIMEOUT, "timed-out", "It took too long"),
        }
    }
}

const INTERNAL_DETAIL: &str = "What happened is in the log, under the request id of this answer. Repeating a request that \
    only reads, or one with the same Idempotency-Key, is safe.";
const UNAVAILABLE_DETAIL: &str =
    "The database was busy and nothing was done. Repeating the same request is safe.";
const IN_DOUBT_DETAIL: &str = "The database went away at the last step, so it may have been done or not. Repeating a request \
    with the same Idempotency-Key is safe; of any other look first whether it was done.";
const TIMED_OUT_DETAIL: &str = "It may still have been done. Repeating a request that only reads, or one with the same \
    Idempotency-Key, is safe.";

/// An error on its way to the caller.
#[derive(Debug)]
pub(super) struct Problem {
    kind: Kind,
    /// For the caller.
    detail: String,
    reasons: Vec<Reason>,
    reason_count: usize,
    /// For the log only.
    cause: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// Why one row of a batch, or one line of a file, was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct Reason {
    /// Which: rows of a batch count from 1; lines of a file as an editor counts them.
    #[schema(example = 3)]
    pub(super) row: u64,
    /// Why.
    #[schema(example = "there is no warehouse \"mian\"")]
    pub(super) problem: String,
}

/// What an error looks like.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(super) struct ProblemBody {
    /// What kind of problem; stable, for programs.
    #[serde(rename = "type")]
    #[schema(example = "urn:onhand:problem:not-found")]
    kind: String,
    /// The kind in words.
    #[schema(example = "There is no such thing")]
    title: &'static str,
    /// The status code.
    #[schema(example = 404)]
    status: u16,
    /// What it is here, and what can be done. Says so where repeating the request is of no use or not safe.
    #[schema(example = "there is no shop \"berlin\"")]
    detail: String,
    /// Reasons by row or line, at most 1000, where the request was a batch: nothing of it was done.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    rows: Vec<Reason>,
    /// How many rows have one, where some are left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    row_count: Option<usize>,
}

impl Problem {
    pub(super) fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), reasons: Vec::new(), reason_count: 0, cause: None }
    }

    /// What is said of it.
    pub(super) fn detail(&self) -> &str {
        &self.detail
    }

    pub(super) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(Kind::BadRequest, detail)
    }

    pub(super) fn invalid(detail: impl Into<String>) -> Self {
        Self::new(Kind::Invalid, detail)
    }

    /// `what` is what there is not, as in `shop "berlin"`.
    pub(super) fn not_found(what: impl std::fmt::Display) -> Self {
        Self::new(Kind::NotFound, format!("there is no {what}"))
    }

    pub(super) fn internal(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self { cause: Some(cause.into()), ..Self::new(Kind::Internal, INTERNAL_DETAIL) }
    }

    pub(super) fn timed_out() -> Self {
        Self::new(Kind::TimedOut, TIMED_OUT_DETAIL)
    }

    /// Nothing of a batch was done; `count` rows have a reason, of which the first are told.
    pub(super) fn rows(
        kind: Kind,
        detail: impl Into<String>,
        mut reasons: Vec<Reason>,
        count: usize,
    ) -> Self {
        reasons.truncate(REASONS_MAX);
        Self { reasons, reason_count: count, ..Self::new(kind, detail) }
    }
}

impl From<store::Error> for Problem {
    fn from(error: store::Error) -> Self {
        let (kind, detail) = match error.class() {
            store::Class::Retry if error.is_in_doubt() => (Kind::Unavailable, IN_DOUBT_DETAIL),
            store::Class::Retry => (Kind::Unavailable, UNAVAILABLE_DETAIL),
            store::Class::Constraint | store::Class::Fatal => (Kind::Internal, INTERNAL_DETAIL),
        };
        Self { cause: Some(Box::new(error)), ..Self::new(kind, detail) }
    }
}

impl From<crate::Error> for Problem {
    fn from(error: crate::Error) -> Self {
        match error {
            crate::Error::Store(error) => error.into(),
            crate::Error::Broken { .. } => Self::internal(error),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, code, title) = self.kind.facts();
        if let Some(cause) = &self.cause {
            if self.kind == Kind::Unavailable {
                tracing::warn!(error = %error_chain(cause.as_ref()), "a request could not be served now");
            } else {
                tracing::error!(error = %error_chain(cause.as_ref()), "a request failed");
            }
        }
        let row_count = (self.reason_count > self.reasons.len()).then_some(self.reason_count);
        let body = ProblemBody {
            kind: format!("urn:onhand:problem:{code}"),
            title,
            status: status.as_u16(),
            detail: self.detail,
            rows: self.reasons,
            row_count,
        };
        let mut response = (status, axum::Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
        match self.kind {
            Kind::Unauthorized => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Kind::Unavailable => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_SECONDS));
            }
            _ => {}
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_database_may_be_asked_again() {
        for (doing, detail) in [("list shops", UNAVAILABLE_DETAIL), ("commit", IN_DOUBT_DETAIL)] {
            let problem = Problem::from(store::Error::Busy { doing, source: "locked".into() });
            assert_eq!(problem.detail, detail);
            let response = problem.into_response();
            assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
            assert_eq!(response.headers().get(header::RETRY_AFTER).unwrap(), RETRY_AFTER_SECONDS);
        }
        let damaged = store::Error::Damaged { what: "SKU", text: "?".to_owned() };
        assert_eq!(Problem::from(damaged).into_response().status(), StatusCode::INTERNAL_SERVER_ERROR);
    }

    #[test]
    fn the_cause_stays_inside() {
        let problem = Problem::internal(std::io::Error::other("/var/lib/secret is broken"));
        assert_eq!(problem.detail, INTERNAL_DETAIL);
        assert_eq!(problem.into_response().status(), StatusCode::INTERNAL_SERVER_ERROR);
    }
}
