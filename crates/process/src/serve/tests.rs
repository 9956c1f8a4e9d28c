//! Real sockets on loopback: honest clients, slow ones, too many, and a stop in the middle.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::routing::{get, post};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::*;

/// No wait of these tests takes this long unless something is broken.
const PATIENCE: Duration = Duration::from_secs(20);

const REQUEST: &str = "GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";

struct Served {
    address: SocketAddr,
    metrics: Metrics,
    leaving: CancellationToken,
    stop: CancellationToken,
    server: JoinHandle<()>,
    /// Requests that have come to `/slow`.
    slow: Arc<AtomicUsize>,
    /// Permits for `/slow` to answer.
    release: Arc<Semaphore>,
}

async fn served(limits: Limits) -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (metrics, leaving, stop) = (Metrics::new(), CancellationToken::new(), CancellationToken::new());
    let (slow, release) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
    let (count, permits) = (Arc::clone(&slow), Arc::clone(&release));
    let answer_slowly = async move |body: Body| {
        count.fetch_add(1, Ordering::SeqCst);
        permits.acquire().await.unwrap().forget();
        axum::body::to_bytes(body, 1_024).await.map(|bytes| bytes.len().to_string()).unwrap_or_default()
    };
    let router = Router::new()
        .route("/", get(async |ConnectInfo(peer): ConnectInfo<SocketAddr>| peer.ip().to_string()))
        .route("/panic", get(async || assert!(PATIENCE.is_zero(), "a bug in a handler")))
        .route("/slow", post(answer_slowly));
    #[expect(clippy::disallowed_methods, reason = "a test waits for the server itself")]
    let server = tokio::spawn({
        let server = Server::new(limits, &metrics).leaving(leaving.clone());
        server.serve(listener, router, stop.clone())
    });
    Served { address, metrics, leaving, stop, server, slow, release }
}

async fn connect(served: &Served, send: &str) -> TcpStream {
    let mut client = TcpStream::connect(served.address).await.unwrap();
    client.write_all(send.as_bytes()).await.unwrap();
    client
}

/// Everything until the server closes; empty too when it resets the connection.
async fn answer(mut client: TcpStream) -> String {
    let mut text = String::new();
    let read = tokio::time::timeout(PATIENCE, client.read_to_string(&mut text)).await;
    read.expect("the server closes in time").map(|_| text).unwrap_or_default()
}

async fn finished(served: Served) {
    tokio::time::timeout(PATIENCE, served.server).await.expect("the server ends in time").unwrap();
}

/// Lets the server go on until `condition` holds.
async fn eventually(condition: impl Fn() -> bool) {
    let poll = async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, poll).await.expect("the condition holds in time");
}

#[tokio::test]
async fn a_request_is_answered_and_the_handler_knows_the_client() {
    let served = served(Limits::default()).await;
    let text = answer(connect(&served, REQUEST).await).await;
    assert!(text.starts_with("HTTP/1.1 200 OK\r\n") && text.ends_with("\r\n\r\n127.0.0.1"), "{text}");
    let (metrics, open) = (served.metrics.clone(), served.metrics.gauge(&CONNECTIONS_OPEN));
    eventually(|| open.value(&[]) == 0).await;
    assert_eq!(metrics.counter(&CONNECTIONS).value(&[]), 1);
}

#[tokio::test]
async fn a_head_that_does_not_end_is_cut_off() {
    let limits = Limits { header_read_timeout: Duration::from_millis(50), ..Limits::default() };
    let served = served(limits).await;
    for unfinished in ["", "GET / HTTP/1.1\r\nhost: local", "GET / HTTP/1.1\r\nhost: localhost\r\n\r\n"] {
        // The last one is whole, and the connection is then kept without a further request.
        let text = answer(connect(&served, unfinished).await).await;
        assert_eq!(text.contains("200 OK"), unfinished.ends_with("\r\n\r\n"), "{text}");
    }
}

#[tokio::test]
async fn a_head_that_is_too_long_is_refused() {
    let limits = Limits { header_bytes_max: 8 * 1_024, ..Limits::default() };
    let served = served(limits).await;
    let text =
        answer(connect(&served, &format!("GET / HTTP/1.1\r\nx: {}", "y".repeat(8 * 1_024))).await).await;
    assert!(text.is_empty() || text.starts_with("HTTP/1.1 431"), "{text}");
    assert!(answer(connect(&served, REQUEST).await).await.contains("200 OK"));
}

