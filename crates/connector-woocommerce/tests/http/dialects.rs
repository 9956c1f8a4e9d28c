//! Whatever plugins and hosts make of a shop's answers and webhooks, the facts are the same.

use connector::{
    ChangeOutcome, ChangeStocks, KeepWebhooks, OrderSet, OrdersCursor, ReadCatalogue, ReadOrders, ReadStocks,
    StockBatch, StockChange, StockRef, Unusable,
};
use onhand_connector_woocommerce::{
    Access, CatalogueCursor, Client, Content, Incoming, SIGNATURE_HEADER, Verifier, classify,
};
use secrecy::SecretString;
use testkit::conformance::recorded_shop;
use testkit::fake_shop::{Dialect, FakeShop, FakeShopOptions};
use testkit::shop::{Change, NewLine, NewOrder, Outcome, Status, Topic};
use values::{HolderId, OrderId, ProductId, Quantity, Timestamp, VariationId};

use crate::shop::{SHORT, Shop, access, json};

const SECRET: &str = "webhook-secret";
/// Both shops' time, so that they say the same.
const START: Timestamp = Timestamp::from_seconds(1_795_319_120);

fn product(id: i64) -> ProductId {
    ProductId::new(id).unwrap()
}

fn client(shop: &FakeShop) -> Client {
    let access = Access {
        consumer_key: FakeShopOptions::KEY.into(),
        consumer_secret: FakeShopOptions::SECRET.into(),
        ..access(&shop.url())
    };
    Client::with_timeouts(access, SHORT).unwrap()
}

/// What happens in the shop: every status, variations, a shared stock, edits, refunds, trash, and a product that goes.
fn live(shop: &FakeShop) {
    let run = |change: Change| -> Outcome {
        shop.with_model(|model, _| model.run(change, START)).expect("the shop does it")
    };
    let order = |status, lines| run(Change::CreateOrder(NewOrder::by_rest(status, lines))).order.unwrap();
    for status in [Status::Pending, Status::OnHold, Status::Processing, Status::Failed, Status::Custom] {
        order(status, vec![NewLine::of(product(11), 2), NewLine::of(product(12), 1)]);
    }
    let variation = NewLine::of_variation(product(41), VariationId::new(42).unwrap(), 3);
    let shared = NewLine::of_variation(product(56), VariationId::new(57).unwrap(), 1);
    let big = order(
        Status::Processing,
        vec![variation, shared, NewLine::of(product(62), 5), NewLine::of(product(59), 1)],
    );
    let line = shop.with_model(|model, _| model.order(big)).unwrap().lines[2].id;
    run(Change::Refund { order: big, lines: vec![(line, 2)], amount: Some(100), restock: true });
    run(Change::EditLine { order: big, line, quantity: 4 });
    let gone = order(Status::Processing, vec![NewLine::of(product(30), 2)]);
    run(Change::DeleteProduct(product(30).into()));
    let trashed = order(Status::Completed, vec![NewLine::of(product(13), 1)]);
    run(Change::Trash(trashed));
    let restored = order(Status::Processing, vec![NewLine::of(product(14), 1)]);
    run(Change::Trash(restored));
    run(Change::Untrash(restored));
    run(Change::DeleteForever(gone));
    run(Change::TrashProduct(product(29).into()));
    run(Change::UntrashProduct(product(29).into()));
    run(Change::TrashPage);
    run(Change::SetStock { holder: product(28).into(), quantity: -4 });
}

async fn shop(dialect: Dialect) -> FakeShop {
    let options = FakeShopOptions { delivery_period: None, dialect, ..FakeShopOptions::default() };
    FakeShop::start_with(recorded_shop(START), options, 0).await.unwrap()
}

