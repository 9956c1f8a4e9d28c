//! Judges the ledger from outside: folds every movement from the first, sums every line anew, and has its own idea of which
//! snapshot wins. It shares no rule with the ledger but its types.

use std::collections::BTreeMap;

use onhand_ledger::{
    Balance, Book, Cause, Line, Movement, Operation, OperationOutcome, Order, Seen, ShipOutcome, SkuBook,
    Snapshot,
};
use values::{HolderId, LineId, ListingId, OrderId, Quantity, Sku, Timestamp, WarehouseId};

use crate::hub::{Effect, Hub};
use crate::shop::{CHEMISE, LAMP, MUG, SHIRT, listing};

/// What is wrong.
pub(crate) type Finding = String;

macro_rules! ensure {
    ($holds:expr, $($what:tt)+) => {
        if !$holds {
            return Err(format!($($what)+));
        }
    };
}

type Content = (String, Vec<(LineId, Option<ListingId>, Quantity, Option<Quantity>, Quantity)>);

/// The version of an order the auditor would have applied.
#[derive(Debug, Clone)]
struct Known {
    date: Timestamp,
    content: Content,
    read: u64,
    /// It came by a webhook, and no read has shown it since.
    pushed: bool,
    confirmed: bool,
    gone: bool,
    older: Option<(Timestamp, Content)>,
}

enum Judgement {
    /// Nothing may change.
    Ignored,
    /// It is the order's state now; whether anything may change.
    Accepted {
        anew: bool,
    },
    NotFound,
}

#[derive(Debug)]
pub(crate) struct Auditor {
    opening: BTreeMap<Sku, SkuBook>,
    log: Vec<Movement>,
    totals: BTreeMap<HolderId, (Quantity, Quantity)>,
    superseded: BTreeMap<Sku, Quantity>,
    counted_at: BTreeMap<Sku, Timestamp>,
    known: BTreeMap<OrderId, Known>,
    /// What we sent of each line and has not come back: at least and at most.
    sent: BTreeMap<(OrderId, LineId), (Quantity, Quantity)>,
}

impl Auditor {
    pub(crate) fn new(book: &Book) -> Self {
        let opening: BTreeMap<_, _> = book.skus().map(|(sku, book)| (sku.clone(), book.clone())).collect();
        let counted_at =
            opening.iter().filter_map(|(sku, book)| Some((sku.clone(), book.counted_at?))).collect();
        Self {
            opening,
            log: Vec::new(),
            totals: BTreeMap::new(),
            superseded: BTreeMap::new(),
            counted_at,
            known: BTreeMap::new(),
            sent: BTreeMap::new(),
        }
    }

    /// After a snapshot was applied: the version that should have won did, and holds what its status demands.
    pub(crate) fn applied(
        &mut self,
        snapshot: &Snapshot,
        before: &Order,
        hub: &Hub,
        effect: Effect,
    ) -> Result<(), Finding> {
        let after = hub.order(snapshot.order);
        let judgement = self.judge(snapshot);
        let quiet = effect.movements.is_empty()
            && effect.stocks.iter().all(|stock| stock.taken_delta + stock.untaken_delta == Quantity::ZERO);
        let same = (&before.status, &before.lines, before.gone, before.expired)
            == (&after.status, &after.lines, after.gone, after.expired);
        match judgement {
            Judgement::Ignored => {
                ensure!(quiet && same, "changed by what is no news: {snapshot:?}");
                if matches!(snapshot.seen, Seen::Webhook) {
                    let kept = Order { reread: before.reread, ..after.clone() };
                    ensure!(kept == *before, "a hint may only ask for a read: {snapshot:?}");
                }
            }
            Judgement::NotFound => {
                ensure!(effect.movements.is_empty(), "an order that is gone keeps what it holds");
                ensure!(before.lines == after.lines, "an order that is gone keeps its lines");
                ensure!(after.gone || before.applied.is_none(), "an order that was not found is gone");
            }
            Judgement::Accepted { anew } => {
                ensure!(anew || quiet && same, "changed by a repetition: {snapshot:?}");
                mirrors(snapshot, &after)?;
                let confirmed = self.known.get(&after.id).is_some_and(|known| known.confirmed);
                let recorded = after.applied.is_some_and(|applied| applied.confirmed);
                ensure!(recorded == confirmed, "confirmed: {recorded} in place of {confirmed}, {snapshot:?}");
                if anew && confirmed {
                    holds_what_is_demanded(before, &after)?;
                } else if anew {
                    gives_back_no_more_than_the_shop(before, &after)?;
                }
                self.note_returns(&after, &effect.movements);
                self.where_it_is(&after)?;
            }
        }
        self.took_effect(hub, effect)
    }

