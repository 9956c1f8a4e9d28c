//! Everything there is of movements and orders, a page at a time, on SQLite.

use values::{OrderId, ShopId};

use super::Sqlite;
use crate::error::{Error, failed};
use crate::inventory::{OrderRow, Posted};
use crate::report::{MovementPlace, PAGE_ROWS_MAX};
use crate::rows::OrderColumns;
use crate::rows::json;
use crate::rows::lines::{LineColumns, line_columns};
use crate::rows::read::{PlacedColumns, place_columns, placed, with_lines};

const MOVEMENTS: &str = "
SELECT m.number, m.warehouse, m.kind, m.on_hand_delta, m.reserved_delta, m.on_hand, m.reserved, m.shop, m.order_id,
       m.line, m.at, m.actor, m.reason, m.operation, m.trace, m.tag_set,
       (SELECT t.tags FROM registry_tag_sets AS t WHERE t.id = m.tag_set) AS tags, m.sku_id AS of_sku, k.sku AS sku_text
  FROM inventory_movements AS m CROSS JOIN inventory_skus AS k ON k.id = m.sku_id
 WHERE (m.sku_id, m.number) > (?1, ?2) ORDER BY m.sku_id, m.number LIMIT ?3";

const ORDERS: &str = "
SELECT shop, order_id, modified_at, digest, origin, last_read, confirmed, older_at, older_digest, status, gone,
       reread, expired, expires_at, unconfirmed_since, predates
  FROM inventory_orders WHERE (shop, order_id) > (?1, ?2) ORDER BY shop, order_id LIMIT ?3";

const LINES: &str = concat!(
    "SELECT ",
    line_columns!(),
    " FROM jsonb_each(?1) AS w CROSS JOIN inventory_lines AS l
        ON l.shop = w.value ->> 0 AND l.order_id = w.value ->> 1
      LEFT JOIN inventory_skus AS k ON k.id = l.sku_id
     ORDER BY l.shop, l.order_id, l.position"
);

impl Sqlite {
    pub(crate) async fn movements_page(
        &self,
        after: Option<MovementPlace>,
        limit: u32,
    ) -> Result<Vec<(MovementPlace, Posted)>, Error> {
        let (sku, number) = place_columns(after);
        let rows: Vec<PlacedColumns> = sqlx::query_as(MOVEMENTS)
            .bind(sku)
            .bind(number)
            .bind(limit.min(PAGE_ROWS_MAX))
            .fetch_all(&self.readers)
            .await
            .map_err(failed("export movements"))?;
        rows.into_iter().map(placed).collect()
    }

    pub(crate) async fn orders_page(
        &self,
        after: Option<(ShopId, OrderId)>,
        limit: u32,
    ) -> Result<Vec<OrderRow>, Error> {
        let doing = "export orders";
        let (shop, order) = after.map_or((0, 0), |(shop, order)| (shop.get(), order.get()));
        let mut tx = self.snapshot().await?;
        let orders = sqlx::query_as(ORDERS).bind(shop).bind(order).bind(limit.min(PAGE_ROWS_MAX));
        let orders: Vec<OrderColumns> = orders.fetch_all(&mut *tx).await.map_err(failed(doing))?;
        let keys: Vec<(i64, i64)> = orders.iter().map(|row| (row.0, row.1)).collect();
        let lines = sqlx::query_as(LINES).bind(json(&keys));
        let lines: Vec<LineColumns> = lines.fetch_all(&mut *tx).await.map_err(failed(doing))?;
        with_lines(orders, &lines)
    }
}
