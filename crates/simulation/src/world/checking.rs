//! Whether a shop offers too much, and whether everything agrees at the end.

use super::{BTreeMap, Bug, Duration, Quantity, Sku, World, first_holder};

impl World {
    /// Whether a shop offers what is not there for longer than it may.
    pub(super) fn check_offers(&mut self, shop: usize) {
        if !self.shops[shop].connected || !self.shops[shop].writings.is_empty() {
            return;
        }
        let holders: Vec<_> = self
            .inventory
            .rows
            .range((shop, first_holder())..)
            .take_while(|((owner, _), _)| *owner == shop)
            .map(|((_, holder), _)| *holder)
            .collect();
        for holder in holders {
            let shown = self.shops[shop].model.product(holder).and_then(|product| product.stock).unwrap_or(0);
            let Some(most) = self.oracle.most_to_show(shop, holder) else { continue };
            let side = &mut self.shops[shop];
            if shown <= most.max(0) || side.disturbed.contains(&holder) {
                side.over_since.remove(&holder);
                continue;
            }
            let since = *side.over_since.entry(holder).or_insert(self.now);
            if self.now.since(since) > self.options.lag {
                side.disturbed.insert(holder);
                let at = self.now;
                self.fail(format!(
                    "shop {shop} stock {holder} shows {shown}, more than {most}, since {since} (now {at})"
                ));
            }
        }
    }

    /// Lets the dust settle, then compares everything.
    pub(crate) fn finish(&mut self) {
        const ROUNDS: usize = 5;
        self.quiet = true;
        self.run_for(Duration::from_mins(75));
        for _ in 0..ROUNDS {
            for shop in 0..self.shops.len() {
                if !self.has(Bug::NeverSettle) {
                    self.settle_all(shop);
                }
            }
            self.run_for(Duration::from_mins(4));
        }
        self.check_ledger();
        for shop in 0..self.shops.len() {
            self.check_orders(shop);
            self.check_stocks(shop);
            self.check_edits(shop);
        }
        self.report.push_count = self.shops.iter().map(|side| side.egress.push_count).sum();
    }

    pub(super) fn check_ledger(&mut self) {
        let mut folded: BTreeMap<(Sku, values::WarehouseId), (Quantity, Quantity)> = BTreeMap::new();
        let mut numbers: BTreeMap<Sku, u64> = BTreeMap::new();
        let mut wrong = Vec::new();
        for movement in &self.inventory.journal {
            let number = numbers.entry(movement.sku.clone()).or_default();
            *number += 1;
            if movement.number != *number {
                wrong
                    .push(format!("movement {} of {} is numbered {}", number, movement.sku, movement.number));
            }
            let balance = folded.entry((movement.sku.clone(), movement.warehouse)).or_default();
            balance.0 += movement.on_hand_delta;
            balance.1 += movement.reserved_delta;
        }
        for ((sku, warehouse), (on_hand, reserved)) in &folded {
            let balance = self.inventory.book.balance(sku, *warehouse);
            let held: Quantity = self
                .inventory
                .orders
                .values()
                .flat_map(|order| &order.lines)
                .filter(|line| line.sku.as_ref() == Some(sku))
                .map(ledger::Line::reserved)
                .sum();
            if balance.on_hand != *on_hand || balance.reserved != *reserved || held != *reserved {
                wrong.push(format!("{sku}: balance {balance:?}, fold {on_hand} and {reserved}, held {held}"));
            }
            let available =
                self.inventory.book.available(sku, [*warehouse]).whole_units().unwrap_or(i64::MIN);
            let (least, most) = self.oracle.available(sku);
            if available < least || available > most {
                let unlike = self.unlike_orders(sku);
                wrong.push(format!(
                    "{sku}: the ledger has {available} available, the truth is {least} to {most}: {unlike:?}"
                ));
            }
        }
        for what in wrong {
            self.fail(what);
        }
    }

    /// Orders that hold something else than the truth.
    pub(super) fn unlike_orders(&self, sku: &Sku) -> Vec<String> {
        let known = self.inventory.orders.iter().filter_map(|((shop, id), order)| {
            let lines = order.lines.iter().filter(|line| line.sku.as_ref() == Some(sku));
            let held = lines.map(ledger::Line::held).sum::<Quantity>().whole_units().unwrap_or(0);
            let (least, most) = self.oracle.demand_of(*shop, *id, sku);
            (held < least || held > most).then(|| {
                format!("order {id} of shop {shop} holds {held}, should {least} to {most}: {order:?}")
            })
        });
        known.collect()
    }

    /// Every edit that the ledger was asked to take over has come to something.
    fn check_edits(&mut self, shop: usize) {
        for (holder, number) in self.shops[shop].egress.open_edits.clone() {
            self.fail(format!("shop {shop} stock {holder}: nobody decides on the edit of {number:?}"));
        }
    }

    pub(super) fn check_orders(&mut self, shop: usize) {
        let mut wrong = Vec::new();
        for ((_, id), order) in self.inventory.orders.iter().filter(|((owner, _), _)| *owner == shop) {
            match self.shops[shop].model.order(*id) {
                Some(view) if order.gone || order.status != view.status.as_str() => {
                    wrong.push(format!(
                        "order {id} of shop {shop} is {}, known as {}",
                        view.status, order.status
                    ));
                }
                Some(view) => {
                    let shown: i64 = view.lines.iter().filter_map(|line| line.reduced).sum();
                    let known: Quantity = order.lines.iter().map(ledger::Line::taken_or_zero).sum();
                    if known != Quantity::from_units(shown) {
                        wrong.push(format!("order {id} of shop {shop} took {shown}, known as {known}"));
                    }
                }
                None => {}
            }
        }
        for id in self.shops[shop].placed.clone() {
            if self.shops[shop].model.order(id).is_some() && !self.inventory.orders.contains_key(&(shop, id))
            {
                wrong.push(format!("order {id} of shop {shop} was never heard of"));
            }
        }
        for what in wrong {
            self.fail(what);
        }
    }

    pub(super) fn check_stocks(&mut self, shop: usize) {
        let mut wrong = Vec::new();
        for ((_, holder), row) in self.inventory.rows.iter().filter(|((owner, _), _)| *owner == shop) {
            let Some(shown) = self.shops[shop].model.product(*holder).and_then(|product| product.stock)
            else {
                continue;
            };
            if row.sku.is_none() {
                continue;
            }
            let stock = self.shops[shop].egress.stocks.get(holder);
            let goal = stock.and_then(push::StockPush::goal).unwrap_or(row.level.or_zero() + row.untaken);
            let shown = Quantity::from_units(shown);
            let agrees = shown == goal || row.level.is_negative() && shown <= goal;
            if !agrees {
                wrong.push(format!(
                    "shop {shop} stock {holder} shows {shown}, should show {goal}: {row:?} {stock:?}"
                ));
            }
        }
        for what in wrong {
            self.fail(what);
        }
    }
}
