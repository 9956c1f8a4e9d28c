//! Comparisons without consequences: what egress knows, and what was found.

use values::StockId;

use super::super::egress;
use super::SqliteInventoryTx;
use crate::egress::PushRow;
use crate::error::{Error, failed};
use crate::reconcile::Comparison;
use crate::rows::json;
use crate::rows::reconcile::comparison_rows;

const SAVE: &str = "
INSERT INTO inventory_comparisons (shop, holder, number, class, action, difference)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5 FROM jsonb_each(?1) WHERE true
    ON CONFLICT (shop, holder) DO UPDATE SET
       number = excluded.number, class = excluded.class, action = excluded.action, difference = excluded.difference";

impl SqliteInventoryTx {
    pub(crate) async fn pushes(&mut self, stocks: &[StockId]) -> Result<Vec<PushRow>, Error> {
        egress::pushes_in(&mut self.tx, stocks).await
    }

    pub(crate) async fn save_comparisons(&mut self, found: &[Comparison]) -> Result<(), Error> {
        sqlx::query(SAVE)
            .bind(json(&comparison_rows(found)))
            .execute(&mut *self.tx)
            .await
            .map_err(failed("note comparisons"))?;
        Ok(())
    }
}
