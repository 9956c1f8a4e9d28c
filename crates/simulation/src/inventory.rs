//! Inventory, in memory: orders, ledger and levels on the rules of the `ledger` crate.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ledger::{
    Applying, Book, Cause, Decision, Listed, Operation, OperationOutcome, Order, Origin, Routing, Seen,
    Snapshot, StatusMap, StatusRule, StockChange, apply, level, operate, release_orphan, resolve_lines,
};
use push::{Adopting, DriftPolicy};
use values::{
    Epoch, HolderId, OrderId, Quantity, ReadNumber, Revision, ShopId, Sku, Step, Timestamp, WarehouseId,
};

use crate::bug::Bug;
use crate::listings::Registry;
use crate::reader::SettleJob;

/// The polls confirm an order within two of their periods; what they have not by then they never will.
const CONFIRM_WITHIN: Duration = Duration::from_mins(3);

/// What a shop showed at a settle, as inventory passes it on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Proof {
    pub(crate) number: ReadNumber,
    pub(crate) shown: Quantity,
    pub(crate) t1: Timestamp,
    pub(crate) read_at: Timestamp,
    pub(crate) taken_total: Quantity,
    pub(crate) quiet: bool,
    /// When the shop saved the product last.
    pub(crate) dated: Option<Timestamp>,
}

/// The level row of one stock.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) sku: Option<Sku>,
    pub(crate) level: Quantity,
    pub(crate) untaken: Quantity,
    pub(crate) taken_total: Quantity,
    pub(crate) last_order_date: Option<Timestamp>,
    /// When an order was last applied to it, by the hub's clock.
    pub(crate) last_applied_at: Option<Timestamp>,
    /// Dates of the orders applied since the row was last published.
    pub(crate) order_dates: Option<(Timestamp, Timestamp)>,
    pub(crate) epoch: Epoch,
    pub(crate) revision: Revision,
    pub(crate) proof: Option<Proof>,
    /// The edit that was decided on last, and whether it was taken over.
    pub(crate) adoption: Option<(ReadNumber, bool)>,
    pub(crate) dirty: bool,
}

/// How one shop sells.
#[derive(Debug, Clone)]
pub(crate) struct ShopTerms {
    pub(crate) id: ShopId,
    pub(crate) routing: Routing,
    pub(crate) statuses: StatusMap,
    pub(crate) buffer: Quantity,
    pub(crate) policy: DriftPolicy,
    pub(crate) registry: Registry,
    /// Highest number of an order when its baseline was read.
    pub(crate) baseline_last: Option<OrderId>,
    /// The first trusted reading of these stocks opens their SKU.
    pub(crate) opening: BTreeSet<HolderId>,
}

/// What came of a message.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    pub(crate) reread: Vec<OrderId>,
    pub(crate) settle: Vec<HolderId>,
}

#[derive(Debug)]
pub(crate) struct Inventory {
    pub(crate) bug: Option<Bug>,
    pub(crate) book: Book,
    pub(crate) shops: Vec<ShopTerms>,
    pub(crate) orders: BTreeMap<(usize, OrderId), Order>,
    pub(crate) rows: BTreeMap<(usize, HolderId), Row>,
    /// What a shop's own orders did to available, by SKU.
    effects: BTreeMap<(usize, Sku), Quantity>,
    /// Orders that no read has confirmed yet, and since when.
    pub(crate) unconfirmed: BTreeMap<(usize, OrderId), Timestamp>,
    /// Every movement ever made, for the fold.
    pub(crate) journal: Vec<ledger::Movement>,
}

impl Inventory {
    pub(crate) fn new(bug: Option<Bug>) -> Self {
        Self {
            bug,
            book: Book::default(),
            shops: Vec::new(),
            orders: BTreeMap::new(),
            rows: BTreeMap::new(),
            effects: BTreeMap::new(),
            unconfirmed: BTreeMap::new(),
            journal: Vec::new(),
        }
    }