/// Everything that is read of a shop, in words, without what depends on when it was asked.
async fn read(shop: &FakeShop) -> Vec<String> {
    let client = client(shop);
    let mut facts = Vec::new();
    for set in [OrderSet::Live, OrderSet::Trash] {
        let mut cursor = Some(OrdersCursor::since(set, Timestamp::from_seconds(START.seconds() - 60)));
        while let Some(at) = cursor {
            let page = client.orders_changed(at).await.unwrap().value;
            facts.push(format!("{:?} {:?}", page.orders, page.unusable));
            cursor = page.next;
        }
    }
    let all: Vec<OrderId> = shop.with_model(|model, _| model.order_ids().collect());
    let mut wanted = all.clone();
    wanted.push(OrderId::new(999_999).unwrap());
    let by_id = client.orders_by_id(&wanted).await.unwrap().value;
    assert_eq!(by_id.orders.len(), all.len(), "{by_id:?}");
    facts.push(format!("{by_id:?} {:?}", client.newest_order().await.unwrap().value));
    let mut cursor = Some(CatalogueCursor::default());
    while let Some(at) = cursor {
        let page = client.catalogue(at).await.unwrap().value;
        facts.push(format!("{:?} {:?}", page.listings, page.unusable));
        cursor = page.next;
    }
    let stock = |holder: i64, parent: Option<i64>| StockRef {
        holder: HolderId::new(holder).unwrap(),
        parent: parent.map(product),
    };
    let stocks = [
        stock(11, None),
        stock(28, None),
        stock(56, None),
        stock(59, None),
        stock(30, None),
        stock(42, Some(41)),
        stock(47, Some(46)),
        stock(57, Some(56)),
    ];
    facts.push(format!("{:?}", client.stocks(&stocks).await.unwrap().value));
    facts.push(format!("{:?}", client.webhooks().await.unwrap().value.len()));
    facts
}

async fn push(shop: &FakeShop) -> Vec<ChangeOutcome> {
    let change =
        |holder: i64| StockChange { holder: HolderId::new(holder).unwrap(), delta: Quantity::from_units(-2) };
    let products = StockBatch { parent: None, changes: [11, 28, 59, 30, 999_999].map(change).to_vec() };
    let variations = StockBatch { parent: Some(product(41)), changes: [42, 43].map(change).to_vec() };
    let client = client(shop);
    let mut outcomes = client.change_stocks(&products).await.unwrap().outcomes;
    outcomes.extend(client.change_stocks(&variations).await.unwrap().outcomes);
    outcomes
}

#[tokio::test]
async fn the_same_facts_are_read_in_every_dialect() {
    let plain = shop(Dialect::default()).await;
    live(&plain);
    let (wanted, pushed) = (read(&plain).await, push(&plain).await);
    assert!(pushed.iter().filter(|outcome| matches!(outcome, ChangeOutcome::Applied { .. })).count() == 4);
    for dialect in Dialect::all() {
        let shop = shop(dialect).await;
        live(&shop);
        let found = read(&shop).await;
        for (found, wanted) in found.iter().zip(&wanted) {
            assert_eq!(found, wanted, "{dialect:?}");
        }
        assert_eq!((found.len(), push(&shop).await), (wanted.len(), pushed.clone()), "{dialect:?}");
    }
}

/// What the webhooks of a shop say, of every topic.
async fn heard(dialect: Dialect) -> Vec<String> {
    let receiver = Shop::start(|_| json(200, "{}")).await;
    let url = format!("http://{}/hook", receiver.address);
    let shop = shop(dialect).await;
    shop.with_model(|model, now| {
        for topic in Topic::ALL {
            model.create_webhook(topic, &url, SECRET, now);
        }
    });
    live(&shop);
    let sent = shop.run_queue().await;
    let verifier = Verifier::new(&SecretString::from(SECRET), None).unwrap();
    let deliveries = receiver.seen().into_iter().filter(|seen| seen.headers.contains_key(SIGNATURE_HEADER));
    let heard: Vec<String> = deliveries
        .map(|seen| {
            let signature = seen.headers.get(SIGNATURE_HEADER).map(axum::http::HeaderValue::as_bytes);
            match classify(&verifier, signature, seen.body.as_bytes()) {
                // With a field too many a bare number is not taken for what it was, and read again all the same.
                Incoming::Authentic(Content::Hint { id, .. }) => format!("read {id} again"),
                Incoming::Authentic(Content::Unusable { what: Unusable { id: Some(id), .. }, .. }) => {
                    format!("read {id} again")
                }
                Incoming::Authentic(content) => format!("{content:?}"),
                other => panic!("{other:?}: {}", seen.body),
            }
        })
        .collect();
    assert_eq!(heard.len(), sent);
    heard
}

#[tokio::test]
async fn the_same_webhooks_are_heard_in_every_dialect() {
    let wanted = heard(Dialect::default()).await;
    for said in [
        "Order(",
        "Listing(",
        "read ",
        "Error(SignedError { code: \"woocommerce_rest_shop_order_invalid_id\", status: Some(404)",
    ] {
        assert!(wanted.iter().any(|heard| heard.starts_with(said)), "{said}: {wanted:#?}");
    }
    for dialect in Dialect::all() {
        let found = heard(dialect).await;
        for (found, wanted) in found.iter().zip(&wanted) {
            assert_eq!(found, wanted, "{dialect:?}");
        }
        assert_eq!(found.len(), wanted.len(), "{dialect:?}");
    }
}
