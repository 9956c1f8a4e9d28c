//! Every recorded REST transcript, replayed against the fake shop.

use onhand_testkit::conformance::{
    Credentials, History, Outcome, SKIPPED, Target, fixtures, load, recorded_shop, replay,
};
use onhand_testkit::fake_shop::{ApiKey, FakeShop, FakeShopOptions, Permissions};
use values::Timestamp;

fn digits(digit: char) -> String {
    digit.to_string().repeat(40)
}

fn credentials(key: char, secret: char) -> Credentials {
    Credentials { key: format!("ck_{}", digits(key)), secret: format!("cs_{}", digits(secret)) }
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
        full: credentials('1', '2'),
        read_only: Some(credentials('3', '4')),
        write_only: Some(credentials('5', '6')),
        same_history: true,
    };
    let mut history = History::of(&secure);
    let report = replay(&target, &transcripts, &mut |transcript| history.before(transcript)).await.unwrap();

    let differing: Vec<String> =
        report.differing().map(|(name, places)| format!("{name}\n    {}", places.join("\n    "))).collect();
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
async fn a_shop_with_another_history_is_compared_by_what_does_not_depend_on_it() {
    let transcripts = load(&fixtures("rest")).unwrap();
    let secure = shop(true).await;
    secure.with_model(|model, _| {
        model.skip_ids_to(5_000);
        model.skip_lines_to(9_000);
    });
    let target = Target {
        base_url: secure.url(),
        plain_url: None,
        full: credentials('1', '2'),
        read_only: None,
        write_only: None,
        same_history: false,
    };
    let names = [
        "order-A",
        "order-B",
        "refund-K",
        "edit-Q",
        "product-",
        "batch-value",
        "variations-",
        "orders-",
        "error-",
    ];
    let some: Vec<_> = transcripts
        .into_iter()
        .filter(|transcript| names.iter().any(|name| transcript.name.starts_with(name)))
        .filter(|transcript| transcript.name != "order-product-gone")
        .collect();
    let report = replay(&target, &some, &mut |_| {}).await.unwrap();
    let differing: Vec<_> = report.differing().collect();
    assert!(differing.is_empty(), "{differing:#?}");
    assert!(report.agreed() > 80, "{}", report.agreed());
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
        full: credentials('1', '2'),
        read_only: None,
        write_only: None,
        same_history: true,
    };
    let report = replay(&target, &transcripts, &mut |_| {}).await.unwrap();
    assert_eq!(report.outcomes.len(), 3);
    assert!(report.outcomes.iter().all(|(_, outcome)| matches!(outcome, Outcome::Differs(_))), "{report:?}");
}
