//! The truth, worked out from the fake shops themselves and from what was received, and where onhand differs from it.
//!
//! It shares no code with the ledger: what an order must hold is worked out from the shop's own rows.

use std::collections::BTreeMap;

use store::{OrderRow, PAGE_ROWS_MAX};
use testkit::shop::{LineView, OrderBy, OrderFilter, OrderView, Shop as ShopModel, Status, StatusFilter};
use values::{HolderId, LineId, OrderId, Quantity, Sku, StockId};

use super::DemoError;
use super::world::World;

/// Orders of a page of a shop's list.
const ORDERS_A_PAGE: usize = 100;

/// Orders and stocks that are told when they are wrong.
pub(super) const TOLD_MAX: usize = 20;

/// What is true.
#[derive(Debug, Default)]
pub(super) struct Truth {
    /// What may still be sold of each SKU; negative if more was sold than there was.
    pub(super) available: BTreeMap<Sku, i64>,
    /// By shop, in the order of the world's.
    pub(super) shops: Vec<ShopTruth>,
}

/// What is true of one shop.
#[derive(Debug, Default)]
pub(super) struct ShopTruth {
    /// What each line must hold.
    pub(super) orders: BTreeMap<OrderId, BTreeMap<LineId, i64>>,
    /// Where the shop has yet to take what was ordered.
    untaken: BTreeMap<HolderId, i64>,
    /// What it shows.
    shown: BTreeMap<HolderId, i64>,
}

/// Where onhand and the truth differ.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Difference {
    /// Units the ledger has too many or too few of.
    pub(super) ledger_units: i64,
    /// Units the shops show too many of.
    pub(super) shown_above: i64,
    /// And too few of.
    pub(super) shown_below: i64,
    /// Stocks of shops that show a wrong number.
    pub(super) stocks: u64,
}

/// A stock that shows a wrong number.
#[derive(Debug, Clone)]
pub(super) struct WrongStock {
    pub(super) stock: StockId,
    pub(super) shown: i64,
    pub(super) goal: i64,
}

impl Difference {
    pub(super) fn is_none(self) -> bool {
        self == Self::default()
    }

    pub(super) fn units(self) -> i64 {
        self.ledger_units + self.shown_above + self.shown_below
    }
}

/// How the orders fared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct OrderCount {
    pub(super) applied: u64,
    /// Not there, or holding less than they must.
    pub(super) lost: u64,
    /// Holding more than they must.
    pub(super) duplicated: u64,
    /// The first of those that are not as they must be, for whoever looks into it.
    pub(super) told: Vec<String>,
}

impl Truth {
    pub(super) fn of(world: &World, received: &BTreeMap<Sku, i64>) -> Self {
        let mut truth = Self { available: received.clone(), shops: Vec::new() };
        for shop in &world.shops {
            let by_holder: BTreeMap<HolderId, &Sku> =
                shop.goods.iter().map(|good| good.holder()).zip(&world.skus).collect();
            let mut found = ShopTruth::default();
            shop.fake.with_model(|model, _| {
                for order in all_orders(model) {
                    add_order(&mut truth.available, &mut found, &by_holder, &order);
                }
                for holder in by_holder.keys() {
                    found.shown.insert(*holder, model.stock(*holder).unwrap_or(0));
                }
            });
            truth.shops.push(found);
        }
        truth
    }

    /// Units sold beyond what there was.
    pub(super) fn oversold(&self) -> i64 {
        self.available.values().map(|available| (-available).max(0)).sum()
    }

    /// Against onhand's balances and against what the shops show.
    pub(super) async fn compare(&self, world: &World) -> Result<Difference, DemoError> {
        let mut difference = Difference::default();
        let known = balances(world).await?;
        for sku in self.available.keys().chain(known.keys().filter(|sku| !self.available.contains_key(*sku)))
        {
            let of = |units: &BTreeMap<Sku, i64>| units.get(sku).copied().unwrap_or(0);
            difference.ledger_units += (of(&known) - of(&self.available)).abs();
        }
        for wrong in self.wrong_stocks(world) {
            difference.stocks += 1;
            difference.shown_above += (wrong.shown - wrong.goal).max(0);
            difference.shown_below += (wrong.goal - wrong.shown).max(0);
        }
        Ok(difference)
    }

    /// Stocks of shops that do not show what they should.
    pub(super) fn wrong_stocks(&self, world: &World) -> Vec<WrongStock> {
        let mut wrong = Vec::new();
        for (shop, found) in world.shops.iter().zip(&self.shops) {
            for (good, sku) in shop.goods.iter().zip(&world.skus) {
                let available = self.available.get(sku).copied().unwrap_or(0);
                let holder = good.holder();
                let shown = found.shown.get(&holder).copied().unwrap_or(0);
                let level = if available > 0 { (available - world.buffer).max(0) } else { available };
                let goal = level.max(0) + found.untaken.get(&holder).copied().unwrap_or(0);
                // More was sold than there was: what a shop then shows below nothing is not raised, it is the truth.
                let oversold_here = available < 0 && shown < goal;
                if shown != goal && !oversold_here {
                    wrong.push(WrongStock { stock: StockId { shop: shop.id, holder }, shown, goal });
                }
            }
        }
        wrong
    }

