//! Tests of apply: a desk with one order of one shop, and tables of what the shop shows and what comes of it.

use super::*;
use crate::allocation::Hold;
use crate::book::{MovementKind, SkuBook};
use crate::operation::{Operation, OperationOutcome, operate};
use crate::shipment::{NotShippedCause, Parcel, ShipOutcome, ship};
use values::{LineId, OrderId, ProductId, VariationId, WarehouseId};

mod confirm;
mod gone;
mod lines;
mod parked;
mod routing;
mod shipments;
mod status;
mod version;
mod waiting;

/// A product sold by itself; 10 are on hand in the first warehouse.
const SHIRT: i64 = 10;
/// Another; 10 are on hand.
const MUG: i64 = 20;
/// A product nobody has mapped.
const LAMP: i64 = 30;
/// A variable product whose variations 41 and 42 share the parent's stock.
const TEA: i64 = 40;
/// A product the shop sells without keeping its stock; the hub keeps 10.
const POSTER: i64 = 50;

/// The order of a desk.
const ORDER: i64 = 7;
const ON_HAND: i64 = 10;
/// When the stock was counted, in seconds.
const COUNTED_AT: i64 = 1_000;
/// Date of the first snapshot of a desk; later ones are a minute apart.
const FIRST_DATE: i64 = 10_000;

fn units(units: i64) -> Quantity {
    Quantity::from_units(units)
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

fn warehouse(id: i64) -> WarehouseId {
    WarehouseId::new(id).unwrap()
}

fn holder(id: i64) -> HolderId {
    HolderId::new(id).unwrap()
}

fn product(id: i64) -> ListingId {
    ListingId { product: ProductId::new(id).unwrap(), variation: None }
}

fn variation(parent: i64, id: i64) -> ListingId {
    ListingId { product: ProductId::new(parent).unwrap(), variation: VariationId::new(id) }
}

fn sku(code: &str) -> Sku {
    code.parse().unwrap()
}

/// A line as the shop shows it: its id, what was sold, how many.
fn line(id: i64, listing: ListingId, quantity: i64) -> OrderLine {
    OrderLine {
        id: LineId::new(id).unwrap(),
        listing: Some(listing),
        sku: None,
        quantity: units(quantity),
        taken: None,
        restocked: Quantity::ZERO,
        fault: None,
    }
}

trait Shown {
    fn took(self, taken: i64) -> Self;
    fn restocked(self, restocked: i64) -> Self;
    fn coded(self, code: &str) -> Self;
    fn deleted(self) -> Self;
}

impl Shown for OrderLine {
    fn took(self, taken: i64) -> Self {
        Self { taken: Some(units(taken)), ..self }
    }

    fn restocked(self, restocked: i64) -> Self {
        Self { restocked: units(restocked), ..self }
    }

    fn coded(self, code: &str) -> Self {
        Self { sku: Some(sku(code)), ..self }
    }

    fn deleted(self) -> Self {
        Self { listing: None, sku: None, ..self }
    }
}

#[derive(Default)]
struct Registry {
    listings: BTreeMap<ListingId, Resolved>,
    skus: BTreeSet<Sku>,
}

impl Registry {
    fn map(&mut self, listing: ListingId, stock: Option<i64>, code: &str) {
        self.skus.insert(sku(code));
        self.listings.insert(listing, Resolved { stock: stock.map(holder), sku: Some(sku(code)) });
    }
}

impl Listings for Registry {
    fn resolve(&self, listing: ListingId) -> Option<Resolved> {
        self.listings.get(&listing).cloned()
    }

    fn knows(&self, sku: &Sku) -> bool {
        self.skus.contains(sku)
    }
}

/// What an [`Applying`] borrows.
struct Terms {
    routing: Routing,
    statuses: StatusMap,
    baseline_last: Option<OrderId>,
}

impl Terms {
    fn get(&self) -> Applying<'_> {
        Applying {
            shop: ShopId::new(1).unwrap(),
            routing: &self.routing,
            statuses: &self.statuses,
            baseline_last: self.baseline_last,
        }
    }
}

