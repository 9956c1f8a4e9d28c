//! Writing what a batch changed: one statement for each kind of row, in the order of the keys.

use super::PgInventoryTx;
use crate::error::Error;
use crate::inventory::Changes;

impl PgInventoryTx {
    pub(crate) async fn save(&mut self, _changes: &Changes<'_>) -> Result<(), Error> {
        unimplemented!()
    }
}
