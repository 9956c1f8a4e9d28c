//! Every row of the event table: the model sends what the recorded shop sent, in the same order.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as the tests do")]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use onhand_testkit::conformance::{fixtures, recorded_shop};
use onhand_testkit::shop::{
    Change, CreatedVia, Delivery, NewLine, NewOrder, NewProduct, Payload, RefundId, Shop, Status, Topic,
};
use serde_json::Value;
use values::{HolderId, LineId, OrderId, ProductId, Timestamp, VariationId};

/// Captures of other things than the table: pings, failing receivers, secrets.
const OTHERS: [&str; 3] = ["t1", "t7", "t7b"];

/// A label, and what was done under it: groups of changes, the queue running after each group.
type Row = (&'static str, Vec<Vec<Change>>);

fn order(id: i64) -> OrderId {
    OrderId::new(id).unwrap()
}

fn line(id: i64) -> LineId {
    LineId::new(id).unwrap()
}

fn product(id: i64) -> ProductId {
    ProductId::new(id).unwrap()
}

fn holder(id: i64) -> HolderId {
    product(id).into()
}

fn one(label: &'static str, change: Change) -> Row {
    (label, vec![vec![change]])
}

/// Done without a capture: nothing was sent.
fn silent(change: Change) -> Row {
    one("", change)
}

fn create(label: &'static str, status: Status, of: i64, quantity: i64) -> Row {
    one(label, Change::CreateOrder(NewOrder::by_rest(status, vec![NewLine::of(product(of), quantity)])))
}

fn status(label: &'static str, id: i64, status: Status) -> Row {
    one(label, Change::SetStatus { order: order(id), status })
}

fn refund(label: &'static str, id: i64, of: i64, quantity: i64, amount: i64, restock: bool) -> Row {
    let lines = vec![(line(of), quantity)];
    one(label, Change::Refund { order: order(id), lines, amount: Some(amount), restock })
}

fn set(of: i64, quantity: i64) -> Change {
    Change::SetStock { holder: holder(of), quantity }
}

fn paid(label: &'static str, of: i64) -> Row {
    let lines = vec![NewLine::of(product(of), 1)];
    one(label, Change::CreateOrder(NewOrder { set_paid: true, ..NewOrder::by_rest(Status::Pending, lines) }))
}

fn without_method(label: &'static str, lines: Vec<NewLine>) -> Row {
    let new = NewOrder { payment_method: "".into(), ..NewOrder::by_rest(Status::Processing, lines) };
    one(label, Change::CreateOrder(new))
}

fn statuses() -> Vec<Row> {
    let mut rows = vec![
        create("t2-A1-pending", Status::Pending, 11, 2),
        status("t2-A2-processing", 63, Status::Processing),
        status("t2-A3-completed", 63, Status::Completed),
        status("t2-A4-cancelled", 63, Status::Cancelled),
        status("t2-A5-processing-again", 63, Status::Processing),
    ];
    for (id, from, made, cancelled) in [
        (64, Status::Pending, "t2-B-create-pending", "t2-B-cancel-pending"),
        (65, Status::OnHold, "t2-B-create-on-hold", "t2-B-cancel-on-hold"),
        (66, Status::Processing, "t2-B-create-processing", "t2-B-cancel-processing"),
        (67, Status::Completed, "t2-B-create-completed", "t2-B-cancel-completed"),
        (68, Status::Failed, "t2-B-create-failed", "t2-B-cancel-failed"),
        (69, Status::Cancelled, "t2-B-create-cancelled", "t2-B-cancel-cancelled"),
    ] {
        rows.push(create(made, from, 12, 1));
        rows.push(status(cancelled, id, Status::Cancelled));
    }
    rows.extend([
        paid("t2-C-set_paid", 13),
        paid("t2-C-set_paid-with-pending", 13),
        create("t2-D-onhold-then-pending", Status::OnHold, 14, 1),
        status("t2-D2-onhold-_pending", 72, Status::Pending),
        status("t2-D3-pending-_failed", 72, Status::Failed),
    ]);
    rows
}

fn kinds_of_products() -> Vec<Row> {
    let variation = |label, of, variation, quantity| {
        let line = NewLine::of_variation(product(of), VariationId::new(variation).unwrap(), quantity);
        one(label, Change::CreateOrder(NewOrder::by_rest(Status::Processing, vec![line])))
    };
    vec![
        variation("t2-E-variation", 41, 42, 3),
        create("t2-E2-variation-only-id", Status::Processing, 43, 1),
        variation("t2-E3-parent-stock", 56, 57, 3),
        create("t2-E4-variable-parent-no-variation", Status::Processing, 41, 1),
        create("t2-F-nosku", Status::Processing, 62, 1),
        create("t2-G-nostock", Status::Processing, 59, 1),
        create("t2-H-oversell", Status::Processing, 15, 999),
        without_method(
            "t2-I-same-product-twice",
            vec![NewLine::of(product(16), 1), NewLine::of(product(16), 2)],
        ),
        without_method("t2-J-by-sku", vec![NewLine::of(product(17), 1)]),
    ]
}

fn refunds() -> Vec<Row> {
    vec![
        create("t3-K1-order", Status::Processing, 18, 3),
        refund("t3-K2-partial-refund-restock-default", 82, 21, 1, 1_250, true),
        refund("t3-K3-partial-refund-restock-true", 82, 21, 1, 1_250, true),
        refund("t3-K4-rest-full-rest", 82, 21, 1, 1_250, true),
        create("t3-L1-order", Status::Processing, 19, 2),
        one("t3-L2-full-refund-amount-only", Change::RefundAmount { order: order(86), amount: Some(2_900) }),
        create("t3-M1-order", Status::Processing, 20, 2),
        refund("t3-M2-full-refund-no-restock", 88, 26, 2, 3_100, false),
        status("t3-M3-refunded-_cancelled", 88, Status::Cancelled),
        create("t3-N1-order", Status::Processing, 21, 5),
        refund("t3-N2-partial-2-restock", 90, 28, 2, 1_000, true),
        status("t3-N3-cancel", 90, Status::Cancelled),
        create("t3-O1-order", Status::Processing, 22, 2),
        status("t3-O2-status-refunded", 92, Status::Refunded),
        create("t3-P1-order", Status::Processing, 23, 3),
        refund("t3-P2-refund", 94, 31, 1, 500, true),
        silent(Change::DeleteRefund { order: order(94), refund: RefundId(95) }),
    ]
}

fn edits_trash_and_products() -> Vec<Row> {
    let trash = |label| one(label, Change::Trash(order(97)));
    vec![
        create("t3-Q1-order", Status::Processing, 24, 4),
        one("t3-Q2-qty-4-_6", Change::EditLine { order: order(96), line: line(33), quantity: 6 }),
        one("t3-Q3-qty-6-_1", Change::EditLine { order: order(96), line: line(33), quantity: 1 }),
        one("t3-Q4-add-line", Change::AddLine { order: order(96), line: NewLine::of(product(25), 2) }),
        one("t3-Q5-remove-line", Change::RemoveLine { order: order(96), line: line(33) }),
        status("t3-Q6-cancel", 96, Status::Cancelled),
        create("t3-R1-order", Status::Processing, 26, 2),
        trash("t3-R2-trash-REST"),
        status("", 97, Status::Processing),
        trash("t3-R4-trash-again"),
        one("t3-R5-untrash-api", Change::Untrash(order(97))),
        silent(Change::DeleteForever(order(97))),
        create("t3-S1-order", Status::Processing, 27, 2),
        silent(Change::DeleteForever(order(98))),
        one("t3-T1-trash-product", Change::TrashProduct(holder(40))),
        one("t3-T2-untrash-product", Change::UntrashProduct(holder(40))),
        one("t3-T3-publish", Change::RenameSku { holder: holder(40), sku: "SIM-030".parse().ok() }),
        one("t3-T4-after-create-REST", Change::CreateProduct(NewProduct::simple("TMP-1".parse().ok(), 3))),
        silent(Change::DeleteProduct(holder(99))),
        silent(Change::DeleteProduct(holder(55))),
    ]
}

fn queue_and_stock() -> Vec<Row> {
    let new = |status| {
        let lines = vec![NewLine::of(product(28), 1)];
        Change::CreateOrder(NewOrder { payment_method: "".into(), ..NewOrder::by_rest(status, lines) })
    };
    let to = |status| Change::SetStatus { order: order(100), status };
    let draft = NewOrder {
        created_via: CreatedVia::StoreApi,
        payment_method: "bacs".into(),
        ..NewOrder::by_rest(Status::CheckoutDraft, vec![NewLine::of(product(30), 2)])
    };
    let checkout =
        Change::Checkout { order: order(103), status: Status::Processing, payment_method: "cod".into() };
    vec![
        (
            "t4-coalesce",
            vec![vec![
                new(Status::Pending),
                to(Status::OnHold),
                to(Status::Processing),
                to(Status::Completed),
            ]],
        ),
        ("t4-gone", vec![vec![new(Status::Processing), Change::DeleteForever(order(101))]]),
        ("t4-trash", vec![vec![new(Status::Processing), Change::Trash(order(102))]]),
        ("t4-deliveryid", vec![(11..=30).map(|id| set(id, 100 + id)).collect()]),
        one("t4-noop", set(11, 111)),
        one("t4-put", set(11, 31)),
        one("t4-put-var", set(44, 77)),
        (
            "t4-var-oos",
            vec![
                (42..=45).map(|id| set(id, 0)).collect(),
                [(42, 7), (43, 10), (44, 12), (45, 13)].map(|(id, quantity)| set(id, quantity)).to_vec(),
            ],
        ),
        one("t4-parent", set(56, 33)),
        one("t4-sql-wc_update_product_stock", set(29, 124)),
        ("t5-block-cod", vec![vec![Change::OpenCheckout(draft)], vec![checkout]]),
    ]
}

fn all_rows() -> Vec<Row> {
    let mut rows = statuses();
    rows.extend(kinds_of_products());
    rows.extend(refunds());
    rows.extend(edits_trash_and_products());
    rows.extend(queue_and_stock());
    rows
}

/// What of a delivery has to agree, in one line.
fn sent(delivery: &Delivery) -> String {
    let mut text = format!("{}: ", delivery.topic);
    match &delivery.payload {
        Payload::Order(order) => {
            let id = order.id;
            let via = order.created_via.as_str();
            write!(text, "{id} {} {via} {:?} [", order.status, order.payment_method).unwrap();
            for line in &order.lines {
                let variation = line.variation.map_or(0, VariationId::get);
                let product = line.product.map_or(0, ProductId::get);
                let sku = line.sku.as_ref().map_or("", |sku| sku.as_str());
                write!(text, "{} {product}/{variation} {sku} x{}", line.id, line.quantity).unwrap();
                write!(text, " {:?} {:?}; ", line.reduced, line.restocked).unwrap();
            }
            let refunds: Vec<i64> = order.refunds.iter().map(|refund| refund.id.0).collect();
            write!(text, "] {refunds:?}").unwrap();
        }
        Payload::Product(product) => {
            let parent = product.parent.map_or(0, ProductId::get);
            let sku = product.sku.as_ref().map_or("", |sku| sku.as_str());
            let (kind, stock) = (product.kind.as_str(), product.stock_status.as_str());
            write!(text, "{} {parent} {kind} {sku} {:?} {stock}", product.id, product.stock).unwrap();
        }
        Payload::DeletedId(id) => write!(text, "{id}").unwrap(),
        Payload::SignedError { code, message, status } => write!(text, "{code} {message} {status}").unwrap(),
    }
    text
}

/// The same of a recorded body.
fn recorded(topic: &str, body: &Value) -> String {
    let text = |value: &Value, name: &str| value[name].as_str().unwrap_or_default().to_owned();
    let number = |value: &Value, name: &str| value[name].as_i64().unwrap_or(0);
    let id = number(body, "id");
    if let Some(lines) = body["line_items"].as_array() {
        let mut shown = String::new();
        for line in lines {
            let meta = |key: &str| -> Option<i64> {
                let metas = line["meta_data"].as_array()?;
                metas.iter().find(|meta| meta["key"] == key)?["value"].as_str()?.parse().ok()
            };
            let (product, variation) = (number(line, "product_id"), number(line, "variation_id"));
            let (line_id, quantity) = (number(line, "id"), number(line, "quantity"));
            write!(shown, "{line_id} {product}/{variation} {} x{quantity}", text(line, "sku")).unwrap();
            write!(shown, " {:?} {:?}; ", meta("_reduced_stock"), meta("_restock_refunded_items")).unwrap();
        }
        let refunds: Vec<i64> =
            body["refunds"].as_array().unwrap().iter().map(|refund| number(refund, "id")).collect();
        let (status, via, method) =
            (text(body, "status"), text(body, "created_via"), text(body, "payment_method"));
        return format!("{topic}: {id} {status} {via} {method:?} [{shown}] {refunds:?}");
    }
    if body.get("stock_quantity").is_some() {
        let parent = number(body, "parent_id");
        let (kind, sku, stock) = (text(body, "type"), text(body, "sku"), text(body, "stock_status"));
        return format!("{topic}: {id} {parent} {kind} {sku} {:?} {stock}", body["stock_quantity"].as_i64());
    }
    if body.get("code").is_some() {
        let status = number(&body["data"], "status");
        return format!("{topic}: {} {} {status}", text(body, "code"), text(body, "message"));
    }
    format!("{topic}: {id}")
}

fn capture(label: &str) -> Vec<String> {
    if label.is_empty() {
        return Vec::new();
    }
    let text = std::fs::read_to_string(fixtures("webhooks").join(format!("{label}.jsonl"))).unwrap();
    let deliveries = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    deliveries
        .map(|delivery| {
            let body: Value = serde_json::from_str(delivery["body"].as_str().unwrap()).unwrap();
            recorded(delivery["topic"].as_str().unwrap(), &body)
        })
        .collect()
}

#[test]
fn the_model_sends_what_the_recorded_shop_sent() {
    let mut now = Timestamp::from_seconds(1_795_319_120);
    let mut shop: Shop = recorded_shop(now);
    shop.skip_ids_to(63);
    for topic in Topic::ALL {
        shop.create_webhook(topic, "http://127.0.0.1:9/", "woo-test-secret", now);
    }
    for (label, groups) in all_rows() {
        let mut deliveries = Vec::new();
        for changes in groups {
            for change in changes {
                shop.run(change.clone(), now)
                    .unwrap_or_else(|refusal| panic!("{label} {change:?}: {refusal}"));
            }
            now = now + Duration::from_secs(1);
            deliveries.extend(shop.run_queue(now, usize::MAX).iter().map(sent));
        }
        assert_eq!(deliveries, capture(label), "{label}");
    }
}

#[test]
fn every_capture_of_the_table_has_a_row() {
    let rows: BTreeSet<String> = all_rows().iter().map(|(label, _)| (*label).to_owned()).collect();
    for entry in std::fs::read_dir(fixtures("webhooks")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let label = name.strip_suffix(".jsonl").unwrap();
        let other = OTHERS.iter().any(|start| label.starts_with(start));
        assert!(other || rows.contains(label), "{label} has no row");
    }
}
