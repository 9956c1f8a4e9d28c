//! Looks for all that can be an alert: in indices of what is wrong, and never at more than a bounded part of it.

mod drifts;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use store::{
    Alert, AlertKey, AlertKind, Approval, Condition, PAGE_ROWS_MAX, PushRow, Reading, Shop, ShopLane,
    ShopState, ShopWaiting, SkuStock, Store,
};
use values::{HolderId, ShopId, Sku, StockId, Timestamp, WarehouseId};

use super::decide::{Finding, Found};
use super::words;
use drifts::Drifts;

/// Most shops of which one kind of trouble is looked at.
const SHOPS_MAX: u32 = 10_000;
/// Stocks of one shop that have an alert of their own; if there are more, another says so.
const STOCKS_PER_SHOP_MAX: usize = 20;
/// SKUs that have an alert of their own; if there are more, another says so.
const SKUS_MAX: u32 = 100;
/// Shops whose blocked stocks are looked at in one round.
const SHOPS_WITH_BLOCKED_STOCKS_MAX: usize = 500;
/// Rows of each kind that are counted by shop.
const WAITING_ROWS_MAX: u32 = 10_000;
/// Approvals that are looked at.
const APPROVALS_MAX: u32 = 100;
/// How long after a webhook said that it sees no orders that counts: it says so again with each order.
const BLIND_FOR: Duration = Duration::from_hours(24);
/// A lane that was to be tried again so long ago has had nothing to do since, and says nothing of its shop any more.
const LANE_SAYS_FOR: Duration = Duration::from_mins(15);

/// What is counted by shop.
const COUNTED: [AlertKind; 4] =
    [AlertKind::ParkedLines, AlertKind::DeadMessages, AlertKind::OrphanedOrders, AlertKind::ShipmentsGivenUp];

/// Everything that is the case. `known` are the alerts there are: what is open is looked at again, even where there is too
/// much to look at all of it.
pub(super) async fn look(store: &Store, known: &[Alert], now: Timestamp) -> Result<Found, store::Error> {
    let looked = Looked {
        conditions: store.conditions_open(SHOPS_MAX).await?,
        readings: store.readings_in_trouble(SHOPS_MAX).await?,
        lanes: store.lanes_closed(SHOPS_MAX).await?,
        waiting: store.waiting_by_shop(WAITING_ROWS_MAX).await?,
        approvals: store.approvals_waiting(APPROVALS_MAX).await?,
        blocked: blocked(store, known).await?,
        short: short(store, known).await?,
        drifts: drifts::look(store, known, now).await?,
    };
    let names = Names::load(store, &looked).await?;
    let mut found = Found { partial: looked.partial(), ..Found::default() };
    looked.conditions.iter().for_each(|condition| add(&mut found, &names, condition_found(condition)));
    looked.shops(&mut found, &names, now);
    looked.waiting.iter().for_each(|waiting| add_waiting(&mut found, &names, waiting, now));
    if let Some(first) = looked.approvals.first() {
        let size = u64::try_from(looked.approvals.len()).unwrap_or(u64::MAX);
        let finding = Finding { size, ..finding(words::approvals(&looked.approvals), first.at) };
        found.findings.insert(key(AlertKind::ApprovalsWaiting, None, ""), finding);
    }
    looked.blocked(&mut found, &names, now);
    looked.short(&mut found, &names, now);
    looked.drifts(&mut found, &names, now);
    Ok(found)
}

/// What the database said.
struct Looked {
    conditions: Vec<Condition>,
    readings: Vec<Reading>,
    lanes: Vec<ShopLane>,
    waiting: Vec<ShopWaiting>,
    approvals: Vec<Approval>,
    blocked: Blocked,
    short: Short,
    drifts: Drifts,
}

struct Blocked {
    stocks: BTreeMap<StockId, PushRow>,
    /// Shops that have more.
    more: BTreeSet<ShopId>,
}

struct Short {
    skus: Vec<SkuStock>,
    /// There are more.
    more: bool,
}

