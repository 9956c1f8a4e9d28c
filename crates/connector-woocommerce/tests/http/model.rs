//! The client against the fake shop, which answers, signs and breaks as a real one was seen to.

use std::time::Duration;

use connector::{
    CallError, ChangeOutcome, ChangeStocks, Effect, KeepWebhooks, ListingKind, OrderSet, OrdersCursor,
    ReadCatalogue, ReadOrders, ReadStocks, Shown, StockBatch, StockChange, StockRef, TestConnection,
};
use futures_util::future::join_all;
use onhand_connector_woocommerce::{
    Access, CatalogueCursor, Client, Content, Incoming, SIGNATURE_HEADER, TOPICS, Verifier, classify,
};
use secrecy::SecretString;
use testkit::fake_shop::{ApiKey, FakeShop, FakeShopOptions, Fault, FaultKind, Permissions, RetryAfter};
use testkit::shop::{Change, NewLine, NewOrder, NewProduct, NewVariation, Status};
use values::{HolderId, ListingId, OrderId, ProductId, Quantity, Timestamp, VariationId};

use crate::shop::{SHORT, Shop, access, json};

fn access_to(shop: &FakeShop, key: &str, secret: &str) -> Access {
    Access { consumer_key: key.into(), consumer_secret: secret.into(), ..access(&shop.url()) }
}

fn client(shop: &FakeShop) -> Client {
    let access = access_to(shop, FakeShopOptions::KEY, FakeShopOptions::SECRET);
    Client::with_timeouts(access, SHORT).unwrap()
}

async fn shop() -> FakeShop {
    FakeShop::start(FakeShopOptions { delivery_period: None, ..FakeShopOptions::default() }).await.unwrap()
}

fn simple(shop: &FakeShop, sku: &str, stock: i64) -> ProductId {
    shop.with_model(|model, now| model.add_product(NewProduct::simple(sku.parse().ok(), stock), now))
}

fn variation(shop: &FakeShop, parent: ProductId, new: NewVariation) -> VariationId {
    shop.with_model(|model, now| model.add_variation(parent, new, now))
}

async fn buy(shop: &FakeShop, product: ProductId, quantity: i64) -> OrderId {
    let order = NewOrder::by_rest(Status::Processing, vec![NewLine::of(product, quantity)]);
    shop.act(Change::CreateOrder(order)).await.unwrap().order.unwrap()
}

#[tokio::test]
async fn the_shop_accepts_our_signature_and_every_wrong_key_is_told_apart() {
    let reader =
        ApiKey { key: "ck_read".to_owned(), secret: "cs_read".to_owned(), permissions: Permissions::Read };
    let mut options = FakeShopOptions { delivery_period: None, ..FakeShopOptions::default() };
    options.keys.push(reader);
    let shop = FakeShop::start(options).await.unwrap();
    let test = async |key: &str, secret: &str| {
        let diagnosis = Client::new(access_to(&shop, key, secret)).unwrap().test().await;
        let told = diagnosis.findings.iter().map(|finding| finding.code);
        // That it is not encrypted is told in any case.
        told.filter(|code| *code != "plain_http").collect::<Vec<_>>()
    };
    assert_eq!(test(FakeShopOptions::KEY, FakeShopOptions::SECRET).await, Vec::<&str>::new());
    assert_eq!(test(FakeShopOptions::KEY, "cs_wrong").await, ["signature_invalid"]);
    assert_eq!(test("ck_wrong", FakeShopOptions::SECRET).await, ["key_unknown"]);
    assert_eq!(test("ck_read", "cs_read").await, ["read_only_key"]);
    shop.set_clock_offset_micros(3_600_000_000);
    let skewed = test(FakeShopOptions::KEY, FakeShopOptions::SECRET).await;
    assert!(skewed.contains(&"clock_skew"), "{skewed:?}");
}

