//! Recorded traffic of a real shop: every webhook becomes the fact it should, every order and product of a transcript
//! can be read. `tests/webhooks.expected` was made from the recordings by another program.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::LazyLock;

use connector::{ListingFact, ListingKind, OrderFact};
use proptest::prelude::*;
use secrecy::SecretString;
use serde_json::Value;
use values::{HolderId, ProductId, Quantity};

use crate::webhook::{Content, HintOf, Incoming, classify};
use crate::{SIGNATURE_HEADER, Verifier, order, product};

const EXPECTED: &str = include_str!("../tests/webhooks.expected");

/// The recordings of one kind, as (name, text), in the order of their names.
fn recordings(kind: &str) -> Vec<(String, String)> {
    let folder: PathBuf =
        [env!("CARGO_MANIFEST_DIR"), "..", "testkit", "fixtures", "woocommerce-10.5", kind].iter().collect();
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let read = |path: PathBuf| {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        (name, std::fs::read_to_string(path).unwrap())
    };
    files.into_iter().map(read).collect()
}

fn signature(delivery: &Value) -> Option<&str> {
    let headers = delivery["headers"].as_object().unwrap();
    let header = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(SIGNATURE_HEADER))?;
    header.1.as_str()
}

fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

fn describe_order(order: &OrderFact) -> String {
    let line = |line: &connector::LineFact| {
        format!(
            "{}:{} {} x{} taken {} restocked {}",
            line.line,
            or_dash(line.listing),
            or_dash(line.sku.as_ref()),
            line.quantity,
            or_dash(line.taken),
            line.restocked
        )
    };
    let lines: Vec<String> = order.lines.iter().map(line).collect();
    format!("order {} {} @{} [{}]", order.order, order.status, order.modified_at.seconds(), lines.join(", "))
}

fn describe_listing(listing: &ListingFact) -> String {
    let kind = match listing.kind {
        ListingKind::Simple => "simple",
        ListingKind::Parent => "parent",
        ListingKind::Variation => "variation",
        ListingKind::Other => "other",
    };
    format!(
        "listing {} {kind} {} {} at {} shows {}",
        listing.listing,
        or_dash(listing.sku.as_ref()),
        listing.status,
        or_dash(listing.holder),
        or_dash(listing.shown)
    )
}

fn describe(incoming: &Incoming) -> String {
    match incoming {
        Incoming::Ping { webhook } => format!("ping {webhook}"),
        Incoming::Forged => "forged".to_owned(),
        Incoming::Authentic(Content::Order(order)) => describe_order(order),
        Incoming::Authentic(Content::Listing(listing)) => describe_listing(listing),
        Incoming::Authentic(Content::Hint { of: HintOf::Anything, id }) => format!("hint {id}"),
        Incoming::Authentic(Content::Error(error)) => {
            format!("error {} {}", error.code, or_dash(error.status))
        }
        Incoming::Authentic(other) => format!("{other:?}"),
    }
}

/// Two secrets of this recording are not known; what they signed is read without checking.
const SECRETS_NOT_KNOWN: &str = "t7b-secret";

#[test]
fn every_recorded_webhook_becomes_the_right_fact() {
    let verifier = Verifier::new(&SecretString::from("woo-test-secret"), None).unwrap();
    let mut described = String::new();
    let mut checked = 0;
    for (label, deliveries) in recordings("webhooks") {
        for delivery in deliveries.lines() {
            let delivery: Value = serde_json::from_str(delivery).unwrap();
            let body = delivery["body"].as_str().unwrap().as_bytes();
            let incoming = match signature(&delivery) {
                Some(_) if label == SECRETS_NOT_KNOWN => Incoming::Authentic(crate::webhook::content(body)),
                signature => {
                    checked += usize::from(signature.is_some());
                    classify(&verifier, signature.map(str::as_bytes), body)
                }
            };
            writeln!(described, "{label} {}", describe(&incoming)).unwrap();
        }
    }
    for (line, (got, wanted)) in described.lines().zip(EXPECTED.lines()).enumerate() {
        assert_eq!(got, wanted, "webhook {line}");
    }
    assert_eq!(described.lines().count(), EXPECTED.lines().count());
    assert_eq!(checked, 213, "signatures checked");
}

