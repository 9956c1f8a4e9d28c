//! The pages as a probe sees them.

use axum::body::{Body, to_bytes};
use axum::http::Request;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::*;

/// Larger than any page of these tests.
const PAGE_BYTES_MAX: usize = 64 * 1024;

async fn page(health: &Health, path: &str) -> (u16, String) {
    let request = Request::get(path).body(Body::empty()).unwrap();
    let response = router(health.clone(), Metrics::new()).oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let body = to_bytes(response.into_body(), PAGE_BYTES_MAX).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn readiness_is_the_sum_of_the_checks() {
    let health = Health::new();
    assert_eq!(page(&health, "/readyz").await, (200, r#"{"checks":[],"ready":true}"#.to_owned()));
    let (broker, database) = (health.check("broker"), health.check("database"));
    broker.ready();
    let expected = r#"{"checks":[{"name":"broker","ready":true},{"name":"database","ready":false,"why":"has not reported yet"}],"ready":false}"#;
    assert_eq!(page(&health, "/readyz").await, (503, expected.to_owned()));
    database.ready();
    assert_eq!(page(&health, "/readyz").await.0, 200);
    broker.not_ready("is away");
    assert!(page(&health, "/readyz").await.1.contains(r#""why":"is away""#));
}

#[tokio::test]
async fn a_stopping_process_lives_but_is_not_ready() {
    let health = Health::new();
    health.check("broker").ready();
    health.stopping();
    let (status, body) = page(&health, "/readyz").await;
    assert_eq!(status, 503);
    assert!(body.contains("is stopping"), "{body}");
    assert_eq!(page(&health, "/healthz").await, (200, "ok\n".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_part_that_falls_silent_is_not_ready() {
    let health = Health::new();
    let check = health.check("reader");
    check.ready_for(Duration::from_secs(5));
    tokio::time::advance(Duration::from_secs(4)).await;
    assert!(health.report().ready);
    tokio::time::advance(Duration::from_secs(3)).await;
    assert_eq!(health.report().checks[0].why_not.as_deref(), Some("is silent, overdue by 2 s"));
    check.ready_for(Duration::from_secs(5));
    assert!(health.report().ready);
}

#[tokio::test]
async fn the_metrics_page_is_text() {
    assert_eq!(page(&Health::new(), "/metrics").await.0, 200);
}

#[tokio::test(start_paused = true)]
#[expect(clippy::disallowed_methods, reason = "test code")]
async fn a_watched_part_is_looked_at_at_once_and_again() {
    let health = Health::new();
    let (answer, answers) = tokio::sync::watch::channel(Ok(()));
    let stop = CancellationToken::new();
    let check = health.check("database");
    let watching =
        tokio::spawn(check.watch(stop.clone(), move || std::future::ready(answers.borrow().clone())));
    assert!(!health.report().ready, "it has not been looked at yet");
    tokio::task::yield_now().await;
    assert!(health.report().ready, "{:?}", health.report());
    answer.send(Err("is away".to_owned())).unwrap();
    tokio::time::sleep(LOOK_PERIOD).await;
    tokio::task::yield_now().await;
    assert_eq!(health.report().checks[0].why_not.as_deref(), Some("is away"));
    answer.send(Ok(())).unwrap();
    tokio::time::sleep(LOOK_PERIOD).await;
    tokio::task::yield_now().await;
    assert!(health.report().ready, "{:?}", health.report());
    stop.cancel();
    watching.await.unwrap();
}

#[tokio::test(start_paused = true)]
#[expect(clippy::disallowed_methods, reason = "test code")]
async fn a_part_that_does_not_answer_is_not_ready_and_may_recover() {
    let health = Health::new();
    let stop = CancellationToken::new();
    let mut looks = 0;
    let look = move || {
        looks += 1;
        let stuck = looks == 2;
        async move { if stuck { std::future::pending().await } else { Ok(()) } }
    };
    let watching = tokio::spawn(health.check("database").watch(stop.clone(), look));
    tokio::task::yield_now().await;
    assert!(health.report().ready);
    tokio::time::sleep(LOOK_PERIOD + LOOK_TIME_MAX).await;
    tokio::task::yield_now().await;
    assert_eq!(health.report().checks[0].why_not.as_deref(), Some("did not answer within 10 s"));
    tokio::time::sleep(LOOK_PERIOD).await;
    tokio::task::yield_now().await;
    assert!(health.report().ready);
    stop.cancel();
    watching.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn failed_rounds_are_borne_for_a_while_and_a_stuck_loop_is_noticed() {
    let health = Health::new();
    let why = |health: &Health| health.report().checks[0].why_not.clone();
    let mut pulse = health.check("relay").pulse(Duration::from_mins(1));
    assert_eq!(why(&health).as_deref(), Some("has not reported yet"));
    pulse.failed("cannot publish");
    assert_eq!(why(&health).as_deref(), Some("cannot publish"), "it never could");
    pulse.good();
    tokio::time::advance(Duration::from_secs(59)).await;
    pulse.failed("cannot publish");
    assert_eq!(why(&health), None);
    tokio::time::advance(Duration::from_secs(2)).await;
    assert_eq!(why(&health).as_deref(), Some("is silent, overdue by 1 s"));
    pulse.failed("cannot publish");
    assert_eq!(why(&health).as_deref(), Some("cannot publish"));
    pulse.good();
    assert_eq!(why(&health), None);
}