#[tokio::test]
async fn orders_are_read_as_they_are() {
    let shop = shop().await;
    let client = client(&shop);
    let product = simple(&shop, "A", 100);
    let started = shop.now();
    let mut orders = Vec::new();
    for quantity in 1..=120 {
        orders.push(buy(&shop, product, quantity % 3 + 1).await);
    }
    shop.act(Change::SetStatus { order: orders[0], status: Status::Cancelled }).await.unwrap();
    shop.act(Change::Trash(orders[1])).await.unwrap();
    let mut cursor = Some(OrdersCursor::since(OrderSet::Live, started));
    let mut read = std::collections::BTreeMap::new();
    let mut calls = 0;
    while let Some(at) = cursor {
        let page = client.orders_changed(at).await.unwrap().value;
        assert_eq!(page.unusable, []);
        read.extend(page.orders.into_iter().map(|order| (order.order, order)));
        cursor = page.next;
        calls += 1;
        assert!(calls < 10, "it does not end");
    }
    assert_eq!(read.len(), 119, "all but the trash");
    let line = &read[&orders[3]].lines[0];
    assert_eq!(line.listing, Some(ListingId { product, variation: None }));
    assert_eq!((line.quantity, line.taken), (Quantity::from_units(2), Some(Quantity::from_units(2))));
    assert_eq!(read[&orders[0]].lines[0].taken, None, "given back when it was cancelled");
    let trash = client.orders_changed(OrdersCursor::since(OrderSet::Trash, started)).await.unwrap().value;
    assert_eq!(trash.orders.iter().map(|order| order.order).collect::<Vec<_>>(), [orders[1]]);
    let nobody = OrderId::new(999_999).unwrap();
    let found = client.orders_by_id(&[orders[0], orders[1], nobody]).await.unwrap().value;
    assert_eq!(found.gone, [nobody]);
    let statuses: Vec<&str> = found.orders.iter().map(|order| order.status.as_str()).collect();
    assert_eq!(statuses, ["cancelled", "trash"]);
}

#[tokio::test]
async fn open_orders_and_the_highest_number_are_found() {
    let shop = shop().await;
    let client = client(&shop);
    assert_eq!(client.newest_order().await.unwrap().value, None);
    let product = simple(&shop, "A", 100);
    let mut orders = Vec::new();
    for _ in 0..4 {
        orders.push(buy(&shop, product, 1).await);
    }
    shop.act(Change::SetStatus { order: orders[0], status: Status::Completed }).await.unwrap();
    shop.act(Change::SetStatus { order: orders[1], status: Status::OnHold }).await.unwrap();
    shop.act(Change::Trash(orders[3])).await.unwrap();
    let cursor = OrdersCursor::since(OrderSet::Open, Timestamp::from_seconds(1));
    let mut open: Vec<OrderId> =
        client.orders_changed(cursor).await.unwrap().value.orders.iter().map(|order| order.order).collect();
    open.sort_unstable();
    assert_eq!(open, [orders[1], orders[2]]);
    assert_eq!(client.newest_order().await.unwrap().value, Some(orders[3]), "in the trash, and yet a number");
    let mut counts = Vec::new();
    for status in ["processing", "on-hold", "completed", "trash", "failed", "of-a-plugin"] {
        counts.push(client.order_count(status).await.unwrap().value);
    }
    assert_eq!(counts, [Some(1), Some(1), Some(1), Some(1), Some(0), None]);
}

#[tokio::test]
async fn stocks_and_the_catalogue_are_read_wherever_they_are_kept() {
    let shop = shop().await;
    let client = client(&shop);
    let plain = simple(&shop, "A", 7);
    let variable = |stock| {
        let new = NewProduct::variable("P".parse().ok(), stock);
        shop.with_model(|model, now| model.add_product(new, now))
    };
    let (own, shared) = (variable(None), variable(Some(33)));
    let small = variation(&shop, own, NewVariation::with_stock("P-S".parse().ok(), 4));
    let red = variation(&shop, shared, NewVariation::at_parent("Q-R".parse().ok()));
    let at = |holder: HolderId, parent| StockRef { holder, parent };
    let asked = [
        at(plain.into(), None),
        at(small.into(), Some(own)),
        at(red.into(), Some(shared)),
        at(shared.into(), None),
        at(own.into(), None),
        at(HolderId::new(999_999).unwrap(), None),
    ];
    let shown: Vec<Shown> =
        client.stocks(&asked).await.unwrap().value.iter().map(|fact| fact.shown).collect();
    let units = |units| Shown::Quantity(Quantity::from_units(units));
    let expected = [units(7), units(4), Shown::AtParent, units(33), Shown::Unmanaged, Shown::Gone];
    assert_eq!(shown, expected);
    let mut cursor = Some(CatalogueCursor::default());
    let mut listings = Vec::new();
    while let Some(at) = cursor {
        let page = client.catalogue(at).await.unwrap().value;
        assert_eq!(page.unusable, []);
        listings.extend(page.listings);
        cursor = page.next;
    }
    let described: Vec<(String, ListingKind, Option<HolderId>)> =
        listings.iter().map(|listing| (listing.listing.to_string(), listing.kind, listing.holder)).collect();
    assert_eq!(
        described,
        [
            (plain.to_string(), ListingKind::Simple, Some(plain.into())),
            (own.to_string(), ListingKind::Parent, None),
            (shared.to_string(), ListingKind::Parent, Some(shared.into())),
            (format!("{own}/{small}"), ListingKind::Variation, Some(small.into())),
            (format!("{shared}/{red}"), ListingKind::Variation, Some(shared.into())),
        ]
    );
}

