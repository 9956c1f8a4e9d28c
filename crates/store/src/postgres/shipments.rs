//! Shipments on PostgreSQL: kept for good, published until egress has them.

use values::{OrderId, ShopId};

use super::parameters::{all, maybe, one, rows, run, with};
use super::{PgInventoryTx, Postgres, commit};
use crate::error::Error;
use crate::rows::shipments::{ShipmentColumns, key, shipment, shipment_columns, shipped_lines_text};
use crate::rows::signed;
use crate::shipments::{Shipment, ShipmentId};

/// The order is locked by whoever loaded it, so nobody else numbers a shipment of it.
const ADD: &str = "
INSERT INTO inventory.shipments
       (shop, order_id, number, at, actor, carrier, tracking, tracking_url, lines, complete, status, note, revision, trace)
SELECT $1, $2, coalesce(max(number), 0) + 1, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13
  FROM inventory.shipments WHERE shop = $1 AND order_id = $2
RETURNING number";

const OF_ORDER: &str = concat!(
    "SELECT ",
    shipment_columns!(),
    " FROM inventory.shipments AS h WHERE h.shop = $1 AND h.order_id = $2 ORDER BY h.number"
);

const UNPUBLISHED: &str = concat!(
    "SELECT ",
    shipment_columns!(),
    " FROM inventory.shipments AS h WHERE h.published < h.revision AND (h.shop, h.order_id, h.number) > ($1, $2, $3)
     ORDER BY h.shop, h.order_id, h.number LIMIT $4"
);

/// What is to be told again since stays to be published.
const PUBLISHED: &str = "
UPDATE inventory.shipments AS h SET published = greatest(h.published, w.revision)
  FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[]) AS w (shop, order_id, number, revision)
 WHERE h.shop = w.shop AND h.order_id = w.order_id AND h.number = w.number";

const AGAIN: &str = "
UPDATE inventory.shipments SET revision = revision + 1
 WHERE shop = $1 AND order_id = $2 AND number = $3 AND revision > 0 RETURNING revision";

impl PgInventoryTx {
    pub(crate) async fn add_shipment(&mut self, new: &Shipment) -> Result<ShipmentId, Error> {
        let parameters = with(new.id.shop.get())
            .and(new.id.order.get())
            .and(new.at.micros())
            .and(&new.actor)
            .and(&new.carrier)
            .and(&new.tracking)
            .and(&new.tracking_url)
            .and(shipped_lines_text(&new.lines))
            .and(new.complete)
            .and(&new.status)
            .and(&new.note)
            .and(signed(new.revision))
            .and(&new.trace);
        let (number,): (i64,) = one(&mut *self.tx, "keep a shipment", ADD, parameters).await?;
        crate::rows::shipments::shipment_id(new.id.shop.get(), new.id.order.get(), number)
    }
}

impl Postgres {
    pub(crate) async fn shipments(&self, shop: ShopId, order: OrderId) -> Result<Vec<Shipment>, Error> {
        let parameters = with(shop.get()).and(order.get());
        let rows: Vec<ShipmentColumns> = all(&self.pool, "read shipments", OF_ORDER, parameters).await?;
        rows.into_iter().map(shipment).collect()
    }

    pub(crate) async fn shipments_to_publish(
        &self,
        after: Option<ShipmentId>,
        limit: u32,
    ) -> Result<Vec<Shipment>, Error> {
        let (shop, order, number) = after.map_or((0, 0, 0), key);
        let parameters = with(shop).and(order).and(number).and(i64::from(limit));
        let rows: Vec<ShipmentColumns> =
            all(&self.pool, "read shipments to publish", UNPUBLISHED, parameters).await?;
        rows.into_iter().map(shipment).collect()
    }

    pub(crate) async fn shipments_published(&self, published: &[(ShipmentId, u64)]) -> Result<(), Error> {
        let mut done: Vec<(i64, i64, i64, i64)> = published
            .iter()
            .map(|(id, revision)| {
                let (shop, order, number) = key(*id);
                (shop, order, number, signed(*revision))
            })
            .collect();
        done.sort_unstable();
        run(&self.pool, "mark shipments as published", PUBLISHED, rows(&done)).await?;
        Ok(())
    }

    pub(crate) async fn report_shipment_again(&self, id: ShipmentId) -> Result<bool, Error> {
        let mut tx = self.write().await?;
        let (shop, order, number) = key(id);
        let parameters = with(shop).and(order).and(number);
        let found: Option<(i64,)> = maybe(&mut *tx, "tell of a shipment again", AGAIN, parameters).await?;
        commit(tx).await?;
        Ok(found.is_some())
    }
}
