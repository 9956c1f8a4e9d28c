//! The HTTP side: connections, faults, authentication, and the routes.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Body as _, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};

use super::auth::{Claim, authenticate};
use super::faults::{FaultKind, RetryAfter};
use super::json::Json;
use super::query::Query;
use super::reply::Reply;
use super::routes::Route;
use super::{Inner, dates, notes, orders, products, webhooks};
use crate::shop::{Change, Outcome, Progress, Refusal};

/// Largest request body, in bytes.
const BODY_MAX: usize = 16 * 1024 * 1024;
/// How long an open connection may take to finish once the shop stops.
const STOP_PATIENCE: Duration = Duration::from_secs(2);

/// The connection ends without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the connection is cut on purpose")]
struct Cut;

/// One request, taken apart.
pub(super) struct Call {
    pub(super) inner: Arc<Inner>,
    pub(super) route: Route,
    pub(super) query: Query,
    pub(super) body: Value,
    /// The address asked for, without the query.
    pub(super) address: String,
    /// Between the steps of a write.
    pause: Duration,
}

impl Call {
    /// Writes a change step by step, others being let in between.
    pub(super) async fn write(&self, change: Change) -> Result<Outcome, Refusal> {
        write(&self.inner, change, self.pause).await
    }
}

pub(super) async fn write(inner: &Inner, change: Change, pause: Duration) -> Result<Outcome, Refusal> {
    let mut writing = {
        let now = inner.now();
        inner.model().begin(change, now)?
    };
    loop {
        let progress = {
            let now = inner.now();
            inner.model().step(&mut writing, now)
        };
        if progress == Progress::Done {
            return Ok(writing.outcome().clone());
        }
        if pause.is_zero() {
            tokio::task::yield_now().await;
        } else {
            tokio::time::sleep(pause).await;
        }
    }
}

pub(super) async fn accept(inner: Arc<Inner>, listener: TcpListener) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = inner.stop.cancelled() => return,
        };
        if let Ok((stream, _)) = accepted {
            inner.tasks.spawn(serve(inner.clone(), stream));
        }
    }
}

async fn serve(inner: Arc<Inner>, stream: TcpStream) {
    let shop = inner.clone();
    let service = service_fn(move |request| answer(shop.clone(), request));
    let connection =
        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    // How a connection ends is the client's business, or a cut that was wanted.
    tokio::select! {
        _ = connection.as_mut() => {}
        () = inner.stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            drop(tokio::time::timeout(STOP_PATIENCE, connection).await);
        }
    }
}

