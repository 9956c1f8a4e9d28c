//! What people and programs do to the shops.

use super::{
    Answer, Bug, Change, Duration, Event, Fate, HolderId, Message, Operation, OrderId, Progress, Quantity,
    Seen, Sku, Snapshot, Timestamp, Which, World, Writer, snapshot,
};

impl World {
    pub(crate) fn plan_script(&mut self, after: Duration, script: impl FnOnce(&mut World) + 'static) {
        self.plan(after, Event::Script(Box::new(script)));
    }

    pub(super) fn plan(&mut self, after: Duration, event: Event) {
        self.agenda.at(self.now + after, event);
    }

    /// Somebody does something in a shop, at the pace of a request.
    pub(crate) fn act(&mut self, shop: usize, change: Change) {
        self.act_slowly(shop, change, (1, 40));
    }

    /// The same with pauses, in milliseconds, between the steps.
    pub(crate) fn act_slowly(&mut self, shop: usize, change: Change, gap: (i64, i64)) {
        match &change {
            Change::SetStock { holder, .. } | Change::SetStockSilently { holder, .. } => {
                self.shops[shop].disturbed.insert(*holder);
            }
            Change::DeleteForever(order) => self.forget(shop, *order),
            _ => {}
        }
        let order = aim(&change);
        self.begin(shop, change, Writer::Person { gap, order });
    }

    /// Whether a request is writing this order now.
    pub(crate) fn is_being_written(&self, shop: usize, order: OrderId) -> bool {
        self.shops[shop].writings.values().any(|(writing, writer)| {
            let aimed = matches!(writer, Writer::Person { order: Some(aimed), .. } if *aimed == order);
            aimed || writing.outcome().order == Some(order)
        })
    }

    /// An order is about to be deleted: nobody can know before an audit.
    pub(super) fn forget(&mut self, shop: usize, order: OrderId) {
        self.oracle.blur(shop, order);
        if let Some(known) = self.inventory.orders.get(&(shop, order)) {
            let holders = known.lines.iter().filter_map(|line| line.stock);
            self.shops[shop].disturbed.extend(holders);
        }
    }

    /// Does something within one moment, so that nobody sees it half done; `None` if the shop refuses.
    pub(crate) fn act_at_once(&mut self, shop: usize, change: Change) -> Option<OrderId> {
        let now = self.shop_now(shop);
        let side = &mut self.shops[shop];
        let order = side.model.run(change, now).ok()?.order?;
        if !side.placed.contains(&order) {
            side.placed.push(order);
            self.report.order_count += 1;
        }
        self.oracle.observe(shop, &side.model, order);
        Some(order)
    }

    /// Somebody says that an order changed: it is read again.
    pub(crate) fn hint(&mut self, shop: usize, order: OrderId) {
        self.publish(shop, Message::Hint(order));
    }

    /// Every known order is read again.
    pub(crate) fn audit(&mut self, shop: usize) {
        self.publish(shop, Message::Audit);
    }

    /// Settles now, whatever else is about.
    pub(crate) fn settle_now(&mut self, shop: usize) {
        let all = self.holders(shop);
        self.want_settle_since(shop, all, Timestamp::default(), Duration::from_secs(1));
    }

    /// Polls now.
    pub(crate) fn poll_any(&mut self, shop: usize) {
        self.poll_now(shop, Which::Any);
    }

    /// The shop must show what it should already now.
    pub(crate) fn expect_settled(&mut self, shop: usize) {
        self.check_stocks(shop);
    }

    /// The order made last.
    pub(crate) fn last_order(&self, shop: usize) -> OrderId {
        self.shops[shop].placed.last().copied().expect("an order was made")
    }

    pub(super) fn begin(&mut self, shop: usize, change: Change, writer: Writer) {
        let now = self.shop_now(shop);
        // What the shop refuses (a sale of what it does not have) does not happen.
        self.note(|| format!("shop {shop}: {change:?}"));
        if let Ok(writing) = self.shops[shop].model.begin(change, now) {
            let number = self.next_writing;
            self.next_writing += 1;
            self.shops[shop].writings.insert(number, (writing, writer));
            self.step(shop, number);
        }
    }

