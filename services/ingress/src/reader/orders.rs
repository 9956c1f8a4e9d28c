//! Reading orders: what changed, and what is to be read again.

use std::time::Instant;

use connector::{OrderFact, OrderSet, OrdersCursor, Reply, Unusable};
use proto::{Message, Source};
use store::{Cursor, CursorKind, Reread};
use values::{OrderId, ReadNumber, Timestamp};

use super::cursor::Position;
use super::{ReadError, Reader, done, period};
use crate::observe::{Observe, Read};
use crate::{Connect, facts};

/// How often in a row a poll may find the clock set back: a shop behind two servers with two clocks.
const SET_BACKS_MAX: u32 = 3;

/// What a poll came to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Polled {
    /// Orders changed up to here, by shop time, are published.
    pub(super) read_to: Timestamp,
    /// The shop's time when it answered.
    pub(super) date: Timestamp,
}

/// How orders of a read are told.
#[derive(Debug, Clone, Copy)]
pub(super) struct Told {
    pub(super) number: ReadNumber,
    pub(super) read_at: Timestamp,
    pub(super) baseline: bool,
}

impl<C: Connect> Reader<C> {
    /// Reads what was modified since the last poll.
    pub(super) async fn poll(&mut self, set: OrderSet) -> Result<Polled, ReadError> {
        let mut position = self.position(set).await?;
        let mut at = OrdersCursor::since(set, position.since());
        let mut begun: Option<(Position, Polled)> = None;
        let mut set_backs = 0;
        loop {
            let number = self.number().await?;
            let reply = self.orders_changed(at).await?;
            if begun.is_none()
                && set_backs < SET_BACKS_MAX
                && let Some(back) = position.set_back(reply.shop_time, self.now())
            {
                self.shared.observe.clock_set_back(self.id, position.shop_time.since(reply.shop_time));
                set_backs += 1;
                position = back;
                at = OrdersCursor::since(set, position.since());
                continue;
            }
            let (reached, _) = *begun.get_or_insert_with(|| self.began(&reply));
            let told = Told { number, read_at: reply.asked_at(), baseline: false };
            let (page, shop_now) = (reply.value, reply.shop_time);
            if set == OrderSet::Live {
                for order in &page.orders {
                    self.note_change(order.order, order.modified_at, shop_now);
                }
            }
            self.publish_orders(told, page.orders, &page.unusable).await?;
            // What changes while the poll goes on is left to the next one: a poll ends even in a busy shop.
            match page.next {
                Some(next) if next.after < reached.shop_time => at = next,
                _ => break,
            }
            if !self.hold_lease().await? {
                return Err(ReadError::Stale);
            }
        }
        let Some((reached, polled)) = begun else { return Err(ReadError::Stale) };
        self.save_position(set, reached).await?;
        if set == OrderSet::Live {
            self.see_whether_silent().await?;
        }
        Ok(polled)
    }

    /// Where the first page of a poll says the next one may begin.
    pub(super) fn began<T>(&self, reply: &Reply<T>) -> (Position, Polled) {
        let read_to = Timestamp::from_seconds(reply.asked_at().seconds());
        let reached = Position { shop_time: read_to, hub_time: self.now() - reply.took };
        (reached, Polled { read_to, date: reply.shop_time })
    }

    pub(super) async fn position(&mut self, set: OrderSet) -> Result<Position, ReadError> {
        let (known, kind) = match set {
            OrderSet::Trash => (self.trash, CursorKind::Trash),
            OrderSet::Live | OrderSet::Open => (self.live, CursorKind::Orders),
        };
        if let Some(position) = known {
            return Ok(position);
        }
        let stored = self.shared.store.cursor(self.id, kind).await?;
        // A shop in service without a cursor was put there by hand: everything since it was added is read.
        let added = self.shop.borrow().created_at;
        Ok(stored.map_or(Position { shop_time: added, hub_time: added }, |cursor| Position {
            shop_time: cursor.shop_time,
            hub_time: cursor.hub_time,
        }))
    }