    /// After a shipment: what was asked for left, if all of it was reserved, and nothing if not.
    pub(crate) fn shipped(
        &mut self,
        before: &Order,
        lines: &[(LineId, Quantity)],
        outcome: &ShipOutcome,
        hub: &Hub,
        effect: Effect,
    ) -> Result<(), Finding> {
        let after = hub.order(before.id);
        let left = |line: &Line| held(line) - shipped(line);
        let of = |order: &Order, id: LineId| {
            order.lines.iter().filter(|line| line.id == id && !line.removed).map(left).sum::<Quantity>()
        };
        let open = !["cancelled", "checkout-draft"].contains(&before.status.as_str());
        let asked: Vec<(LineId, Quantity)> = if lines.is_empty() {
            let rest = before.lines.iter().filter(|line| !line.removed && left(line).is_positive());
            rest.map(|line| (line.id, left(line))).collect()
        } else {
            lines.to_vec()
        };
        let reserved = asked.iter().all(|(id, quantity)| *quantity <= of(before, *id));
        let leaves = open && reserved && !asked.is_empty();
        ensure!(
            matches!(outcome, ShipOutcome::Shipped { .. }) == leaves,
            "{asked:?} of {before:?} came to {outcome:?}"
        );
        if let ShipOutcome::Shipped { complete, .. } = outcome {
            for (id, quantity) in &asked {
                let gone = of(before, *id) - of(&after, *id);
                ensure!(gone == *quantity, "{gone} of line {id} left in place of {quantity}");
                let (least, most) = self.sent.entry((before.id, *id)).or_default();
                *least += *quantity;
                *most += *quantity;
            }
            let waits = |line: &&Line| line.sku.is_none() && !line.unmanaged || left(line).is_positive();
            let waits = after.lines.iter().filter(|line| !line.removed).filter(waits).count();
            ensure!(*complete == (waits == 0), "complete: {complete}, {waits} lines wait: {after:?}");
        } else {
            ensure!(effect.movements.is_empty() && *before == after, "refused, and changed all the same");
        }
        let stays = |order: &Order| order.lines.iter().map(held).collect::<Vec<_>>();
        ensure!(stays(before) == stays(&after), "a shipment holds what was held");
        self.took_effect(hub, effect)
    }

    /// What came back of a line is no longer sent. Nobody can tell a unit that we sent from one that the shop called shipped,
    /// so what is left of ours lies between two bounds.
    fn note_returns(&mut self, after: &Order, movements: &[Movement]) {
        for ((order, id), (least, most)) in &mut self.sent {
            if *order != after.id {
                continue;
            }
            let returned = movements.iter().filter(|movement| {
                let of_line = matches!(movement.cause, Cause::Order { line, .. } if line == *id);
                of_line && movement.on_hand_delta.is_positive() && movement.reserved_delta.is_zero()
            });
            let returned: Quantity = returned.map(|movement| movement.on_hand_delta).sum();
            let shipped: Quantity = after.lines.iter().filter(|line| line.id == *id).map(shipped).sum();
            *least = Quantity::ZERO.max(*least - returned);
            *most = shipped.min(*most);
        }
    }

    /// What is shipped has left, what is reserved has not; and what we sent has, whatever the status.
    fn where_it_is(&self, order: &Order) -> Result<(), Finding> {
        for line in order.lines.iter().filter(|line| !line.removed) {
            let (held, shipped) = (held(line), shipped(line));
            let (least, most) = self.sent.get(&(order.id, line.id)).copied().unwrap_or_default();
            let alone = order.lines.iter().filter(|other| other.id == line.id).count() == 1;
            let right = match order.status.as_str() {
                "completed" => shipped == held,
                "pending" | "on-hold" | "processing" => shipped <= most && (shipped >= least || !alone),
                _ => true,
            };
            ensure!(right, "{} {line:?}: {shipped} of {held}, {least} to {most} were sent", order.status);
        }
        Ok(())
    }

    /// After anything: everything adds up.
    pub(crate) fn took_effect(&mut self, hub: &Hub, effect: Effect) -> Result<(), Finding> {
        for stock in &effect.stocks {
            let (taken, untaken) = self.totals.entry(stock.holder).or_default();
            *taken += stock.taken_delta;
            *untaken += stock.untaken_delta;
        }
        self.log.extend(effect.movements);
        self.balances_are_folds(hub)?;
        reserved_is_held(hub)?;
        self.totals_are_sums(hub)?;
        self.what_left_was_posted(hub)
    }