/// One order, all that is needed to apply its snapshots, and the totals an inventory would keep of the shop's stocks.
struct Desk {
    order: Order,
    book: Book,
    registry: Registry,
    terms: Terms,
    movements: Vec<(MovementKind, i64, i64)>,
    totals: Contributions,
    date: i64,
    reads: u64,
}

impl Desk {
    fn new() -> Self {
        let mut desk = Self {
            order: Order::unknown(OrderId::new(ORDER).unwrap()),
            book: Book::default(),
            registry: Registry::default(),
            terms: Terms {
                routing: Routing::new([warehouse(1)]).unwrap(),
                statuses: StatusMap::default(),
                baseline_last: None,
            },
            movements: Vec::new(),
            totals: Contributions::new(),
            date: FIRST_DATE,
            reads: 0,
        };
        desk.registry.map(product(SHIRT), Some(SHIRT), "shirt");
        desk.registry.map(product(MUG), Some(MUG), "mug");
        desk.registry.map(variation(TEA, 41), Some(TEA), "tea");
        desk.registry.map(variation(TEA, 42), Some(TEA), "tea");
        desk.registry.map(product(POSTER), None, "poster");
        for code in ["shirt", "mug", "tea", "poster", "lamp"] {
            desk.stock(code, &[(1, ON_HAND)]);
        }
        desk
    }

    /// Sets what is on hand, by warehouse, as counted at [`COUNTED_AT`].
    fn stock(&mut self, code: &str, on_hand: &[(i64, i64)]) {
        let mut book = SkuBook { counted_at: Some(at(COUNTED_AT)), ..SkuBook::default() };
        for (id, quantity) in on_hand {
            book.balances.entry(warehouse(*id)).or_default().on_hand = units(*quantity);
        }
        self.book.load(sku(code), book);
    }

    fn next_read(&mut self) -> ReadNumber {
        self.reads = self.reads.saturating_add(1);
        ReadNumber::new(self.reads)
    }

    fn next_date(&mut self) -> i64 {
        self.date = self.date.saturating_add(60);
        self.date
    }

    fn show(&mut self, seen: Seen, date: Option<i64>, status: &str, lines: Vec<OrderLine>) -> Verdict {
        let snapshot = Snapshot {
            order: self.order.id,
            seen,
            modified_at: date.map(at),
            status: status.to_owned(),
            lines,
        };
        let applying = self.terms.get();
        let verdict = apply(&mut self.order, &snapshot, applying, &self.registry, &mut self.book);
        self.account(&verdict.stocks);
        verdict
    }

    /// A webhook body of that date.
    fn webhook(&mut self, date: i64, status: &str, lines: Vec<OrderLine>) -> Verdict {
        self.show(Seen::Webhook, Some(date), status, lines)
    }

    /// A read of an order of that date, so many seconds after it.
    fn read(&mut self, date: i64, seconds_later: i64, status: &str, lines: Vec<OrderLine>) -> Verdict {
        let number = self.next_read();
        let read_at = at(date.saturating_add(seconds_later));
        self.show(Seen::Read { number, read_at, baseline: false }, Some(date), status, lines)
    }

    /// The order changed, and was read when it was surely whole.
    fn fact(&mut self, status: &str, lines: Vec<OrderLine>) -> Verdict {
        let date = self.next_date();
        self.read(date, 40, status, lines)
    }

    /// The order changed, and a webhook said so: it may be half written.
    fn hint(&mut self, status: &str, lines: Vec<OrderLine>) -> Verdict {
        let date = self.next_date();
        self.webhook(date, status, lines)
    }

    /// An order of that date read when the shop was connected.
    fn baseline(&mut self, date: i64, status: &str, lines: Vec<OrderLine>) -> Verdict {
        let number = self.next_read();
        let read_at = at(FIRST_DATE);
        self.show(Seen::Read { number, read_at, baseline: true }, Some(date), status, lines)
    }

    /// A read found no such order.
    fn not_found(&mut self) -> Verdict {
        let number = self.next_read();
        let read_at = at(self.date);
        self.show(Seen::Read { number, read_at, baseline: false }, None, "", Vec::new())
    }

