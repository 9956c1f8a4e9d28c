//! Settling stocks: they are read, and once every order of that time can be read too, orders and stocks are published in
//! this order.

use std::time::Instant;

use connector::{OrderSet, ReadStocks, StockRef};
use proto::Message;
use store::SettleHold;
use values::StockId;

use super::settling::{Batch, Purpose, moments};
use super::{ReadError, Reader};
use crate::Connect;

/// When a stock that showed nonsense is looked at again.
const UNUSABLE_AGAIN: std::time::Duration = std::time::Duration::from_mins(10);

/// Stocks looked for at a time that are due and were not read yet: ten reads of a WooCommerce shop.
const DUE_TOGETHER: usize = 1_000;

impl<C: Connect> Reader<C> {
    /// Reads stocks that are due and may be quiet; `false` if there are none.
    pub(super) async fn read_stocks(&mut self) -> Result<bool, ReadError> {
        if self.settling.needs_due() {
            self.look_for_settles().await?;
        }
        let due = self.settling.take_due(C::Connection::STOCKS_MAX);
        if due.is_empty() {
            self.looks.settles = false;
            return Ok(false);
        }
        let refs: Vec<StockRef> = due.iter().map(|(_, stock)| *stock).collect();
        let number = self.number().await?;
        let reply = self.stocks(&refs).await?;
        let (asked, answered) = moments(reply.shop_time, reply.took, reply.calls, self.now());
        let read = due.into_iter().zip(reply.value);
        let stocks = read.map(|((job, _), fact)| (job, fact.shown, fact.modified_at)).collect();
        let ready_at = Instant::now() + self.shared.settings.settle_wait;
        let purpose = Purpose::Settle;
        self.settling.add(Batch { number, asked, answered, stocks, ready_at, purpose });
        Ok(true)
    }

    /// Looks what is due: for several reads, since all that was read and waits is due as well and is looked at each time.
    async fn look_for_settles(&mut self) -> Result<(), ReadError> {
        let limit = u32::try_from(self.settling.stocks() + DUE_TOGETHER).unwrap_or(u32::MAX);
        let due = self.shared.store.settles_due(self.id, self.now(), self.settle_hold(), limit).await?;
        let stocks: Vec<StockId> = due.iter().map(|job| job.want.stock).collect();
        let parents = self.shared.store.stock_parents(&stocks).await?;
        self.settling.set_due(due.into_iter().map(|job| {
            let stock = job.want.stock;
            (job, StockRef { holder: stock.holder, parent: parents.get(&stock).copied() })
        }));
        Ok(())
    }

    /// Settles that would prove nothing yet; none while nobody knows what time it is at the shop. Orders dated further ahead
    /// than this are of a clock that was set back since, and hold nothing back.
    pub(super) fn settle_hold(&self) -> Option<SettleHold> {
        let (now, settings) = (self.now(), &self.shared.settings);
        let shop_now = self.live?.shop_now(now);
        Some(SettleHold {
            dated_from: shop_now - settings.quiet_wait,
            dated_to: shop_now + settings.quiet_wait,
            due_since: now - settings.settle_hold_max,
        })
    }

    /// Reads the orders that prove the batches that are ready, and publishes orders, then stocks.
    pub(super) async fn prove(&mut self) -> Result<(), ReadError> {
        let ready = self.settling.ready(Instant::now());
        let live = self.poll(OrderSet::Live).await?;
        let trash = self.poll(OrderSet::Trash).await?;
        let (date, read_to) = (live.date.min(trash.date), live.read_to.min(trash.read_to));
        for batch in &ready {
            if !batch.is_proven_by(date) {
                // Its jobs are still due, so the stocks are read again.
                self.shared.observe.settle_abandoned(self.id, batch.number, batch.stocks.len());
                self.looks.settles = true;
                continue;
            }
            let shown: Vec<Message> = batch.shown(self.id, read_to).into_iter().map(Message::from).collect();
            self.shared.outbound.publish(&shown, &self.stop).await?;
            let (done, unusable) = batch.jobs();
            self.shared.observe.settled(done.len(), unusable.len());
            self.catalogue_wanted |= batch.contradicts_catalogue();
            if batch.purpose != Purpose::Settle {
                continue;
            }
            let again_at = self.now() + Self::spread(self.shared.settings.settle_period);
            self.shared.store.settles_done(&done, again_at, "routine").await?;
            if !unusable.is_empty() {
                let again_at = self.now() + UNUSABLE_AGAIN;
                self.shared.store.settles_done(&unusable, again_at, "unusable").await?;
            }
        }
        self.settling.forget(ready.len());
        // There is room for more of a comparison.
        self.runs.look_now();
        // What was asked for again meanwhile is due.
        self.looks.settles = true;
        Ok(())
    }
}
