//! Shipments on SQLite: kept for good, published until egress has them.

use values::{OrderId, ShopId};

use super::{Sqlite, SqliteInventoryTx, commit};
use crate::error::{Error, failed};
use crate::report::PAGE_ROWS_MAX;
use crate::rows::shipments::{
    ShipmentColumns, key, shipment, shipment_columns, shipment_id, shipped_lines_text,
};
use crate::rows::{json, signed};
use crate::shipments::{Shipment, ShipmentId};

const ADD: &str = "
INSERT INTO inventory_shipments
       (shop, order_id, number, at, actor, carrier, tracking, tracking_url, lines, complete, status, note, revision, trace)
SELECT ?1, ?2, coalesce(max(number), 0) + 1, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13
  FROM inventory_shipments WHERE shop = ?1 AND order_id = ?2
RETURNING number";

const OF_ORDER: &str = concat!(
    "SELECT ",
    shipment_columns!(),
    " FROM inventory_shipments AS h WHERE h.shop = ?1 AND h.order_id = ?2 ORDER BY h.number"
);

const UNPUBLISHED: &str = concat!(
    "SELECT ",
    shipment_columns!(),
    " FROM inventory_shipments AS h WHERE h.published < h.revision AND (h.shop, h.order_id, h.number) > (?1, ?2, ?3)
     ORDER BY h.shop, h.order_id, h.number LIMIT ?4"
);

/// What is to be told again since stays to be published.
const PUBLISHED: &str = "
UPDATE inventory_shipments SET published = max(published, w.value ->> 3)
  FROM jsonb_each(?1) AS w
 WHERE inventory_shipments.shop = w.value ->> 0 AND inventory_shipments.order_id = w.value ->> 1
   AND inventory_shipments.number = w.value ->> 2";

const AGAIN: &str = "
UPDATE inventory_shipments SET revision = revision + 1
 WHERE shop = ?1 AND order_id = ?2 AND number = ?3 AND revision > 0";

impl SqliteInventoryTx {
    pub(crate) async fn add_shipment(&mut self, new: &Shipment) -> Result<ShipmentId, Error> {
        let number: i64 = sqlx::query_scalar(ADD)
            .bind(new.id.shop.get())
            .bind(new.id.order.get())
            .bind(new.at.micros())
            .bind(&new.actor)
            .bind(&new.carrier)
            .bind(&new.tracking)
            .bind(&new.tracking_url)
            .bind(shipped_lines_text(&new.lines))
            .bind(new.complete)
            .bind(&new.status)
            .bind(&new.note)
            .bind(signed(new.revision))
            .bind(&new.trace)
            .fetch_one(&mut *self.tx)
            .await
            .map_err(failed("keep a shipment"))?;
        shipment_id(new.id.shop.get(), new.id.order.get(), number)
    }
}

impl Sqlite {
    pub(crate) async fn shipments(&self, shop: ShopId, order: OrderId) -> Result<Vec<Shipment>, Error> {
        let query = sqlx::query_as(OF_ORDER).bind(shop.get()).bind(order.get());
        let rows: Vec<ShipmentColumns> =
            query.fetch_all(&self.readers).await.map_err(failed("read shipments"))?;
        rows.into_iter().map(shipment).collect()
    }

    pub(crate) async fn shipments_to_publish(
        &self,
        after: Option<ShipmentId>,
        limit: u32,
    ) -> Result<Vec<Shipment>, Error> {
        let (shop, order, number) = after.map_or((0, 0, 0), key);
        let query =
            sqlx::query_as(UNPUBLISHED).bind(shop).bind(order).bind(number).bind(limit.min(PAGE_ROWS_MAX));
        let rows: Vec<ShipmentColumns> =
            query.fetch_all(&self.readers).await.map_err(failed("read shipments to publish"))?;
        rows.into_iter().map(shipment).collect()
    }

    pub(crate) async fn shipments_published(&self, published: &[(ShipmentId, u64)]) -> Result<(), Error> {
        let done: Vec<(i64, i64, i64, i64)> = published
            .iter()
            .map(|(id, revision)| {
                let (shop, order, number) = key(*id);
                (shop, order, number, signed(*revision))
            })
            .collect();
        let mut tx = self.write().await?;
        sqlx::query(PUBLISHED)
            .bind(json(&done))
            .execute(&mut *tx)
            .await
            .map_err(failed("mark shipments as published"))?;
        commit(tx).await
    }

    pub(crate) async fn report_shipment_again(&self, id: ShipmentId) -> Result<bool, Error> {
        let (shop, order, number) = key(id);
        let mut tx = self.write().await?;
        let again = sqlx::query(AGAIN)
            .bind(shop)
            .bind(order)
            .bind(number)
            .execute(&mut *tx)
            .await
            .map_err(failed("tell of a shipment again"))?;
        commit(tx).await?;
        Ok(again.rows_affected() > 0)
    }
}
