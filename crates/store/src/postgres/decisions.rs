//! What people decided about differences, on PostgreSQL. Whoever decides has locked the stock.

use values::StockId;

use super::egress::keys;
use super::parameters::{all, one, run, with};
use super::{PgInventoryTx, Postgres};
use crate::decisions::{DECISIONS_KEPT, DecisionRow};
use crate::error::Error;
use crate::rows::decisions::{DecisionColumns, decision, decision_columns, decision_number, new_decision};

const ADD: &str = "
INSERT INTO inventory.decisions (shop, holder, number, upto, decision, quantity, warehouse, actor, reason, at)
SELECT $1, $2, coalesce(max(number), 0) + 1, $3, $4, $5, $6, $7, $8, $9
  FROM inventory.decisions WHERE shop = $1 AND holder = $2
RETURNING number";

const FORGET: &str = "DELETE FROM inventory.decisions WHERE shop = $1 AND holder = $2 AND number <= $3 - $4";

const OF_STOCKS: &str = concat!(
    "SELECT ",
    decision_columns!(),
    " FROM unnest($1::bigint[], $2::bigint[]) AS w (shop, holder)
      JOIN inventory.decisions AS c ON c.shop = w.shop AND c.holder = w.holder
     ORDER BY c.shop, c.holder, c.number"
);

impl PgInventoryTx {
    pub(crate) async fn add_decision(&mut self, row: &DecisionRow) -> Result<u32, Error> {
        let doing = "keep a decision";
        let (shop, holder, upto, word, quantity, warehouse, actor, reason, at) = new_decision(row);
        let parameters = with(shop)
            .and(holder)
            .and(upto)
            .and(word)
            .and(quantity)
            .and(warehouse)
            .and(actor)
            .and(reason)
            .and(at);
        let (number,): (i64,) = one(&mut *self.tx, doing, ADD, parameters).await?;
        let forgotten = with(shop).and(holder).and(number).and(i64::from(DECISIONS_KEPT));
        run(&mut *self.tx, doing, FORGET, forgotten).await?;
        decision_number(number)
    }
}

impl Postgres {
    pub(crate) async fn decisions_of(&self, stocks: &[StockId]) -> Result<Vec<DecisionRow>, Error> {
        let rows: Vec<DecisionColumns> = all(&self.pool, "read decisions", OF_STOCKS, keys(stocks)).await?;
        rows.into_iter().map(decision).collect()
    }
}
