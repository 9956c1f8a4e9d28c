//! Levels to egress, calls to shops, and what becomes of them.

use super::{
    ADOPT_PATIENCE, ANSWER_TIMEOUT, Adopting, Answer, Bug, Change, Duration, Epoch, Event, FLUSH_PERIOD,
    Fate, HolderId, Operation, Quantity, SETTLE_DELAY, Timestamp, Wish, World, Writer, first_holder,
    warehouse,
};

impl World {
    pub(super) fn plan_publish(&mut self) {
        for shop in 0..self.shops.len() {
            let dirty = self
                .inventory
                .rows
                .range((shop, first_holder())..)
                .take_while(|((owner, _), _)| *owner == shop);
            if !self.shops[shop].publish_planned && dirty.into_iter().any(|(_, row)| row.dirty) {
                self.shops[shop].publish_planned = true;
                let delay = self.dice.millis(1, 800);
                self.plan(delay, Event::Publish(shop));
            }
        }
    }

    pub(super) fn publish_levels(&mut self, shop: usize) {
        self.shops[shop].publish_planned = false;
        let bug = self.options.bug;
        let mut wishes = Vec::new();
        let mut adopted = Vec::new();
        for ((_, holder), row) in
            self.inventory.rows.iter_mut().filter(|((owner, _), row)| *owner == shop && row.dirty)
        {
            row.dirty = false;
            let policy = self.inventory.shops[shop].policy;
            match self.shops[shop].egress.take(*holder, row, policy, bug) {
                Wish::None => {}
                Wish::Settle => wishes.push(*holder),
                Wish::Adopt(found) => adopted.extend(row.sku.clone().map(|sku| (sku, found))),
            }
            row.order_dates = None;
        }
        for (sku, delta) in adopted {
            let operation = Operation::Adjust { sku, warehouse: warehouse(), delta };
            self.inventory.operate(&operation, self.now);
        }
        if !self.has(Bug::NeverSettle) || self.now < Timestamp::from_seconds(1_795_000_000 + 600) {
            self.want_settle(shop, wishes, SETTLE_DELAY);
        }
        self.plan_flush(shop);
    }

    pub(super) fn plan_flush(&mut self, shop: usize) {
        if !self.shops[shop].flush_planned {
            self.shops[shop].flush_planned = true;
            self.plan(FLUSH_PERIOD, Event::Flush(shop));
        }
    }

    pub(super) fn flush(&mut self, shop: usize) {
        self.shops[shop].flush_planned = false;
        if self.shops[shop].egress.down {
            return;
        }
        self.ask_to_adopt(shop);
        let begun = self.shops[shop].egress.begin(self.now, &mut self.next_call);
        for (holder, call, intent) in begun {
            let fate = self.fate(shop);
            self.note(|| format!("shop {shop}: push {holder} {intent:?} {fate:?}"));
            let delta = if self.has(Bug::AbsoluteWrite) { self.goal(shop, holder) } else { intent.delta };
            let latency = self.dice.millis(5, 80);
            self.plan(latency, Event::Call { shop, holder, call, delta, fate });
        }
    }

    /// Asks about edits; now and then twice, and egress may die before it has noted that it asked.
    fn ask_to_adopt(&mut self, shop: usize) {
        for (holder, epoch, edit) in self.shops[shop].egress.edits(self.now) {
            let times = if self.faulty(self.options.doubled) { 2 } else { 1 };
            for _ in 0..times {
                let delay = self.dice.millis(1, 5_000);
                self.plan(delay, Event::Edited { shop, holder, epoch, edit });
            }
            if self.faulty(self.options.crashes) {
                self.shops[shop].egress.down = true;
                let pause = self.dice.millis(500, 90_000);
                self.plan(pause, Event::Restart(shop));
                return;
            }
            if let Some(stock) = self.shops[shop].egress.stocks.get_mut(&holder) {
                stock.asked_to_adopt(self.now + ADOPT_PATIENCE);
            }
        }
    }

    /// Inventory decides on an edit.
    pub(super) fn edited(&mut self, shop: usize, holder: HolderId, epoch: Epoch, edit: Adopting) {
        let taken_over = self.inventory.edited(shop, holder, (epoch, edit), self.now);
        self.note(|| format!("shop {shop} stock {holder}: {edit:?} {taken_over:?}"));
        if let Some((sku, difference)) = taken_over {
            if !self.adopted.insert((shop, holder, edit.number)) {
                self.fail(format!(
                    "shop {shop} stock {holder}: the edit of {:?} was taken over twice",
                    edit.number
                ));
            }
            if !self.edits_are_known {
                self.oracle.supply(&sku, difference.whole_units().unwrap_or(0));
            }
        }
        self.plan_publish();
    }

