//! Hearing deliveries, polling, and settling.

use super::{
    Bug, Delivery, Duration, Effects, Event, HolderId, Message, OrderId, POLL_PERIOD, Payload, QUEUE_PERIOD,
    QUIET_WAIT, Quantity, SETTLE_DELAY, SETTLE_HOLD_MAX, SETTLE_LOOK, SETTLE_WAIT, Seen, TRASH_PERIOD,
    Timestamp, Which, World, snapshot,
};

impl World {
    pub(super) fn run_queue(&mut self, shop: usize) {
        const DELIVERIES_MAX: usize = 25;
        let now = self.shop_now(shop);
        let deliveries = self.shops[shop].model.run_queue(now, DELIVERIES_MAX);
        for delivery in deliveries {
            let webhook = delivery.webhook;
            let lost = !self.options.webhooks || self.faulty(self.options.lost);
            self.shops[shop].model.answered(webhook, true);
            if lost {
                continue;
            }
            let copies = if self.faulty(self.options.doubled) { 2 } else { 1 };
            for _ in 0..copies {
                let late = self.faulty(self.options.late);
                let delay = if late { self.dice.millis(1_000, 900_000) } else { self.dice.millis(1, 900) };
                self.plan(delay, Event::Hear { shop, delivery: Box::new(delivery.clone()) });
            }
        }
        let period =
            if self.shops[shop].model.queue_len() > 0 { Duration::from_secs(2) } else { QUEUE_PERIOD };
        self.plan(period, Event::Queue(shop));
    }

    /// Whether a fault of that chance happens; none do once the dust is to settle.
    pub(super) fn faulty(&mut self, percent: u64) -> bool {
        let happens = !self.quiet && self.dice.chance(percent);
        self.report.fault_count += u64::from(happens);
        happens
    }

    pub(super) fn hear(&mut self, shop: usize, delivery: &Delivery) {
        match &delivery.payload {
            Payload::Order(order) => {
                self.publish(shop, Message::Snapshots(vec![snapshot(order, Seen::Webhook)]));
            }
            // Whatever the unsigned topic says, the id may be an order's: it is read.
            Payload::DeletedId(id) => {
                if let Some(order) = OrderId::new(*id) {
                    self.publish(shop, Message::Hint(order));
                }
            }
            Payload::SignedError { .. } => self.publish(shop, Message::Audit),
            Payload::Product(product) => {
                if self.has(Bug::AdoptShown)
                    && let Some(stock) = product.stock
                    && let Some(known) = self.shops[shop].egress.stocks.get_mut(&product.id)
                    && let (Some(base), Some(target)) = (known.base.as_mut(), known.target)
                {
                    base.quantity = Quantity::from_units(stock) + target.taken_total;
                    self.plan_flush(shop);
                }
            }
        }
    }

    pub(super) fn publish(&mut self, shop: usize, message: Message) {
        let delay = self.dice.millis(1, 400);
        let side = &mut self.shops[shop];
        let at = side.inbox_ready.max(self.now + delay);
        side.inbox_ready = at;
        self.agenda.at(at, Event::Apply { shop, message });
    }

    pub(super) fn apply(&mut self, shop: usize, message: Message) {
        match message {
            Message::Snapshots(snapshots) => {
                for snapshot in snapshots {
                    let effects = self.inventory.snapshot(shop, &snapshot, self.now);
                    self.note(|| format!("shop {shop}: apply {snapshot:?} -> {effects:?}"));
                    self.take_effects(shop, effects);
                }
            }
            Message::Hint(order) => {
                let effects = Effects { reread: vec![order], ..Effects::default() };
                self.take_effects(shop, effects);
            }
            Message::Audit => {
                let known = self.inventory.orders.keys().filter(|(owner, _)| *owner == shop);
                let effects =
                    Effects { reread: known.map(|(_, order)| *order).collect(), ..Effects::default() };
                self.take_effects(shop, effects);
            }
            Message::Shown(job) => {
                self.note(|| format!("shop {shop}: {job:?}"));
                for (holder, (shown, dated)) in &job.shown {
                    let known = self.inventory.journal.len();
                    self.inventory.shown(shop, *holder, (*shown, *dated, &job), self.now);
                    let opened = self.inventory.journal.get(known..).unwrap_or_default().to_vec();
                    self.note(|| format!("shop {shop} stock {holder}: {opened:?}"));
                }
            }
        }
        self.plan_publish();
    }

    pub(super) fn take_effects(&mut self, shop: usize, effects: Effects) {
        let reader = &mut self.shops[shop].reader;
        reader.reread.extend(effects.reread);
        if !reader.reread.is_empty() && !reader.reread_planned {
            reader.reread_planned = true;
            let delay = self.dice.millis(200, 3_000);
            self.plan(delay, Event::Reread(shop));
        }
        self.want_settle(shop, effects.settle, SETTLE_DELAY);
        self.plan_publish();
    }

