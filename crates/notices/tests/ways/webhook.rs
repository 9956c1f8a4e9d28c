//! Signed requests, and what becomes of them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use notices::{Channels, WebhookError, signature};
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep};

use crate::{channels, digest};

const SECRET: &str = "a secret of some length";
const NOW: i64 = 1_700_000_000;

#[derive(Clone, Default)]
struct Seen {
    requests: Arc<Mutex<Vec<(HeaderMap, String)>>>,
}

async fn take(State(seen): State<Seen>, headers: HeaderMap, body: String) -> StatusCode {
    seen.requests.lock().unwrap().push((headers, body));
    StatusCode::NO_CONTENT
}

async fn redirect() -> Response {
    (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, "/take")]).into_response()
}

/// Where it listens.
#[expect(clippy::disallowed_methods, reason = "test code")]
async fn receiver(seen: Seen) -> String {
    let hang = || async {
        sleep(Duration::from_mins(5)).await;
        StatusCode::OK
    };
    let router = Router::new()
        .route("/take", axum::routing::post(take))
        .route("/redirect", axum::routing::post(redirect))
        .route("/fail", axum::routing::post(|| async { StatusCode::SERVICE_UNAVAILABLE }))
        .route("/hang", axum::routing::post(hang))
        .with_state(seen);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    format!("http://{address}")
}

fn way(url: &str, private: &str) -> Channels {
    channels(&[
        ("ONHAND_ALERT_WEBHOOK_URL", url),
        ("ONHAND_ALERT_WEBHOOK_SECRET", SECRET),
        ("ONHAND_ALERT_WEBHOOK_PRIVATE_ADDRESSES", private),
    ])
}

async fn send(url: &str, private: &str) -> Result<(), WebhookError> {
    let channels = way(url, private);
    channels.webhook.as_ref().unwrap().send("an-id", &digest("an-id").to_json(), NOW).await
}

#[tokio::test]
async fn a_request_is_signed_and_has_its_id() {
    let seen = Seen::default();
    let url = receiver(seen.clone()).await;
    send(&format!("{url}/take"), "true").await.unwrap();
    let (headers, body) = seen.requests.lock().unwrap().pop().unwrap();
    let header = |name: &str| headers.get(name).unwrap().to_str().unwrap().to_owned();
    assert_eq!(body, digest("an-id").to_json());
    assert_eq!(
        (header("content-type").as_str(), header("x-onhand-id").as_str()),
        ("application/json", "an-id")
    );
    assert_eq!(header("x-onhand-timestamp"), NOW.to_string());
    assert_eq!(header("x-onhand-signature"), signature(&SECRET.into(), NOW, &body));
}

#[tokio::test]
async fn what_is_not_taken_is_an_error_that_says_why() {
    let seen = Seen::default();
    let url = receiver(seen.clone()).await;
    let redirected = send(&format!("{url}/redirect"), "true").await.unwrap_err();
    assert!(matches!(redirected, WebhookError::Redirected(307)), "{redirected}");
    assert!(seen.requests.lock().unwrap().is_empty(), "nobody followed");
    let failed = send(&format!("{url}/fail"), "true").await.unwrap_err();
    assert!(matches!(failed, WebhookError::Status(503)), "{failed}");
    let nobody = send("http://127.0.0.1:1/token-in-it", "true").await.unwrap_err();
    let said = process::error_chain(&nobody);
    assert!(matches!(nobody, WebhookError::NoAnswer(_)) && !said.contains("token-in-it"), "{said}");
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_long() {
    let url = receiver(Seen::default()).await;
    let begun = Instant::now();
    let hung = send(&format!("{url}/hang"), "true").await.unwrap_err();
    assert!(matches!(hung, WebhookError::NoAnswer(_)), "{hung}");
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn private_addresses_are_called_only_if_that_is_allowed() {
    let seen = Seen::default();
    let url = receiver(seen.clone()).await;
    let port = url.rsplit(':').next().unwrap();
    for host in ["127.0.0.1", "localhost", "2130706433", "[::ffff:127.0.0.1]"] {
        let refused = send(&format!("http://{host}:{port}/take"), "false").await.unwrap_err();
        assert!(matches!(refused, WebhookError::Address), "{host}: {refused}");
    }
    assert!(seen.requests.lock().unwrap().is_empty());
    // Where clouds hand out their secrets is never called.
    let refused = send("http://169.254.169.254/latest", "true").await.unwrap_err();
    assert!(matches!(refused, WebhookError::Address), "{refused}");
    send(&format!("http://localhost:{port}/take"), "true").await.unwrap();
    assert_eq!(seen.requests.lock().unwrap().len(), 1);
}
