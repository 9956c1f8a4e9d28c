//! Every recorded REST transcript, replayed against the fake shop.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as the tests do")]

use std::time::Duration;

use onhand_testkit::conformance::{
    Census, Credentials, Difference, History, Outcome, ReplayError, Report, SKIPPED, Target, census,
    fixtures, load, recorded_shop, replay, replay_anywhere,
};
use onhand_testkit::fake_shop::{ApiKey, FakeShop, FakeShopOptions, Fault, FaultKind, Permissions};
use onhand_testkit::shop::{
    Change, NewLine, NewOrder, NewProduct, ProductFilter, Shop, ShopOptions, Status, Topic,
};
use values::Timestamp;

fn digits(digit: char) -> String {
    digit.to_string().repeat(40)
}

fn credentials(key: char, secret: char) -> Credentials {
    Credentials { key: format!("ck_{}", digits(key)), secret: format!("cs_{}", digits(secret)) }
}

fn differing(report: &Report) -> Vec<String> {
    let place = |place: &Difference| format!("\n    {place}");
    report
        .differing()
        .map(|(name, places)| places.iter().map(place).fold(name.to_owned(), |all, one| all + &one))
        .collect()
}

async fn shop(https: bool) -> FakeShop {
    let key = |pair: Credentials, permissions| ApiKey { key: pair.key, secret: pair.secret, permissions };
    let options = FakeShopOptions {
        https,
        keys: vec![
            key(credentials('1', '2'), Permissions::ReadWrite),
            key(credentials('3', '4'), Permissions::Read),
            key(credentials('5', '6'), Permissions::Write),
        ],
        delivery_period: None,
        ..FakeShopOptions::default()
    };
    // The products were made at about 03:45:20 of the day of the recording.
    let model = recorded_shop(Timestamp::from_seconds(1_795_319_120));
    FakeShop::start_with(model, options, 0).await.expect("a free port of loopback")
}

#[tokio::test]
async fn the_fake_shop_answers_as_the_recorded_one() {
    let transcripts = load(&fixtures("rest")).unwrap();
    let (secure, plain) = (shop(true).await, shop(false).await);
    let target = Target {
        base_url: secure.url(),
        plain_url: Some(plain.url()),
        oauth: false,
        full: credentials('1', '2'),
        read_only: Some(credentials('3', '4')),
        write_only: Some(credentials('5', '6')),
        same_history: true,
    };
    let mut history = History::of(&secure);
    let report = replay(&target, &transcripts, &mut |transcript| history.before(transcript)).await.unwrap();

    let differing = differing(&report);
    assert!(
        differing.is_empty(),
        "{} of {} differ:\n{}",
        differing.len(),
        transcripts.len(),
        differing.join("\n")
    );
    let mut skipped: Vec<&str> = report.skipped().map(|(name, _)| name).collect();
    let mut listed: Vec<&str> = SKIPPED.iter().map(|(name, _)| *name).collect();
    skipped.sort_unstable();
    listed.sort_unstable();
    assert_eq!(skipped, listed, "what is skipped is listed, and what is listed exists");
    assert_eq!(report.agreed() + skipped.len(), transcripts.len());
}

#[tokio::test]
async fn a_shop_that_answers_otherwise_is_found_out() {
    let transcripts: Vec<_> = load(&fixtures("rest"))
        .unwrap()
        .into_iter()
        .filter(|transcript| {
            ["order-A1-pending", "auth-bad-cs", "product-stock-string"].contains(&transcript.name.as_str())
        })
        .collect();
    // Plain http: no Basic, so everything is turned away in another way than recorded.
    let plain = shop(false).await;
    let target = Target {
        base_url: plain.url(),
        plain_url: None,
        oauth: false,
        full: credentials('1', '2'),
        read_only: None,
        write_only: None,
        same_history: true,
    };
    let report = replay(&target, &transcripts, &mut |_| {}).await.unwrap();
    assert_eq!(report.outcomes.len(), 3);
    assert!(report.outcomes.iter().all(|(_, outcome)| matches!(outcome, Outcome::Differs(_))), "{report:?}");
}

/// A shop with goods and orders of its own, in both ways to keep orders, over https and without.
async fn foreign_shop(https: bool, orders_in_posts: bool) -> FakeShop {
    let key = |pair: Credentials| ApiKey {
        key: pair.key,
        secret: pair.secret,
        permissions: Permissions::ReadWrite,
    };
    let options = FakeShopOptions {
        shop: ShopOptions { orders_in_posts, ..ShopOptions::default() },
        https,
        keys: vec![key(credentials('1', '2'))],
        delivery_period: None,
        ..FakeShopOptions::default()
    };
    let shop = FakeShop::start(options).await.expect("a free port of loopback");
    shop.with_model(|model, now| {
        // Among the numbers of the recorded shop.
        for number in 1..=150 {
            let product = model.add_product(NewProduct::simple(format!("OWN-{number}").parse().ok(), 9), now);
            let order = NewOrder::by_rest(Status::Processing, vec![NewLine::of(product, 1)]);
            model.run(Change::CreateOrder(order), now).unwrap();
        }
        model.create_webhook(Topic::OrderCreated, "http://127.0.0.1:9/own", "own", now);
    });
    shop
}

