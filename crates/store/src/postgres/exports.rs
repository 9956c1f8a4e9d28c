//! Everything there is of movements and orders, a page at a time, on PostgreSQL.

use values::{OrderId, ShopId};

use super::Postgres;
use super::parameters::{all, page, rows, with};
use crate::error::Error;
use crate::inventory::{OrderRow, Posted};
use crate::report::MovementPlace;
use crate::rows::OrderColumns;
use crate::rows::lines::{LineColumns, line_columns};
use crate::rows::read::{PlacedColumns, place_columns, placed, with_lines};

const MOVEMENTS: &str = "
SELECT m.number, m.warehouse, m.kind, m.on_hand_delta, m.reserved_delta, m.on_hand, m.reserved, m.shop, m.order_id,
       m.line, m.at, m.actor, m.reason, m.operation, m.trace, m.tag_set,
       (SELECT t.tags FROM inventory.tag_sets AS t WHERE t.id = m.tag_set) AS tags, m.sku_id AS of_sku, k.sku AS sku_text
  FROM inventory.movements AS m JOIN inventory.skus AS k ON k.id = m.sku_id
 WHERE (m.sku_id, m.number) > ($1, $2) ORDER BY m.sku_id, m.number LIMIT $3";

const ORDERS: &str = "
SELECT shop, order_id, modified_at, digest, origin, last_read, confirmed, older_at, older_digest, status, gone,
       reread, expired, expires_at, unconfirmed_since, predates
  FROM inventory.orders WHERE (shop, order_id) > ($1, $2) ORDER BY shop, order_id LIMIT $3";

const LINES: &str = concat!(
    "SELECT ",
    line_columns!(),
    " FROM unnest($1::bigint[], $2::bigint[]) AS w (shop, order_id)
      JOIN inventory.lines AS l ON l.shop = w.shop AND l.order_id = w.order_id
      LEFT JOIN inventory.skus AS k ON k.id = l.sku_id
     ORDER BY l.shop, l.order_id, l.position"
);

impl Postgres {
    pub(crate) async fn movements_page(
        &self,
        after: Option<MovementPlace>,
        limit: u32,
    ) -> Result<Vec<(MovementPlace, Posted)>, Error> {
        let (sku, number) = place_columns(after);
        let parameters = with(sku).and(number).and(page(limit));
        let found: Vec<PlacedColumns> = all(&self.pool, "export movements", MOVEMENTS, parameters).await?;
        found.into_iter().map(placed).collect()
    }

    pub(crate) async fn orders_page(
        &self,
        after: Option<(ShopId, OrderId)>,
        limit: u32,
    ) -> Result<Vec<OrderRow>, Error> {
        let doing = "export orders";
        let (shop, order) = after.map_or((0, 0), |(shop, order)| (shop.get(), order.get()));
        let mut tx = self.snapshot().await?;
        let parameters = with(shop).and(order).and(page(limit));
        let orders: Vec<OrderColumns> = all(&mut *tx, doing, ORDERS, parameters).await?;
        let keys: Vec<(i64, i64)> = orders.iter().map(|row| (row.0, row.1)).collect();
        let lines: Vec<LineColumns> = all(&mut *tx, doing, LINES, rows(&keys)).await?;
        with_lines(orders, &lines)
    }
}