    /// Each order against what onhand holds for it.
    pub(super) async fn count_orders(&self, world: &World) -> Result<OrderCount, DemoError> {
        let mut count = OrderCount::default();
        for (shop, found) in world.shops.iter().zip(&self.shops) {
            for (id, lines) in &found.orders {
                let known = world.hub.store.order(shop.id, *id).await?;
                let held: BTreeMap<LineId, i64> = known
                    .iter()
                    .flat_map(|row| &row.order.lines)
                    .map(|line| (line.id, whole(line.held())))
                    .collect();
                let wanted = |line: &LineId| lines.get(line).copied().unwrap_or(0);
                let is_held = |line: &LineId| held.get(line).copied().unwrap_or(0);
                let less = known.is_none() || lines.keys().any(|line| is_held(line) < wanted(line));
                let more = held.keys().any(|line| is_held(line) > wanted(line));
                count.lost += u64::from(less);
                count.duplicated += u64::from(more);
                count.applied += u64::from(!less && !more);
                if (less || more) && count.told.len() < TOLD_MAX {
                    let there = shop.fake.with_model(|model, _| model.order(*id));
                    count.told.push(tell_order(&shop.name, there.as_ref(), lines, known.as_ref()));
                }
            }
        }
        Ok(count)
    }
}

/// An order as its shop has it, as it must be, and as onhand has it.
fn tell_order(
    shop: &str,
    there: Option<&OrderView>,
    must: &BTreeMap<LineId, i64>,
    known: Option<&OrderRow>,
) -> String {
    let there = there.map(|order| {
        let lines: Vec<_> = order
            .lines
            .iter()
            .map(|line| (line.id.get(), line.quantity, line.reduced, line.restocked))
            .collect();
        format!(
            "{} {} {} lines (id, quantity, reduced, restocked) {lines:?}",
            order.id,
            order.status.as_str(),
            order.date_modified
        )
    });
    let known = known.map(|row| {
        let order = &row.order;
        let lines: Vec<_> = order
            .lines
            .iter()
            .map(|line| {
                (
                    line.id.get(),
                    line.quantity.to_string(),
                    line.taken.map(|taken| taken.to_string()),
                    line.held().to_string(),
                )
            })
            .collect();
        format!(
            "{} reread {} gone {} {:?} lines (id, quantity, taken, held) {lines:?}",
            order.status, order.reread, order.gone, order.applied
        )
    });
    format!(
        "{shop}: the shop has {there:?}, must hold {:?}, onhand has {known:?}",
        must.values().collect::<Vec<_>>()
    )
}

/// Available of every SKU, as onhand has it.
async fn balances(world: &World) -> Result<BTreeMap<Sku, i64>, DemoError> {
    let mut all = BTreeMap::new();
    let mut after: Option<Sku> = None;
    loop {
        let page = world.hub.store.stock_page(after.as_ref(), PAGE_ROWS_MAX).await?;
        let Some(last) = page.last() else {
            return Ok(all);
        };
        after = Some(last.sku.clone());
        for stock in page {
            let available: Quantity = stock.book.balances.values().map(|balance| balance.available()).sum();
            all.insert(stock.sku, whole(available));
        }
    }
}

/// The demo sells whole units only.
fn whole(quantity: Quantity) -> i64 {
    quantity.whole_units().unwrap_or(i64::MAX)
}

fn all_orders(model: &ShopModel) -> Vec<OrderView> {
    let mut orders = Vec::new();
    for status in [StatusFilter::Any, StatusFilter::trash()] {
        let mut page = 1;
        loop {
            let filter = OrderFilter {
                status: status.clone(),
                order_by: OrderBy::Id,
                ascending: true,
                page,
                per_page: ORDERS_A_PAGE,
                ..OrderFilter::default()
            };
            let found = model.list_orders(&filter);
            let is_last = found.items.len() < ORDERS_A_PAGE;
            orders.extend(found.items);
            if is_last {
                break;
            }
            page += 1;
        }
    }
    orders
}

fn add_order(
    available: &mut BTreeMap<Sku, i64>,
    found: &mut ShopTruth,
    by_holder: &BTreeMap<HolderId, &Sku>,
    order: &OrderView,
) {
    let mut lines = BTreeMap::new();
    for line in &order.lines {
        let held = must_hold(order.status, line);
        lines.insert(line.id, held);
        let variation = line.variation.map(HolderId::from);
        let Some(holder) = variation.or_else(|| line.product.map(HolderId::from)) else { continue };
        let Some(sku) = by_holder.get(&holder) else { continue };
        *available.entry((*sku).clone()).or_default() -= held;
        let untaken = held - line.reduced.unwrap_or(0).clamp(0, held);
        if untaken > 0 {
            *found.untaken.entry(holder).or_default() += untaken;
        }
    }
    found.orders.insert(order.id, lines);
}

/// What onhand must hold for a line once everything is known: never less than nothing, even if refunds put back more than
/// was taken.
fn must_hold(status: Status, line: &LineView) -> i64 {
    match status {
        Status::Pending | Status::OnHold | Status::Processing | Status::Completed => {
            line.reduced.unwrap_or(line.quantity - line.restocked.unwrap_or(0)).max(0)
        }
        Status::Cancelled | Status::CheckoutDraft => 0,
        // What the shop keeps taken; the demo brings no order here that never took anything.
        Status::Refunded | Status::Failed | Status::Trash | Status::Custom => {
            line.reduced.unwrap_or(0).max(0)
        }
    }
}