impl Looked {
    /// Kinds of which there are as many shops as were looked at, so that there may be more.
    fn partial(&self) -> BTreeSet<AlertKind> {
        let full = |count: usize| u32::try_from(count).is_ok_and(|count| count >= SHOPS_MAX);
        let mut partial = BTreeSet::new();
        if full(self.conditions.len()) {
            partial.extend(self.conditions.iter().map(|condition| AlertKind::from(condition.kind)));
        }
        if full(self.readings.len()) || full(self.lanes.len()) {
            partial.extend([AlertKind::ShopUnreachable, AlertKind::ShopRefuses, AlertKind::WebhooksBlind]);
        }
        if self.drifts.partial {
            partial.insert(AlertKind::Drift);
        }
        for kind in COUNTED {
            let rows: u64 = self.waiting.iter().filter(|row| row.kind == kind).map(|row| row.count).sum();
            if rows >= u64::from(WAITING_ROWS_MAX) {
                partial.insert(kind);
            }
        }
        partial
    }

    /// Shops that cannot be called, or whose webhooks see nothing.
    fn shops(&self, found: &mut Found, names: &Names, now: Timestamp) {
        let lanes = self.lanes.iter().filter(|lane| says_something(lane, now));
        let lanes: BTreeMap<ShopId, &ShopLane> = lanes.map(|lane| (lane.shop, lane)).collect();
        for reading in &self.readings {
            if let Some(at) = reading.blind_at.filter(|at| now.since(*at) < BLIND_FOR) {
                let Some(name) = names.in_service(reading.shop) else { continue };
                let finding = finding(words::blind(name), at);
                found.findings.insert(key(AlertKind::WebhooksBlind, Some(reading.shop), ""), finding);
            }
        }
        let failing = |reading: &&Reading| reading.failing_since.is_some();
        let readings: BTreeMap<ShopId, &Reading> =
            self.readings.iter().filter(failing).map(|reading| (reading.shop, reading)).collect();
        let troubled: BTreeSet<ShopId> = lanes.keys().chain(readings.keys()).copied().collect();
        for shop in troubled {
            let (lane, reading) = (lanes.get(&shop), readings.get(&shop));
            let Some(name) = names.in_service(shop) else { continue };
            let refuses = lane.filter(|lane| lane.breaker == "refused");
            let reader_refused = reading.is_some_and(|reading| reading.refused);
            let failing_since = reading.and_then(|reading| reading.failing_since);
            let failure = reading.map(|reading| reading.failure.as_str());
            let (kind, what) = if refuses.is_some() || reader_refused {
                let cause = refuses.and_then(|lane| lane.cause.as_deref());
                // Why it is not read is another matter, unless that is refused too.
                let failure = failure.filter(|_| reader_refused || cause.is_none());
                (AlertKind::ShopRefuses, words::refuses(name, cause, failure))
            } else {
                let cause = lane.and_then(|lane| lane.cause.as_deref());
                (AlertKind::ShopUnreachable, words::unreachable(name, cause, failure))
            };
            let finding = finding(what, failing_since.unwrap_or(now));
            found.findings.insert(key(kind, Some(shop), ""), finding);
        }
    }

    fn blocked(&self, found: &mut Found, names: &Names, now: Timestamp) {
        for (stock, row) in &self.blocked.stocks {
            let Some(name) = names.in_service(stock.shop) else { continue };
            let cause = row.blocked.as_deref().unwrap_or_default();
            let what = words::blocked(name, stock.holder, row.sku.as_ref(), cause);
            let subject = stock.holder.to_string();
            let finding = Finding { sku: row.sku.clone(), ..finding(what, now) };
            found.findings.insert(key(AlertKind::StockBlocked, Some(stock.shop), &subject), finding);
        }
        for shop in &self.blocked.more {
            let Some(name) = names.in_service(*shop) else { continue };
            let finding = finding(words::more_blocked(name, STOCKS_PER_SHOP_MAX), now);
            found.findings.insert(key(AlertKind::StockBlocked, Some(*shop), ""), finding);
        }
    }

