//! Wishes to read a shop again: written down, so that the message may go; the shop's reader does the rest.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bus::{Delivery, Disposition, Handler, Limits, Pause};
use proto::{Message, ReadWanted, Wanted};
use store::{SettleWanted, TaskKind};
use values::{HolderId, OrderId, ShopId, StockId};

use crate::Shared;
use crate::observe::Observe;

/// Wishes taken together: one transaction writes them down.
pub(crate) const LIMITS: Limits =
    Limits { messages_max: 200, bytes_max: 1 << 20, wait_max: Duration::from_millis(10), ahead_max: 0 };
/// How long to wait before trying the database again.
const PAUSE: Duration = Duration::from_millis(500);
/// Why a stock is settled, when a message asked for it.
const WHY: &str = "wanted";

/// Writes wishes down.
pub(crate) struct Wishes<C> {
    shared: Arc<Shared<C>>,
}

impl<C> Wishes<C> {
    pub(crate) fn new(shared: Arc<Shared<C>>) -> Self {
        Self { shared }
    }

    async fn write_down(&self, batch: &Batch) -> Result<(), store::Error> {
        let now = (self.shared.clock)();
        if !batch.orders.is_empty() {
            let orders: Vec<_> = batch.orders.iter().copied().collect();
            self.shared.store.want_rereads(&orders, now).await?;
        }
        if !batch.stocks.is_empty() {
            let want = |stock: &StockId| SettleWanted { stock: *stock, why: WHY.to_owned(), due_at: now };
            let wants: Vec<_> = batch.stocks.iter().map(want).collect();
            self.shared.store.want_settles(&wants).await?;
        }
        if !batch.listings.is_empty() {
            let listings: Vec<_> = batch.listings.iter().copied().collect();
            self.shared.store.want_listings(&listings).await?;
        }
        for (shop, kind) in &batch.tasks {
            self.shared.store.add_task(*shop, *kind, now).await?;
        }
        Ok(())
    }
}

#[derive(Debug, Default)]
struct Batch {
    orders: BTreeSet<(ShopId, OrderId)>,
    stocks: BTreeSet<StockId>,
    listings: BTreeSet<(ShopId, HolderId)>,
    tasks: BTreeSet<(ShopId, TaskKind)>,
    shops: BTreeSet<ShopId>,
}

impl Batch {
    fn add(&mut self, wanted: ReadWanted) {
        let shop = wanted.shop;
        self.shops.insert(shop);
        match wanted.what {
            Wanted::Orders(orders) => self.orders.extend(orders.into_iter().map(|order| (shop, order))),
            Wanted::Stocks(holders) => {
                self.stocks.extend(holders.into_iter().map(|holder| StockId { shop, holder }));
            }
            Wanted::OrderAudit => drop(self.tasks.insert((shop, TaskKind::Audit))),
            Wanted::Catalogue => drop(self.tasks.insert((shop, TaskKind::Catalogue))),
            Wanted::Listings(ids) => self.listings.extend(ids.into_iter().map(|id| (shop, id))),
        }
    }
}

impl<C: Send + Sync> Handler for Wishes<C> {
    async fn handle(&mut self, deliveries: &[Delivery]) -> Result<Vec<Disposition>, Pause> {
        let mut batch = Batch::default();
        let mut dispositions = Vec::with_capacity(deliveries.len());
        for delivery in deliveries {
            dispositions.push(match delivery.envelope.open() {
                Ok(Message::ReadWanted(wanted)) => {
                    batch.add(wanted);
                    Disposition::Ack
                }
                Ok(other) => {
                    Disposition::DeadLetter { reason: format!("not-a-wish: {}", other.kind().type_name()) }
                }
                Err(error) => {
                    Observe::undecodable(&error);
                    Disposition::DeadLetter { reason: format!("undecodable: {error}") }
                }
            });
        }
        if let Err(error) = self.write_down(&batch).await {
            Observe::store_failed("write wishes down", &error);
            return Err(Pause(PAUSE));
        }
        for shop in batch.shops {
            self.shared.wakes.wake(shop);
        }
        Ok(dispositions)
    }
}
