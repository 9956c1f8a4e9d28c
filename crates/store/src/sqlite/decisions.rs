//! What people decided about differences, on SQLite.

use values::StockId;

use super::egress::keys;
use super::{Sqlite, SqliteInventoryTx};
use crate::decisions::{DECISIONS_KEPT, DecisionRow};
use crate::error::{Error, failed};
use crate::rows::decisions::{DecisionColumns, decision, decision_columns, decision_number, new_decision};

const ADD: &str = "
INSERT INTO inventory_decisions (shop, holder, number, upto, decision, quantity, warehouse, actor, reason, at)
SELECT ?1, ?2, coalesce(max(number), 0) + 1, ?3, ?4, ?5, ?6, ?7, ?8, ?9
  FROM inventory_decisions WHERE shop = ?1 AND holder = ?2
RETURNING number";

const FORGET: &str = "DELETE FROM inventory_decisions WHERE shop = ?1 AND holder = ?2 AND number <= ?3 - ?4";

const OF_STOCKS: &str = concat!(
    "SELECT ",
    decision_columns!(),
    " FROM jsonb_each(?1) AS w CROSS JOIN inventory_decisions AS c
        ON c.shop = w.value ->> 0 AND c.holder = w.value ->> 1
     ORDER BY c.shop, c.holder, c.number"
);

impl SqliteInventoryTx {
    pub(crate) async fn add_decision(&mut self, row: &DecisionRow) -> Result<u32, Error> {
        let doing = "keep a decision";
        let (shop, holder, upto, word, quantity, warehouse, actor, reason, at) = new_decision(row);
        let number: i64 = sqlx::query_scalar(ADD)
            .bind(shop)
            .bind(holder)
            .bind(upto)
            .bind(word)
            .bind(quantity)
            .bind(warehouse)
            .bind(actor)
            .bind(reason)
            .bind(at)
            .fetch_one(&mut *self.tx)
            .await
            .map_err(failed(doing))?;
        let forgotten = sqlx::query(FORGET).bind(shop).bind(holder).bind(number).bind(DECISIONS_KEPT);
        forgotten.execute(&mut *self.tx).await.map_err(failed(doing))?;
        decision_number(number)
    }
}

impl Sqlite {
    pub(crate) async fn decisions_of(&self, stocks: &[StockId]) -> Result<Vec<DecisionRow>, Error> {
        let rows: Vec<DecisionColumns> = sqlx::query_as(OF_STOCKS)
            .bind(keys(stocks))
            .fetch_all(&self.readers)
            .await
            .map_err(failed("read decisions"))?;
        rows.into_iter().map(decision).collect()
    }
}
