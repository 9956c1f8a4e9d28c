//! Writing what a batch changed: one statement for each kind of row, in the order of the keys.

use values::{ShopId, Sku, Timestamp};

use super::SqliteInventoryTx;
use crate::error::{Error, failed};
use crate::inventory::{Changes, Unpublished};
use crate::loaded::Loaded;
use crate::rows::batch::{ToPublish, saved_marks, saved_operations};
use crate::rows::json;
use crate::rows::outbox::{WaitingColumns, as_they_wait};

const NEW_SKUS: &str = "
INSERT INTO inventory_skus (sku, movement_count, balances)
SELECT value, 0, '[]' FROM jsonb_each(?1) WHERE true
    ON CONFLICT (sku) DO NOTHING";

const ORDERS: &str = "
INSERT INTO inventory_orders
       (shop, order_id, modified_at, digest, origin, last_read, confirmed, older_at, older_digest, status, gone,
        reread, expired, expires_at, open, unconfirmed_since, predates,
        doubtful)
SELECT value ->> 0, value ->> 1, value ->> 2, unhex(value ->> 3), value ->> 4, value ->> 5, value ->> 6,
       value ->> 7, unhex(value ->> 8), value ->> 9, value ->> 10, value ->> 11, value ->> 12, value ->> 13,
       value ->> 14, value ->> 15, value ->> 16, (value ->> 11) OR (value ->> 15) IS NOT NULL
  FROM jsonb_each(?1) WHERE true
    ON CONFLICT (shop, order_id) DO UPDATE SET
       modified_at = excluded.modified_at, digest = excluded.digest, origin = excluded.origin,
       last_read = excluded.last_read, confirmed = excluded.confirmed, older_at = excluded.older_at,
       older_digest = excluded.older_digest, status = excluded.status, gone = excluded.gone,
       reread = excluded.reread, expired = excluded.expired, expires_at = excluded.expires_at,
       open = excluded.open, unconfirmed_since = excluded.unconfirmed_since, predates = excluded.predates,
       doubtful = excluded.doubtful";

const LINES: &str = "
INSERT INTO inventory_lines
       (shop, order_id, position, line, product, variation, holder, sku_id, quantity, taken, restocked, ever_taken,
        removed, reserved, not_taken, holds, unmanaged, fault, code)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7,
       value ->> 8, value ->> 9, value ->> 10, value ->> 11, value ->> 12, value ->> 13, value ->> 14,
       value ->> 15, value ->> 16, value ->> 17, value ->> 18
  FROM jsonb_each(?1) WHERE true
    ON CONFLICT (shop, order_id, position) DO UPDATE SET
       line = excluded.line, product = excluded.product, variation = excluded.variation,
       holder = excluded.holder, sku_id = excluded.sku_id, quantity = excluded.quantity, taken = excluded.taken,
       restocked = excluded.restocked, ever_taken = excluded.ever_taken, removed = excluded.removed,
       reserved = excluded.reserved, not_taken = excluded.not_taken, holds = excluded.holds,
       unmanaged = excluded.unmanaged, fault = excluded.fault, code = excluded.code";

const LINES_CUT: &str = "
DELETE FROM inventory_lines
 WHERE (shop, order_id, position) IN
       (SELECT l.shop, l.order_id, l.position
          FROM jsonb_each(?1) AS w CROSS JOIN inventory_lines AS l
            ON l.shop = w.value ->> 0 AND l.order_id = w.value ->> 1 AND l.position >= w.value ->> 2)";

const REREADS: &str = "
INSERT INTO inventory_rereads (shop, order_id, wanted_at)
SELECT value ->> 0, value ->> 1, ?2 FROM jsonb_each(?1) WHERE true
    ON CONFLICT (shop, order_id) DO NOTHING";

const REREADS_DONE: &str = "
DELETE FROM inventory_rereads
 WHERE (shop, order_id) IN (SELECT value ->> 0, value ->> 1 FROM jsonb_each(?1))";

const MOVEMENTS: &str = "
INSERT INTO inventory_movements
       (sku_id, number, warehouse, kind, on_hand_delta, reserved_delta, on_hand, reserved, shop, order_id, line, at,
        actor, reason, operation, trace, tag_set)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7,
       value ->> 8, value ->> 9, value ->> 10, value ->> 11, value ->> 12, value ->> 13, value ->> 14,
       unhex(value ->> 15), value ->> 16
  FROM jsonb_each(?1)";

const SKUS: &str = "
UPDATE inventory_skus
   SET movement_count = w.value ->> 1, counted_at = w.value ->> 2, balances = w.value ->> 3
  FROM jsonb_each(?1) AS w
 WHERE inventory_skus.id = w.value ->> 0";

const SHORT: &str = "
INSERT INTO inventory_shortfalls (sku_id, since) SELECT value ->> 0, ?2 FROM jsonb_each(?1) WHERE true
    ON CONFLICT (sku_id) DO NOTHING";

const ENOUGH: &str =
    "DELETE FROM inventory_shortfalls WHERE sku_id IN (SELECT value ->> 0 FROM jsonb_each(?1))";

const STOCKS: &str = "
UPDATE inventory_stocks
   SET level = w.value ->> 2, untaken = w.value ->> 3, taken_total = w.value ->> 4,
       last_order_date = w.value ->> 5, epoch = w.value ->> 6, revision = w.value ->> 7,
       last_applied_at = w.value ->> 8, opening = w.value ->> 9, settle = w.value ->> 10,
       dated = w.value ->> 11, adoption = w.value ->> 12, released = w.value ->> 13
  FROM jsonb_each(?1) AS w
 WHERE inventory_stocks.shop = w.value ->> 0 AND inventory_stocks.holder = w.value ->> 1";