    fn short(&self, found: &mut Found, names: &Names, now: Timestamp) {
        for stock in &self.short.skus {
            let missing = missing(stock).map(|(warehouse, quantity)| (names.warehouse(warehouse), quantity));
            let what = words::short(&stock.sku, missing);
            let finding = Finding { sku: Some(stock.sku.clone()), ..finding(what, now) };
            found.findings.insert(key(AlertKind::Shortfall, None, stock.sku.as_str()), finding);
        }
        if self.short.more {
            let finding = finding(words::more_short(SKUS_MAX), now);
            found.findings.insert(key(AlertKind::Shortfall, None, ""), finding);
        }
    }
}

/// The differences between what shops showed and what they should have.
impl Looked {
    fn drifts(&self, found: &mut Found, names: &Names, now: Timestamp) {
        for (stock, row) in &self.drifts.stocks {
            let Some(name) = names.in_service(stock.shop) else { continue };
            let subject = stock.holder.to_string();
            let finding = Finding { sku: row.sku.clone(), ..finding(words::drift(name, row), row.at) };
            found.findings.insert(key(AlertKind::Drift, Some(stock.shop), &subject), finding);
        }
        for shop in &self.drifts.more {
            let Some(name) = names.in_service(*shop) else { continue };
            let finding = finding(words::more_drifts(name, STOCKS_PER_SHOP_MAX), now);
            found.findings.insert(key(AlertKind::Drift, Some(*shop), ""), finding);
        }
    }
}

/// Blocked stocks, some of each shop, and those that have an alert.
async fn blocked(store: &Store, known: &[Alert]) -> Result<Blocked, store::Error> {
    let mut blocked = Blocked { stocks: BTreeMap::new(), more: BTreeSet::new() };
    let mut after = None;
    for _ in 0..SHOPS_WITH_BLOCKED_STOCKS_MAX {
        let limit = u32::try_from(STOCKS_PER_SHOP_MAX + 1).unwrap_or(u32::MAX);
        let rows = store.blocked_stocks(after, limit).await?;
        let Some(shop) = rows.first().map(|row| row.id.shop) else { break };
        let is_last = rows.len() <= STOCKS_PER_SHOP_MAX;
        let of_shop = rows.iter().take_while(|row| row.id.shop == shop).count();
        if of_shop > STOCKS_PER_SHOP_MAX {
            blocked.more.insert(shop);
        }
        let taken = if is_last { rows.len() } else { of_shop.min(STOCKS_PER_SHOP_MAX) };
        blocked.stocks.extend(rows.into_iter().take(taken).map(|row| (row.id, row)));
        if is_last {
            break;
        }
        // The rest of this shop is left out.
        after = HolderId::new(i64::MAX).map(|holder| StockId { shop, holder });
    }
    let open = known.iter().filter(|alert| alert.resolved_at.is_none()).filter_map(blocked_stock);
    let unseen: Vec<StockId> = open.filter(|stock| !blocked.stocks.contains_key(stock)).collect();
    for chunk in unseen.chunks(usize::try_from(PAGE_ROWS_MAX).unwrap_or(usize::MAX)) {
        let rows = store.pushes(chunk).await?;
        let still = rows.into_iter().filter(|row| row.blocked.is_some());
        blocked.stocks.extend(still.map(|row| (row.id, row)));
    }
    Ok(blocked)
}

/// The stock that an alert is about.
fn blocked_stock(alert: &Alert) -> Option<StockId> {
    let holder = alert.key.subject.parse().ok().filter(|_| alert.key.kind == AlertKind::StockBlocked)?;
    Some(StockId { shop: alert.key.shop?, holder })
}

/// SKUs of which there is too little, some of all, and those that have an alert.
async fn short(store: &Store, known: &[Alert]) -> Result<Short, store::Error> {
    let mut skus = store.short_skus(SKUS_MAX + 1).await?;
    let more = u32::try_from(skus.len()).is_ok_and(|count| count > SKUS_MAX);
    skus.truncate(usize::try_from(SKUS_MAX).unwrap_or(usize::MAX));
    let open = known.iter().filter(|alert| alert.resolved_at.is_none());
    let open = open.filter(|alert| alert.key.kind == AlertKind::Shortfall);
    skus.extend(open.filter_map(|alert| alert.key.subject.parse::<Sku>().ok()));
    skus.sort_unstable();
    skus.dedup();
    let mut short = Vec::new();
    for chunk in skus.chunks(usize::try_from(PAGE_ROWS_MAX).unwrap_or(usize::MAX)) {
        let found = store.stock_of(chunk).await?;
        short.extend(found.into_iter().filter(|stock| missing(stock).next().is_some()));
    }
    Ok(Short { skus: short, more })
}

