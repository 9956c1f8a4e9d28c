//! The ledger under test, used as an inventory uses it; with, for the auditor's own test, a planted bug.

use std::collections::BTreeMap;

use onhand_ledger::{
    Applying, Book, Listings, Movement, Operation, OperationOutcome, Order, Parcel, Resolved, Routing, Seen,
    ShipOutcome, SkuBook, Snapshot, StatusMap, StockChange, Verdict,
};
use values::{
    HolderId, LineId, ListingId, OrderId, Quantity, ReadNumber, ShopId, Sku, Timestamp, WarehouseId,
};

use crate::shop::{CHEMISE, LAMP, MUG, POSTER, SHIRT, listing};

pub(crate) const CODES: [&str; 4] = ["shirt", "mug", "lamp", "poster"];
const ON_HAND: [(i64, i64); 2] = [(1, 5), (2, 3)];
/// The shop's time when the lamps were counted: before every order.
const COUNTED_AT: i64 = 900_000;

/// A bug for the auditor to find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bug {
    /// Whatever is read counts as whole.
    EveryReadConfirms,
    /// Reads are numbered when they arrive.
    ReadsNumberedOnArrival,
    /// A webhook body counts as newer than it is.
    WebhookDatesIgnored,
    /// What the shop took is not looked at.
    TakenIgnored,
    /// A change of a stock is not told.
    StockChangeLost,
    /// A movement is not kept.
    MovementLost,
    /// An order that is not found is forgotten.
    GoneForgets,
    /// A snapshot that was applied is applied anew.
    AppliedTwice,
    /// Orders are resolved without what was counted since.
    CountForgotten,
    /// What we sent is forgotten as soon as the shop says anything.
    ShipmentForgotten,
    /// What is shipped leaves twice.
    ShippedTwice,
}

#[derive(Debug)]
struct Registry {
    lamp_is_mapped: bool,
}

impl Listings for Registry {
    fn resolve(&self, wanted: ListingId) -> Option<Resolved> {
        let known = [
            (SHIRT, Some(SHIRT), Some("shirt")),
            (MUG, Some(MUG), Some("mug")),
            (CHEMISE, Some(SHIRT), Some("shirt")),
            (LAMP, Some(LAMP), Some("lamp").filter(|_| self.lamp_is_mapped)),
            (POSTER, None, Some("poster")),
        ];
        known.into_iter().find(|(product, ..)| listing(*product) == Some(wanted)).map(|(_, stock, code)| {
            Resolved { stock: stock.and_then(HolderId::new), sku: code.and_then(|code| code.parse().ok()) }
        })
    }

    fn knows(&self, _: &Sku) -> bool {
        false
    }
}

#[derive(Debug)]
pub(crate) struct Hub {
    pub(crate) orders: BTreeMap<OrderId, Order>,
    pub(crate) book: Book,
    pub(crate) statuses: StatusMap,
    pub(crate) lamp_is_mapped: bool,
    routing: Routing,
    bug: Option<Bug>,
    arrivals: u64,
}

/// What one call came to.
#[derive(Debug)]
pub(crate) struct Effect {
    pub(crate) stocks: Vec<StockChange>,
    pub(crate) movements: Vec<Movement>,
}

impl Hub {
    pub(crate) fn new(bug: Option<Bug>) -> Self {
        let mut hub = Self {
            orders: BTreeMap::new(),
            book: Book::default(),
            statuses: StatusMap::default(),
            lamp_is_mapped: false,
            routing: route(0),
            bug,
            arrivals: 0,
        };
        for code in CODES {
            let counted_at = (code == "lamp").then_some(Timestamp::from_seconds(COUNTED_AT));
            let mut stored = SkuBook { counted_at, ..SkuBook::default() };
            for (id, on_hand) in ON_HAND {
                stored.balances.entry(warehouse(id)).or_default().on_hand = Quantity::from_units(on_hand);
            }
            hub.book.load(sku(code), stored);
        }
        hub
    }

    pub(crate) fn route(&mut self, choice: u8) {
        self.routing = route(choice);
    }

    pub(crate) fn order(&self, id: OrderId) -> Order {
        self.orders.get(&id).cloned().unwrap_or(Order::unknown(id))
    }

    pub(crate) fn apply(&mut self, snapshot: &Snapshot) -> (Verdict, Effect) {
        let mut snapshot = snapshot.clone();
        self.spoil(&mut snapshot);
        let mut order = self.order(snapshot.order);
        if self.bug == Some(Bug::AppliedTwice) {
            order.applied = None;
        }
        if self.bug == Some(Bug::ShipmentForgotten) {
            let holds = order.lines.iter_mut().flat_map(|line| &mut line.holds);
            holds.for_each(|hold| hold.sent = Quantity::ZERO);
        }
        let registry = Registry { lamp_is_mapped: self.lamp_is_mapped };
        let verdict =
            onhand_ledger::apply(&mut order, &snapshot, self.applying().get(), &registry, &mut self.book);
        if self.bug == Some(Bug::GoneForgets) && order.gone {
            order = Order::unknown(order.id);
        }
        self.orders.insert(order.id, order);
        let effect = self.effect(verdict.stocks.clone());
        (verdict, effect)
    }

