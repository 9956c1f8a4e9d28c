//! The one reader of a shop: polls, re-reads, settles, and the cursor that never passes what it has not read.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ledger::{CONFIRM_MARGIN, OrderLine, Seen, Snapshot};
use values::{HolderId, LineId, ListingId, OrderId, Quantity, ReadNumber, Timestamp};

use crate::bug::Bug;
use testkit::shop::{LineView, OrderFilter, OrderView, Shop, StatusFilter};

/// How far back each poll asks again: what may have been half written at the last one, and the second that
/// `modified_after` leaves out.
const OVERLAP: Duration = Duration::from_secs(CONFIRM_MARGIN.as_secs() + 1);

/// Which orders a poll asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    Any,
    Trash,
}

/// Position of a poll in the shop's time.
#[derive(Debug, Clone, Copy)]
struct Cursor {
    /// Everything modified up to then was read.
    shop_time: Timestamp,
    /// When that was, by the hub's clock.
    hub_time: Timestamp,
}

/// A settle under way: what the stocks showed at `t1`.
#[derive(Debug, Clone)]
pub(crate) struct SettleJob {
    pub(crate) number: ReadNumber,
    pub(crate) t1: Timestamp,
    /// The hub's time.
    pub(crate) read_at: Timestamp,
    /// With the date at which the shop saved each product last.
    pub(crate) shown: Vec<(HolderId, (Quantity, Option<Timestamp>))>,
}

#[derive(Debug)]
pub(crate) struct Reader {
    number: ReadNumber,
    any: Cursor,
    trash: Cursor,
    pub(crate) reread: BTreeSet<OrderId>,
    pub(crate) reread_planned: bool,
    /// Stocks to settle, and since when that is wanted.
    pub(crate) settle: BTreeMap<HolderId, Timestamp>,
    pub(crate) settle_planned: bool,
    pub(crate) job: Option<SettleJob>,
}

impl Reader {
    /// Starts reading from a moment of the shop's time.
    pub(crate) fn new(shop_time: Timestamp, hub_time: Timestamp) -> Self {
        let cursor = Cursor { shop_time, hub_time };
        Self {
            number: ReadNumber::ZERO,
            any: cursor,
            trash: cursor,
            reread: BTreeSet::new(),
            reread_planned: false,
            settle: BTreeMap::new(),
            settle_planned: false,
            job: None,
        }
    }

    pub(crate) fn next_number(&mut self) -> ReadNumber {
        self.number = self.number.next();
        self.number
    }

    /// Reads what was modified since the last poll.
    pub(crate) fn poll(
        &mut self,
        which: Which,
        shop: &Shop,
        shop_now: Timestamp,
        hub_now: Timestamp,
        bug: Option<Bug>,
    ) -> Vec<Snapshot> {
        let number = self.next_number();
        // The `Date` of the answer has whole seconds.
        let date = Timestamp::from_seconds(shop_now.seconds());
        let cursor = match which {
            Which::Any => &mut self.any,
            Which::Trash => &mut self.trash,
        };
        if date < cursor.shop_time && bug != Some(Bug::CursorNeverBack) {
            // The shop's clock went back: what was modified since the last poll is dated before the cursor.
            cursor.shop_time = date - hub_now.since(cursor.hub_time);
        }
        let overlap = if bug == Some(Bug::NoOverlap) { Duration::ZERO } else { OVERLAP };
        let mut filter = OrderFilter::poll(cursor.shop_time - overlap, 1);
        if which == Which::Trash {
            filter.status = StatusFilter::trash();
        }
        let mut found = Vec::new();
        loop {
            let page = shop.list_orders(&filter);
            found.extend(page.items.iter().map(|order| fact(order, number, date, false)));
            if filter.page >= page.pages {
                break;
            }
            filter.page += 1;
        }
        cursor.shop_time = cursor.shop_time.max(date);
        if bug != Some(Bug::CursorNeverBack) {
            cursor.shop_time = date;
        }
        cursor.hub_time = hub_now;
        found
    }

    /// Reads orders by id; one that is not there is gone.
    pub(crate) fn read_again(&mut self, shop: &Shop, shop_now: Timestamp) -> Vec<Snapshot> {
        let number = self.next_number();
        let date = Timestamp::from_seconds(shop_now.seconds());
        let wanted = std::mem::take(&mut self.reread);
        wanted
            .into_iter()
            .map(|id| match shop.order(id) {
                Some(order) => fact(&order, number, date, false),
                None => Snapshot::gone(id, number, date),
            })
            .collect()
    }

    /// Reads all orders as they are when the shop is connected, those modified before `since` left out.
    pub(crate) fn baseline(&mut self, shop: &Shop, shop_now: Timestamp, since: Timestamp) -> Vec<Snapshot> {
        let number = self.next_number();
        let date = Timestamp::from_seconds(shop_now.seconds());
        let orders = shop.order_ids().filter_map(|id| shop.order(id));
        let recent = orders.filter(|order| order.date_modified >= since);
        recent.map(|order| fact(&order, number, date, true)).collect()
    }

    /// First half of a settle: what the stocks show now. Those of which `held` says so are left for later.
    pub(crate) fn begin_settle(
        &mut self,
        shop: &Shop,
        shop_now: Timestamp,
        read_at: Timestamp,
        held: impl Fn(HolderId, Timestamp) -> bool,
    ) {
        let wanted: Vec<HolderId> = self
            .settle
            .extract_if(.., |holder, since| !held(*holder, *since))
            .map(|(holder, _)| holder)
            .collect();
        if wanted.is_empty() {
            return;
        }
        let number = self.next_number();
        let t1 = Timestamp::from_seconds(shop_now.seconds());
        let shown = wanted
            .into_iter()
            .filter_map(|holder| {
                let product = shop.product(holder)?;
                let dated = Timestamp::from_seconds(product.date_modified.seconds());
                Some((holder, (Quantity::from_units(product.stock?), Some(dated))))
            })
            .collect();
        self.job = Some(SettleJob { number, t1, read_at, shown });
    }
}

/// A read of an order.
fn fact(order: &OrderView, number: ReadNumber, read_at: Timestamp, baseline: bool) -> Snapshot {
    snapshot(order, Seen::Read { number, read_at, baseline })
}

/// An order as the shop shows it, in the ledger's words.
pub(crate) fn snapshot(order: &OrderView, seen: Seen) -> Snapshot {
    Snapshot {
        order: order.id,
        seen,
        modified_at: Some(order.date_modified),
        status: order.status.as_str().to_owned(),
        lines: order.lines.iter().map(line).collect(),
    }
}

fn line(line: &LineView) -> OrderLine {
    OrderLine {
        id: LineId::new(line.id.get()).expect("the model numbers lines from 1"),
        listing: line.product.map(|product| ListingId { product, variation: line.variation }),
        sku: line.sku.clone(),
        quantity: Quantity::from_units(line.quantity),
        taken: line.reduced.map(Quantity::from_units),
        restocked: Quantity::from_units(line.restocked.unwrap_or(0)),
        fault: None,
    }
}