/// What each fault does to a change of −2, and whether we may be sure of it.
fn faults() -> Vec<(FaultKind, Option<Effect>)> {
    vec![
        (FaultKind::TooMany(RetryAfter::Seconds(7)), Some(Effect::None)),
        (FaultKind::TooMany(RetryAfter::Date(Duration::from_secs(30))), Some(Effect::None)),
        (FaultKind::TooMany(RetryAfter::Unsaid), Some(Effect::None)),
        (FaultKind::Unavailable(RetryAfter::Seconds(7)), Some(Effect::Unknown)),
        (FaultKind::Status(400), Some(Effect::None)),
        (FaultKind::Status(403), Some(Effect::None)),
        (FaultKind::Status(413), Some(Effect::None)),
        (FaultKind::Status(502), Some(Effect::Unknown)),
        (FaultKind::Redirect("http://127.0.0.1:9/".to_owned()), Some(Effect::None)),
        (FaultKind::ErrorAfter, Some(Effect::Unknown)),
        (FaultKind::CutBefore, Some(Effect::Unknown)),
        (FaultKind::CutAfter, Some(Effect::Unknown)),
        (FaultKind::HangBefore, Some(Effect::Unknown)),
        (FaultKind::HangAfter, Some(Effect::Unknown)),
        (FaultKind::LateEffect(2 * SHORT.read), Some(Effect::Unknown)),
        (FaultKind::Html, Some(Effect::Unknown)),
        (FaultKind::TruncatedJson, Some(Effect::Unknown)),
        (FaultKind::Slow(Duration::from_millis(200)), None),
    ]
}

async fn change_under(fault: FaultKind, expected: Option<Effect>) {
    let shop = shop().await;
    let product = simple(&shop, "A", 10);
    let change = StockChange { holder: product.into(), delta: Quantity::from_units(-2) };
    let batch = StockBatch { parent: None, changes: vec![change] };
    shop.fault(Fault::next("POST products/batch", fault.clone()));
    let changed = client(&shop).change_stocks(&batch).await;
    let stock = shop.with_model(|model, _| model.stock(product.into())).unwrap();
    match (&changed, expected) {
        (Ok(changed), None) => {
            let shown = Quantity::from_units(8);
            assert_eq!(changed.outcomes, [ChangeOutcome::Applied { shown }], "{fault:?}");
            assert_eq!(stock, 8, "{fault:?}");
        }
        (Err(error), Some(effect)) => {
            assert_eq!(error.effect(), effect, "{fault:?}: {error:?}");
            assert!(effect == Effect::Unknown || stock == 10, "{fault:?} changed the stock");
        }
        other => panic!("{fault:?}: {other:?}"),
    }
    if let FaultKind::TooMany(RetryAfter::Date(wait)) = fault {
        let told = changed.unwrap_err().retry_after().unwrap();
        assert!(told <= wait && told + Duration::from_secs(2) >= wait, "{told:?}");
    }
}

#[tokio::test]
async fn what_we_are_sure_of_is_so_whatever_breaks() {
    // At once, as some of them take as long as we wait.
    join_all(faults().into_iter().map(|(fault, expected)| change_under(fault, expected))).await;
}