/// Answers with what is unpublished of each stock by now.
pub(crate) const OUTBOX: &str = "
INSERT INTO inventory_outbox (shop, holder, since, order_first, order_last, trace)
SELECT value ->> 0, value ->> 1, ?2, value ->> 4, value ->> 5, value ->> 6 FROM jsonb_each(?1) WHERE true
    ON CONFLICT (shop, holder) DO UPDATE SET
       trace = coalesce(excluded.trace, trace),
       order_first = min(coalesce(order_first, excluded.order_first), coalesce(excluded.order_first, order_first)),
       order_last = max(coalesce(order_last, excluded.order_last), coalesce(excluded.order_last, order_last))
RETURNING shop, holder, since, order_first, order_last, trace";

const OPERATIONS: &str = "
INSERT INTO inventory_operations (actor, key, digest, outcome, at)
SELECT value ->> 0, value ->> 1, unhex(value ->> 2), value ->> 3, value ->> 4 FROM jsonb_each(?1)";

const INCOMPLETE: &str = "
INSERT INTO inventory_incomplete (shop, order_id, reason, at)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM jsonb_each(?1) WHERE true
    ON CONFLICT (shop, order_id, reason) DO NOTHING";

const DEAD: &str = "
INSERT INTO inventory_dead (shop, kind, payload, reason, attempts, at, identity, queue, trace, leaves_incomplete)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
    ON CONFLICT (identity) WHERE identity IS NOT NULL DO NOTHING";

impl SqliteInventoryTx {
    pub(crate) async fn save(&mut self, changes: &Changes<'_>) -> Result<Vec<Unpublished>, Error> {
        let now = Some(changes.now.micros());
        self.make_skus(changes).await?;
        let orders = self.loaded.order_writes(changes);
        self.write("save orders", ORDERS, &orders.new, None).await?;
        self.write("save orders", ORDERS, &orders.changed, None).await?;
        self.write("add order lines", LINES, &orders.new_lines, None).await?;
        self.write("save order lines", LINES, &orders.lines, None).await?;
        self.write("remove order lines", LINES_CUT, &orders.cut, None).await?;
        self.write("remember re-reads", REREADS, &orders.rereads, now).await?;
        self.write("forget re-reads", REREADS_DONE, &orders.rereads_done, None).await?;
        let movements = self.loaded.movement_writes(changes.movements);
        self.write("append movements", MOVEMENTS, &movements, None).await?;
        let (skus, crossed) = self.loaded.sku_writes(changes);
        self.write("save SKUs", SKUS, &skus, None).await?;
        self.write("note shortfalls", SHORT, &crossed.short, now).await?;
        self.write("forget shortfalls", ENOUGH, &crossed.enough, None).await?;
        let (stocks, unpublished) = self.loaded.stock_writes(changes);
        self.write("save levels", STOCKS, &stocks, None).await?;
        let waiting = self.fill_outbox(&unpublished, changes.now).await?;
        self.save_exceptions(changes).await?;
        Ok(as_they_wait(changes.stocks, waiting))
    }

    async fn fill_outbox(
        &mut self,
        unpublished: &[ToPublish<'_>],
        now: Timestamp,
    ) -> Result<Vec<WaitingColumns>, Error> {
        if unpublished.is_empty() {
            return Ok(Vec::new());
        }
        let query = sqlx::query_as(OUTBOX).bind(json(unpublished)).bind(now.micros());
        query.fetch_all(&mut *self.tx).await.map_err(failed("fill the outbox"))
    }

    /// Runs a statement whose rows are one JSON parameter; nothing if there are none.
    async fn write<T: serde::Serialize>(
        &mut self,
        doing: &'static str,
        statement: &'static str,
        rows: &[T],
        now: Option<i64>,
    ) -> Result<(), Error> {
        if rows.is_empty() {
            return Ok(());
        }
        let query = sqlx::query(statement).bind(json(rows));
        let query = match now {
            Some(now) => query.bind(now),
            None => query,
        };
        query.execute(&mut *self.tx).await.map_err(failed(doing))?;
        Ok(())
    }

    /// Every SKU that something is written for has an id afterwards.
    async fn make_skus(&mut self, changes: &Changes<'_>) -> Result<(), Error> {
        let written = Loaded::written_skus(changes);
        let missing: Vec<&Sku> = written.iter().filter(|sku| self.loaded.sku_id(sku).is_none()).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let texts: Vec<&str> = missing.iter().map(|sku| sku.as_str()).collect();
        self.write("add SKUs", NEW_SKUS, &texts, None).await?;
        self.find_skus(missing).await
    }

    /// What most batches have none of.
    async fn save_exceptions(&mut self, changes: &Changes<'_>) -> Result<(), Error> {
        let operations = saved_operations(changes.operations);
        self.write("remember operation keys", OPERATIONS, &operations, None).await?;
        let incomplete = saved_marks(changes.incomplete);
        self.write("mark shops incomplete", INCOMPLETE, &incomplete, None).await?;
        for dead in changes.dead {
            sqlx::query(DEAD)
                .bind(dead.shop.map(ShopId::get))
                .bind(&dead.kind)
                .bind(&dead.payload)
                .bind(&dead.reason)
                .bind(dead.attempts)
                .bind(dead.at.micros())
                .bind(&dead.identity)
                .bind(&dead.queue)
                .bind(dead.trace.as_ref().map(<[u8; 16]>::as_slice))
                .bind(dead.leaves_incomplete)
                .execute(&mut *self.tx)
                .await
                .map_err(failed("keep a dead message"))?;
        }
        Ok(())
    }
}