fn foreign(shop: &FakeShop, https: bool) -> Target {
    Target {
        base_url: shop.url(),
        plain_url: (!https).then(|| shop.url()),
        oauth: !https,
        full: credentials('1', '2'),
        read_only: None,
        write_only: None,
        same_history: false,
    }
}

/// Waits until a shop was called so.
async fn called(shop: &FakeShop, route: &str, times: u64) {
    let called = async {
        while shop.counts().calls_of(route) < times {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), called).await.expect("it is called");
}

/// Orders, products and webhooks.
fn holds(shop: &FakeShop) -> (usize, usize, usize) {
    shop.with_model(|model, _| held_by(model))
}

fn held_by(model: &Shop) -> (usize, usize, usize) {
    let filter = ProductFilter { per_page: 1_000, ..ProductFilter::default() };
    (model.order_ids().count(), model.list_products(&filter).total, model.webhooks().count())
}

#[tokio::test]
async fn interrupted_while_something_is_made_it_leaves_nothing() {
    let transcripts = load(&fixtures("rest")).unwrap();
    for route in ["POST products", "POST orders"] {
        let shop = foreign_shop(true, false).await;
        let before = holds(&shop);
        shop.fault(Fault {
            after: 2,
            ..Fault::next(route, FaultKind::LateEffect(Duration::from_millis(300)))
        });
        let target = foreign(&shop, true);
        let replay = replay_anywhere(&target, &transcripts, called(&shop, route, 3), std::future::pending());
        let (report, replayed) = replay.await;
        replayed.unwrap();
        assert!(report.stopped && report.left.is_empty() && report.doubtful.is_empty(), "{report:?}");
        assert!(report.outcomes.len() < transcripts.len());
        assert_eq!(shop.counts().calls_of(route), 3, "nothing more is made");
        // A shop works on though nobody waits for it any more.
        assert_eq!(held_by(&shop.stop().await), before, "{route}");
    }
}

#[tokio::test]
async fn what_is_left_is_told_though_it_failed() {
    let transcripts = load(&fixtures("rest")).unwrap();
    let shop = foreign_shop(true, false).await;
    let (orders, products, webhooks) = holds(&shop);
    shop.fault(Fault { after: 2, ..Fault::next("POST orders", FaultKind::CutAfter) });
    shop.fault(Fault::next("DELETE products", FaultKind::Status(500)));
    let target = foreign(&shop, true);
    let replay = replay_anywhere(&target, &transcripts, std::future::pending(), std::future::pending());
    let (report, replayed) = replay.await;
    assert!(matches!(replayed, Err(ReplayError::Call { .. })), "{replayed:?}");
    assert!(!report.outcomes.is_empty() && !report.stopped, "what agreed until then is told");
    assert_eq!(report.left.len(), 1, "{:?}", report.left);
    assert!(report.left[0].starts_with("products/"), "{:?}", report.left);
    assert_eq!(report.doubtful, ["orders"]);
    assert_eq!(holds(&shop), (orders + 1, products + 1, webhooks), "it was made, and nobody was told");
}

#[tokio::test]
async fn who_gives_up_taking_away_is_told_what_is_left() {
    let transcripts = load(&fixtures("rest")).unwrap();
    let shop = foreign_shop(true, false).await;
    let (_, products, _) = holds(&shop);
    shop.fault(Fault { after: 1, ..Fault::next("DELETE products", FaultKind::HangBefore) });
    let target = foreign(&shop, true);
    let replay = replay_anywhere(
        &target,
        &transcripts,
        called(&shop, "POST products", 3),
        called(&shop, "DELETE products", 2),
    );
    let (report, replayed) = replay.await;
    replayed.unwrap();
    assert_eq!(report.left.len(), holds(&shop).1 - products, "{:?}", report.left);
    assert!(!report.left.is_empty());
}

#[tokio::test]
async fn at_any_shop_it_brings_its_goods_and_leaves_everything_as_it_was() {
    let transcripts = load(&fixtures("rest")).unwrap();
    // Over plain http what is about keys over https is left out.
    for (https, orders_in_posts, wanted) in [(true, false, (181, 33)), (false, true, (178, 36))] {
        let shop = foreign_shop(https, orders_in_posts).await;
        let target = foreign(&shop, https);
        let before = shop.with_model(|model, _| model.clone());
        assert_eq!(census(&target).await.unwrap(), Census { order_count: 150, other_product_count: 150 });
        let (report, replayed) =
            replay_anywhere(&target, &transcripts, std::future::pending(), std::future::pending()).await;
        replayed.unwrap();
        let differing = differing(&report);
        assert!(differing.is_empty(), "{} differ:\n{}", differing.len(), differing.join("\n"));
        let counts = (report.agreed(), report.skipped().count());
        assert_eq!(counts, wanted, "{:#?}", report.skipped().collect::<Vec<_>>());
        assert!(report.left.is_empty() && report.doubtful.is_empty() && !report.stopped, "{report:?}");
        let after = shop.with_model(|model, _| model.clone());
        assert_eq!(after.order_ids().collect::<Vec<_>>(), before.order_ids().collect::<Vec<_>>());
        assert_eq!(after.webhooks().count(), before.webhooks().count());
        let filter = ProductFilter { per_page: 1_000, ..ProductFilter::default() };
        assert_eq!(after.list_products(&filter), before.list_products(&filter));
        for order in before.order_ids() {
            assert_eq!(after.order(order), before.order(order));
        }
    }
}
