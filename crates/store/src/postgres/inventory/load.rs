//! Loading what a batch touches: one statement for each kind of row, however many there are. Orders are locked first, then
//! SKUs, then stocks, each in the order of its keys; a row that is to be written and is not there yet is made first.

use std::collections::BTreeSet;

use ledger::Book;
use values::{ListingId, OrderId, ShopId, Sku, StockId};

use super::PgInventoryTx;
use crate::error::Error;
use crate::inventory::{KeyState, ListingBook, OperationKey, OrderRow, StockRow};

impl PgInventoryTx {
    pub(crate) async fn load_orders(&mut self, _keys: &[(ShopId, OrderId)]) -> Result<Vec<OrderRow>, Error> {
        unimplemented!()
    }

    pub(crate) async fn resolve_listings(
        &mut self,
        _listings: &[(ShopId, ListingId)],
        _texts: &[Sku],
    ) -> Result<ListingBook, Error> {
        unimplemented!()
    }

    pub(crate) async fn load_books(&mut self, _skus: &[Sku]) -> Result<Book, Error> {
        unimplemented!()
    }

    pub(crate) async fn load_stocks(
        &mut self,
        _stocks: &[StockId],
        _skus: &[Sku],
    ) -> Result<Vec<StockRow>, Error> {
        unimplemented!()
    }

    pub(crate) async fn operation_keys(
        &mut self,
        _keys: &[(OperationKey, [u8; 16])],
    ) -> Result<Vec<KeyState>, Error> {
        unimplemented!()
    }

    pub(crate) async fn incomplete_shops(&mut self, _shops: &[ShopId]) -> Result<BTreeSet<ShopId>, Error> {
        unimplemented!()
    }
}
