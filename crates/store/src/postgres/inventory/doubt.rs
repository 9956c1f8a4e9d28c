//! What a settle and an opening ask: which orders are in doubt, and what is held without having been taken.

use std::collections::{BTreeMap, BTreeSet};

use values::{OrderId, Quantity, ShopId, Sku, StockId, Timestamp};

use super::PgInventoryTx;
use crate::error::Error;

impl PgInventoryTx {
    pub(crate) async fn doubtful_stocks(&mut self, _stocks: &[StockId]) -> Result<BTreeSet<StockId>, Error> {
        unimplemented!()
    }

    pub(crate) async fn held_not_taken(
        &mut self,
        _stocks: &[StockId],
    ) -> Result<BTreeMap<StockId, Quantity>, Error> {
        unimplemented!()
    }

    pub(crate) async fn orders_not_taken(
        &mut self,
        _shop: ShopId,
        _after: Option<OrderId>,
        _limit: u32,
    ) -> Result<Vec<OrderId>, Error> {
        unimplemented!()
    }

    pub(crate) async fn order_effects(&mut self, _wanted: &[(ShopId, Sku)]) -> Result<Vec<Quantity>, Error> {
        unimplemented!()
    }

    pub(crate) async fn unconfirmed_orders(
        &mut self,
        _shop: ShopId,
        _before: Timestamp,
        _limit: u32,
    ) -> Result<Vec<OrderId>, Error> {
        unimplemented!()
    }
}
