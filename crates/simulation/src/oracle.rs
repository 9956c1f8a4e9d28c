//! The truth, kept by other means than the ledger: from what the shops' orders really are, never from what was heard of them.

use std::collections::BTreeMap;

use values::{HolderId, LineId, ListingId, OrderId, Sku};

use testkit::shop::{LineView, OrderView, Shop, Status};

/// What an order line keeps from others, in units; a range where the design leaves it to what was seen in between.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Demand {
    sku: Option<Sku>,
    holder: Option<HolderId>,
    least: i64,
    most: i64,
    untaken: i64,
    /// The most that was ever ordered.
    peak: i64,
}

#[derive(Debug, Default)]
pub(crate) struct Oracle {
    /// Units each SKU would have available had nobody ordered.
    supply: BTreeMap<Sku, i64>,
    demands: BTreeMap<(usize, OrderId), BTreeMap<LineId, Demand>>,
    /// Which stock a listing is sold from, and what SKU that is now.
    holders: BTreeMap<(usize, ListingId), HolderId>,
    skus: BTreeMap<(usize, HolderId), Sku>,
    /// Orders from before anything was known of the shop, and not part of its baseline.
    prehistoric: Vec<(usize, OrderId)>,
}

impl Oracle {
    pub(crate) fn map(
        &mut self,
        shop: usize,
        listing: Option<ListingId>,
        holder: HolderId,
        sku: Option<Sku>,
    ) {
        if let Some(listing) = listing {
            self.holders.insert((shop, listing), holder);
        }
        if let Some(sku) = sku {
            self.skus.insert((shop, holder), sku.clone());
            for ((owner, _), lines) in &mut self.demands {
                let unmapped = lines.values_mut().filter(|demand| *owner == shop && demand.sku.is_none());
                for demand in unmapped.filter(|demand| demand.holder == Some(holder)) {
                    demand.sku = Some(sku.clone());
                }
            }
        }
    }

    pub(crate) fn supply(&mut self, sku: &Sku, units: i64) {
        *self.supply.entry(sku.clone()).or_default() += units;
    }

    pub(crate) fn set_prehistoric(&mut self, shop: usize, order: OrderId) {
        self.prehistoric.push((shop, order));
    }

    /// An order was written; deleted ones keep what they were.
    pub(crate) fn observe(&mut self, shop: usize, model: &Shop, id: OrderId) {
        if self.prehistoric.contains(&(shop, id)) {
            return;
        }
        let Some(order) = model.order(id) else { return };
        let before = self.demands.remove(&(shop, id)).unwrap_or_default();
        let lines =
            order.lines.iter().map(|line| (line.id, self.demand(shop, &order, line, before.get(&line.id))));
        let lines: BTreeMap<_, _> = lines.collect();
        self.demands.insert((shop, id), lines);
    }

    fn demand(&self, shop: usize, order: &OrderView, line: &LineView, before: Option<&Demand>) -> Demand {
        let listing = line.product.map(|product| ListingId { product, variation: line.variation });
        let holder = before
            .and_then(|before| before.holder)
            .or_else(|| listing.and_then(|listing| self.holders.get(&(shop, listing)).copied()));
        let sku = before
            .and_then(|before| before.sku.clone())
            .or_else(|| holder.and_then(|holder| self.skus.get(&(shop, holder)).cloned()));
        let taken = line.reduced.unwrap_or(0);
        let ordered = line.reduced.unwrap_or(line.quantity - line.restocked.unwrap_or(0)).max(0);
        let peak = before.map_or(ordered, |before| before.peak.max(ordered));
        let (least, most, untaken) = match order.status {
            Status::Pending => (ordered, ordered, ordered - taken),
            Status::OnHold | Status::Processing | Status::Completed => (ordered, ordered, 0),
            Status::Cancelled | Status::CheckoutDraft => (0, 0, 0),
            Status::Refunded | Status::Failed | Status::Trash | Status::Custom => match line.reduced {
                Some(taken) => (taken.max(0), taken.max(0), 0),
                // Nothing says whether it was ever taken: held if it was seen while pending, not if it was not.
                None => (0, peak, 0),
            },
        };
        Demand { sku, holder, least, most, untaken, peak }
    }

    /// Forgets that the last states of an order differ: it was deleted before anybody could read them all.
    pub(crate) fn blur(&mut self, shop: usize, order: OrderId) {
        for demand in self.demands.get_mut(&(shop, order)).into_iter().flat_map(|lines| lines.values_mut()) {
            demand.untaken = 0;
        }
    }

    /// Least and most that may truly be available of a SKU.
    pub(crate) fn available(&self, sku: &Sku) -> (i64, i64) {
        let supply = self.supply.get(sku).copied().unwrap_or(0);
        let (mut least, mut most) = (supply, supply);
        for demand in self.demands.values().flat_map(|lines| lines.values()) {
            if demand.sku.as_ref() == Some(sku) {
                least -= demand.most;
                most -= demand.least;
            }
        }
        (least, most)
    }

    /// What one order keeps of a SKU.
    pub(crate) fn demand_of(&self, shop: usize, order: OrderId, sku: &Sku) -> (i64, i64) {
        let lines = self.demands.get(&(shop, order)).into_iter().flat_map(|lines| lines.values());
        let lines = lines.filter(|demand| demand.sku.as_ref() == Some(sku));
        lines.fold((0, 0), |(least, most), demand| (least + demand.least, most + demand.most))
    }

    /// The most a stock may show without offering what is not there: what is available, and what its own orders will take.
    pub(crate) fn most_to_show(&self, shop: usize, holder: HolderId) -> Option<i64> {
        let sku = self.skus.get(&(shop, holder))?;
        let own = self
            .demands
            .iter()
            .filter(|((owner, _), _)| *owner == shop)
            .flat_map(|(_, lines)| lines.values());
        let untaken: i64 =
            own.filter(|demand| demand.holder == Some(holder)).map(|demand| demand.untaken).sum();
        Some(self.available(sku).1.max(0) + untaken)
    }

    /// What a stocktake would find: what is there, promised or not.
    pub(crate) fn on_hand(&self, sku: &Sku, shipped: impl Fn(usize, OrderId) -> bool) -> i64 {
        let unshipped: i64 = self
            .demands
            .iter()
            .filter(|((shop, order), _)| !shipped(*shop, *order))
            .flat_map(|(_, lines)| lines.values())
            .filter(|demand| demand.sku.as_ref() == Some(sku))
            .map(|demand| demand.most)
            .sum();
        self.available(sku).0 + unshipped
    }
}