#[test]
fn a_secret_with_entities_signs_as_recorded() {
    let verifier = Verifier::new(&SecretString::from("&amp;x"), None).unwrap();
    let (_, deliveries) =
        recordings("webhooks").into_iter().find(|(label, _)| label == SECRETS_NOT_KNOWN).unwrap();
    let accepted: Vec<i64> = deliveries
        .lines()
        .map(|delivery| serde_json::from_str::<Value>(delivery).unwrap())
        .filter(|delivery| {
            let body = delivery["body"].as_str().unwrap().as_bytes();
            signature(delivery).is_some_and(|signature| verifier.accepts(signature.as_bytes(), body))
        })
        .map(|delivery| delivery["n"].as_i64().unwrap())
        .collect();
    assert_eq!(accepted, [366]);
}

#[test]
fn no_recorded_webhook_survives_a_changed_byte() {
    let verifier = Verifier::new(&SecretString::from("woo-test-secret"), None).unwrap();
    for (_, deliveries) in recordings("webhooks") {
        for delivery in deliveries.lines() {
            let delivery: Value = serde_json::from_str(delivery).unwrap();
            let Some(signature) = signature(&delivery) else {
                continue;
            };
            let mut body = delivery["body"].as_str().unwrap().as_bytes().to_vec();
            let middle = body.len() / 2;
            body[middle] ^= 1;
            assert_eq!(classify(&verifier, Some(signature.as_bytes()), &body), Incoming::Forged);
        }
    }
}

#[test]
fn every_order_and_product_of_the_transcripts_can_be_read() {
    let (mut orders, mut listings) = (0, 0);
    let mut absurd = Vec::new();
    for (name, transcript) in recordings("rest") {
        let transcript: Value = serde_json::from_str(&transcript).unwrap();
        let Ok(body) =
            serde_json::from_str::<Value>(transcript["response_body"].as_str().unwrap_or_default())
        else {
            continue;
        };
        let many = body.as_array().or_else(|| body["update"].as_array()).cloned();
        let url = transcript["url"].as_str().unwrap();
        let parent = url
            .split_once("/products/")
            .and_then(|(_, rest)| rest.split_once("/variations"))
            .and_then(|(parent, _)| parent.parse::<ProductId>().ok());
        for item in many.unwrap_or_else(|| vec![body]) {
            let text = item.to_string();
            let legacy = item["managing_stock"].is_boolean() || url.contains("/wc-api/");
            if item["line_items"].is_array() && item["status"].is_string() && !legacy {
                orders += 1;
                let fact = order::order(&text).unwrap_or_else(|bad| panic!("{name}: {bad:?}"));
                assert_eq!(Some(fact.order.get()), item["id"].as_i64(), "{name}");
                assert_eq!(fact.lines.len(), item["line_items"].as_array().unwrap().len(), "{name}");
            } else if !item["manage_stock"].is_null() && !legacy {
                listings += 1;
                let Ok(fact) = product::listing(&text, parent) else {
                    absurd.push(name.clone());
                    continue;
                };
                let quantity = item["stock_quantity"].as_i64().map(Quantity::from_units);
                assert_eq!(fact.shown, quantity, "{name}");
                let own = item["id"].as_i64().and_then(HolderId::new);
                let holder = match item["manage_stock"].as_bool() {
                    Some(true) => own,
                    Some(false) => None,
                    None => item["parent_id"].as_i64().and_then(HolderId::new).or(parent.map(Into::into)),
                };
                assert_eq!(fact.holder, holder, "{name}");
            }
        }
    }
    assert_eq!(absurd, ["product-stock-huge"], "a stock of a hundred billion is no quantity");
    assert_eq!((orders, listings), (56, 213));
}

/// Bodies of recorded webhooks, one of each length, to be broken.
fn bodies() -> Vec<Vec<u8>> {
    let mut bodies: Vec<Vec<u8>> = recordings("webhooks")
        .iter()
        .flat_map(|(_, deliveries)| deliveries.lines())
        .map(|delivery| serde_json::from_str::<Value>(delivery).unwrap())
        .map(|delivery| delivery["body"].as_str().unwrap().as_bytes().to_vec())
        .collect();
    bodies.sort_by_key(Vec::len);
    bodies.dedup_by_key(|body| body.len());
    bodies
}

