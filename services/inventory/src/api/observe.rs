//! What is logged and counted of every request: never its body, query or token.

use std::time::Duration;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use process::metrics::{Counter, Description, Histogram, Label, Metric, Metrics};
use tokio::time::Instant;
use tracing::Instrument;
use uuid::Uuid;

use super::PREFIX;
use super::auth::Caller;
use super::problem::Problem;

/// A request that is not answered after this is given up; what it was doing in the database is rolled back. Imports and
/// answers that are streamed may take longer.
const REQUEST_TIME_MAX: Duration = Duration::from_mins(1);
/// An import that is not answered after this is given up; sent again with its key it goes on where it was.
const IMPORT_TIME_MAX: Duration = Duration::from_mins(10);

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Every route there is, without the prefix; a test compares it with the OpenAPI document.
pub(super) const ROUTES: &[&str] = &[
    "/alerts",
    "/alerts/test",
    "/alerts/{id}/acknowledge",
    "/approvals",
    "/approvals/{id}/{decision}",
    "/check",
    "/dead",
    "/dead/{id}/{action}",
    "/drifts",
    "/drifts/decide",
    "/explain/{sku}",
    "/export/movements",
    "/export/orders",
    "/grants/done",
    "/grants/keys",
    "/grants/{id}",
    "/health",
    "/imports",
    "/movements",
    "/openapi.json",
    "/operations",
    "/orders/{shop}/{id}",
    "/orders/{shop}/{id}/release",
    "/orders/{shop}/{id}/shipments",
    "/orders/{shop}/{id}/shipments/{number}/retry",
    "/orphans",
    "/parked",
    "/parked/map",
    "/reconciliations/{id}",
    "/reconciliations/{id}/stocks",
    "/shipments/untold",
    "/shops",
    "/shops/{name}",
    "/shops/{name}/counts",
    "/shops/{name}/doctor",
    "/shops/{name}/mappings",
    "/shops/{name}/mappings/export",
    "/shops/{name}/mappings/import",
    "/shops/{name}/reconcile",
    "/shops/{name}/reconciliations",
    "/shops/{name}/republish",
    "/shops/{name}/unmapped",
    "/shops/{name}/{job}",
    "/stock",
    "/stock/export",
    "/tasks/{id}",
    "/tokens",
    "/tokens/{id}",
    "/warehouses",
];

const ROUTE: Label = Label { name: "route", values: ROUTES };
const OUTCOME: Label = Label { name: "outcome", values: &["answered", "refused", "failed"] };

const REQUESTS: Metric<Counter> = Metric::counter(
    "onhand_api_requests_total",
    "Requests to the API: answered (2xx, 3xx), refused (4xx) or failed (5xx).",
    &[ROUTE, OUTCOME],
);
const DURATION: Metric<Histogram> = Metric::histogram(
    "onhand_api_request_seconds",
    "Time to the head of the answer.",
    &[ROUTE],
    &[0.005, 0.025, 0.1, 0.5, 2.5, 10.0, 60.0],
);

/// The metrics of this module.
pub(super) const METRICS: &[Description] = &[REQUESTS.description(), DURATION.description()];

/// Sees every request.
#[derive(Debug, Clone)]
pub(super) struct Observer {
    requests: Counter,
    duration: Histogram,
}

impl Observer {
    pub(super) fn new(metrics: &Metrics) -> Self {
        Self { requests: metrics.counter(&REQUESTS), duration: metrics.histogram(&DURATION) }
    }
}

/// Id of a request: in its log lines, in its answer, and the trace of what it moves if it brings none and has no span.
#[derive(Debug, Clone, Copy)]
pub(super) struct RequestId(Uuid);

impl RequestId {
    /// The trace context the caller sent, or one of its own.
    pub(super) fn traceparent(self, headers: &HeaderMap) -> String {
        sent_traceparent(headers).map_or_else(|| self.own_trace(), str::to_owned)
    }

    fn own_trace(self) -> String {
        let (_, low) = self.0.as_u64_pair();
        format!("00-{}-{low:016x}-00", self.0.simple())
    }
}

/// A shop has granted its keys.
pub(super) fn granted(shop: &str) {
    tracing::info!(shop.name = shop, "a shop has granted the keys of its REST API");
}

/// The trace context that the caller sent.
pub(super) fn sent_traceparent(headers: &HeaderMap) -> Option<&str> {
    let sent = headers.get(TRACEPARENT).and_then(|value| value.to_str().ok());
    sent.filter(|sent| is_traceparent(sent))
}

/// `version-trace-parent-flags`, all in lower-case hex.
fn is_traceparent(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
    let hex = |part: &&str| part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    lengths == [2, 32, 16, 2] && parts.iter().all(hex)
}

/// Gives each request an id and a time limit, counts and logs it.
pub(super) async fn observe(State(observer): State<Observer>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = RequestId(Uuid::now_v7());
    request.extensions_mut().insert(id);
    let method = request.method().clone();
    let path = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let route = path.as_deref().and_then(|path| path.strip_prefix(PREFIX)).unwrap_or("other").to_owned();
    let span = tracing::info_span!("api", request.id = %id.0, http.route = %route, http.method = %method);
    let limit = if route == "/imports" { IMPORT_TIME_MAX } else { REQUEST_TIME_MAX };
    let answer = tokio::time::timeout(limit, next.run(request)).instrument(span.clone()).await;
    let mut response = answer.unwrap_or_else(|_| Problem::timed_out().into_response());
    let status = response.status();
    let outcome = match status.as_u16() {
        ..400 => "answered",
        400..500 => "refused",
        500.. => "failed",
    };
    observer.requests.increment(&[&route, outcome]);
    observer.duration.observe(&[&route], started.elapsed());
    let actor = response.extensions().get::<Caller>().map_or("", |caller| &caller.name);
    span.in_scope(|| {
        let elapsed_ms = started.elapsed().as_millis();
        if method == Method::GET && !status.is_server_error() {
            tracing::debug!(status = status.as_u16(), actor, elapsed_ms, "answered");
        } else {
            tracing::info!(status = status.as_u16(), actor, elapsed_ms, "answered");
        }
    });
    let id = HeaderValue::from_str(&id.0.to_string()).expect("an id is plain ASCII");
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, id);
    // Secrets are told once, and stock is old the moment after.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_has_its_series() {
        let document: serde_json::Value = serde_json::from_str(&super::super::openapi()).unwrap();
        let paths = document.get("paths").unwrap().as_object().unwrap().keys();
        let mut described: Vec<&str> = paths.map(|path| path.strip_prefix(PREFIX).unwrap()).collect();
        // Those that shops, browsers and programs without a token call.
        described.extend(["/openapi.json", "/grants/done", "/grants/keys"]);
        described.sort_unstable();
        let mut counted = ROUTES.to_vec();
        counted.sort_unstable();
        assert_eq!(counted, described);
    }

    #[test]
    fn a_trace_is_taken_from_the_caller() {
        let own = RequestId(Uuid::from_u128(7));
        let trace = |sent: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(TRACEPARENT, sent.parse().unwrap());
            own.traceparent(&headers)
        };
        let sent = "00-0102030405060708090a0b0c0d0e0f10-00f067aa0ba902b7-01";
        assert_eq!(trace(sent), sent);
        for wrong in
            ["", "00-ff-00f067aa0ba902b7-01", "00-0102030405060708090A0B0C0D0E0F10-00f067aa0ba902b7-01"]
        {
            assert_eq!(trace(wrong), "00-00000000000000000000000000000007-0000000000000007-00", "{wrong}");
        }
        assert!(is_traceparent(&own.own_trace()));
    }
}
