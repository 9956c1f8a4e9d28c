//! Telling of shipments: what is sent, and what each answer means.

use connector::{CallError, Effect, OrderNote, TellOrders};
use values::OrderId;

use crate::shop::{Shop, error, json};

fn order() -> OrderId {
    OrderId::new(97).unwrap()
}

#[tokio::test]
async fn a_status_is_read_and_set() {
    let shop =
        Shop::start(|_| json(200, r#"{"id":97,"status":"completed","billing":{"first_name":"A"}}"#)).await;
    let client = shop.client();
    assert_eq!(client.order_status(order()).await.unwrap().as_deref(), Some("completed"));
    assert_eq!(client.set_order_status(order(), "completed").await.unwrap(), "completed");
    let seen = shop.seen();
    assert_eq!((seen[0].method.as_str(), seen[0].route()), ("GET", "/orders/97"));
    assert_eq!((seen[1].method.as_str(), seen[1].route()), ("PUT", "/orders/97"));
    assert_eq!(seen[1].body, r#"{"status":"completed"}"#);
}

#[tokio::test]
async fn an_order_that_is_gone_has_no_status() {
    let shop = Shop::start(|_| error(404, "woocommerce_rest_shop_order_invalid_id")).await;
    assert_eq!(shop.client().order_status(order()).await.unwrap(), None);
    let shop = Shop::start(|_| error(404, "rest_no_route")).await;
    assert!(matches!(shop.client().order_status(order()).await, Err(CallError::Refused { status: 404, .. })));
}

#[tokio::test]
async fn a_note_goes_to_the_customer_and_is_found_among_the_others() {
    let shop = Shop::start(|_| json(201, r#"{"id":501,"note":"Sent \u2713","customer_note":true}"#)).await;
    assert_eq!(shop.client().add_customer_note(order(), "Sent \"✓\"").await.unwrap(), 501);
    let seen = shop.seen();
    assert_eq!((seen[0].method.as_str(), seen[0].route()), ("POST", "/orders/97/notes"));
    assert_eq!(seen[0].body, r#"{"note":"Sent \"✓\"","customer_note":true}"#);

    let list = r#"[{"id":502,"note":"Other"},{"id":"501","note":"Sent \u2713"},{"note":"no number"},7]"#;
    let shop = Shop::start(move |_| json(200, list)).await;
    let notes = shop.client().customer_notes(order()).await.unwrap();
    let note = |id, text: &str| OrderNote { id, text: text.to_owned() };
    assert_eq!(notes, [note(502, "Other"), note(501, "Sent ✓")]);
    assert_eq!(shop.seen()[0].query("type"), "customer");
}

#[tokio::test]
async fn an_answer_that_says_nothing_leaves_it_open_what_was_written() {
    for body in ["[]", "{}", "<html>", r#"{"id":null}"#] {
        let shop = Shop::start(move |_| json(201, body)).await;
        let failed = shop.client().add_customer_note(order(), "Sent").await.unwrap_err();
        assert_eq!(failed.effect(), Effect::Unknown, "{body}");
        let shop = Shop::start(move |_| json(200, body)).await;
        let failed = shop.client().set_order_status(order(), "completed").await.unwrap_err();
        assert_eq!(failed.effect(), Effect::Unknown, "{body}");
    }
}