    pub(crate) fn has(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    /// A stock became known, or its mapping changed: its row is made, and what was parked is looked at again.
    pub(crate) fn map(&mut self, shop: usize, holder: HolderId) -> Effects {
        let Some(terms) = self.shops.get(shop) else { return Effects::default() };
        let sku = terms.registry.skus.get(&holder).cloned();
        let row = self.rows.entry((shop, holder)).or_insert_with(|| Row {
            sku: None,
            level: Quantity::ZERO,
            untaken: Quantity::ZERO,
            taken_total: Quantity::ZERO,
            last_order_date: None,
            last_applied_at: None,
            order_dates: None,
            epoch: Epoch::ZERO,
            revision: Revision::ZERO,
            proof: None,
            adoption: None,
            dirty: false,
        });
        let old = row.sku.clone();
        row.sku.clone_from(&sku);
        row.epoch = row.epoch.next();
        row.proof = None;
        row.dirty = true;
        if self.has(Bug::RemapOldLines)
            && let (Some(old), Some(new)) = (&old, &sku)
        {
            for ((owner, _), order) in &mut self.orders {
                let lines =
                    order.lines.iter_mut().filter(|line| *owner == shop && line.sku.as_ref() == Some(old));
                lines.for_each(|line| line.sku = Some(new.clone()));
            }
        }
        self.resolve_parked(shop);
        self.recompute(&old.into_iter().chain(sku).collect(), None);
        Effects { settle: vec![holder], ..Effects::default() }
    }

    fn resolve_parked(&mut self, shop: usize) {
        if self.has(Bug::ForgetParked) {
            return;
        }
        let Some(terms) = self.shops.get(shop).cloned() else { return };
        let incomplete =
            |order: &Order| order.lines.iter().any(|line| line.sku.is_none() || line.stock.is_none());
        let keys: Vec<_> = self
            .orders
            .iter()
            .filter(|((owner, _), order)| *owner == shop && incomplete(order))
            .map(|(key, _)| *key)
            .collect();
        for key in keys {
            let Some(order) = self.orders.get_mut(&key) else { continue };
            let changes = resolve_lines(order, terms.applying(), &terms.registry, &mut self.book);
            // A stock whose takings were not counted before is proven anew.
            for change in changes.iter().filter(|change| !change.taken_delta.is_zero()) {
                if let Some(row) = self.rows.get_mut(&(shop, change.holder)) {
                    row.epoch = row.epoch.next();
                    row.proof = None;
                }
            }
            self.settle_up(shop, &changes, None, Timestamp::default());
        }
    }

    /// Applies what was seen of an order.
    pub(crate) fn snapshot(&mut self, shop: usize, snapshot: &Snapshot, now: Timestamp) -> Effects {
        let Some(terms) = self.shops.get(shop).cloned() else { return Effects::default() };
        let known = self.orders.contains_key(&(shop, snapshot.order));
        let order =
            self.orders.entry((shop, snapshot.order)).or_insert_with(|| Order::unknown(snapshot.order));
        let mut snapshot = snapshot.clone();
        let bug = self.bug;
        if bug == Some(Bug::OncePerStatus) && order.applied.is_some() && order.status == snapshot.status {
            return Effects::default();
        }
        disguise(bug, &mut snapshot, order);
        let verdict = apply(order, &snapshot, terms.applying(), &terms.registry, &mut self.book);
        let mut changes = verdict.stocks;
        let unproven: Vec<HolderId> =
            changes.iter().filter(|_| verdict.predates).map(|change| change.holder).collect();
        if bug == Some(Bug::GoneReleases) && order.gone {
            changes.extend(release_orphan(order, terms.applying(), &mut self.book));
        }
        let mut effects = Effects { settle: unproven.clone(), ..Effects::default() };
        if verdict.reread.is_some() && bug != Some(Bug::DropUnordered) {
            effects.reread.push(snapshot.order);
        }
        let confirmed =
            order.applied.is_none_or(|applied| applied.confirmed && applied.origin == Origin::Read);
        if confirmed {
            self.unconfirmed.remove(&(shop, snapshot.order));
        } else {
            self.unconfirmed.entry((shop, snapshot.order)).or_insert(now);
        }
        if !known && order.applied.is_none() {
            self.orders.remove(&(shop, snapshot.order));
        }
        let dated =
            matches!(verdict.decision, Decision::Apply { .. }).then_some(snapshot.modified_at).flatten();
        self.settle_up(shop, &changes, dated, now);
        for holder in unproven {
            if let Some(row) = self.rows.get_mut(&(shop, holder)) {
                row.epoch = row.epoch.next();
                row.proof = None;
            }
        }
        effects
    }

    /// Orders that reads should have confirmed long ago: they are read once more by their ids.
    pub(crate) fn overdue(&self, shop: usize, now: Timestamp) -> Vec<OrderId> {
        if self.has(Bug::NeverConfirm) {
            return Vec::new();
        }
        let overdue = self
            .unconfirmed
            .iter()
            .filter(|((owner, _), since)| *owner == shop && now.since(**since) > CONFIRM_WITHIN);
        overdue.map(|((_, order), _)| *order).collect()
    }

    /// A stock was read at a settle, and every order up to then was applied.
    pub(crate) fn shown(
        &mut self,
        shop: usize,
        holder: HolderId,
        (shown, dated, job): (Quantity, Option<Timestamp>, &SettleJob),
        now: Timestamp,
    ) {
        let (number, t1) = (job.number, job.t1);
        let outstanding = self.is_doubtful(shop, holder);
        let any_time = self.has(Bug::SettleAnytime);
        let Some(row) = self.rows.get_mut(&(shop, holder)) else { return };
        let quiet = any_time || !outstanding && row.is_quiet(t1, job.read_at);
        row.proof = Some(Proof {
            number,
            shown,
            t1,
            read_at: job.read_at,
            taken_total: row.taken_total,
            quiet,
            dated,
        });
        row.revision = row.revision.next();
        row.dirty = true;
        let Some(sku) = row.sku.clone() else { return };
        let untaken = self.held_untaken(shop, holder);
        let Some(terms) = self.shops.get_mut(shop) else { return };
        if quiet && terms.opening.remove(&holder) {
            let effect = self.effects.get(&(shop, sku.clone())).copied().unwrap_or_default();
            let warehouse = terms.routing.first();
            let shared = terms.routing.iter().collect();
            let quantity = shown - untaken - effect;
            self.operate(&Operation::Opening { sku, warehouse, shared, quantity }, now);
        }
    }

    /// Egress asks to take over what somebody set in a shop; what the ledger took over of it now.
    pub(crate) fn edited(
        &mut self,
        shop: usize,
        holder: HolderId,
        (epoch, edit): (Epoch, Adopting),
        now: Timestamp,
    ) -> Option<(Sku, Quantity)> {
        let each_time = self.has(Bug::AdoptEachTime);
        let row = self.rows.get(&(shop, holder)).filter(|row| row.epoch == epoch)?;
        if row.adoption.is_some_and(|(decided, _)| decided >= edit.number) && !each_time {
            return None;
        }
        let sku = row.sku.clone()?;
        let terms = self.shops.get(shop)?;
        let shared =
            self.rows.iter().any(|((other, _), row)| *other != shop && row.sku.as_ref() == Some(&sku));
        let can_mean_one_thing = !shared && terms.buffer.is_zero() || self.has(Bug::AdoptAnyway);
        let adjust = Operation::Adjust { sku: sku.clone(), warehouse: warehouse(), delta: edit.difference };
        let taken_over = terms.policy == DriftPolicy::Adopt
            && can_mean_one_thing
            && self.operate(&adjust, now) == OperationOutcome::Applied;
        let row = self.rows.get_mut(&(shop, holder))?;
        row.adoption = Some((edit.number, taken_over));
        row.revision = row.revision.next();
        row.dirty = true;
        taken_over.then_some((sku, edit.difference))
    }

    /// Whether an order on the stock waits to be read again, or to be confirmed by a read: what it took may be something else.
    fn is_doubtful(&self, shop: usize, holder: HolderId) -> bool {
        self.orders.iter().any(|((owner, id), order)| {
            *owner == shop
                && (order.reread || self.unconfirmed.contains_key(&(shop, *id)))
                && order.lines.iter().any(|line| line.stock.is_none_or(|stock| stock == holder))
        })
    }

    /// What the hub holds for a shop's orders without the shop having taken it: not missing from what it shows.
    fn held_untaken(&self, shop: usize, holder: HolderId) -> Quantity {
        let lines =
            self.orders.iter().filter(|((owner, _), _)| *owner == shop).flat_map(|(_, order)| &order.lines);
        let lines = lines.filter(|line| line.stock == Some(holder));
        lines.map(|line| (line.held() - line.taken_or_zero()).or_zero()).sum()
    }

    pub(crate) fn operate(&mut self, operation: &Operation, now: Timestamp) -> OperationOutcome {
        let mut operation = operation.clone();
        if self.has(Bug::CountIsAvailable)
            && let Operation::Count { sku, warehouse, counted } = &mut operation
        {
            *counted += self.book.balance(sku, *warehouse).reserved;
        }
        let outcome = operate(&operation, now, &mut self.book);
        let touched = self.collect_movements();
        self.recompute(&touched, None);
        outcome
    }

    fn settle_up(&mut self, shop: usize, changes: &[StockChange], dated: Option<Timestamp>, now: Timestamp) {
        for change in changes {
            let Some(row) = self.rows.get_mut(&(shop, change.holder)) else { continue };
            row.taken_total += change.taken_delta;
            row.untaken += change.untaken_delta;
            if let Some(date) = dated {
                row.last_order_date = row.last_order_date.max(Some(date));
                row.last_applied_at = Some(now);
                let (first, last) = row.order_dates.unwrap_or((date, date));
                row.order_dates = Some((first.min(date), last.max(date)));
            }
            row.revision = row.revision.next();
            row.dirty = true;
        }
        let touched = self.collect_movements();
        self.recompute(&touched, Some(shop));
    }

    fn collect_movements(&mut self) -> BTreeSet<Sku> {
        let movements = self.book.take_movements();
        for movement in &movements {
            if let Cause::Order { shop, .. } = movement.cause
                && let Some(index) = self.shops.iter().position(|terms| terms.id == shop)
            {
                *self.effects.entry((index, movement.sku.clone())).or_default() +=
                    movement.on_hand_delta - movement.reserved_delta;
            }
        }
        let touched = movements.iter().map(|movement| movement.sku.clone()).collect();
        self.journal.extend(movements);
        touched
    }

    fn recompute(&mut self, skus: &BTreeSet<Sku>, seller: Option<usize>) {
        let only_seller = self.has(Bug::TellOnlySeller);
        for ((shop, _), row) in &mut self.rows {
            let Some(sku) = row.sku.as_ref().filter(|sku| skus.contains(*sku)) else { continue };
            if only_seller && seller.is_some_and(|seller| seller != *shop) {
                continue;
            }
            let Some(terms) = self.shops.get(*shop) else { continue };
            let listed = Listed { buffer: terms.buffer, step: Step::ONE };
            let level = level(&self.book, sku, &terms.routing, listed);
            if level != row.level {
                row.level = level;
                row.revision = row.revision.next();
                row.dirty = true;
            }
        }
    }
}

impl Row {
    /// Whether no order touched the stock around the moment it was read: `t1` by the shop's clock, `read_at` by the hub's.
    fn is_quiet(&self, t1: Timestamp, read_at: Timestamp) -> bool {
        let Some(date) = self.last_order_date else { return true };
        // Dated after the read, yet known well before it: the shop's clock was set back in between.
        let set_back = date > t1 + ledger::CONFIRM_MARGIN
            && self.last_applied_at.is_some_and(|at| at + ledger::CONFIRM_MARGIN < read_at);
        date < t1 - ledger::CONFIRM_MARGIN || set_back
    }
}

impl ShopTerms {
    pub(crate) fn applying(&self) -> Applying<'_> {
        Applying {
            shop: self.id,
            routing: &self.routing,
            statuses: &self.statuses,
            baseline_last: self.baseline_last,
        }
    }
}

