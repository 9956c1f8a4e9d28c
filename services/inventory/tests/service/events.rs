//! Every change of WooCommerce's event table, as a real shop sent it: whatever is sent twice, late or never, one read later
//! the ledger says the same.

use std::collections::BTreeMap;
use std::path::PathBuf;

use connector::OrderFact;
use connector_woocommerce::{Content, content};
use proto::{Message, OrderLine, OrderObserved, OrderState, OrderUnreadable, Source, StatusText, Word};
use serde_json::Value;
use values::{OrderId, Quantity, ReadNumber, ShopId, Timestamp};

use crate::world::{World, listing, order_id, product, sells, stock_id, units, until, variation};

/// What an order comes to: reserved, shipped, and what the shop has taken.
type Effect = (i64, i64, i64);

/// One row of the table.
struct Row {
    /// The change.
    what: &'static str,
    /// The recordings, in their order.
    captures: &'static [&'static str],
    /// The order it is about.
    order: i64,
    /// What a read shows once it is done, if no webhook says it.
    last: Last,
    effect: Effect,
}

enum Last {
    /// As the last webhook said.
    Sent,
    /// The same under another status: the shop sent nothing of it, or the number alone.
    Status(&'static str),
    /// Deleted for good.
    Gone,
}

const fn row(what: &'static str, captures: &'static [&'static str], order: i64, effect: Effect) -> Row {
    Row { what, captures, order, last: Last::Sent, effect }
}

const TABLE: &[Row] = &[
    row("created pending", &["t2-B-create-pending"], 64, (1, 0, 0)),
    row("created on-hold", &["t2-B-create-on-hold"], 65, (1, 0, 1)),
    row("created processing", &["t2-B-create-processing"], 66, (1, 0, 1)),
    row("created completed", &["t2-B-create-completed"], 67, (0, 1, 1)),
    row("created failed", &["t2-B-create-failed"], 68, (0, 0, 0)),
    row("created cancelled", &["t2-B-create-cancelled"], 69, (0, 0, 0)),
    row("set_paid", &["t2-C-set_paid"], 70, (0, 1, 1)),
    row("set_paid with pending", &["t2-C-set_paid-with-pending"], 71, (0, 1, 1)),
    row("pending, processing", &["t2-A1-pending", "t2-A2-processing"], 63, (2, 0, 2)),
    row(
        "pending, processing, completed",
        &["t2-A1-pending", "t2-A2-processing", "t2-A3-completed"],
        63,
        (0, 2, 2),
    ),
    row(
        "completed, cancelled",
        &["t2-A1-pending", "t2-A2-processing", "t2-A3-completed", "t2-A4-cancelled"],
        63,
        (0, 0, 0),
    ),
    row(
        "cancelled, processing again",
        &[
            "t2-A1-pending",
            "t2-A2-processing",
            "t2-A3-completed",
            "t2-A4-cancelled",
            "t2-A5-processing-again",
        ],
        63,
        (2, 0, 2),
    ),
    row("pending, cancelled", &["t2-B-create-pending", "t2-B-cancel-pending"], 64, (0, 0, 0)),
    row("on-hold, cancelled", &["t2-B-create-on-hold", "t2-B-cancel-on-hold"], 65, (0, 0, 0)),
    row("processing, cancelled", &["t2-B-create-processing", "t2-B-cancel-processing"], 66, (0, 0, 0)),
    row("completed at once, cancelled", &["t2-B-create-completed", "t2-B-cancel-completed"], 67, (0, 0, 0)),
    row("failed, cancelled", &["t2-B-create-failed", "t2-B-cancel-failed"], 68, (0, 0, 0)),
    row("cancelled twice", &["t2-B-create-cancelled", "t2-B-cancel-cancelled"], 69, (0, 0, 0)),
    row("on-hold, pending", &["t2-D-onhold-then-pending", "t2-D2-onhold-_pending"], 72, (1, 0, 0)),
    row(
        "on-hold, pending, failed",
        &["t2-D-onhold-then-pending", "t2-D2-onhold-_pending", "t2-D3-pending-_failed"],
        72,
        (0, 0, 0),
    ),
    row("a variation", &["t2-E-variation"], 73, (3, 0, 3)),
    row("a variation by its own number", &["t2-E2-variation-only-id"], 74, (1, 0, 1)),
    row("a variation whose stock is its parent's", &["t2-E3-parent-stock"], 75, (3, 0, 3)),
    row("a parent without variation", &["t2-E4-variable-parent-no-variation"], 76, (0, 0, 0)),
    row("without SKU", &["t2-F-nosku"], 77, (0, 0, 1)),
    row("without stock", &["t2-G-nostock"], 78, (0, 0, 0)),
    row("more than there is", &["t2-H-oversell"], 79, (999, 0, 999)),
    row("one product on two lines", &["t2-I-same-product-twice"], 80, (3, 0, 3)),
    row("ordered by SKU", &["t2-J-by-sku"], 81, (1, 0, 1)),
    row("partial refund", &["t3-K1-order", "t3-K2-partial-refund-restock-default"], 82, (2, 0, 2)),
    row(
        "two partial refunds",
        &["t3-K1-order", "t3-K2-partial-refund-restock-default", "t3-K3-partial-refund-restock-true"],
        82,
        (1, 0, 1),
    ),
    row(
        "the rest refunded",
        &[
            "t3-K1-order",
            "t3-K2-partial-refund-restock-default",
            "t3-K3-partial-refund-restock-true",
            "t3-K4-rest-full-rest",
        ],
        82,
        (0, 0, 0),
    ),
    row("refunded by amount", &["t3-L1-order", "t3-L2-full-refund-amount-only"], 86, (2, 0, 2)),
    row("refunded, not restocked", &["t3-M1-order", "t3-M2-full-refund-no-restock"], 88, (2, 0, 2)),
    row(
        "refunded, then cancelled",
        &["t3-M1-order", "t3-M2-full-refund-no-restock", "t3-M3-refunded-_cancelled"],
        88,
        (0, 0, 0),
    ),
    row("two of five refunded", &["t3-N1-order", "t3-N2-partial-2-restock"], 90, (3, 0, 3)),
    row(
        "two of five refunded, then cancelled",
        &["t3-N1-order", "t3-N2-partial-2-restock", "t3-N3-cancel"],
        90,
        (0, 0, 0),
    ),
    row("status refunded", &["t3-O1-order", "t3-O2-status-refunded"], 92, (2, 0, 2)),
    row("one of three refunded", &["t3-P1-order", "t3-P2-refund"], 94, (2, 0, 2)),
    row("more of it", &["t3-Q1-order", "t3-Q2-qty-4-_6"], 96, (6, 0, 6)),
    row("less of it", &["t3-Q1-order", "t3-Q2-qty-4-_6", "t3-Q3-qty-6-_1"], 96, (1, 0, 1)),
    row(
        "a line added",
        &["t3-Q1-order", "t3-Q2-qty-4-_6", "t3-Q3-qty-6-_1", "t3-Q4-add-line"],
        96,
        (3, 0, 3),
    ),
    row(
        "a line removed",
        &["t3-Q1-order", "t3-Q2-qty-4-_6", "t3-Q3-qty-6-_1", "t3-Q4-add-line", "t3-Q5-remove-line"],
        96,
        (2, 0, 2),
    ),
    row(
        "edited, then cancelled",
        &[
            "t3-Q1-order",
            "t3-Q2-qty-4-_6",
            "t3-Q3-qty-6-_1",
            "t3-Q4-add-line",
            "t3-Q5-remove-line",
            "t3-Q6-cancel",
        ],
        96,
        (0, 0, 0),
    ),
    Row {
        what: "trashed",
        captures: &["t3-R1-order", "t3-R2-trash-REST"],
        order: 97,
        last: Last::Status("trash"),
        effect: (2, 0, 2),
    },
    Row {
        what: "trashed again",
        captures: &["t3-R1-order", "t3-R2-trash-REST", "t3-R5-untrash-api", "t3-R4-trash-again"],
        order: 97,
        last: Last::Status("trash"),
        effect: (2, 0, 2),
    },
    Row {
        what: "trashed before its webhooks were sent",
        captures: &["t4-trash"],
        order: 102,
        last: Last::Status("trash"),
        effect: (1, 0, 1),
    },
    row("restored", &["t3-R1-order", "t3-R2-trash-REST", "t3-R5-untrash-api"], 97, (2, 0, 2)),
    Row {
        what: "alive again out of the trash, without a word",
        captures: &["t3-R1-order", "t3-R2-trash-REST"],
        order: 97,
        last: Last::Status("processing"),
        effect: (2, 0, 2),
    },
    Row {
        what: "deleted for good, without a word",
        captures: &["t3-S1-order"],
        order: 98,
        last: Last::Gone,
        effect: (2, 0, 2),
    },
    Row {
        what: "cancelled without a word",
        captures: &["t3-S1-order"],
        order: 98,
        last: Last::Status("cancelled"),
        effect: (0, 0, 0),
    },
    row("ordered at the block checkout, updated before it is created", &["t5-block-cod"], 103, (2, 0, 2)),
    Row {
        what: "gone before its webhooks were sent",
        captures: &["t4-gone"],
        order: 99,
        last: Last::Gone,
        effect: (0, 0, 0),
    },
    Row {
        what: "an abandoned draft",
        captures: &[],
        order: 101,
        last: Last::Status("checkout-draft"),
        effect: (0, 0, 0),
    },
    row("created twice in a second", &["t4-coalesce"], 100, (0, 1, 1)),
];

/// What becomes of the webhooks on their way.
#[derive(Debug, Clone, Copy)]
enum Way {
    InOrder,
    Doubled,
    Reversed,
    Without(usize),
    Lost,
}

const WAYS: [Way; 10] = [
    Way::InOrder,
    Way::Doubled,
    Way::Reversed,
    Way::Without(0),
    Way::Without(1),
    Way::Without(2),
    Way::Without(3),
    Way::Without(4),
    Way::Without(5),
    Way::Lost,
];

impl Way {
    fn of<T: Clone>(self, mut sent: Vec<T>) -> Vec<T> {
        match self {
            Self::InOrder => sent,
            Self::Doubled => sent.iter().flat_map(|one| [one.clone(), one.clone()]).collect(),
            Self::Reversed => {
                sent.reverse();
                sent
            }
            Self::Without(index) => {
                if index < sent.len() {
                    sent.remove(index);
                }
                sent
            }
            Self::Lost => Vec::new(),
        }
    }
}

/// The bodies of a recording.
fn recorded(capture: &str) -> Vec<Content> {
    let path: PathBuf = testkit::conformance::fixtures("webhooks").join(format!("{capture}.jsonl"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let body = |line: &str| {
        let delivery: Value = serde_json::from_str(line).unwrap();
        content(delivery["body"].as_str().unwrap().as_bytes())
    };
    text.lines().map(body).collect()
}

/// What ingress makes of a body; nothing of a product's.
fn message(shop: ShopId, body: &Content) -> Option<Message> {
    match body {
        Content::Order(fact) => Some(observed(shop, fact, Source::Webhook)),
        Content::Hint { id, .. } => Some(Message::OrderUnreadable(OrderUnreadable {
            shop,
            order: OrderId::new(*id),
            reason: Word::clipped("only-a-number"),
        })),
        // An error makes ingress audit, which reads what is open.
        Content::Listing(_) | Content::Error(_) => None,
        other @ Content::Unusable { .. } => panic!("{other:?}"),
    }
}

fn observed(shop: ShopId, fact: &OrderFact, source: Source) -> Message {
    let lines = fact.lines.iter().map(|line| OrderLine {
        line: line.line,
        listing: line.listing,
        sku: line.sku.clone(),
        quantity: line.quantity,
        taken: line.taken,
        restocked: line.restocked,
        fault: line.fault,
    });
    let state = OrderState::Present { status: StatusText::clipped(&fact.status), lines: lines.collect() };
    Message::OrderObserved(OrderObserved {
        shop,
        order: fact.order,
        source,
        modified_at: Some(fact.modified_at),
        state,
    })
}

/// The read that comes long after.
fn read_at_last(shop: ShopId, row: &Row, number: u64) -> Message {
    let facts = row.captures.iter().flat_map(|capture| recorded(capture)).filter_map(|body| match body {
        Content::Order(fact) => Some(fact),
        _ => None,
    });
    let last = facts.last();
    let dated = last.as_ref().map_or(Timestamp::from_seconds(1_795_320_000), |fact| fact.modified_at);
    let read_at = dated + ledger::CONFIRM_MARGIN * 10;
    let source = Source::Read { number: ReadNumber::new(number), read_at, baseline: false };
    let (order, modified_at) = (order_id(row.order), Some(dated + ledger::CONFIRM_MARGIN));
    match (&row.last, last) {
        (Last::Sent, Some(fact)) => observed(shop, &fact, source),
        (Last::Status(status), Some(fact)) => {
            let cancelled = *status == "cancelled";
            let mut lines = fact.lines;
            lines.iter_mut().filter(|_| cancelled).for_each(|line| line.taken = None);
            let modified_at = modified_at.unwrap();
            observed(shop, &OrderFact { status: (*status).to_owned(), modified_at, lines, ..fact }, source)
        }
        (Last::Status(status), None) => {
            let state = OrderState::Present { status: StatusText::clipped(status), lines: Vec::new() };
            Message::OrderObserved(OrderObserved { shop, order, source, modified_at, state })
        }
        (Last::Gone, _) => {
            let state = OrderState::Gone;
            Message::OrderObserved(OrderObserved { shop, order, source, modified_at: None, state })
        }
        (Last::Sent, None) => panic!("{}: nothing was sent", row.what),
    }
}

/// Sends one row to a shop, the webhooks as they fare, then the read.
fn messages(shop: ShopId, row: &Row, way: Way) -> Vec<Message> {
    let sent: Vec<Message> = row
        .captures
        .iter()
        .flat_map(|capture| recorded(capture))
        .filter_map(|body| message(shop, &body))
        .collect();
    let mut all = way.of(sent);
    all.push(read_at_last(shop, row, 10));
    all
}

fn catalogue(shop: ShopId) -> Vec<Message> {
    let code = |id: i64| format!("{shop}-{id}");
    let mut all: Vec<Message> = (11..=30).map(|id| sells(shop, id, &code(id))).collect();
    for id in [42, 43] {
        all.push(listing(shop, variation(41, id), Some(id), Some(&code(id))));
    }
    all.push(listing(shop, product(41), None, None));
    all.push(listing(shop, product(56), Some(56), Some(&code(56))));
    all.push(listing(shop, variation(56, 57), Some(56), Some("VARP-RED")));
    all.push(listing(shop, product(59), None, Some("NOSTOCK-001")));
    all.push(listing(shop, product(62), Some(62), None));
    all
}

/// What came of the row's order.
async fn effect(world: &World, shop: ShopId, order: i64) -> Option<Effect> {
    let row = world.store.order(shop, order_id(order)).await.unwrap()?;
    let sum = |of: &dyn Fn(&ledger::Line) -> Quantity| {
        let sum: Quantity = row.order.lines.iter().map(of).sum();
        sum.whole_units().unwrap()
    };
    Some((sum(&ledger::Line::reserved), sum(&ledger::Line::shipped), sum(&ledger::Line::taken_or_zero)))
}

/// A shop for each row and way: rows about one order do not meet.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_happens_to_webhooks_the_ledger_says_the_same() {
    let mut world = World::idle().await;
    let mut shops = BTreeMap::new();
    let mut all = Vec::new();
    for (number, row) in TABLE.iter().enumerate() {
        for (index, way) in WAYS.into_iter().enumerate() {
            let steps: usize = row.captures.iter().map(|capture| recorded(capture).len()).sum();
            if matches!(way, Way::Without(index) if index >= steps) {
                continue;
            }
            let shop = world.shop(&format!("{number} {index}")).await.id;
            all.extend(catalogue(shop));
            all.extend(messages(shop, row, way));
            shops.insert((number, index), shop);
        }
    }
    world.publish(all).await;
    world.start();
    world.applied().await;
    let mut wrong = Vec::new();
    for ((number, index), shop) in &shops {
        let (row, way) = (&TABLE[*number], WAYS[*index]);
        let found = effect(&world, *shop, row.order).await;
        let expected = expected(row, way);
        if found != expected {
            wrong.push(format!("{}, {way:?}: {found:?} instead of {expected:?}", row.what));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    world.check().await;
    world.stop().await;
}

/// An order that is read for the first time when it is gone never was one.
fn expected(row: &Row, way: Way) -> Option<Effect> {
    match (&row.last, way) {
        (Last::Gone, Way::Lost) => None,
        (Last::Gone, _) if row.captures == ["t4-gone"] => None,
        _ => Some(row.effect),
    }
}

/// What the shop took shows in its own row, what it holds in the balance, and what is left in the level.
#[tokio::test]
async fn a_sale_lowers_the_level_of_its_shop() {
    let world = World::running().await;
    let shop = world.shop("shop").await.id;
    world.tell(catalogue(shop)).await;
    world.tell(message(shop, &recorded("t2-B-create-processing")[0])).await;
    let level = world.level(stock_id(shop, 12), "the level falls", |level| level.level == units(-1)).await;
    assert_eq!((level.taken_total, level.untaken), (units(1), units(0)));
    assert_eq!(level.order_dates.map(|(first, _)| first.seconds()), Some(1_795_319_304));
    assert_eq!(world.on_hand_and_reserved(&format!("{shop}-12")).await, (units(0), units(1)));
    world.check().await;
    until("nothing waits to be published", async || {
        (world.store.waiting().await.unwrap().outbox_count == 0).then_some(())
    })
    .await;
    world.stop().await;
}