    pub(super) fn poll(&mut self, shop: usize, which: Which) {
        if (self.options.polls || self.quiet) && !self.faulty(self.options.poll_fails) {
            self.poll_now(shop, which);
            let overdue = self.inventory.overdue(shop, self.now);
            self.take_effects(shop, Effects { reread: overdue, ..Effects::default() });
        }
        let period = if which == Which::Any { POLL_PERIOD } else { TRASH_PERIOD };
        self.plan(period, Event::Poll { shop, which });
    }

    pub(super) fn poll_now(&mut self, shop: usize, which: Which) {
        let (now, shop_now, bug) = (self.now, self.shop_now(shop), self.options.bug);
        let side = &mut self.shops[shop];
        let found = side.reader.poll(which, &side.model, shop_now, now, bug);
        if !found.is_empty() {
            self.publish(shop, Message::Snapshots(found));
        }
    }

    pub(super) fn reread(&mut self, shop: usize) {
        let shop_now = self.shop_now(shop);
        let side = &mut self.shops[shop];
        side.reader.reread_planned = false;
        let found = side.reader.read_again(&side.model, shop_now);
        self.publish(shop, Message::Snapshots(found));
    }

    pub(super) fn want_settle(&mut self, shop: usize, holders: Vec<HolderId>, delay: Duration) {
        let now = self.now;
        self.want_settle_since(shop, holders, now, delay);
    }

    /// Wanted since so long ago that it is not held back.
    pub(super) fn want_settle_since(
        &mut self,
        shop: usize,
        holders: Vec<HolderId>,
        since: Timestamp,
        delay: Duration,
    ) {
        for holder in holders {
            let known = self.shops[shop].reader.settle.entry(holder).or_insert(since);
            *known = since.min(*known);
        }
        self.plan_settle(shop, delay);
    }

    fn plan_settle(&mut self, shop: usize, delay: Duration) {
        let connected = self.shops[shop].connected;
        let reader = &mut self.shops[shop].reader;
        if connected && !reader.settle.is_empty() && !reader.settle_planned && reader.job.is_none() {
            reader.settle_planned = true;
            self.plan(delay, Event::SettleRead(shop));
        }
    }

    /// Every stock, as a routine does.
    pub(super) fn settle_all(&mut self, shop: usize) {
        let all = self.holders(shop);
        self.want_settle(shop, all, Duration::from_secs(1));
    }

    pub(super) fn holders(&self, shop: usize) -> Vec<HolderId> {
        let rows = self.inventory.rows.keys();
        rows.filter(|(owner, _)| *owner == shop).map(|(_, holder)| *holder).collect()
    }

    pub(super) fn settle_read(&mut self, shop: usize) {
        let (now, shop_now, bug) = (self.now, self.shop_now(shop), self.options.bug);
        let rows = &self.inventory.rows;
        // What was ordered so short a time ago lets no settle be quiet. A stock that sells all the time is tried all the
        // same in the end, and so is one whose orders are dated far ahead: the shop's clock was set back.
        let held = |holder: HolderId, since: Timestamp| {
            let newest = rows.get(&(shop, holder)).and_then(|row| row.last_order_date);
            let around = shop_now - QUIET_WAIT..=shop_now + QUIET_WAIT;
            bug != Some(Bug::SettleAnytime)
                && since > now - SETTLE_HOLD_MAX
                && newest.is_some_and(|newest| around.contains(&newest))
        };
        let side = &mut self.shops[shop];
        side.reader.settle_planned = false;
        side.reader.begin_settle(&side.model, shop_now, now, held);
        if side.reader.job.is_none() {
            return self.plan_settle(shop, SETTLE_LOOK);
        }
        let wait = if self.has(Bug::BaseAtFirstSight) { Duration::ZERO } else { SETTLE_WAIT };
        self.plan(wait, Event::SettleOrders(shop));
    }

    pub(super) fn settle_orders(&mut self, shop: usize) {
        let Some(job) = self.shops[shop].reader.job.take() else { return };
        let shop_now = self.shop_now(shop);
        let holders = || job.shown.iter().map(|(holder, _)| *holder).collect::<Vec<_>>();
        let first_sight = self.has(Bug::BaseAtFirstSight);
        // Orders that cannot be read, or a clock that went back, prove nothing.
        if shop_now < job.t1 || self.faulty(self.options.poll_fails) {
            self.want_settle(shop, holders(), SETTLE_DELAY);
            return;
        }
        if !first_sight {
            self.poll_now(shop, Which::Any);
            self.poll_now(shop, Which::Trash);
        }
        self.publish(shop, Message::Shown(job));
        self.plan_settle(shop, SETTLE_DELAY);
    }
}