/// Breaks a snapshot as the bug would.
fn disguise(bug: Option<Bug>, snapshot: &mut Snapshot, order: &mut Order) {
    let Some(modified_at) = snapshot.modified_at else { return };
    let next = order.applied.map_or(ReadNumber::new(1), |applied| applied.last_read.next());
    match bug {
        Some(Bug::TrustHalfWritten) => {
            let number = match snapshot.seen {
                Seen::Webhook => next,
                Seen::Read { number, .. } => number,
            };
            let read_at = modified_at + ledger::CONFIRM_MARGIN;
            snapshot.seen = Seen::Read { number, read_at, baseline: false };
        }
        Some(Bug::WebhooksAreFacts) if snapshot.seen == Seen::Webhook => {
            snapshot.seen = Seen::Read { number: next, read_at: modified_at, baseline: false };
        }
        Some(Bug::TakenFromStatus) => {
            let rule = StatusMap::default().rule(&snapshot.status);
            let takes = matches!(rule, StatusRule::ReservePending | StatusRule::Reserve | StatusRule::Deduct);
            for line in &mut snapshot.lines {
                line.taken = takes.then_some(line.quantity);
            }
        }
        Some(Bug::SkuByText) => {
            for line in &mut order.lines {
                if let Some(incoming) = snapshot.lines.iter().find(|incoming| incoming.id == line.id) {
                    line.sku = incoming.sku.clone().or(line.sku.take());
                }
            }
        }
        _ => {}
    }
}

/// The warehouse every simulated shop sells from.
pub(crate) fn warehouse() -> WarehouseId {
    WarehouseId::new(1).expect("1 is an id")
}