    pub(super) fn goal(&self, shop: usize, holder: HolderId) -> Quantity {
        let target = self.shops[shop].egress.stocks.get(&holder).and_then(|stock| stock.target);
        target.map_or(Quantity::ZERO, |target| target.goal(Quantity::ZERO))
    }

    pub(super) fn fate(&mut self, shop: usize) -> Fate {
        if let Some(fate) = self.shops[shop].forced_fates.pop() {
            self.report.fault_count += 1;
            return fate;
        }
        if self.faulty(self.options.unanswered) {
            return self
                .dice
                .pick(&[Fate::LostBefore, Fate::LostAfter, Fate::DoneLate])
                .copied()
                .unwrap_or(Fate::Done);
        }
        if self.faulty(self.options.refused) {
            return Fate::Refused;
        }
        if self.faulty(self.options.crashes) {
            return if self.dice.chance(50) { Fate::CrashBefore } else { Fate::CrashAfter };
        }
        Fate::Done
    }

    pub(super) fn call(&mut self, shop: usize, holder: HolderId, call: u64, delta: Quantity, fate: Fate) {
        let sent = self.now;
        let reaches = !matches!(fate, Fate::LostBefore | Fate::Refused | Fate::CrashBefore);
        match fate {
            Fate::Done => {}
            Fate::Refused => {
                let answer = Answer::Refused;
                self.plan(Duration::from_millis(50), Event::Answer { shop, holder, call, answer, sent });
            }
            Fate::LostBefore | Fate::LostAfter | Fate::DoneLate => {
                self.plan(ANSWER_TIMEOUT, Event::Answer { shop, holder, call, answer: Answer::Lost, sent });
            }
            Fate::CrashBefore | Fate::CrashAfter => {
                self.shops[shop].egress.down = true;
                let pause = self.dice.millis(500, 90_000);
                self.plan(pause, Event::Restart(shop));
            }
        }
        if !reaches {
            return;
        }
        let units = delta.whole_units().unwrap_or(0);
        let change = if self.has(Bug::AbsoluteWrite) {
            Change::SetStock { holder, quantity: units }
        } else {
            Change::DeltaStock { holder, delta: units }
        };
        if fate == Fate::DoneLate {
            let late = self.dice.millis(1_000, 50_000);
            let script = move |world: &mut World| {
                let writer = Writer::Push { holder, call, delta: units, fate, sent };
                world.begin(shop, change, writer);
            };
            self.plan_script(late, script);
        } else {
            self.begin(shop, change, Writer::Push { holder, call, delta: units, fate, sent });
        }
    }

    pub(super) fn answer(
        &mut self,
        shop: usize,
        holder: HolderId,
        call: u64,
        answer: Answer,
        sent: Timestamp,
    ) {
        let took = self.now.since(sent);
        let bug = self.options.bug;
        if self.shops[shop].egress.answered(holder, call, answer, took, bug) {
            self.plan_read_backs(shop);
            self.plan_flush(shop);
        }
    }

    pub(super) fn plan_read_backs(&mut self, shop: usize) {
        let doubtful: Vec<_> = self.shops[shop]
            .egress
            .stocks
            .iter()
            .filter_map(|(holder, stock)| stock.doubtful_until.map(|until| (*holder, until)))
            .collect();
        for (holder, until) in doubtful {
            self.agenda.at(until.max(self.now), Event::ReadBack { shop, holder });
        }
    }

    pub(super) fn read_back(&mut self, shop: usize, holder: HolderId) {
        let date = Timestamp::from_seconds(self.shop_now(shop).seconds());
        let side = &mut self.shops[shop];
        let shown = side.model.product(holder).and_then(|product| product.stock);
        let (Some(stock), Some(shown)) = (side.egress.stocks.get_mut(&holder), shown) else { return };
        if side.egress.down || stock.doubtful_until.is_none_or(|until| until > self.now) {
            return;
        }
        let expected = stock.expected().unwrap_or_default();
        stock.read_back(Quantity::from_units(shown), expected, date);
        self.want_settle(shop, vec![holder], SETTLE_DELAY);
        self.plan_flush(shop);
    }
}