#[tokio::test]
async fn slow_heads_do_not_keep_others_out() {
    let limits = Limits { connections_max: 4, header_read_timeout: PATIENCE * 10, ..Limits::default() };
    let served = served(limits).await;
    let mut slow = Vec::new();
    for _ in 0..limits.connections_max {
        slow.push(connect(&served, "GET / HTTP/1.1\r\nhost: local").await);
    }
    let open = served.metrics.gauge(&CONNECTIONS_OPEN);
    for _ in 0..3 {
        let text = answer(connect(&served, REQUEST).await).await;
        assert!(text.contains("200 OK"), "{text}");
        eventually(|| open.value(&[]) == 3).await;
    }
    assert_eq!(served.metrics.counter(&EVICTIONS).value(&[]), 1, "one place was enough");
    assert_eq!(answer(slow.remove(0)).await, "", "the oldest made room");
}

#[tokio::test]
async fn kept_connections_make_room_too() {
    let limits = Limits { connections_max: 1, header_read_timeout: PATIENCE * 10, ..Limits::default() };
    let served = served(limits).await;
    let kept = connect(&served, "GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    assert!(answer(connect(&served, REQUEST).await).await.contains("200 OK"));
    assert!(answer(kept).await.contains("200 OK"));
}

#[tokio::test]
async fn no_more_than_the_maximum_are_served_and_no_request_under_way_makes_room() {
    let limits = Limits { connections_max: 2, ..Limits::default() };
    let served = served(limits).await;
    let request =
        "POST /slow HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok";
    let busy = [connect(&served, request).await, connect(&served, request).await];
    let third = connect(&served, REQUEST).await;
    let accepted = served.metrics.counter(&CONNECTIONS);
    eventually(|| accepted.value(&[]) == 3).await;
    let early = tokio::time::timeout(slots_patience(), third.readable()).await;
    assert!(early.is_err(), "the third waits although both slots have been held longer than the grace");
    assert_eq!(served.metrics.gauge(&CONNECTIONS_OPEN).value(&[]), 2);
    served.release.add_permits(2);
    for client in busy {
        let text = answer(client).await;
        assert!(text.ends_with("\r\n\r\n2"), "{text}");
    }
    assert!(answer(third).await.contains("200 OK"));
    assert_eq!(served.metrics.counter(&EVICTIONS).value(&[]), 0);
}

/// Longer than a connection is left alone before it may be asked to make room.
fn slots_patience() -> Duration {
    slots::HEAD_GRACE * 2
}

#[tokio::test]
async fn who_leaves_answers_everybody_and_keeps_no_connection() {
    const KEPT: &str = "GET / HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let served = served(Limits::default()).await;
    let mut kept = connect(&served, KEPT).await;
    let mut first = [0; 1];
    kept.read_exact(&mut first).await.unwrap();
    served.leaving.cancel();
    kept.write_all(KEPT.as_bytes()).await.unwrap();
    let both = answer(kept).await;
    assert_eq!(both.matches("200 OK").count(), 2, "both are answered: {both}");
    assert_eq!(both.matches("connection: close").count(), 1, "the second is the last: {both}");
    let new = answer(connect(&served, KEPT).await).await;
    assert!(new.starts_with("HTTP/1.1 200") && new.contains("connection: close"), "{new}");
    served.stop.cancel();
    finished(served).await;
}

#[tokio::test]
async fn stopping_refuses_new_clients_and_finishes_the_old() {
    let served = served(Limits::default()).await;
    let head = "POST /slow HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2\r\n\r\n";
    let mut busy = connect(&served, head).await;
    let silent = connect(&served, "").await;
    let open = served.metrics.gauge(&CONNECTIONS_OPEN);
    eventually(|| open.value(&[]) == 2 && served.slow.load(Ordering::SeqCst) == 1).await;
    served.stop.cancel();
    assert_eq!(answer(silent).await, "");
    eventually(|| open.value(&[]) == 1).await;
    TcpStream::connect(served.address).await.expect_err("nobody listens any more");
    busy.write_all(b"ok").await.unwrap();
    served.release.add_permits(1);
    let text = answer(busy).await;
    assert!(text.ends_with("\r\n\r\n2") && text.contains("connection: close"), "{text}");
    finished(served).await;
}

#[tokio::test]
async fn a_connection_is_asked_to_end_after_its_life() {
    let life = Duration::from_millis(50);
    let limits =
        Limits { connection_life_max: life, header_read_timeout: PATIENCE * 10, ..Limits::default() };
    let served = served(limits).await;
    let kept = connect(&served, "GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    assert!(answer(kept).await.contains("200 OK"));
}

#[tokio::test]
async fn a_panic_in_a_handler_harms_only_its_connection() {
    let served = served(Limits::default()).await;
    let text = answer(connect(&served, "GET /panic HTTP/1.1\r\nhost: localhost\r\n\r\n").await).await;
    assert_eq!(text, "");
    assert!(answer(connect(&served, REQUEST).await).await.contains("200 OK"));
    served.stop.cancel();
    finished(served).await;
}
