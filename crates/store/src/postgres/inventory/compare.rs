//! Comparisons without consequences: what egress knows, and what was found.

use values::StockId;

use super::super::egress;
use super::super::parameters::{rows, run};
use super::PgInventoryTx;
use crate::egress::PushRow;
use crate::error::Error;
use crate::reconcile::Comparison;
use crate::rows::reconcile::comparison_rows;

/// In the order of their keys, so that two who write the same wait for each other once.
const SAVE: &str = "
INSERT INTO inventory.comparisons (shop, holder, number, class, action, difference)
SELECT w.shop, w.holder, w.number, w.class, w.action, w.difference
  FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::bigint[])
       AS w (shop, holder, number, class, action, difference)
 ORDER BY w.shop, w.holder
    ON CONFLICT (shop, holder) DO UPDATE SET
       number = excluded.number, class = excluded.class, action = excluded.action, difference = excluded.difference";

impl PgInventoryTx {
    pub(crate) async fn pushes(&mut self, stocks: &[StockId]) -> Result<Vec<PushRow>, Error> {
        egress::pushes_in(&mut self.tx, stocks).await
    }

    pub(crate) async fn save_comparisons(&mut self, found: &[Comparison]) -> Result<(), Error> {
        run(&mut *self.tx, "note comparisons", SAVE, rows(&comparison_rows(found))).await?;
        Ok(())
    }
}
