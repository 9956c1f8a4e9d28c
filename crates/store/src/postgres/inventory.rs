//! One batch of inventory: what it loaded, so that only what changed is written.

mod doubt;
mod load;
mod save;
mod wishes;

use std::collections::{BTreeMap, HashMap};

use ledger::SkuBook;
use values::{OrderId, ShopId, Sku, StockId};

use super::{Postgres, WriteTx};
use crate::error::Error;
use crate::inventory::{OrderRow, StockRow};

/// A batch on PostgreSQL.
#[derive(Debug)]
pub(crate) struct PgInventoryTx {
    pub(super) tx: WriteTx,
    orders: HashMap<(ShopId, OrderId), OrderRow>,
    stocks: HashMap<StockId, StockRow>,
    skus: BTreeMap<Sku, LoadedSku>,
}

#[derive(Debug, Default)]
struct LoadedSku {
    /// `None`: not stored yet.
    id: Option<i64>,
    /// As it was loaded, if it was.
    book: Option<SkuBook>,
}

impl Postgres {
    pub(crate) async fn begin_inventory(&self) -> Result<PgInventoryTx, Error> {
        Ok(PgInventoryTx {
            tx: self.write().await?,
            orders: HashMap::new(),
            stocks: HashMap::new(),
            skus: BTreeMap::new(),
        })
    }
}

impl PgInventoryTx {
    pub(crate) async fn commit(self) -> Result<(), Error> {
        super::commit(self.tx).await
    }

    pub(super) fn know_sku(&mut self, sku: &Sku, id: i64) {
        self.skus.entry(sku.clone()).or_default().id = Some(id);
    }

    fn sku_id(&self, sku: &Sku) -> Option<i64> {
        self.skus.get(sku).and_then(|loaded| loaded.id)
    }
}
