//! Calls to the shop: through the gate, cut off by a stop, their outcome noted for people to see.

use std::sync::Arc;
use std::time::Instant;

use connector::{
    CallError, CataloguePage, KeepWebhooks, ListingSet, ListingShown, ManageStock, Managed, OrdersById,
    OrdersCursor, OrdersPage, ReadCatalogue, ReadListings, ReadOrders, ReadStocks, Reply, StockRef,
    StocksRead, Webhook,
};
use process::error_chain;
use secrecy::SecretString;
use values::{HolderId, OrderId, ProductId};

use super::{CursorOf, ReadError, Reader};
use crate::Connect;
use crate::observe::{Observe, Read};

impl<C: Connect> Reader<C> {
    pub(super) async fn orders_changed(
        &mut self,
        cursor: OrdersCursor,
    ) -> Result<Reply<OrdersPage>, ReadError> {
        let connection = self.connection().await?;
        self.call(Read::Orders, async { connection.orders_changed(cursor).await }).await
    }

    pub(super) async fn orders_by_id(&mut self, orders: &[OrderId]) -> Result<Reply<OrdersById>, ReadError> {
        let connection = self.connection().await?;
        self.call(Read::OrdersById, async { connection.orders_by_id(orders).await }).await
    }

    pub(super) async fn order_count(&mut self, status: &str) -> Result<Reply<Option<u64>>, ReadError> {
        let connection = self.connection().await?;
        self.call(Read::Orders, async { connection.order_count(status).await }).await
    }

    pub(super) async fn newest_order(&mut self) -> Result<Reply<Option<OrderId>>, ReadError> {
        let connection = self.connection().await?;
        self.call(Read::Orders, async { connection.newest_order().await }).await
    }

    pub(super) async fn stocks(&mut self, stocks: &[StockRef]) -> Result<Reply<StocksRead>, ReadError> {
        let connection = self.connection().await?;
        self.call(Read::Stocks, async { connection.stocks(stocks).await }).await
    }

    pub(super) async fn catalogue_page(
        &mut self,
        cursor: CursorOf<C>,
    ) -> Result<Reply<CataloguePage<CursorOf<C>>>, ReadError> {
        let connection = self.connection().await?;
        self.call(Read::Catalogue, async { connection.catalogue(cursor).await }).await
    }

    pub(super) async fn listings(
        &mut self,
        parent: Option<ProductId>,
        ids: &[HolderId],
        set: ListingSet,
    ) -> Result<Reply<Vec<ListingShown>>, ReadError> {
        let connection = self.connection().await?;
        self.call(Read::Listings, async { connection.listings(parent, ids, set).await }).await
    }

    pub(super) async fn manage_stock(
        &mut self,
        parent: Option<ProductId>,
        listings: &[HolderId],
    ) -> Result<Reply<Vec<Managed>>, ReadError> {
        let connection = self.connection().await?;
        self.call(Read::ManageStock, async { connection.manage_stock(parent, listings).await }).await
    }

    pub(super) async fn webhooks(&mut self) -> Result<Vec<Webhook>, ReadError> {
        let connection = self.connection().await?;
        Ok(self.call(Read::Webhooks, async { connection.webhooks().await }).await?.value)
    }

    pub(super) async fn create_webhook(
        &mut self,
        topic: &str,
        address: &str,
        secret: &SecretString,
    ) -> Result<Webhook, ReadError> {
        let connection = self.connection().await?;
        let making = async { connection.create_webhook(topic, address, secret).await };
        Ok(self.call(Read::Webhooks, making).await?.value)
    }

    pub(super) async fn delete_webhook(&mut self, id: i64) -> Result<(), ReadError> {
        let connection = self.connection().await?;
        self.call(Read::Webhooks, async { connection.delete_webhook(id).await }).await?;
        Ok(())
    }

    /// One call, if the gate lets it through.
    async fn call<T>(
        &mut self,
        what: Read,
        call: impl Future<Output = Result<Reply<T>, CallError>> + Send,
    ) -> Result<Reply<T>, ReadError> {
        let stop = self.stop.clone();
        let entered = tokio::select! {
            () = stop.cancelled() => return Err(ReadError::Stopped),
            entered = self.gate.enter(Instant::now()) => entered.map_err(|_until| ReadError::Resting)?,
        };
        let answer = tokio::select! {
            () = stop.cancelled() => return Err(ReadError::Stopped),
            answer = call => answer,
        };
        match answer {
            Ok(reply) => {
                self.gate.succeeded(&entered, Instant::now(), reply.took, reply.calls);
                self.note_calls(what, reply.calls.max(1));
                self.shared.observe.read(what);
                self.note_well().await?;
                Ok(reply)
            }
            Err(error) => {
                self.note_calls(what, 1);
                let failures = self.gate.failed(&entered, Instant::now(), &error);
                self.shared.observe.read_failed(self.id, what, &error, failures);
                if matches!(error, CallError::Auth(_)) {
                    // The key may have been changed in the registry meanwhile.
                    self.connection = None;
                }
                self.note_failure(&error_chain(&error), error.needs_a_person()).await?;
                Err(ReadError::Call(error))
            }
        }
    }

    /// Stored with the next thing that is noted of the shop, and at the latest with the next poll.
    fn note_calls(&mut self, what: Read, calls: u32) {
        let now = self.now();
        self.reading.calls.add(what.as_str(), calls, now);
    }

    /// The connection as the registry says now.
    pub(super) async fn connection(&mut self) -> Result<Arc<C::Connection>, ReadError> {
        if let Some(connection) = &self.connection {
            return Ok(Arc::clone(connection));
        }
        let secrets = self.shared.store.shop_secrets(self.id).await?.ok_or(ReadError::NoSecrets)?;
        let shop = self.shop.borrow_and_update().clone();
        match self.shared.connect.connect(&shop, &secrets) {
            Ok(connection) => {
                let connection = Arc::new(connection);
                self.connection = Some(Arc::clone(&connection));
                Ok(connection)
            }
            Err(error) => {
                self.note_failure(&error_chain(&error), false).await?;
                Err(ReadError::Connect(error))
            }
        }
    }

    async fn note_well(&mut self) -> Result<(), ReadError> {
        if self.reading.failing_since.take().is_some() {
            self.reading.refused = false;
            Observe::shop_well(self.id);
            self.shared.observe.shop_fails(false);
            self.save_reading().await?;
        }
        Ok(())
    }

    /// `refused`: the shop answered, and only a person can change what it said.
    pub(super) async fn note_failure(&mut self, why: &str, refused: bool) -> Result<(), ReadError> {
        let now = self.now();
        if self.reading.failing_since.is_none() {
            self.reading.failing_since = Some(now);
            self.shared.observe.shop_fails(true);
        }
        self.reading.failed_at = Some(now);
        self.reading.refused = refused;
        why.clone_into(&mut self.reading.failure);
        self.save_reading().await
    }

    pub(super) async fn save_reading(&mut self) -> Result<(), ReadError> {
        let (now, instant) = (self.now(), Instant::now());
        self.reading.breaker = self.gate.breaker();
        self.reading.resting_until =
            self.gate.rests_until(instant).map(|until| now + until.saturating_duration_since(instant));
        Ok(self.shared.store.save_reading(&self.reading).await?)
    }
}
