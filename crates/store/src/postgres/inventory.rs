//! One batch of inventory: what it loaded, so that only what changed is written.

mod compare;
mod doubt;
mod load;
mod save;
mod wishes;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use values::{ShopId, Sku};

use super::listing_memory::ListingMemory;
use super::parameters::{run, with};
use super::{Postgres, WriteTx};
use crate::error::Error;
use crate::loaded::Loaded;

/// SKUs that were only made to lock them, and are of nothing.
const FORGET_SKUS: &str = "
DELETE FROM inventory.skus AS k
 WHERE k.id = ANY ($1) AND k.movement_count = 0
   AND NOT EXISTS (SELECT 1 FROM inventory.stocks AS s WHERE s.sku_id = k.id AND NOT s.removed)
   AND NOT EXISTS (SELECT 1 FROM inventory.recompute_skus AS m WHERE m.sku_id = k.id)";

/// A batch on PostgreSQL.
#[derive(Debug)]
pub(crate) struct PgInventoryTx {
    pub(super) tx: WriteTx,
    pub(super) loaded: Loaded,
    /// Shops whose mapping stays as it is until the end, with its version; `None`: there is no such shop, or this transaction
    /// itself has changed its mapping.
    pub(super) kept: BTreeMap<ShopId, Option<i64>>,
    listings: Arc<ListingMemory>,
    /// SKUs of their stocks, as far as they were looked up: shop and holder, id of the SKU.
    mapped: HashMap<(i64, i64), i64>,
    /// SKUs that were made to be locked and that nothing was written for yet.
    made: BTreeMap<Sku, i64>,
}

impl Postgres {
    pub(crate) async fn begin_inventory(&self) -> Result<PgInventoryTx, Error> {
        Ok(PgInventoryTx {
            tx: self.write().await?,
            loaded: Loaded::default(),
            kept: BTreeMap::new(),
            listings: Arc::clone(&self.listings),
            mapped: HashMap::new(),
            made: BTreeMap::new(),
        })
    }
}

impl PgInventoryTx {
    pub(crate) async fn commit(mut self) -> Result<(), Error> {
        if !self.made.is_empty() {
            let made: Vec<i64> = self.made.into_values().collect();
            run(&mut *self.tx, "forget SKUs that nothing was written for", FORGET_SKUS, with(made)).await?;
        }
        super::commit(self.tx).await
    }
}