/// PHP works on whether or not the client still waits, so the work has a task of its own.
async fn answer(inner: Arc<Inner>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Cut> {
    let head = request.method() == hyper::Method::HEAD;
    let (parts, body) = request.into_parts();
    let body = Limited::new(body, BODY_MAX).collect().await.map_err(|_| Cut)?.to_bytes();
    inner.counts().bytes_received += bytes(body.len());
    let work = inner.tasks.spawn(work(inner.clone(), parts, body));
    let mut response = work.await.map_err(|_| Cut)??;
    if head {
        *response.body_mut() = Full::default();
    }
    inner.counts().bytes_sent += response.body().size_hint().exact().unwrap_or_default();
    Ok(response)
}

fn bytes(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

async fn work(
    inner: Arc<Inner>,
    parts: hyper::http::request::Parts,
    body: Bytes,
) -> Result<Response<Full<Bytes>>, Cut> {
    inner.visited();
    let _worker = inner.workers.acquire().await.map_err(|_| Cut)?;
    let query = Query::parse(parts.uri.query().unwrap_or_default());
    let path = query
        .get("rest_route")
        .map_or_else(|| parts.uri.path().to_owned(), |route| format!("/wp-json{route}"));
    let method =
        query.get("_method").filter(|_| parts.method == hyper::Method::POST).unwrap_or(parts.method.as_str());
    let route = Route::parse(method, &path);
    let name = route.as_ref().map_or("unknown", Route::name);
    inner.counts().called(name);
    let fault = inner.script().take(name);
    if fault.is_some() {
        inner.counts().faults += 1;
    }
    tokio::time::sleep(inner.options.latency).await;
    if let Some(early) = before(&inner, fault.as_ref()).await {
        return early;
    }
    let pause = match fault {
        Some(FaultKind::PauseBetweenSteps(pause)) => pause,
        _ => inner.options.step_pause,
    };
    let address = format!("{}{}", inner.renderer.home, parts.uri.path());
    let reply = match admit(&inner, &parts, &query, route.as_ref(), &address) {
        Err(refusal) => refusal,
        Ok(route) => match parse_body(&body) {
            Err(malformed) => malformed,
            Ok(body) => {
                let fields = query.fields();
                let call = Call { inner: inner.clone(), route, query, body, address, pause };
                let reply = dispatch(&call).await.unwrap_or_else(|refusal| refusal);
                match fields {
                    Some(fields) if reply.status < 400 => Reply { body: reply.body.only(&fields), ..reply },
                    _ => reply,
                }
            }
        },
    };
    after(&inner, fault, reply).await
}

/// What a fault does instead of the work.
async fn before(inner: &Inner, fault: Option<&FaultKind>) -> Option<Result<Response<Full<Bytes>>, Cut>> {
    let plain = |status: u16, retry: RetryAfter, code: &'static str, message: &str| {
        let reply = Reply::error(code, message, status);
        let reply = match retry {
            RetryAfter::Unsaid => reply,
            RetryAfter::Seconds(seconds) => reply.header("Retry-After", seconds.to_string()),
            RetryAfter::Date(ahead) => reply.header("Retry-After", dates::http(inner.now() + ahead)),
        };
        Some(Ok(respond(inner, &reply)))
    };
    match fault? {
        FaultKind::TooMany(retry) => plain(429, *retry, "too_many_requests", "Too many requests."),
        FaultKind::Unavailable(retry) => plain(503, *retry, "unavailable", "Down for maintenance."),
        FaultKind::Status(status) => plain(*status, RetryAfter::Unsaid, "error", "An error as scripted."),
        FaultKind::CutBefore => Some(Err(Cut)),
        FaultKind::HangBefore => {
            inner.stop.cancelled().await;
            Some(Err(Cut))
        }
        FaultKind::Html => Some(Ok(html())),
        FaultKind::Redirect(to) => {
            let reply = Reply { status: 301, ..Reply::ok(Json::Null) };
            Some(Ok(respond(inner, &reply.header("Location", to.clone()))))
        }
        FaultKind::LateEffect(delay) | FaultKind::Slow(delay) => {
            tokio::time::sleep(*delay).await;
            None
        }
        FaultKind::ErrorAfter
        | FaultKind::CutAfter
        | FaultKind::HangAfter
        | FaultKind::TruncatedJson
        | FaultKind::PauseBetweenSteps(_) => None,
    }
}

/// What a fault does to the answer of finished work.
async fn after(inner: &Inner, fault: Option<FaultKind>, reply: Reply) -> Result<Response<Full<Bytes>>, Cut> {
    match fault {
        Some(FaultKind::CutAfter) => Err(Cut),
        Some(FaultKind::HangAfter) => {
            inner.stop.cancelled().await;
            Err(Cut)
        }
        Some(FaultKind::ErrorAfter) => {
            let message = "There has been a critical error on this website.";
            Ok(respond(inner, &Reply::error("internal_server_error", message, 500)))
        }
        Some(FaultKind::TruncatedJson) => {
            let text = reply.body.to_text();
            let half: String = text.chars().take(text.len() / 2).collect();
            Ok(respond(inner, &Reply { body: Json::Raw(half), ..reply }))
        }
        _ => Ok(respond(inner, &reply)),
    }
}

/// Authentication first, then whether there is such a route, then whether nobody may use it.
fn admit(
    inner: &Inner,
    parts: &hyper::http::request::Parts,
    query: &Query,
    route: Option<&Route>,
    address: &str,
) -> Result<Route, Reply> {
    if parts.uri.path().starts_with("/wc-api/") {
        let body = super::json::object! {
            "errors": super::json::object! {
                "code": "woocommerce_api_disabled",
                "message": "The WooCommerce API is disabled on this site",
            },
        };
        return Err(Reply { status: 404, ..Reply::ok(body) });
    }
    let claim = Claim {
        method: parts.method.as_str(),
        address: address.to_owned(),
        query,
        authorization: parts.headers.get("authorization").and_then(|value| value.to_str().ok()),
        https: inner.options.https,
        now: inner.now(),
    };
    let mut nonces = inner.nonces();
    let known = authenticate(&inner.options.keys, &mut nonces, &claim).inspect_err(|_| {
        inner.counts().unauthorized += 1;
    })?;
    let route = route.ok_or_else(Reply::no_route)?;
    if known.is_none() && !route.is_public() {
        inner.counts().unauthorized += 1;
        return Err(route.unauthorized());
    }
    Ok(route.clone())
}

fn parse_body(body: &[u8]) -> Result<Value, Reply> {
    if body.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(body).map_err(|_| {
        let body = super::json::object! {
            "code": "rest_invalid_json",
            "message": "Invalid JSON body passed.",
            "data": super::json::object! {
                "status": 400_i64,
                "json_error_code": 4_i64,
                "json_error_message": "Syntax error",
            },
        };
        Reply { status: 400, ..Reply::ok(body) }
    })
}

async fn dispatch(call: &Call) -> Result<Reply, Reply> {
    match &call.route {
        Route::Index | Route::Namespace | Route::SystemStatus => Ok(super::routes::about(call)),
        Route::Orders
        | Route::OrderCreate
        | Route::Order(_)
        | Route::OrderUpdate(_)
        | Route::OrderDelete(_)
        | Route::Refunds
        | Route::RefundsOf(_)
        | Route::RefundCreate(_)
        | Route::Refund(..)
        | Route::RefundDelete(..) => orders::handle(call).await,
        Route::Notes(_) | Route::NoteCreate(_) => notes::handle(call),
        Route::Webhooks
        | Route::WebhookCreate
        | Route::Webhook(_)
        | Route::WebhookUpdate(_)
        | Route::WebhookDelete(_) => webhooks::handle(call).await,
        _ => products::handle(call).await,
    }
}

fn html() -> Response<Full<Bytes>> {
    let page = "<!DOCTYPE html><html><head><title>Please wait</title></head><body>One moment…</body></html>";
    let mut response = Response::new(Full::new(Bytes::from_static(page.as_bytes())));
    response
        .headers_mut()
        .insert("Content-Type", hyper::header::HeaderValue::from_static("text/html; charset=UTF-8"));
    response
}

fn respond(inner: &Inner, reply: &Reply) -> Response<Full<Bytes>> {
    let mut builder = Response::builder()
        .status(reply.status)
        .header("Date", dates::http(inner.now()))
        .header("Content-Type", "application/json; charset=UTF-8")
        .header("X-Robots-Tag", "noindex")
        .header("X-Content-Type-Options", "nosniff")
        .header("Access-Control-Expose-Headers", "X-WP-Total, X-WP-TotalPages, Link")
        .header("Cache-Control", "no-cache, must-revalidate, max-age=0, no-store, private");
    let dialect = inner.options.dialect;
    for (name, value) in reply.headers.iter().filter(|(name, _)| !dialect.drops(name)) {
        builder = builder.header(*name, value);
    }

    builder
        .body(Full::new(Bytes::from(dialect.answer(reply.body.to_text()))))
        .expect("statuses and headers of the fake shop are well-formed")
}
