//! Reads: orders that change while they are read, orders that are gone, stocks, the catalogue, webhooks.

use std::sync::Mutex;

use connector::{
    CallError, KeepWebhooks, ListingKind, OrderSet, OrdersCursor, ReadCatalogue, ReadOrders, ReadStocks,
    Shown, StockRef, Tried, WebhookStatus,
};
use onhand_connector_woocommerce::{CatalogueCursor, TOPICS};
use secrecy::SecretString;
use values::{HolderId, LineFault, OrderId, ProductId, Quantity, Timestamp};

use crate::shop::{Answer, Seen, Shop, error, json, no_route, with};

/// 2026-11-22T00:00:00Z.
const DAY: i64 = 1_795_305_600;

fn date(second: i64) -> String {
    let day = 22 + (second - DAY).div_euclid(86_400);
    let second = (second - DAY).rem_euclid(86_400);
    format!("2026-11-{day:02}T{:02}:{:02}:{:02}", second / 3_600, second / 60 % 60, second % 60)
}

fn order(id: i64, modified: i64) -> String {
    format!(
        r#"{{"id":{id},"status":"processing","date_modified_gmt":"{}","line_items":[{{"id":{id},"product_id":11,"variation_id":0,"quantity":1,"sku":"S","meta_data":[]}}]}}"#,
        date(modified)
    )
}

/// Orders as (date, id). Every answer also changes the oldest one that was on it, as a busy shop would.
struct Busy {
    orders: Mutex<Vec<(i64, i64)>>,
    changes: bool,
}

impl Busy {
    fn list(&self, request: &Seen) -> Answer {
        assert_eq!(request.query("orderby"), "modified");
        assert_eq!((request.query("order"), request.query("dates_are_gmt")), ("asc", "true"));
        let mut orders = self.orders.lock().unwrap();
        orders.sort_unstable();
        let after = request.query("modified_after").to_owned();
        let page: usize = request.query("page").parse().unwrap();
        let matching: Vec<(i64, i64)> =
            orders.iter().copied().filter(|(modified, _)| date(*modified) > after).collect();
        let shown: Vec<(i64, i64)> = matching.iter().copied().skip((page - 1) * 100).take(100).collect();
        if self.changes
            && let Some(first) = shown.first()
        {
            let newest = orders.last().unwrap().0;
            let changed = orders.iter_mut().find(|order| *order == first).unwrap();
            changed.0 = newest + 1;
        }
        let body: Vec<String> = shown.iter().map(|(modified, id)| order(*id, *modified)).collect();
        let answer = json(200, format!("[{}]", body.join(",")));
        let answer = with(answer, "x-wp-total", &matching.len().to_string());
        with(answer, "x-wp-totalpages", &matching.len().div_ceil(100).to_string())
    }
}

async fn read_everything(shop: &Shop, most_calls: usize) -> Vec<i64> {
    let client = shop.client();
    let mut cursor = Some(OrdersCursor::since(OrderSet::Live, Timestamp::from_seconds(DAY)));
    let mut read = Vec::new();
    while let Some(at) = cursor {
        let reply = client.orders_changed(at).await.unwrap();
        assert_eq!(reply.calls, 1);
        assert!(reply.shop_time > Timestamp::from_seconds(1_700_000_000));
        read.extend(reply.value.orders.iter().map(|order| order.order.get()));
        cursor = reply.value.next;
        assert!(shop.seen().len() <= most_calls, "it does not end");
    }
    read.sort_unstable();
    read.dedup();
    read
}

#[tokio::test]
async fn orders_that_change_while_they_are_read_push_none_off_a_page() {
    let orders: Vec<(i64, i64)> = (1..=450).map(|id| (DAY + id / 3, id)).collect();
    let busy = Busy { orders: Mutex::new(orders), changes: true };
    let shop = Shop::start(move |request| busy.list(request)).await;
    let read = read_everything(&shop, 20).await;
    assert_eq!(read, (1..=450).collect::<Vec<_>>());
    assert!(shop.seen().iter().all(|request| request.query("page") == "1"), "no page was counted");
}

#[tokio::test]
async fn more_orders_in_one_second_than_a_page_holds_are_all_read() {
    let mut orders: Vec<(i64, i64)> = (1..=250).map(|id| (DAY + 60, id)).collect();
    orders.extend((251..=260).map(|id| (DAY + 61, id)));
    let busy = Busy { orders: Mutex::new(orders), changes: false };
    let shop = Shop::start(move |request| busy.list(request)).await;
    assert_eq!(read_everything(&shop, 10).await, (1..=260).collect::<Vec<_>>());
}