    pub(crate) fn operated(
        &mut self,
        operation: &Operation,
        outcome: OperationOutcome,
        now: i64,
        hub: &Hub,
        effect: Effect,
    ) -> Result<(), Finding> {
        let expected = self.expected_outcome(operation);
        ensure!(outcome == expected, "{operation:?} came to {outcome:?} in place of {expected:?}");
        if outcome == OperationOutcome::Applied {
            let now = Timestamp::from_seconds(now);
            let first = self.counted_at.entry(operation.sku().clone()).or_insert(now);
            match operation {
                Operation::Count { .. } | Operation::Opening { .. } => *first = now,
                Operation::Receive { .. } | Operation::Adjust { .. } => {}
                Operation::Transfer { .. } => {
                    let counted_at = hub.book.counted_at(operation.sku());
                    if counted_at.is_none() {
                        self.counted_at.remove(operation.sku());
                    }
                }
            }
        } else {
            ensure!(effect.movements.is_empty(), "{operation:?} was refused, and moved stock");
        }
        let counted_at = hub.book.counted_at(operation.sku());
        ensure!(counted_at == self.counted_at.get(operation.sku()).copied(), "{operation:?}: counted when?");
        self.took_effect(hub, effect)
    }

    fn judge(&mut self, snapshot: &Snapshot) -> Judgement {
        let known = self.known.get_mut(&snapshot.order);
        let (Some(date), content) = (snapshot.modified_at, content(snapshot)) else {
            let (Seen::Read { number, .. }, Some(known)) = (snapshot.seen, known) else {
                return Judgement::Ignored;
            };
            if number.get() <= known.read {
                return Judgement::Ignored;
            }
            *known = Known { read: number.get(), gone: true, pushed: false, older: None, ..known.clone() };
            return Judgement::NotFound;
        };
        let (number, whole) = match snapshot.seen {
            Seen::Webhook => (None, false),
            Seen::Read { number, read_at, .. } => {
                (Some(number.get()), read_at.seconds() >= date.seconds() + 30)
            }
        };
        let pushed = number.is_none();
        let fresh = Known {
            date,
            content,
            read: number.unwrap_or(0),
            pushed,
            confirmed: whole,
            gone: false,
            older: None,
        };
        let Some(known) = known else {
            self.known.insert(snapshot.order, fresh);
            return Judgement::Accepted { anew: true };
        };
        let same_content = known.content == fresh.content && !known.gone;
        let same = same_content && known.date == date;
        let Some(number) = number else {
            if known.gone || date <= known.date {
                return Judgement::Ignored;
            }
            let confirmed = same_content && known.confirmed;
            *known = Known { read: known.read, confirmed, ..fresh };
            return Judgement::Accepted { anew: true };
        };
        if number <= known.read {
            return Judgement::Ignored;
        }
        let older = (date, fresh.content.clone());
        if known.pushed && date < known.date && known.older.as_ref() != Some(&older) {
            known.read = number;
            known.older = Some(older);
            return Judgement::Ignored;
        }
        let confirmed = whole || same_content && known.confirmed;
        let anew = !same || confirmed != known.confirmed;
        *known = Known { confirmed, ..fresh };
        Judgement::Accepted { anew }
    }

    fn balances_are_folds(&self, hub: &Hub) -> Result<(), Finding> {
        let mut books = self.opening.clone();
        for movement in &self.log {
            let book = books.entry(movement.sku.clone()).or_default();
            book.movement_count += 1;
            ensure!(book.movement_count == movement.number, "a gap before {movement:?}");
            let balance = book.balances.entry(movement.warehouse).or_default();
            *balance = Balance {
                on_hand: balance.on_hand + movement.on_hand_delta,
                reserved: balance.reserved + movement.reserved_delta,
            };
            ensure!(*balance == movement.after, "the fold is {balance:?} at {movement:?}");
        }
        for (sku, stored) in hub.book.skus() {
            let folded = books.remove(sku).unwrap_or_default();
            let (folded, stored) = (&folded.balances, &stored.balances);
            ensure!(folded == stored, "{sku} folds to {folded:?}, the book says {stored:?}");
        }
        ensure!(books.is_empty(), "lost from the book: {books:?}");
        Ok(())
    }

