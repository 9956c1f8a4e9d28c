//! Who is asking and what they may do. Tokens are looked up by their hash, so no comparison tells anything of a token.

use std::sync::Arc;

use axum::extract::{FromRequestParts, MatchedPath, Request, State};
use axum::http::request::Parts as RequestParts;
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::Response;
use process::clock;
use process::telemetry::{TRACES, set_traceparent, traceparent_of};
use store::{Scope, Store};
use tracing::field::Empty;
use tracing::{Instrument as _, Span};

use super::observe::{RequestId, sent_traceparent};
use super::problem::{Kind, Problem};
use crate::Requester;

/// Longest token looked at, in characters; ours are shorter.
const TOKEN_CHARS_MAX: usize = 200;

/// Lets those pass whose token has a scope.
#[derive(Debug, Clone)]
pub(super) struct Gate {
    pub(super) store: Arc<Store>,
    pub(super) scope: Scope,
}

/// Who is asking.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    /// Name of the token: the actor of what is done.
    pub(super) name: Arc<str>,
    /// What it allows.
    pub(super) scope: Scope,
    /// W3C trace context of the request.
    pub(super) traceparent: String,
}

/// The gate, as a layer of each route.
pub(super) async fn admit(
    State(gate): State<Gate>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let token = bearer(request.headers()).ok_or_else(|| {
        Problem::new(Kind::Unauthorized, "send a token in the header `Authorization: Bearer …`")
    })?;
    let found = gate.store.use_token(token, clock::now()).await?;
    let Some(token) = found else {
        return Err(Problem::new(
            Kind::Unauthorized,
            "the token is unknown or was revoked; repeating the request with it is of no use",
        ));
    };
    if token.scope < gate.scope {
        return Err(Problem::new(
            Kind::Forbidden,
            format!("this needs a token of scope {}; this one has {}", gate.scope, token.scope),
        ));
    }
    // Only now that it is known who sends the trace it belongs to.
    let span = trace_span(&request);
    let id = request.extensions().get::<RequestId>();
    let sent = || id.map(|id| id.traceparent(request.headers())).unwrap_or_default();
    let traceparent = traceparent_of(&span).unwrap_or_else(sent);
    let caller = Caller { name: token.name.into(), scope: token.scope, traceparent };
    request.extensions_mut().insert(caller.clone());
    let mut response = next.run(request).instrument(span.clone()).await;
    span.record("http.response.status_code", response.status().as_u16());
    response.extensions_mut().insert(caller);
    Ok(response)
}

impl Caller {
    /// As the operations know it.
    pub(super) fn requester(&self) -> Requester {
        Requester { actor: self.name.to_string(), traceparent: Some(self.traceparent.clone()) }
    }
}

/// The span of a request: what it changes is in its trace. It goes on with the caller's trace, if there is one.
fn trace_span(request: &Request) -> Span {
    let span = tracing::info_span!(
        target: TRACES, parent: None, "request", otel.kind = "server", http.request.method = %request.method(),
        http.route = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str),
        http.response.status_code = Empty
    );
    if let Some(sent) = sent_traceparent(request.headers()) {
        set_traceparent(&span, sent);
    }
    span
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let text = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = text.split_once(' ')?;
    let token = token.trim();
    let fits = !token.is_empty() && token.len() <= TOKEN_CHARS_MAX;
    (scheme.eq_ignore_ascii_case("bearer") && fits).then_some(token)
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut RequestParts, _: &S) -> Result<Self, Problem> {
        parts
            .extensions
            .get::<Self>()
            .cloned()
            .ok_or_else(|| Problem::internal("a route that asks for its caller has no gate"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_counts_as_a_token() {
        let bearer_of = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, value.parse().unwrap());
            bearer(&headers).map(str::to_owned)
        };
        assert_eq!(bearer_of("Bearer abc").as_deref(), Some("abc"));
        assert_eq!(bearer_of("bearer  abc").as_deref(), Some("abc"));
        for wrong in ["abc", "Basic abc", "Bearer", "Bearer "] {
            assert_eq!(bearer_of(wrong), None, "{wrong}");
        }
        assert_eq!(bearer_of(&format!("Bearer {}", "x".repeat(201))), None);
    }
}