#[tokio::test]
async fn where_dates_are_out_of_order_pages_are_counted() {
    let shop = Shop::start(|_| {
        let list = json(200, format!("[{},{}]", order(2, DAY + 9), order(1, DAY + 5)));
        with(list, "x-wp-totalpages", "3")
    })
    .await;
    let cursor = OrdersCursor::since(OrderSet::Live, Timestamp::from_seconds(DAY));
    let page = shop.client().orders_changed(cursor).await.unwrap().value;
    assert_eq!(page.orders.len(), 2);
    assert_eq!(page.next, Some(OrdersCursor { page: 2, ..cursor }), "no date is taken for the place");
}

#[tokio::test]
async fn an_order_changed_while_the_page_was_made_does_not_move_the_place() {
    let shop = Shop::start(|_| {
        let list = json(200, format!("[{},{}]", order(1, DAY + 5), order(2, DAY + 500)));
        let list = with(list, "date", "Sun, 22 Nov 2026 00:08:19 GMT");
        with(list, "x-wp-totalpages", "2")
    })
    .await;
    let cursor = OrdersCursor::since(OrderSet::Live, Timestamp::from_seconds(DAY));
    let page = shop.client().orders_changed(cursor).await.unwrap().value;
    let onward = OrdersCursor::since(OrderSet::Live, Timestamp::from_seconds(DAY + 5));
    assert_eq!(page.next, Some(onward), "what lies between 5 and 500 was not listed yet");
}

#[tokio::test]
async fn a_shop_too_old_to_list_what_changed_is_refused() {
    let shop = Shop::start(|_| json(200, format!("[{},{}]", order(2, DAY - 9), order(1, DAY - 90)))).await;
    let cursor = OrdersCursor::since(OrderSet::Live, Timestamp::from_seconds(DAY));
    let refused = shop.client().orders_changed(cursor).await;
    assert!(matches!(refused, Err(CallError::BadReply { reason, .. }) if reason.contains("5.8")));
}

