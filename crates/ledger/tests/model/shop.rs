//! The truth: a shop that writes its orders as WooCommerce does, in steps that a body or a read may fall between.

use onhand_ledger::{OrderLine, Seen, Snapshot};
use values::{LineId, ListingId, OrderId, ProductId, Quantity, Sku, Timestamp};

/// Shirts, sold by themselves.
pub(crate) const SHIRT: i64 = 10;
/// Mugs, sold by themselves.
pub(crate) const MUG: i64 = 20;
/// A translated duplicate of the shirts that shares their stock; it may be deleted.
pub(crate) const CHEMISE: i64 = 30;
/// Nobody has mapped it in the beginning.
pub(crate) const LAMP: i64 = 40;
/// The shop keeps no stock of it.
pub(crate) const POSTER: i64 = 50;

const PRODUCTS: [i64; 5] = [SHIRT, MUG, CHEMISE, LAMP, POSTER];

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TrueLine {
    pub(crate) id: i64,
    pub(crate) product: i64,
    pub(crate) quantity: i64,
    pub(crate) taken: Option<i64>,
    pub(crate) restocked: i64,
}

/// An order as it was at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) date: i64,
    pub(crate) status: &'static str,
    pub(crate) lines: Vec<TrueLine>,
}

#[derive(Debug, Default)]
pub(crate) struct TrueOrder {
    /// Every state there ever was, half-written ones among them; none before the order is made.
    pub(crate) history: Vec<State>,
    pub(crate) deleted: bool,
    /// Where the states of the last change begin, and when it was made.
    changed_from: usize,
    changed_at: i64,
    /// It was read since the last change: a half-written state cannot be seen any more.
    read_since: bool,
}

#[derive(Debug)]
pub(crate) struct Shop {
    pub(crate) orders: [TrueOrder; 3],
    /// Time that passes, in seconds; the shop's own clock is this and its error.
    time: i64,
    clock_error: i64,
    chemise_deleted: bool,
    line_count: i64,
}

/// How long WooCommerce may be writing, in seconds: less than the margin of a confirming read.
const WRITING_MAX: i64 = 29;

impl Shop {
    pub(crate) fn new() -> Self {
        let orders = Default::default();
        Self { orders, time: 1_000_000, clock_error: 0, chemise_deleted: false, line_count: 0 }
    }

    pub(crate) fn now(&self) -> i64 {
        self.time + self.clock_error
    }

    pub(crate) fn wait(&mut self, seconds: i64) {
        self.time += seconds;
    }

    pub(crate) fn clock_back(&mut self, minutes: i64) {
        self.clock_error -= minutes * 60;
    }

    pub(crate) fn delete_chemise(&mut self) {
        self.chemise_deleted = true;
    }

    pub(crate) fn product(&self, choice: u8) -> i64 {
        let product = PRODUCTS.into_iter().cycle().nth(usize::from(choice)).unwrap_or(SHIRT);
        if product == CHEMISE && self.chemise_deleted { SHIRT } else { product }
    }

    /// The order, if there is one.
    pub(crate) fn live(&self, order: u8) -> Option<&TrueOrder> {
        self.orders.get(usize::from(order)).filter(|order| !order.history.is_empty() && !order.deleted)
    }

    pub(crate) fn state(&self, order: u8) -> Option<&State> {
        self.live(order)?.history.last()
    }

    pub(crate) fn create(&mut self, order: u8, status: &'static str, product: i64) {
        if self.orders.get(usize::from(order)).is_none_or(|order| !order.history.is_empty()) {
            return;
        }
        let line = self.new_line(product, 3);
        let state = State { date: self.now(), status, lines: vec![line] };
        let states = with_taken(state, status);
        self.write(order, states);
    }

    /// The order is saved, then stock moves line by line.
    pub(crate) fn set_status(&mut self, order: u8, status: &'static str) {
        let Some(state) = self.state(order) else { return };
        let state = State { date: self.now(), status, lines: state.lines.clone() };
        self.write(order, with_taken(state, status));
    }

    pub(crate) fn add(&mut self, order: u8, product: i64, quantity: i64) {
        let Some(state) = self.state(order) else { return };
        let mut state = state.clone();
        state.lines.push(self.new_line(product, quantity));
        self.edit(order, state);
    }

    pub(crate) fn remove(&mut self, order: u8, line: u8) {
        let Some(mut state) = self.state(order).cloned() else { return };
        if let Some(index) = choose(&state.lines, line) {
            state.lines.remove(index);
            self.edit(order, state);
        }
    }

    /// Another product takes the place of a line's.
    pub(crate) fn swap(&mut self, order: u8, line: u8) {
        self.change_line(order, line, |line| {
            if [SHIRT, MUG].contains(&line.product) {
                line.product = SHIRT + MUG - line.product;
                line.taken = None;
            }
        });
    }

    pub(crate) fn set_quantity(&mut self, order: u8, line: u8, quantity: i64) {
        self.change_line(order, line, |line| {
            line.taken = line.taken.map(|taken| (taken + quantity - line.quantity).max(0));
            line.quantity = quantity;
            line.restocked = line.restocked.min(quantity);
        });
    }