    pub(crate) fn expire(&mut self, id: OrderId) -> Effect {
        self.act(id, |order, applying, book, _| onhand_ledger::expire(order, applying, book))
    }

    pub(crate) fn ship(&mut self, id: OrderId, lines: &[(LineId, Quantity)]) -> (ShipOutcome, Effect) {
        let mut order = self.order(id);
        let parcel = if lines.is_empty() { Parcel::Rest } else { Parcel::Lines(lines) };
        let mut outcome = onhand_ledger::ship(&mut order, parcel, self.applying().get(), &mut self.book);
        if self.bug == Some(Bug::ShippedTwice) {
            outcome = onhand_ledger::ship(&mut order, parcel, self.applying().get(), &mut self.book);
        }
        self.orders.insert(id, order);
        (outcome, self.effect(Vec::new()))
    }

    pub(crate) fn release_orphan(&mut self, id: OrderId) -> Effect {
        self.act(id, |order, applying, book, _| onhand_ledger::release_orphan(order, applying, book))
    }

    pub(crate) fn resolve(&mut self, id: OrderId) -> Effect {
        if self.bug == Some(Bug::CountForgotten) {
            let lamp = self.book.sku(&sku("lamp")).cloned().unwrap_or_default();
            let counted_at = Some(Timestamp::from_seconds(i64::MAX));
            self.book.load(sku("lamp"), SkuBook { counted_at, ..lamp });
        }
        self.act(id, |order, applying, book, registry| {
            onhand_ledger::resolve_lines(order, applying, registry, book)
        })
    }

    pub(crate) fn operate(&mut self, operation: &Operation, now: i64) -> (OperationOutcome, Effect) {
        let outcome = onhand_ledger::operate(operation, Timestamp::from_seconds(now), &mut self.book);
        (outcome, self.effect(Vec::new()))
    }

    fn act(
        &mut self,
        id: OrderId,
        act: impl FnOnce(&mut Order, Applying<'_>, &mut Book, &Registry) -> Vec<StockChange>,
    ) -> Effect {
        let mut order = self.order(id);
        let registry = Registry { lamp_is_mapped: self.lamp_is_mapped };
        let stocks = act(&mut order, self.applying().get(), &mut self.book, &registry);
        self.orders.insert(id, order);
        self.effect(stocks)
    }

    fn applying(&self) -> OwnedApplying {
        OwnedApplying { routing: self.routing.clone(), statuses: self.statuses.clone() }
    }

    fn effect(&mut self, mut stocks: Vec<StockChange>) -> Effect {
        let mut movements = self.book.take_movements();
        match self.bug {
            Some(Bug::StockChangeLost) => drop(stocks.pop()),
            Some(Bug::MovementLost) => drop(movements.pop()),
            _ => {}
        }
        Effect { stocks, movements }
    }

    fn spoil(&mut self, snapshot: &mut Snapshot) {
        self.arrivals += 1;
        match (self.bug, &mut snapshot.seen) {
            (Some(Bug::EveryReadConfirms), Seen::Read { read_at, .. }) => {
                *read_at = Timestamp::from_seconds(i64::MAX / 2_000_000);
            }
            (Some(Bug::ReadsNumberedOnArrival), Seen::Read { number, .. }) => {
                *number = ReadNumber::new(self.arrivals);
            }
            (Some(Bug::WebhookDatesIgnored), Seen::Webhook) => {
                snapshot.modified_at = Some(Timestamp::from_seconds(1_000_000_000));
            }
            (Some(Bug::TakenIgnored), _) => snapshot.lines.iter_mut().for_each(|line| line.taken = None),
            _ => {}
        }
    }
}

struct OwnedApplying {
    routing: Routing,
    statuses: StatusMap,
}

impl OwnedApplying {
    fn get(&self) -> Applying<'_> {
        let shop = ShopId::new(1).expect("1 is an id");
        Applying { shop, routing: &self.routing, statuses: &self.statuses, baseline_last: None }
    }
}

pub(crate) fn sku(code: &str) -> Sku {
    code.parse().expect("the codes are codes")
}

pub(crate) fn warehouse(id: i64) -> WarehouseId {
    WarehouseId::new(id).expect("warehouses count from 1")
}

fn route(choice: u8) -> Routing {
    let warehouses = match choice % 3 {
        0 => vec![1, 2],
        1 => vec![2, 1],
        _ => vec![2],
    };
    Routing::new(warehouses.into_iter().map(warehouse)).expect("there is one")
}