/// What a field may hold that never did in a recording.
const VALUES: [&str; 14] = [
    "null",
    "true",
    "\"\"",
    "\"x\"",
    "\"ł\"",
    "0",
    "-1",
    "1.5",
    "\"1.5\"",
    "2.2000000000000002",
    "99999999999999999999",
    "[]",
    "[{}]",
    "{\"a\":[1]}",
];

/// Every place in a JSON value that leads to something, as pointers.
fn places(value: &Value, here: &str, all: &mut Vec<String>) {
    let inner: Vec<(String, &Value)> = match value {
        Value::Object(fields) => fields
            .iter()
            .map(|(name, inner)| (format!("{here}/{}", name.replace('/', "~1")), inner))
            .collect(),
        Value::Array(items) => {
            items.iter().enumerate().map(|(index, inner)| (format!("{here}/{index}"), inner)).collect()
        }
        _ => Vec::new(),
    };
    for (place, inner) in inner {
        places(inner, &place, all);
        all.push(place);
    }
}

/// The number that is read again, or that the fact is about.
fn number_of(content: &Content) -> Option<i64> {
    match content {
        Content::Order(order) => Some(order.order.get()),
        Content::Listing(listing) => {
            let product = listing.listing.product.get();
            Some(listing.listing.variation.map_or(product, values::VariationId::get))
        }
        Content::Hint { id, .. } => Some(*id),
        Content::Unusable { what, .. } => what.id,
        Content::Error(_) => None,
    }
}

#[test]
fn whatever_one_field_holds_an_order_is_read_or_read_again() {
    let (mut read, mut again) = (0, 0);
    // Not each of them: they hold much the same fields.
    for body in bodies().into_iter().step_by(4) {
        let Content::Order(whole) = crate::webhook::content(&body) else { continue };
        let body: Value = serde_json::from_slice(&body).unwrap();
        let mut all = Vec::new();
        places(&body, "", &mut all);
        all.retain(|place| place != "/id");
        for (place, value) in all.iter().flat_map(|place| VALUES.map(|value| (place, value))) {
            let mut broken = body.clone();
            *broken.pointer_mut(place).unwrap() = serde_json::from_str(value).unwrap();
            let content = crate::webhook::content(broken.to_string().as_bytes());
            assert_eq!(number_of(&content), Some(whole.order.get()), "{place} is {value}: {content:?}");
            let Content::Order(fact) = content else {
                again += 1;
                continue;
            };
            read += 1;
            if place != "/line_items" {
                assert_eq!(fact.lines.len(), whole.lines.len(), "{place} is {value}");
            }
        }
    }
    assert!(read > 5_000 && again > 500, "{read} read, {again} to be read again");
}

/// Pieces that have broken parsers before.
const PIECES: [&str; 12] = [
    "null",
    "-1",
    "1e309",
    "99999999999999999999",
    "\"\"",
    "[]",
    "{}",
    "\\ud800",
    "\0",
    "\"id\":",
    "]",
    "true",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// A signed body may be anything a plugin makes of it.
    #[test]
    fn a_broken_body_breaks_nothing(
        which in any::<prop::sample::Index>(),
        breaks in prop::collection::vec((any::<prop::sample::Index>(), 0_usize..40, 0_usize..PIECES.len()), 1..6),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        static BODIES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(bodies);
        let mut body = which.get(&BODIES).clone();
        for (at, removed, piece) in breaks {
            let at = at.index(body.len() + 1);
            let end = (at + removed).min(body.len());
            body.splice(at..end, PIECES[piece].bytes());
        }
        if let Some(cut) = cut {
            body.truncate(cut.index(body.len() + 1));
        }
        if let Content::Order(order) = crate::webhook::content(&body) {
            for line in order.lines {
                prop_assert!(!line.quantity.is_negative() && !line.restocked.is_negative());
                prop_assert!(line.taken.is_none_or(|taken| !taken.is_negative()));
            }
        }
    }
}