    pub(crate) fn refund(&mut self, order: u8, line: u8, restock: bool) {
        self.change_line(order, line, |line| {
            if restock && line.restocked < line.quantity {
                line.restocked += 1;
                line.taken = line.taken.map(|taken| (taken - 1).max(0));
            }
        });
    }

    pub(crate) fn delete(&mut self, order: u8) {
        if let Some(order) = self.orders.get_mut(usize::from(order)) {
            order.deleted = !order.history.is_empty();
        }
    }

    pub(crate) fn mark_read(&mut self, order: u8) {
        if let Some(order) = self.orders.get_mut(usize::from(order)) {
            order.read_since = true;
        }
    }

    /// The state a read may fall on while the last change is being written.
    pub(crate) fn half_written(&self, order: u8, back: u8) -> Option<State> {
        let order = self.live(order)?;
        if order.read_since || self.time - order.changed_at > WRITING_MAX {
            return None;
        }
        let index = order.history.len().checked_sub(1 + usize::from(back))?;
        order.history.get(index).filter(|_| index >= order.changed_from).cloned()
    }

    /// A body built some states ago.
    pub(crate) fn body(&self, order: u8, back: u8) -> Option<State> {
        let history = &self.orders.get(usize::from(order))?.history;
        history.get(history.len().checked_sub(1 + usize::from(back))?).cloned()
    }

    /// What the shop shows of a state; a deleted product is no longer named.
    pub(crate) fn show(&self, order: u8, seen: Seen, state: Option<&State>) -> Snapshot {
        let shown = |line: &TrueLine| OrderLine {
            id: LineId::new(line.id).expect("lines count from 1"),
            listing: listing(line.product).filter(|_| line.product != CHEMISE || !self.chemise_deleted),
            sku: live_code(line.product),
            quantity: Quantity::from_units(line.quantity),
            taken: line.taken.map(Quantity::from_units),
            restocked: Quantity::from_units(line.restocked),
            fault: None,
        };
        Snapshot {
            order: order_id(order),
            seen,
            modified_at: state.map(|state| Timestamp::from_seconds(state.date)),
            status: state.map_or("", |state| state.status).to_owned(),
            lines: state.map_or(Vec::new(), |state| state.lines.iter().map(shown).collect()),
        }
    }

    fn new_line(&mut self, product: i64, quantity: i64) -> TrueLine {
        self.line_count += 1;
        TrueLine { id: self.line_count, product, quantity, taken: None, restocked: 0 }
    }

    fn change_line(&mut self, order: u8, line: u8, change: impl FnOnce(&mut TrueLine)) {
        let Some(mut state) = self.state(order).cloned() else { return };
        let index = choose(&state.lines, line);
        if let Some(line) = index.and_then(|index| state.lines.get_mut(index)) {
            change(line);
            self.edit(order, state);
        }
    }

    /// An edit moves stock under the old date first, and saves the order afterwards.
    fn edit(&mut self, order: u8, state: State) {
        let mut states = vec![state.clone()];
        if takes(state.status) {
            states.extend(with_taken(state, "processing").into_iter().skip(1));
        }
        if let Some(last) = states.last().cloned() {
            states.push(State { date: self.now(), ..last });
        }
        self.write(order, states);
    }

    fn write(&mut self, order: u8, states: Vec<State>) {
        let time = self.time;
        if let Some(order) = self.orders.get_mut(usize::from(order)) {
            order.changed_from = order.history.len();
            order.changed_at = time;
            order.read_since = false;
            order.history.extend(states);
        }
    }
}

/// The state as saved, and each state after it as the stock of one more line follows the status.
fn with_taken(state: State, status: &str) -> Vec<State> {
    let mut states = vec![state.clone()];
    let mut state = state;
    for index in 0..state.lines.len() {
        if let Some(line) = state.lines.get_mut(index) {
            let taken = if line.product == POSTER || !(takes(status) || gives_back(status)) {
                line.taken
            } else if gives_back(status) {
                None
            } else {
                line.taken.or(Some(line.quantity - line.restocked))
            };
            if taken != line.taken {
                line.taken = taken;
                states.push(state.clone());
            }
        }
    }
    states
}

fn takes(status: &str) -> bool {
    ["on-hold", "processing", "completed"].contains(&status)
}

fn gives_back(status: &str) -> bool {
    ["pending", "cancelled"].contains(&status)
}

fn choose(lines: &[TrueLine], choice: u8) -> Option<usize> {
    usize::from(choice).checked_rem(lines.len())
}

pub(crate) fn order_id(order: u8) -> OrderId {
    OrderId::new(i64::from(order) + 1).expect("orders count from 1")
}

pub(crate) fn listing(product: i64) -> Option<ListingId> {
    ProductId::new(product).map(|product| ListingId { product, variation: None })
}

/// Every product has been renamed to another's code since.
fn live_code(product: i64) -> Option<Sku> {
    (if product == MUG { "shirt" } else { "mug" }).parse().ok()
}