    pub(super) fn step(&mut self, shop: usize, number: u64) {
        let now = self.shop_now(shop);
        let Some((mut writing, writer)) = self.shops[shop].writings.remove(&number) else { return };
        let progress = self.shops[shop].model.step(&mut writing, now);
        let outcome = writing.outcome().clone();
        if let Some(order) = outcome.order {
            if !self.shops[shop].placed.contains(&order) {
                self.shops[shop].placed.push(order);
                self.report.order_count += 1;
            }
            self.oracle.observe(shop, &self.shops[shop].model, order);
        }
        if progress == Progress::More {
            let (low, high) = match writer {
                Writer::Person { gap, .. } => gap,
                Writer::Push { .. } => self.shops[shop].push_gap,
            };
            let gap = self.dice.millis(low, high);
            self.shops[shop].writings.insert(number, (writing, writer));
            self.plan(gap, Event::Step { shop, writing: number });
            return;
        }
        if let Writer::Push { holder, call, delta, fate, sent } = writer {
            // Read, then written: what was sold in between is lost.
            let lost = outcome.stock.map_or(0, |(was, is)| is - was - delta);
            if lost != 0 && !self.has(Bug::AbsoluteWrite) {
                self.report.lost_inside_push += lost;
                self.shops[shop].disturbed.insert(holder);
            }
            if fate == Fate::Done {
                let date = Timestamp::from_seconds(now.seconds());
                let latency = self.dice.millis(1, 60);
                self.plan(latency, Event::Answer { shop, holder, call, answer: Answer::Done(date), sent });
            }
        }
        self.check_offers(shop);
    }

    pub(crate) fn operate(&mut self, operation: &Operation) -> ledger::OperationOutcome {
        let outcome = self.inventory.operate(operation, self.now);
        self.note(|| format!("{operation:?} {outcome:?}"));
        if outcome == ledger::OperationOutcome::Applied {
            match operation {
                Operation::Receive { sku, quantity, .. } => {
                    self.oracle.supply(sku, quantity.whole_units().unwrap_or(0));
                }
                Operation::Adjust { sku, delta, .. } => {
                    self.oracle.supply(sku, delta.whole_units().unwrap_or(0));
                }
                // A stocktake finds what is there; it does not change it.
                Operation::Count { .. } | Operation::Transfer { .. } | Operation::Opening { .. } => {}
            }
        }
        if self.has(Bug::PushReceipts)
            && let Operation::Receive { sku, quantity, .. } = operation
        {
            self.push_blindly(sku, *quantity);
        }
        self.plan_publish();
        outcome
    }

    pub(super) fn push_blindly(&mut self, sku: &Sku, quantity: Quantity) {
        let keys: Vec<_> = self
            .inventory
            .rows
            .iter()
            .filter(|(_, row)| row.sku.as_ref() == Some(sku))
            .map(|(key, _)| *key)
            .collect();
        for (shop, holder) in keys {
            let delta = quantity.whole_units().unwrap_or(0);
            self.begin(
                shop,
                Change::DeltaStock { holder, delta },
                Writer::Person { gap: (1, 2), order: None },
            );
        }
    }

    /// The shop's clock is moved.
    pub(crate) fn move_clock(&mut self, shop: usize, seconds: i64) {
        self.shops[shop].clock_ahead_micros += seconds * values::MICROS_PER_SECOND;
        self.report.fault_count += 1;
        self.clock_moved = true;
    }

    pub(crate) fn remap(&mut self, shop: usize, holder: HolderId, sku: &str) {
        let sku: Sku = sku.parse().expect("a test's SKU is one");
        self.inventory.shops[shop].registry.remap(holder, sku.clone());
        self.oracle.map(shop, None, holder, Some(sku));
        let effects = self.inventory.map(shop, holder);
        self.take_effects(shop, effects);
    }

    /// A body that was sent long ago arrives once more.
    pub(crate) fn replay(&mut self, shop: usize, snapshot: Snapshot) {
        self.publish(shop, Message::Snapshots(vec![Snapshot { seen: Seen::Webhook, ..snapshot }]));
    }

    /// What a webhook would carry of an order now.
    pub(crate) fn body(&self, shop: usize, order: OrderId) -> Option<Snapshot> {
        self.shops[shop].model.order(order).map(|view| snapshot(&view, Seen::Webhook))
    }
}

/// The order a change writes, if it writes one that is there.
fn aim(change: &Change) -> Option<OrderId> {
    match change {
        Change::SetStatus { order, .. }
        | Change::EditLine { order, .. }
        | Change::AddLine { order, .. }
        | Change::RemoveLine { order, .. }
        | Change::Refund { order, .. }
        | Change::RefundAmount { order, .. }
        | Change::TouchOrder(order)
        | Change::Trash(order)
        | Change::Untrash(order)
        | Change::DeleteForever(order) => Some(*order),
        _ => None,
    }
}