/// What is missing of a SKU, by warehouse.
fn missing(stock: &SkuStock) -> impl Iterator<Item = (WarehouseId, values::Quantity)> + '_ {
    let available = stock.book.balances.iter().map(|(warehouse, balance)| (*warehouse, balance.available()));
    available
        .filter(|(_, available)| available.is_negative())
        .map(|(warehouse, available)| (warehouse, values::Quantity::ZERO - available))
}

/// Names of what was found.
struct Names {
    shops: BTreeMap<ShopId, Shop>,
    warehouses: BTreeMap<WarehouseId, String>,
}

impl Names {
    async fn load(store: &Store, looked: &Looked) -> Result<Self, store::Error> {
        let mut ids: BTreeSet<ShopId> = looked.conditions.iter().map(|condition| condition.shop).collect();
        ids.extend(looked.readings.iter().map(|reading| reading.shop));
        ids.extend(looked.lanes.iter().map(|lane| lane.shop));
        ids.extend(looked.waiting.iter().filter_map(|waiting| waiting.shop));
        ids.extend(looked.blocked.stocks.keys().map(|stock| stock.shop));
        ids.extend(looked.drifts.stocks.keys().map(|stock| stock.shop));
        let ids: Vec<ShopId> = ids.into_iter().collect();
        let shops = if ids.is_empty() { Vec::new() } else { store.shops(Some(&ids)).await? };
        let warehouses = if looked.short.skus.is_empty() { Vec::new() } else { store.warehouses().await? };
        Ok(Self {
            shops: shops.into_iter().map(|shop| (shop.id, shop)).collect(),
            warehouses: warehouses.into_iter().map(|warehouse| (warehouse.id, warehouse.name)).collect(),
        })
    }

    /// The shop's name, unless it was removed: what was wrong with it is nobody's concern then.
    fn in_service(&self, shop: ShopId) -> Option<&str> {
        let shop = self.shops.get(&shop).filter(|shop| shop.state != ShopState::Removed)?;
        Some(&shop.name)
    }

    fn ever(&self, shop: ShopId) -> String {
        self.shops.get(&shop).map_or_else(|| shop.to_string(), |shop| shop.name.clone())
    }

    fn warehouse(&self, warehouse: WarehouseId) -> String {
        self.warehouses.get(&warehouse).cloned().unwrap_or_else(|| warehouse.to_string())
    }
}

fn key(kind: AlertKind, shop: Option<ShopId>, subject: &str) -> AlertKey {
    AlertKey { kind, shop, subject: subject.to_owned() }
}

const fn finding(what: String, since: Timestamp) -> Finding {
    Finding { sku: None, what, since, size: 1 }
}

fn condition_found(condition: &Condition) -> (AlertKey, Finding) {
    let key = key(condition.kind.into(), Some(condition.shop), "");
    (key, finding(condition.what.clone(), condition.since))
}

fn add(found: &mut Found, names: &Names, (key, finding): (AlertKey, Finding)) {
    if key.shop.is_none_or(|shop| names.in_service(shop).is_some()) {
        found.findings.insert(key, finding);
    }
}

fn add_waiting(found: &mut Found, names: &Names, waiting: &ShopWaiting, now: Timestamp) {
    // What was taken in of a shop waits even after that was removed.
    let name = waiting.shop.map(|shop| names.ever(shop));
    let what = words::waiting(waiting, name.as_deref());
    let finding = Finding { size: waiting.count, ..finding(what, now) };
    found.findings.insert(key(waiting.kind, waiting.shop, ""), finding);
}

/// A lane that had nothing to do for long knows nothing new.
fn says_something(lane: &ShopLane, now: Timestamp) -> bool {
    lane.until.is_none_or(|until| now.since(until) < LANE_SAYS_FOR)
}
