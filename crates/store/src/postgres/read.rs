//! Readers on PostgreSQL: stock, orders, movements, and why a number is what it is.

use std::collections::BTreeMap;

use values::{OrderId, ProductId, ShopId, Sku, StockId};

use super::Postgres;
use crate::error::Error;
use crate::inventory::{OrderRow, Posted, StockRow};
use crate::report::{Explanation, Openings, SkuStock};

impl Postgres {
    pub(crate) async fn stock_page(&self, _after: Option<&Sku>, _limit: u32) -> Result<Vec<SkuStock>, Error> {
        unimplemented!()
    }

    pub(crate) async fn stock_of(&self, _skus: &[Sku]) -> Result<Vec<SkuStock>, Error> {
        unimplemented!()
    }

    pub(crate) async fn stocks_of_shop(
        &self,
        _shop: ShopId,
        _after: Option<StockId>,
        _limit: u32,
    ) -> Result<Vec<StockRow>, Error> {
        unimplemented!()
    }

    pub(crate) async fn openings(&self, _shop: ShopId) -> Result<Openings, Error> {
        unimplemented!()
    }

    pub(crate) async fn stock_parents(
        &self,
        _stocks: &[StockId],
    ) -> Result<BTreeMap<StockId, ProductId>, Error> {
        unimplemented!()
    }

    pub(crate) async fn order(&self, _shop: ShopId, _order: OrderId) -> Result<Option<OrderRow>, Error> {
        unimplemented!()
    }

    pub(crate) async fn open_orders(
        &self,
        _shop: ShopId,
        _after: Option<OrderId>,
        _limit: u32,
    ) -> Result<Vec<OrderId>, Error> {
        unimplemented!()
    }

    pub(crate) async fn movements(&self, _of: &Sku, _after: u64, _limit: u32) -> Result<Vec<Posted>, Error> {
        unimplemented!()
    }

    pub(crate) async fn explain(&self, _of: &Sku) -> Result<Option<Explanation>, Error> {
        unimplemented!()
    }
}