#[tokio::test]
async fn one_order_that_cannot_be_read_does_not_spoil_the_others() {
    let shop = Shop::start(|_| {
        let bad = order(7, DAY + 6).replace(r#""status":"processing""#, r#""status":[]"#);
        let till = order(1, DAY + 5).replace(r#""quantity":1"#, r#""quantity":-1"#);
        json(200, format!("[{till},{bad},{}]", order(2, DAY + 7)))
    })
    .await;
    let cursor = OrdersCursor::since(OrderSet::Trash, Timestamp::from_seconds(DAY));
    let page = shop.client().orders_changed(cursor).await.unwrap().value;
    assert_eq!((page.orders.len(), page.unusable.len(), page.next), (2, 1, None));
    assert_eq!(page.unusable[0].id, Some(7));
    let faults: Vec<_> = page.orders.iter().flat_map(|order| &order.lines).map(|line| line.fault).collect();
    assert_eq!(faults, [Some(LineFault::Negative), None], "a line that cannot be read is wrong alone");
    let request = &shop.seen()[0];
    assert_eq!((request.query("status"), request.query("per_page")), ("trash", "100"));
    assert_eq!(request.query("modified_after"), "2026-11-21T23:59:59", "the second itself is wanted too");
    assert!(request.query("_fields").contains("line_items"));
}

#[tokio::test]
async fn orders_by_number_are_live_or_in_the_trash_or_proven_gone() {
    let shop = Shop::start(|request| match (request.route(), request.query("status")) {
        ("/orders", "any") => json(200, format!("[{}]", order(1, DAY))),
        ("/orders", "trash") => json(200, format!("[{}]", order(2, DAY).replace("processing", "trash"))),
        // Moved between the two lists, so in neither.
        ("/orders/4", _) => json(200, order(4, DAY)),
        _ => error(404, "woocommerce_rest_shop_order_invalid_id"),
    })
    .await;
    let wanted: Vec<OrderId> = (1..=4).map(|id| OrderId::new(id).unwrap()).collect();
    let reply = shop.client().orders_by_id(&wanted).await.unwrap();
    let mut found: Vec<(i64, String)> =
        reply.value.orders.iter().map(|order| (order.order.get(), order.status.clone())).collect();
    found.sort();
    let expected = [(1, "processing"), (2, "trash"), (4, "processing")];
    assert_eq!(found, expected.map(|(id, status)| (id, status.to_owned())));
    assert_eq!(reply.value.gone, [OrderId::new(3).unwrap()]);
    assert_eq!(reply.calls, 4);
    assert_eq!(shop.seen()[0].query("include"), "1,2,3,4");
}

#[tokio::test]
async fn no_route_is_not_taken_for_a_deleted_order() {
    let shop = Shop::start(|request| match request.route() {
        "/orders" => json(200, "[]"),
        _ => no_route(),
    })
    .await;
    let refused = shop.client().orders_by_id(&[OrderId::new(1).unwrap()]).await;
    assert!(matches!(refused, Err(CallError::Refused { status: 404, .. })), "{refused:?}");
}

fn stock(holder: i64, parent: i64) -> StockRef {
    StockRef { holder: HolderId::new(holder).unwrap(), parent: ProductId::new(parent) }
}

fn stocks_of_a_shop(request: &Seen, has_variations: bool) -> Answer {
    let include = request.query("include").to_owned();
    let known = [
        (
            11,
            r#"{"id":11,"parent_id":0,"manage_stock":true,"stock_quantity":-974,"date_modified_gmt":"2026-11-22T03:48:13"}"#,
        ),
        (
            12,
            r#"{"id":12,"parent_id":0,"manage_stock":false,"stock_quantity":null,"date_modified_gmt":"once"}"#,
        ),
        (13, r#"{"id":13,"parent_id":0,"manage_stock":true,"stock_quantity":99999999999}"#),
        (42, r#"{"id":42,"parent_id":41,"manage_stock":true,"stock_quantity":7}"#),
        (57, r#"{"id":57,"parent_id":56,"manage_stock":"parent","stock_quantity":33}"#),
    ];
    let ids: &[i64] = match request.route() {
        "/products" => &[11, 12, 13],
        "/variations" if has_variations => &[42, 57],
        "/products/41/variations" => &[42],
        "/products/56/variations" => &[57],
        "/products/99/variations" => return error(404, "woocommerce_rest_product_invalid_id"),
        _ => return no_route(),
    };
    let wanted = |id: &i64| ids.contains(id) && include.split(',').any(|asked| asked == id.to_string());
    let found: Vec<&str> = known.iter().filter(|(id, _)| wanted(id)).map(|(_, json)| *json).collect();
    json(200, format!("[{}]", found.join(",")))
}

#[tokio::test]
async fn every_stock_asked_for_is_answered_whatever_the_shop_can_list() {
    for has_variations in [true, false] {
        let shop = Shop::start(move |request| stocks_of_a_shop(request, has_variations)).await;
        let asked = [
            stock(42, 41),
            stock(11, 0),
            stock(12, 0),
            stock(13, 0),
            stock(57, 56),
            stock(42, 56),
            stock(77, 0),
            stock(78, 99),
        ];
        let reply = shop.client().stocks(&asked).await.unwrap();
        let shown: Vec<Shown> = reply.value.iter().map(|fact| fact.shown).collect();
        let units = |units| Shown::Quantity(Quantity::from_units(units));
        assert_eq!(
            shown,
            [
                units(7),
                units(-974),
                Shown::Unmanaged,
                Shown::Unusable,
                Shown::AtParent,
                Shown::Gone,
                Shown::Gone,
                Shown::Gone
            ]
        );
        let dates: Vec<Option<i64>> =
            reply.value.iter().map(|fact| fact.modified_at.map(Timestamp::seconds)).collect();
        let dated = Some(1_795_319_293);
        assert_eq!(
            dates,
            [None, dated, None, None, None, None, None, None],
            "what cannot be read is not told"
        );
        assert!(reply.value.iter().zip(&asked).all(|(fact, asked)| fact.stock == *asked));
        assert_eq!(usize::try_from(reply.calls).unwrap(), shop.seen().len());
        assert_eq!(shop.seen().len(), if has_variations { 2 } else { 5 });
    }
}

fn catalogue_of_a_shop(request: &Seen, has_variations: bool) -> Answer {
    let simple = |id: i64| {
        format!(
            r#"{{"id":{id},"type":"simple","parent_id":0,"sku":"S{id}","name":"n","status":"publish","manage_stock":true,"stock_quantity":1}}"#
        )
    };
    let variation = |id: i64, parent: i64| {
        format!(
            r#"{{"id":{id},"type":"variation","parent_id":{parent},"sku":"V{id}","name":"s","status":"publish","manage_stock":true,"stock_quantity":1}}"#
        )
    };
    let parent = |id: i64| {
        format!(
            r#"{{"id":{id},"type":"variable","parent_id":0,"sku":"","name":"p","status":"publish","manage_stock":false,"stock_quantity":null}}"#
        )
    };
    let page: usize = request.query("page").parse().unwrap_or(1);
    let all: Vec<String> = match request.route() {
        "/products" => (1..=150).map(simple).chain([parent(200), parent(201), parent(202)]).collect(),
        "/variations" if has_variations => vec![variation(300, 200), variation(301, 202)],
        "/products/200/variations" => vec![variation(300, 200)],
        "/products/201/variations" => return error(404, "woocommerce_rest_product_invalid_id"),
        "/products/202/variations" => vec![variation(301, 202)],
        _ => return no_route(),
    };
    let items: Vec<String> = all.iter().skip((page - 1) * 100).take(100).cloned().collect();
    let answer = json(200, format!("[{}]", items.join(",")));
    let answer = with(answer, "x-wp-total", &all.len().to_string());
    with(answer, "x-wp-totalpages", &all.len().div_ceil(100).to_string())
}

#[tokio::test]
async fn the_catalogue_is_products_and_then_variations() {
    for has_variations in [true, false] {
        let shop = Shop::start(move |request| catalogue_of_a_shop(request, has_variations)).await;
        let client = shop.client();
        let mut cursor = Some(CatalogueCursor::default());
        let mut listings = Vec::new();
        while let Some(at) = cursor {
            let reply = client.catalogue(at).await.unwrap();
            listings.extend(reply.value.listings);
            cursor = reply.value.next;
        }
        assert_eq!(listings.len(), 155);
        let variations: Vec<String> = listings
            .iter()
            .filter(|listing| listing.kind == ListingKind::Variation)
            .map(|listing| listing.listing.to_string())
            .collect();
        assert_eq!(variations, ["200/300", "202/301"]);
        assert_eq!(listings[0].holder, HolderId::new(1));
    }
}

#[tokio::test]
async fn an_empty_page_is_the_end_whatever_the_shop_counts() {
    let shop = Shop::start(|_| with(json(200, "[]"), "x-wp-totalpages", "9")).await;
    let client = shop.client();
    let page = client.catalogue(CatalogueCursor::default()).await.unwrap().value;
    assert_eq!(page.next, None);
    let cursor = OrdersCursor::since(OrderSet::Live, Timestamp::from_seconds(DAY));
    assert_eq!(client.orders_changed(cursor).await.unwrap().value.next, None);
}

#[tokio::test]
async fn webhooks_are_listed_made_and_deleted() {
    let shop = Shop::start(|request| match (request.method.as_str(), request.route()) {
        ("GET", "/webhooks") => json(
            200,
            r#"[{"id":4,"name":"x","status":"disabled","topic":"order.updated","delivery_url":"https:\/\/hub.example\/w\/1"}]"#,
        ),
        ("POST", "/webhooks") => json(
            201,
            r#"{"id":5,"status":"active","topic":"order.created","delivery_url":"https:\/\/hub.example\/w\/1"}"#,
        ),
        ("DELETE", "/webhooks/5") if request.query("force") == "true" => json(200, r#"{"id":5}"#),
        _ => error(404, "woocommerce_rest_shop_webhook_invalid_id"),
    })
    .await;
    let client = shop.client();
    let listed = client.webhooks().await.unwrap().value;
    assert_eq!((listed[0].id, listed[0].status), (4, WebhookStatus::Disabled));
    let secret = SecretString::from("hush");
    let made = client.create_webhook(TOPICS[0], "https://hub.example/w/1", &secret).await.unwrap().value;
    assert_eq!((made.id, made.topic.as_str()), (5, "order.created"));
    let sent: serde_json::Value = serde_json::from_str(&shop.seen()[1].body).unwrap();
    assert_eq!((sent["secret"].as_str(), sent["topic"].as_str()), (Some("hush"), Some("order.created")));
    assert!(client.delete_webhook(5).await.unwrap().value);
    assert!(!client.delete_webhook(6).await.unwrap().value);
}

#[tokio::test]
async fn a_delivery_address_is_tried_as_the_shop_does_and_redirects_are_not_followed() {
    let client = Shop::start(|_| json(200, "[]")).await.client();
    let hub = Shop::start(|request| match request.path.as_str() {
        "/taken" if request.body == "webhook_id=0" => json(200, ""),
        "/moved" => with(json(301, ""), "location", "https://www.hub.example/taken?secret=1"),
        "/created" => json(201, ""),
        _ => json(404, ""),
    })
    .await;
    let moved = Tried::Redirected { status: 301, to: Some("https://www.hub.example".to_owned()) };
    let cases = [
        ("/taken", Tried::Taken),
        ("/moved", moved),
        // Anything but 200 makes WooCommerce ping again after every delivery.
        ("/created", Tried::Refused { status: 201 }),
        ("/elsewhere", Tried::Refused { status: 404 }),
    ];
    for (path, expected) in cases {
        let url = format!("http://{}{path}", hub.address);
        assert_eq!(client.try_delivery(&url).await, expected, "{path}");
    }
    let unused = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    assert_eq!(client.try_delivery(&format!("http://{unused}/")).await, Tried::NoAnswer);
}