    fn expire(&mut self) {
        self.with(expire);
    }

    fn release_orphan(&mut self) {
        self.with(release_orphan);
    }

    /// Ships so much of these lines; all that is left without any.
    fn ship(&mut self, lines: &[(i64, i64)]) -> ShipOutcome {
        let lines: Vec<(LineId, Quantity)> =
            lines.iter().map(|(line, quantity)| (LineId::new(*line).unwrap(), units(*quantity))).collect();
        let parcel = if lines.is_empty() { Parcel::Rest } else { Parcel::Lines(&lines) };
        let outcome = ship(&mut self.order, parcel, self.terms.get(), &mut self.book);
        self.account(&[]);
        outcome
    }

    fn resolve(&mut self) {
        let applying = self.terms.get();
        let stocks = resolve_lines(&mut self.order, applying, &self.registry, &mut self.book);
        self.account(&stocks);
    }

    fn with(&mut self, act: impl Fn(&mut Order, Applying<'_>, &mut Book) -> Vec<StockChange>) {
        let applying = self.terms.get();
        let stocks = act(&mut self.order, applying, &mut self.book);
        self.account(&stocks);
    }

    fn operate(&mut self, operation: &Operation) {
        assert_eq!(operate(operation, at(self.date), &mut self.book), OperationOutcome::Applied);
        self.account(&[]);
    }

    /// Keeps the totals of the stocks, and holds the book against the order's lines and its own movements.
    fn account(&mut self, changes: &[StockChange]) {
        for change in changes {
            let (taken, untaken) = self.totals.entry(change.holder).or_default();
            *taken += change.taken_delta;
            *untaken += change.untaken_delta;
        }
        let mut wanted = contributions(&self.order, &self.terms.statuses);
        for holder in self.totals.keys() {
            wanted.entry(*holder).or_default();
        }
        for holder in wanted.keys() {
            self.totals.entry(*holder).or_default();
        }
        assert_eq!(self.totals, wanted, "the stocks' totals are the sum of the changes told");
        for movement in self.book.take_movements() {
            let in_units = |quantity: Quantity| quantity.whole_units().unwrap();
            self.movements.push((
                movement.kind,
                in_units(movement.on_hand_delta),
                in_units(movement.reserved_delta),
            ));
        }
        for (sku, book) in self.book.skus() {
            for (warehouse, balance) in &book.balances {
                let held: Quantity = self
                    .order
                    .lines
                    .iter()
                    .filter(|line| line.sku.as_ref() == Some(sku))
                    .flat_map(|line| &line.holds)
                    .filter(|hold| hold.warehouse == *warehouse)
                    .map(|hold| hold.reserved)
                    .sum();
                assert_eq!(balance.reserved, held, "reserved of {sku} is what the lines hold");
            }
        }
    }

    /// Reserved and shipped, line by line, in units.
    fn held(&self) -> Vec<(i64, i64)> {
        self.order
            .lines
            .iter()
            .map(|line| (line.reserved().whole_units().unwrap(), line.shipped().whole_units().unwrap()))
            .collect()
    }

    fn available(&self, code: &str) -> i64 {
        let all = self.book.available(&sku(code), [warehouse(1), warehouse(2), warehouse(3)]);
        all.whole_units().unwrap()
    }

    fn on_hand(&self, code: &str) -> i64 {
        self.book.balance(&sku(code), warehouse(1)).on_hand.whole_units().unwrap()
    }

    /// What the shop has taken from the stock of `id` and what it has yet to take.
    fn stock_of(&self, id: i64) -> (i64, i64) {
        let (taken, untaken) = self.totals.get(&holder(id)).copied().unwrap_or_default();
        (taken.whole_units().unwrap(), untaken.whole_units().unwrap())
    }

    /// Kinds of the movements since the last call, with their Δ on hand and Δ reserved.
    fn posted(&mut self) -> Vec<(MovementKind, i64, i64)> {
        std::mem::take(&mut self.movements)
    }
}