    pub(super) async fn save_position(&mut self, set: OrderSet, position: Position) -> Result<(), ReadError> {
        let kind = match set {
            OrderSet::Trash => CursorKind::Trash,
            OrderSet::Live | OrderSet::Open => CursorKind::Orders,
        };
        let cursor = Cursor { shop_time: position.shop_time, hub_time: position.hub_time, page: 1 };
        let fence = self.fence()?;
        done(self.shared.store.save_cursor(self.id, kind, cursor, fence).await?)?;
        let (periods, between) = (self.shop.borrow().settings.poll, self.gate.between_calls());
        match set {
            OrderSet::Trash => {
                self.trash = Some(position);
                let period = period::of_polls(periods.trash, false, between);
                self.trash_due = Instant::now() + Self::spread(period);
            }
            OrderSet::Live | OrderSet::Open => {
                self.live = Some(position);
                let period = period::of_polls(periods.orders, self.doubts_webhooks().await?, between);
                self.reading.poll_period = Some(period);
                self.orders_due = Instant::now() + Self::spread(period);
                self.reading.polled_at = Some(self.now());
                self.save_reading().await?;
            }
        }
        Ok(())
    }

    /// Publishes what a read showed, and waits until it is confirmed.
    pub(super) async fn publish_orders(
        &mut self,
        told: Told,
        orders: Vec<OrderFact>,
        unusable: &[Unusable],
    ) -> Result<(), ReadError> {
        let source = Source::Read { number: told.number, read_at: told.read_at, baseline: told.baseline };
        let count = orders.len();
        let mut messages: Vec<Message> =
            orders.into_iter().map(|order| facts::order(self.id, order, source)).collect();
        for item in unusable {
            self.shared.observe.unusable(self.id, item.id, &item.reason);
            messages.push(facts::unusable(self.id, item));
        }
        self.shared.outbound.publish(&messages, &self.stop).await?;
        self.shared.observe.orders_read(count);
        Ok(())
    }

    /// Reads the orders again that somebody asked for; `false` if there are none to be read now.
    pub(super) async fn read_again(&mut self, now: Instant) -> Result<bool, ReadError> {
        let limit = u32::try_from(self.orders_apart.lookup()).unwrap_or(u32::MAX);
        let wanted = self.shared.store.rereads_due(self.id, limit).await?;
        self.orders_apart.found(|order| wanted.iter().any(|reread| reread.order == order), now);
        let due = wanted.into_iter().filter(|reread| self.orders_apart.may_be_read(reread.order, now));
        let due: Vec<Reread> = due.take(self.orders_apart.together()).collect();
        if due.is_empty() {
            self.looks.rereads = false;
            return Ok(false);
        }
        let orders: Vec<OrderId> = due.iter().map(|reread| reread.order).collect();
        match self.read_by_id(&orders).await {
            Ok(_) => self.orders_apart.succeeded(&orders),
            Err(ReadError::Call(error)) => {
                let rest = self.orders_apart.failed(&orders, &error, Instant::now());
                if let (Some(rest), [order]) = (rest, orders.as_slice()) {
                    Observe::set_aside(self.id, Read::OrdersById, order.get(), rest, &error);
                }
                return Err(ReadError::Call(error));
            }
            Err(error) => return Err(error),
        }
        self.shared.store.rereads_done(self.id, &due).await?;
        Ok(true)
    }

    /// Reads orders by number and publishes them; one that is not there is gone.
    pub(super) async fn read_by_id(&mut self, orders: &[OrderId]) -> Result<(usize, usize), ReadError> {
        let number = self.number().await?;
        let reply = self.orders_by_id(orders).await?;
        let told = Told { number, read_at: reply.asked_at(), baseline: false };
        let found = reply.value;
        let counts = (found.orders.len() + found.gone.len(), found.unusable.len());
        self.publish_orders(told, found.orders, &found.unusable).await?;
        let gone: Vec<Message> =
            found.gone.into_iter().map(|order| facts::gone(self.id, order, number, told.read_at)).collect();
        self.shared.outbound.publish(&gone, &self.stop).await?;
        Ok(counts)
    }
}