    fn totals_are_sums(&self, hub: &Hub) -> Result<(), Finding> {
        let mut sums: BTreeMap<HolderId, (Quantity, Quantity)> = BTreeMap::new();
        for order in hub.orders.values() {
            let confirmed = order.applied.is_some_and(|applied| applied.confirmed);
            let may_take = !order.gone && (!confirmed || order.status == "pending");
            for line in &order.lines {
                let Some(stock) = line.stock else { continue };
                let taken = line.taken.unwrap_or_default();
                let sum = sums.entry(stock).or_default();
                sum.0 += taken;
                if may_take && held(line) > taken {
                    sum.1 += held(line) - taken;
                }
            }
        }
        for (holder, total) in &self.totals {
            let sum = sums.remove(holder).unwrap_or_default();
            ensure!(*total == sum, "stock {holder} was told {total:?} in all, its lines are {sum:?}");
        }
        sums.retain(|_, sum| *sum != Default::default());
        ensure!(sums.is_empty(), "never told: {sums:?}");
        Ok(())
    }

    /// Every unit that is shipped was posted, except where an order was final before its SKU was counted.
    fn what_left_was_posted(&mut self, hub: &Hub) -> Result<(), Finding> {
        let mut unposted: BTreeMap<&Sku, Quantity> = BTreeMap::new();
        for line in hub.orders.values().flat_map(|order| &order.lines) {
            if let Some(sku) = &line.sku {
                *unposted.entry(sku).or_default() += shipped(line);
            }
        }
        for movement in self.log.iter().filter(|movement| movement.cause != Cause::Operation) {
            *unposted.entry(&movement.sku).or_default() += movement.on_hand_delta;
        }
        for (sku, unposted) in unposted {
            let before = self.superseded.insert(sku.clone(), unposted).unwrap_or_default();
            let counted_at = self.counted_at.get(sku).copied();
            let may_be_superseded = hub.orders.values().any(|order| {
                let date = order.applied.map(|applied| applied.modified_at);
                let open = ["pending", "on-hold", "processing", "cancelled"].contains(&order.status.as_str());
                // Only what was parked once: never mapped, or first seen when the product was deleted.
                let parked = [listing(LAMP), listing(CHEMISE)];
                let parked = order.lines.iter().any(|line| parked.contains(&line.listing));
                !open && parked && (counted_at.is_none() || date <= counted_at)
            });
            ensure!(
                unposted == before || unposted > before && may_be_superseded,
                "{unposted} of {sku} left without a movement, {before} before"
            );
        }
        Ok(())
    }

    fn available(&self, sku: &Sku, warehouse: WarehouseId) -> Quantity {
        let opening = self.opening.get(sku).and_then(|book| book.balances.get(&warehouse)).copied();
        let opening = opening.unwrap_or_default();
        let moved = |movement: &&Movement| movement.sku == *sku && movement.warehouse == warehouse;
        let moved = self.log.iter().filter(moved);
        opening.on_hand - opening.reserved
            + moved.map(|movement| movement.on_hand_delta - movement.reserved_delta).sum::<Quantity>()
    }

    fn expected_outcome(&self, operation: &Operation) -> OperationOutcome {
        let takes = |sku, warehouse, quantity: Quantity| {
            let available = self.available(sku, warehouse);
            if quantity <= available {
                OperationOutcome::Applied
            } else {
                OperationOutcome::InsufficientAvailable { available }
            }
        };
        match operation {
            Operation::Receive { quantity, .. } | Operation::Transfer { quantity, .. }
                if !quantity.is_positive() =>
            {
                OperationOutcome::BadQuantity
            }
            Operation::Adjust { delta, .. } if delta.is_zero() => OperationOutcome::BadQuantity,
            Operation::Transfer { from, to, .. } if from == to => OperationOutcome::SameWarehouse,
            Operation::Transfer { sku, from, quantity, .. } => takes(sku, *from, *quantity),
            Operation::Adjust { sku, warehouse, delta } if delta.is_negative() => {
                takes(sku, *warehouse, -*delta)
            }
            _ => OperationOutcome::Applied,
        }
    }
}

fn content(snapshot: &Snapshot) -> Content {
    let lines = snapshot.lines.iter();
    let lines = lines.map(|line| (line.id, line.listing, line.quantity, line.taken, line.restocked));
    (snapshot.status.clone(), lines.collect())
}

pub(crate) fn held(line: &Line) -> Quantity {
    line.holds.iter().fold(Quantity::ZERO, |sum, hold| sum + hold.reserved + hold.shipped)
}

fn shipped(line: &Line) -> Quantity {
    line.holds.iter().fold(Quantity::ZERO, |sum, hold| sum + hold.shipped)
}

