//! What must be so, worked out from the fake shops' own rows.

use std::collections::BTreeMap;

use testkit::shop::{LineView, OrderBy, OrderFilter, OrderView, Shop, Status, StatusFilter};
use values::{HolderId, LineId, OrderId};

const ORDERS_A_PAGE: usize = 100;

/// What is true of one shop.
#[derive(Debug, Default)]
pub(crate) struct ShopTruth {
    /// What each line must hold.
    pub(crate) orders: BTreeMap<OrderId, BTreeMap<LineId, i64>>,
    /// What all lines hold, by where the shop keeps the quantity.
    pub(crate) held: BTreeMap<HolderId, i64>,
    /// Of it, what the shop has yet to take.
    pub(crate) untaken: BTreeMap<HolderId, i64>,
}

impl ShopTruth {
    pub(crate) fn of(model: &Shop) -> Self {
        let mut truth = Self::default();
        for order in orders(model) {
            let mut lines = BTreeMap::new();
            for line in &order.lines {
                let held = must_hold(order.status, line);
                lines.insert(line.id, held);
                let Some(holder) = line.product.map(HolderId::from) else { continue };
                *truth.held.entry(holder).or_default() += held;
                *truth.untaken.entry(holder).or_default() += held - line.reduced.unwrap_or(0).clamp(0, held);
            }
            truth.orders.insert(order.id, lines);
        }
        truth
    }
}

fn orders(model: &Shop) -> Vec<OrderView> {
    let mut found = Vec::new();
    for status in [StatusFilter::Any, StatusFilter::trash()] {
        for page in 1.. {
            let filter = OrderFilter {
                status: status.clone(),
                order_by: OrderBy::Id,
                ascending: true,
                page,
                per_page: ORDERS_A_PAGE,
                ..OrderFilter::default()
            };
            let items = model.list_orders(&filter).items;
            let last = items.len() < ORDERS_A_PAGE;
            found.extend(items);
            if last {
                break;
            }
        }
    }
    found
}

/// Once everything is known; never less than nothing, even if refunds put back more than was taken. Orders here reach the statuses of the last arm only after the shop took their stock.
fn must_hold(status: Status, line: &LineView) -> i64 {
    match status {
        Status::Pending | Status::OnHold | Status::Processing | Status::Completed => {
            line.reduced.unwrap_or(line.quantity - line.restocked.unwrap_or(0)).max(0)
        }
        Status::Cancelled | Status::CheckoutDraft => 0,
        Status::Refunded | Status::Failed | Status::Trash | Status::Custom => {
            line.reduced.unwrap_or(0).max(0)
        }
    }
}
