//! The connection itself: who we say we are, where we do not go, how much we read, and what never shows.

use std::error::Error;
use std::io::Write as _;
use std::time::Duration;

use axum::body::Body;
use axum::http::Response;
use connector::{CallError, NotSentCause, OrderSet, OrdersCursor, ReadOrders, UncertainCause};
use flate2::Compression;
use flate2::write::GzEncoder;
use onhand_connector_woocommerce::{Access, Client, ClientError, RESPONSE_BYTES_MAX, SignIn, Timeouts};
use values::Timestamp;

use crate::shop::{KEY, SECRET, SHORT, Shop, access, client, drip, html, json, raw, with};

async fn read(client: &Client) -> Result<(), CallError> {
    let cursor = OrdersCursor::since(OrderSet::Live, Timestamp::from_seconds(0));
    client.orders_changed(cursor).await.map(drop)
}

/// An error and all that is below it, as a log would show it.
fn printed(error: &CallError) -> String {
    let mut text = format!("{error:?} {error}");
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

#[tokio::test]
async fn on_plain_http_requests_are_signed_and_the_secret_stays_here() {
    let shop = Shop::start(|_| json(200, "[]")).await;
    let client = Client::new(Access { sign_in: SignIn::Query, ..shop.access() }).unwrap();
    read(&client).await.unwrap();
    read(&client).await.unwrap();
    let seen = shop.seen();
    for request in &seen {
        assert_eq!(request.query("oauth_consumer_key"), KEY);
        assert_eq!(request.query("oauth_signature_method"), "HMAC-SHA256");
        assert_eq!(request.query("oauth_signature").len(), 44);
        assert!(!format!("{request:?}").contains(SECRET));
        assert!(!request.headers.contains_key("authorization"));
    }
    assert_ne!(seen[0].query("oauth_nonce"), seen[1].query("oauth_nonce"));
    assert!(seen[0].headers["user-agent"].to_str().unwrap().starts_with("onhand/"));
}

#[tokio::test]
async fn on_https_the_key_is_in_the_header_or_in_the_query() {
    let shop = Shop::start_tls(|_| json(200, "[]")).await;
    read(&shop.client()).await.unwrap();
    let by_query = Client::new(Access { sign_in: SignIn::Query, ..shop.access() }).unwrap();
    read(&by_query).await.unwrap();
    let seen = shop.seen();
    assert_eq!(seen[0].headers["authorization"].to_str().unwrap(), "Basic Y2tfMTExMTpjc18yMjIy");
    assert!(!seen[0].query.contains_key("consumer_key"));
    assert_eq!((seen[1].query("consumer_key"), seen[1].query("consumer_secret")), (KEY, SECRET));
    assert!(!seen[1].headers.contains_key("authorization"));
}

#[tokio::test]
async fn a_certificate_that_is_not_trusted_ends_it_before_the_request() {
    let shop = Shop::start_tls(|_| json(200, "[]")).await;
    let stranger = client(&format!("https://localhost:{}", shop.address.port())).unwrap();
    let error = read(&stranger).await.unwrap_err();
    assert!(matches!(error, CallError::NotSent { cause: NotSentCause::Tls, .. }), "{error:?}");
    let plain = Shop::start(|_| json(200, "[]")).await;
    let error = read(&client(&format!("https://{}", plain.address)).unwrap()).await.unwrap_err();
    assert!(matches!(error, CallError::NotSent { cause: NotSentCause::Tls, .. }), "{error:?}");
    let silent = raw(None).await;
    let error = read(&client(&format!("https://{silent}")).unwrap()).await.unwrap_err();
    assert!(matches!(error, CallError::NotSent { cause: NotSentCause::ConnectTimeout, .. }), "{error:?}");
    assert_eq!(shop.seen().len() + plain.seen().len(), 0);
}

#[tokio::test]
async fn private_addresses_are_not_called_unless_allowed() {
    let shop = Shop::start(|_| json(200, "[]")).await;
    let port = shop.address.port();
    for host in ["127.0.0.1", "0.0.0.0", "2130706433", "[::1]", "[::ffff:127.0.0.1]", "169.254.169.254"] {
        let url = format!("http://{host}:{port}");
        let refused = Client::new(Access { private_addresses_allowed: false, ..access(&url) });
        assert!(matches!(refused, Err(ClientError::AddressRefused { .. })), "{url}");
    }
    let named = access(&format!("http://localhost:{port}"));
    let guarded = Access { private_addresses_allowed: false, ..named.clone() };
    let error = read(&Client::with_timeouts(guarded, SHORT).unwrap()).await.unwrap_err();
    assert!(matches!(error, CallError::NotSent { cause: NotSentCause::AddressRefused, .. }), "{error:?}");
    assert_eq!(shop.seen().len(), 0);
    read(&Client::with_timeouts(named, SHORT).unwrap()).await.unwrap();
    assert_eq!(shop.seen().len(), 1, "the name is good once it is allowed");
}

#[tokio::test]
async fn a_redirect_into_our_network_is_not_followed() {
    let inside = Shop::start(|_| json(200, "[]")).await;
    let target = format!("http://{}/wp-json/wc/v3/orders", inside.address);
    let shop = Shop::start(move |_| with(html(302), "location", &target)).await;
    let error = read(&shop.client()).await.unwrap_err();
    assert!(matches!(error, CallError::Redirected { status: 302, .. }));
    assert_eq!(inside.seen().len(), 0);
}

#[tokio::test]
async fn an_answer_without_end_is_not_read_to_its_end() {
    let shop = Shop::start(|_| {
        let body = Body::from(vec![b' '; RESPONSE_BYTES_MAX + 1]);
        Response::builder().status(200).body(body).unwrap()
    })
    .await;
    let error = read(&shop.client()).await.unwrap_err();
    assert!(matches!(error, CallError::BadReply { reason: "it is too large", .. }), "{error:?}");
}

#[tokio::test]
async fn an_answer_that_unpacks_without_end_is_not_unpacked_to_its_end() {
    let mut packer = GzEncoder::new(Vec::new(), Compression::best());
    for _ in 0..64 {
        packer.write_all(&vec![b' '; 1024 * 1024]).unwrap();
    }
    let packed = packer.finish().unwrap();
    assert!(packed.len() < 128 * 1024, "64 MiB in {} bytes", packed.len());
    let shop = Shop::start(move |request| {
        assert!(request.headers["accept-encoding"].to_str().unwrap().contains("gzip"));
        let answer = Response::builder().status(200).header("content-encoding", "gzip");
        answer.body(Body::from(packed.clone())).unwrap()
    })
    .await;
    let error = read(&shop.client()).await.unwrap_err();
    assert!(matches!(error, CallError::BadReply { reason: "it is too large", .. }), "{error:?}");
}

#[tokio::test]
async fn an_answer_that_drips_is_given_up() {
    let address = drip().await;
    let times = Timeouts { call: Duration::from_secs(1), ..SHORT };
    let dripping = Client::with_timeouts(access(&format!("http://{address}")), times).unwrap();
    let error = read(&dripping).await.unwrap_err();
    assert!(matches!(error, CallError::Uncertain { cause: UncertainCause::Timeout, .. }), "{error:?}");
}

#[tokio::test]
async fn old_answers_of_a_cache_and_answers_without_a_time_are_no_reads() {
    let cached = Shop::start(|_| with(json(200, "[]"), "age", "45")).await;
    assert!(matches!(read(&cached.client()).await, Err(CallError::BadReply { .. })));
    let timeless = raw(Some(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]")).await;
    let client = client(&format!("http://{timeless}")).unwrap();
    assert!(matches!(read(&client).await, Err(CallError::BadReply { .. })));
}

#[tokio::test]
async fn a_byte_order_mark_before_the_json_is_passed_over() {
    let shop = Shop::start(|_| json(200, "\u{feff}\n[]")).await;
    read(&shop.client()).await.unwrap();
}

#[tokio::test]
async fn no_error_shows_a_credential() {
    let shop = Shop::start_tls(|_| html(200)).await;
    let by_query = Access { sign_in: SignIn::Query, ..shop.access() };
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let mut errors = Vec::new();
    for url in [
        format!("http://{nobody}"),
        format!("http://{}", raw(Some(b"")).await),
        format!("http://{}", raw(None).await),
    ] {
        errors.push(read(&client(&url).unwrap()).await.unwrap_err());
    }
    errors.push(read(&Client::new(by_query.clone()).unwrap()).await.unwrap_err());
    let untrusted = Access { root_certificate: None, ..by_query.clone() };
    errors.push(read(&Client::new(untrusted).unwrap()).await.unwrap_err());
    for error in &errors {
        let text = printed(error);
        for secret in [KEY, SECRET, "consumer_", "oauth_", "Basic "] {
            assert!(!text.contains(secret), "{text}");
        }
    }
    assert!(!format!("{by_query:?}").contains(SECRET));
}

#[tokio::test]
async fn a_name_that_nobody_knows() {
    let error = read(&client("https://shop.invalid").unwrap()).await.unwrap_err();
    assert!(matches!(error, CallError::NotSent { cause: NotSentCause::Dns, .. }), "{error:?}");
}

#[tokio::test]
async fn a_slow_answer_is_given_up() {
    let address = raw(None).await;
    let error = read(&client(&format!("http://{address}")).unwrap()).await.unwrap_err();
    assert!(matches!(error, CallError::Uncertain { cause: UncertainCause::Timeout, .. }), "{error:?}");
}

#[test]
fn credentials_that_cannot_be_sent_are_refused_at_once() {
    for secret in ["", "cs 1", "cs\r\nHost: x", "cs:1", "ż"] {
        let bad = Access { consumer_secret: secret.into(), ..access("https://shop.example") };
        assert!(matches!(Client::new(bad), Err(ClientError::Credentials)), "{secret:?}");
    }
}
