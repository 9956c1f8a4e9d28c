//! Changes: what is sent, what each answer means, and when the outcome is not known.

use std::time::Duration;

use connector::{
    CallError, ChangeOutcome, ChangeStocks, Changed, Effect, NotSentCause, RefusalKind, RefusalReason,
    StockBatch, StockChange, UncertainCause,
};
use values::{HolderId, ProductId, Quantity};

use crate::shop::{Answer, Shop, client, error, html, json, raw, with};

fn batch(parent: i64, changes: &[(i64, i64)]) -> StockBatch {
    let change = |(holder, thousandths): &(i64, i64)| StockChange {
        holder: HolderId::new(*holder).unwrap(),
        delta: Quantity::from_thousandths(*thousandths),
    };
    StockBatch { parent: ProductId::new(parent), changes: changes.iter().map(change).collect() }
}

fn refused(reason: RefusalReason) -> ChangeOutcome {
    ChangeOutcome::Refused { kind: RefusalKind::Permanent, reason }
}

async fn change_at(answer: impl Fn() -> Answer + Send + Sync + 'static) -> Result<Changed, CallError> {
    let shop = Shop::start(move |_| answer()).await;
    shop.client().change_stocks(&batch(0, &[(40, -2_000)])).await
}

#[tokio::test]
async fn each_item_of_a_batch_has_its_own_outcome() {
    let shop = Shop::start(|_| {
        json(
            200,
            r#"{"update":[{"id":40,"manage_stock":true,"stock_quantity":8},
                {"id":59,"manage_stock":false,"stock_quantity":null},
                {"id":999,"error":{"code":"woocommerce_rest_product_invalid_id","message":"Invalid ID.","data":{"status":400}}}]}"#,
        )
    })
    .await;
    let changes = [(40, -2_000), (7, 500), (59, 3_000), (999, 1_000)];
    let changed = shop.client().change_stocks(&batch(0, &changes)).await.unwrap();
    assert_eq!(
        changed.outcomes,
        [
            ChangeOutcome::Applied { shown: Quantity::from_units(8) },
            refused(RefusalReason::NotWhole),
            refused(RefusalReason::Unmanaged),
            refused(RefusalReason::Unknown)
        ]
    );
    assert!(changed.shop_time.is_some());
    let request = &shop.seen()[0];
    assert_eq!((request.method.as_str(), request.route()), ("POST", "/products/batch"));
    assert_eq!(
        request.body,
        r#"{"update":[{"id":40,"inventory_delta":-2},{"id":59,"inventory_delta":3},{"id":999,"inventory_delta":1}]}"#,
        "whole JSON integers, and nothing of the half unit"
    );
}

#[tokio::test]
async fn variations_are_changed_under_their_parent() {
    let shop =
        Shop::start(|_| json(200, r#"{"update":[{"id":57,"manage_stock":"parent","stock_quantity":33}]}"#))
            .await;
    let changed = shop.client().change_stocks(&batch(56, &[(57, 1_000)])).await.unwrap();
    assert_eq!(changed.outcomes, [refused(RefusalReason::AtParent)]);
    assert_eq!(shop.seen()[0].route(), "/products/56/variations/batch");
}

#[tokio::test]
async fn nothing_is_sent_that_cannot_be_answered_for() {
    let shop = Shop::start(|_| html(500)).await;
    let client = shop.client();
    let many: Vec<(i64, i64)> = (1..=101).map(|id| (id, 1_000)).collect();
    for (changes, cause) in
        [(many, NotSentCause::TooMany), (vec![(1, 1_000), (2, 1_000), (1, -1_000)], NotSentCause::Malformed)]
    {
        let error = client.change_stocks(&batch(0, &changes)).await.unwrap_err();
        assert!(matches!(error, CallError::NotSent { cause: found, .. } if found == cause));
    }
    let halves = client.change_stocks(&batch(0, &[(1, 500)])).await.unwrap();
    assert_eq!(halves.outcomes, [refused(RefusalReason::NotWhole)]);
    assert_eq!(shop.seen().len(), 0);
}

#[tokio::test]
async fn refusals_are_certain() {
    type Check = fn(&CallError) -> bool;
    let cases: [(fn() -> Answer, Check); 6] = [
        (
            || error(413, "woocommerce_rest_request_entity_too_large"),
            |error| matches!(error, CallError::Refused { status: 413, .. }),
        ),
        (|| error(400, "rest_invalid_json"), |error| matches!(error, CallError::Refused { status: 400, .. })),
        (|| html(404), |error| matches!(error, CallError::Refused { status: 404, .. })),
        (|| html(403), |error| matches!(error, CallError::Auth(_))),
        (
            || with(html(429), "retry-after", "17"),
            |error| error.retry_after() == Some(Duration::from_secs(17)),
        ),
        (
            || with(html(301), "location", "https://www.shop.example/wp-json/?consumer_secret=cs_2222"),
            |error| matches!(error, CallError::Redirected { to, .. } if to == "https://www.shop.example"),
        ),
    ];
    for (answer, check) in cases {
        let error = change_at(answer).await.unwrap_err();
        assert_eq!(error.effect(), Effect::None, "{error:?}");
        assert!(check(&error), "{error:?}");
    }
}

#[tokio::test]
async fn a_sent_change_without_a_readable_answer_is_uncertain() {
    let answers: [fn() -> Answer; 7] = [
        || html(500),
        || html(502),
        || with(error(503, "down"), "retry-after", "30"),
        || html(200),
        || json(200, r#"{"update":[{"id":40,"manage_"#),
        || json(200, r#"{"update":[]}"#),
        || json(200, ""),
    ];
    for answer in answers {
        let error = change_at(answer).await.unwrap_err();
        assert_eq!(error.effect(), Effect::Unknown, "{error:?}");
    }
    let waiting = change_at(|| with(html(503), "retry-after", "30")).await.unwrap_err();
    assert_eq!(waiting.retry_after(), Some(Duration::from_secs(30)));
}

#[tokio::test]
async fn a_broken_connection_is_uncertain_and_a_refused_one_is_not() {
    let change = async |address: std::net::SocketAddr| {
        let client = client(&format!("http://{address}")).unwrap();
        client.change_stocks(&batch(0, &[(40, -2_000)])).await.unwrap_err()
    };
    for (bytes, cause) in [
        (Some(&b""[..]), UncertainCause::Cut),
        (Some(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{\"update\":["), UncertainCause::Cut),
        (Some(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"upd"), UncertainCause::Cut),
        (Some(b"what is this\r\n\r\n"), UncertainCause::Cut),
        (None, UncertainCause::Timeout),
    ] {
        let error = change(raw(bytes).await).await;
        assert!(matches!(error, CallError::Uncertain { cause: found, .. } if found == cause), "{error:?}");
    }
    // A refusal is one even if its text was cut off.
    let cut = raw(Some(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 500\r\n\r\n{\"code\":")).await;
    assert_eq!(change(cut).await.effect(), Effect::None);
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let error = change(nobody).await;
    assert!(matches!(error, CallError::NotSent { cause: NotSentCause::Connect, .. }), "{error:?}");
}