#[tokio::test]
async fn a_batch_of_the_shop_is_taken_apart_item_by_item() {
    let shop = shop().await;
    let plain = simple(&shop, "A", 10);
    let unmanaged = shop.with_model(|model, now| model.add_product(NewProduct::unmanaged(None), now));
    let shared = shop.with_model(|model, now| model.add_product(NewProduct::variable(None, Some(33)), now));
    let red = variation(&shop, shared, NewVariation::at_parent(None));
    let change = |holder: HolderId, units| StockChange { holder, delta: Quantity::from_units(units) };
    let nobody = HolderId::new(999_999).unwrap();
    let products = StockBatch {
        parent: None,
        changes: vec![
            change(plain.into(), 5),
            change(unmanaged.into(), 5),
            change(red.into(), 5),
            change(nobody, 5),
        ],
    };
    let client = client(&shop);
    let reasons = |outcomes: Vec<ChangeOutcome>| -> Vec<&'static str> {
        let reason = |outcome| match outcome {
            ChangeOutcome::Applied { .. } => "applied",
            ChangeOutcome::Refused { reason, .. } => reason.as_str(),
            ChangeOutcome::Uncertain => "uncertain",
        };
        outcomes.into_iter().map(reason).collect()
    };
    let outcomes = client.change_stocks(&products).await.unwrap().outcomes;
    assert_eq!(reasons(outcomes), ["applied", "unmanaged", "wrong_parent", "unknown"]);
    let variations = StockBatch { parent: Some(shared), changes: vec![change(red.into(), 5)] };
    let outcomes = client.change_stocks(&variations).await.unwrap().outcomes;
    assert_eq!(reasons(outcomes), ["at_parent"]);
    let stock = |holder: HolderId| shop.with_model(|model, _| model.stock(holder));
    assert_eq!((stock(plain.into()), stock(shared.into())), (Some(15), Some(33)));
}

#[tokio::test]
async fn webhooks_made_by_us_deliver_what_we_can_verify() {
    let hub = Shop::start(|_| json(200, "")).await;
    let shop = shop().await;
    let client = client(&shop);
    let product = simple(&shop, "A", 10);
    let secret = SecretString::from("two words &amp; an entity");
    for topic in TOPICS {
        let url = format!("http://{}/webhooks/t", hub.address);
        client.create_webhook(topic, &url, &secret).await.unwrap();
    }
    let order = buy(&shop, product, 3).await;
    shop.run_queue().await;
    shop.act(Change::Trash(order)).await.unwrap();
    shop.run_queue().await;
    let verifier = Verifier::new(&secret, None).unwrap();
    let mut said = Vec::new();
    for request in hub.seen() {
        let signature = request.headers.get(SIGNATURE_HEADER).map(axum::http::HeaderValue::as_bytes);
        said.push(match classify(&verifier, signature, request.body.as_bytes()) {
            Incoming::Ping { .. } => "ping".to_owned(),
            Incoming::Authentic(Content::Order(fact)) => format!("order {}", fact.status),
            Incoming::Authentic(Content::Listing(fact)) => format!("shows {}", fact.shown.unwrap()),
            Incoming::Authentic(Content::Hint { id, .. }) if id == order.get() => "hint".to_owned(),
            other => panic!("{other:?}"),
        });
    }
    let (pings, rest) = said.split_at(TOPICS.len());
    assert!(pings.iter().all(|what| what == "ping"), "{pings:?}");
    let counts = |what: &str| rest.iter().filter(|said| *said == what).count();
    assert_eq!((counts("order processing"), counts("shows 7"), counts("hint")), (2, 1, 1), "{rest:?}");
    let made = client.webhooks().await.unwrap().value;
    assert_eq!(made.len(), TOPICS.len());
    for webhook in made {
        assert!(client.delete_webhook(webhook.id).await.unwrap().value);
    }
    assert_eq!(client.webhooks().await.unwrap().value, []);
}

#[tokio::test]
async fn a_shop_that_is_switched_off_is_certain_to_have_done_nothing() {
    let shop = shop().await;
    let client = client(&shop);
    shop.stop().await;
    let cursor = OrdersCursor::since(OrderSet::Live, Timestamp::from_seconds(0));
    let error = client.orders_changed(cursor).await.unwrap_err();
    assert!(matches!(error, CallError::NotSent { .. }), "{error:?}");
}