/// The order is what the snapshot shows, line by line, each of the SKU its product has.
pub(crate) fn mirrors(snapshot: &Snapshot, order: &Order) -> Result<(), Finding> {
    ensure!(order.status == snapshot.status && !order.gone, "{} is not {}", order.status, snapshot.status);
    let lines: Vec<&Line> = order.lines.iter().filter(|line| !line.removed).collect();
    ensure!(lines.len() == snapshot.lines.len(), "{lines:?} are not {:?}", snapshot.lines);
    for shown in &snapshot.lines {
        let line = lines
            .iter()
            .find(|line| line.id == shown.id && (line.listing == shown.listing || shown.listing.is_none()));
        let Some(line) = line else { return Err(format!("no line is {shown:?}")) };
        ensure!(
            (line.quantity, line.taken, line.restocked) == (shown.quantity, shown.taken, shown.restocked),
            "{line:?} is not {shown:?}"
        );
        let code = [(SHIRT, "shirt"), (CHEMISE, "shirt"), (MUG, "mug")]
            .into_iter()
            .find_map(|(product, code)| (line.listing == listing(product)).then_some(code));
        let sku = line.sku.as_ref().map(Sku::as_str);
        ensure!(code.is_none() || sku == code, "{line:?} is not of {code:?}");
    }
    Ok(())
}

/// What a line of a whole snapshot is to hold; `None` if that is what it held.
fn demanded(order: &Order, line: &Line) -> Option<Quantity> {
    let ordered = line.quantity - line.restocked;
    let sold = line.taken.unwrap_or(if ordered.is_negative() { Quantity::ZERO } else { ordered });
    match order.status.as_str() {
        _ if line.sku.is_none() => Some(Quantity::ZERO),
        "pending" if order.expired => Some(line.taken.unwrap_or_default().max(shipped(line))),
        "pending" | "on-hold" | "processing" | "completed" => Some(sold),
        "cancelled" => Some(Quantity::ZERO),
        "checkout-draft" => None,
        _ if line.ever_taken => Some(line.taken.unwrap_or_default()),
        _ => None,
    }
}

fn holds_what_is_demanded(before: &Order, after: &Order) -> Result<(), Finding> {
    for line in &after.lines {
        ensure!(!line.removed, "{line:?} is no longer part of the order and still holds something");
        let known = before.lines.iter().find(|known| same_line(known, line) && known.sku.is_some());
        let unchanged = known.map_or(Quantity::ZERO, held);
        let demanded = demanded(after, line).unwrap_or(unchanged);
        ensure!(held(line) == demanded, "{} {line:?} is to hold {demanded}", after.status);
    }
    Ok(())
}

fn gives_back_no_more_than_the_shop(before: &Order, after: &Order) -> Result<(), Finding> {
    for line in &before.lines {
        let now = after.lines.iter().find(|now| same_line(now, line));
        let (held_now, taken_now) =
            now.map_or_else(Default::default, |now| (held(now), now.taken.unwrap_or_default()));
        let fall = line.taken.unwrap_or_default() - taken_now;
        let most = if fall.is_negative() { Quantity::ZERO } else { fall };
        let given_back = held(line) - held_now;
        ensure!(given_back <= most, "{line:?} gave back {given_back}, the shop {most}: {now:?}");
    }
    for line in after.lines.iter().filter(|line| line.sku.is_some() && after.status == "cancelled") {
        let taken = line.taken.unwrap_or_default();
        ensure!(held(line) >= taken, "{line:?} is let go before the shop did");
    }
    Ok(())
}

fn same_line(one: &Line, other: &Line) -> bool {
    one.id == other.id && one.listing == other.listing
}

fn reserved_is_held(hub: &Hub) -> Result<(), Finding> {
    let mut held: BTreeMap<(&Sku, WarehouseId), Quantity> = BTreeMap::new();
    for line in hub.orders.values().flat_map(|order| &order.lines) {
        ensure!(line.sku.is_some() || line.holds.is_empty(), "{line:?} holds nobody knows what");
        for (sku, hold) in line.sku.iter().flat_map(|sku| line.holds.iter().map(move |hold| (sku, hold))) {
            ensure!(!hold.reserved.is_negative() && !hold.shipped.is_negative(), "{line:?}");
            *held.entry((sku, hold.warehouse)).or_default() += hold.reserved;
        }
    }
    for (sku, book) in hub.book.skus() {
        for (warehouse, balance) in &book.balances {
            let held = held.remove(&(sku, *warehouse)).unwrap_or_default();
            ensure!(balance.reserved == held, "{sku}: {} reserved, lines hold {held}", balance.reserved);
        }
    }
    held.retain(|_, held| !held.is_zero());
    ensure!(held.is_empty(), "held and not reserved: {held:?}");
    Ok(())
}
