//! Writing what a batch changed: one statement for each kind of row, in the order of the keys. What it had loaded is locked.

use std::sync::LazyLock;

use values::ShopId;

use super::super::combine::combined;
use super::super::outbox::PUBLISH;
use super::super::parameters::{all, rows, run, with};
use super::PgInventoryTx;
use crate::error::Error;
use crate::inventory::{Changes, Unpublished};
use crate::loaded::Loaded;
use crate::rows::batch::{saved_marks, saved_operations};
use crate::rows::columns::Columns;
use crate::rows::outbox::as_they_wait;

/// Rows of orders as parameters, with the columns that follow from others.
macro_rules! saved_orders {
    () => {
        "(SELECT w.shop, w.order_id, w.modified_at, decode(w.digest, 'hex') AS digest, w.origin, w.last_read, w.confirmed,
                 w.older_at, decode(w.older_digest, 'hex') AS older_digest, w.status, w.gone, w.reread, w.expired,
                 w.expires_at, w.open, w.unconfirmed_since, w.predates,
                 w.reread OR w.unconfirmed_since IS NOT NULL AS doubtful
            FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::bigint[], $7::boolean[],
                        $8::bigint[], $9::text[], $10::text[], $11::boolean[], $12::boolean[], $13::boolean[],
                        $14::bigint[], $15::boolean[], $16::bigint[], $17::boolean[])
                 AS w (shop, order_id, modified_at, digest, origin, last_read, confirmed, older_at, older_digest, status,
                       gone, reread, expired, expires_at, open, unconfirmed_since, predates))"
    };
}

/// The keys of an order and of its lines in the schema.
const ORDER_KEYS: [&str; 2] = ["orders_pkey", "lines_pkey"];

/// One that another transaction has added meanwhile is an error, and to be tried again: it was decided without it.
const NEW_ORDERS: &str = concat!(
    "INSERT INTO inventory.orders
            (shop, order_id, modified_at, digest, origin, last_read, confirmed, older_at, older_digest, status, gone,
             reread, expired, expires_at, open, unconfirmed_since, predates, doubtful)
     SELECT * FROM ",
    saved_orders!(),
    " AS w ORDER BY w.shop, w.order_id"
);

const ORDERS: &str = concat!(
    "UPDATE inventory.orders AS o
        SET modified_at = w.modified_at, digest = w.digest, origin = w.origin, last_read = w.last_read,
            confirmed = w.confirmed, older_at = w.older_at, older_digest = w.older_digest, status = w.status,
            gone = w.gone, reread = w.reread, expired = w.expired, expires_at = w.expires_at, open = w.open,
            unconfirmed_since = w.unconfirmed_since, predates = w.predates, doubtful = w.doubtful
       FROM ",
    saved_orders!(),
    " AS w WHERE o.shop = w.shop AND o.order_id = w.order_id"
);

macro_rules! insert_lines {
    () => {
        "INSERT INTO inventory.lines
       (shop, order_id, position, line, product, variation, holder, sku_id, quantity, taken, restocked, ever_taken,
        removed, reserved, not_taken, holds, unmanaged, fault, code)
SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[],
                     $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[], $12::boolean[], $13::boolean[],
                     $14::bigint[], $15::bigint[], $16::text[], $17::boolean[], $18::text[], $19::text[])"
    };
}

/// Nobody else has lines of an order that this transaction has added.
const NEW_LINES: &str = insert_lines!();

const LINES: &str = concat!(
    insert_lines!(),
    " ON CONFLICT (shop, order_id, position) DO UPDATE SET
       line = excluded.line, product = excluded.product, variation = excluded.variation,
       holder = excluded.holder, sku_id = excluded.sku_id, quantity = excluded.quantity, taken = excluded.taken,
       restocked = excluded.restocked, ever_taken = excluded.ever_taken, removed = excluded.removed,
       reserved = excluded.reserved, not_taken = excluded.not_taken, holds = excluded.holds,
       unmanaged = excluded.unmanaged, fault = excluded.fault, code = excluded.code"
);

const LINES_CUT: &str = "
DELETE FROM inventory.lines AS l
 USING unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS w (shop, order_id, count)
 WHERE l.shop = w.shop AND l.order_id = w.order_id AND l.position >= w.count";

const REREADS: &str = "
INSERT INTO inventory.rereads (shop, order_id, wanted_at)
SELECT w.shop, w.order_id, $3 FROM unnest($1::bigint[], $2::bigint[]) AS w (shop, order_id)
 ORDER BY w.shop, w.order_id
    ON CONFLICT (shop, order_id) DO NOTHING";

const REREADS_DONE: &str = "
DELETE FROM inventory.rereads AS r
 USING unnest($1::bigint[], $2::bigint[]) AS w (shop, order_id)
 WHERE r.shop = w.shop AND r.order_id = w.order_id";

const MOVEMENTS: &str = "
INSERT INTO inventory.movements
       (sku_id, number, warehouse, kind, on_hand_delta, reserved_delta, on_hand, reserved, shop, order_id, line, at,
        actor, reason, operation, trace, tag_set)
SELECT w.sku_id, w.number, w.warehouse, w.kind, w.on_hand_delta, w.reserved_delta, w.on_hand, w.reserved, w.shop,
       w.order_id, w.line, w.at, w.actor, w.reason, w.operation, decode(w.trace, 'hex'), w.tag_set
  FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[], $5::bigint[], $6::bigint[], $7::bigint[],
              $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::text[], $14::text[],
              $15::text[], $16::text[], $17::bigint[])
       AS w (sku_id, number, warehouse, kind, on_hand_delta, reserved_delta, on_hand, reserved, shop, order_id, line,
             at, actor, reason, operation, trace, tag_set)";

const SKUS: &str = "
UPDATE inventory.skus AS k
   SET movement_count = w.movement_count, counted_at = w.counted_at, balances = w.balances
  FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[]) AS w (id, movement_count, counted_at, balances)
 WHERE k.id = w.id";

/// Whose balances are written is locked by whoever writes them.
const SHORT: &str = "
INSERT INTO inventory.shortfalls (sku_id, since) SELECT w.sku_id, $2 FROM unnest($1::bigint[]) AS w (sku_id)
    ON CONFLICT (sku_id) DO NOTHING";

const ENOUGH: &str = "DELETE FROM inventory.shortfalls WHERE sku_id = ANY ($1)";

const STOCKS: &str = "
UPDATE inventory.stocks AS s
   SET level = w.level, untaken = w.untaken, taken_total = w.taken_total, last_order_date = w.last_order_date,
       epoch = w.epoch, revision = w.revision, last_applied_at = w.last_applied_at, opening = w.opening,
       settle = w.settle, dated = w.dated, adoption = w.adoption, released = w.released
  FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[],
              $8::bigint[], $9::bigint[], $10::bigint[], $11::text[], $12::bigint[], $13::text[], $14::bigint[])
       AS w (shop, holder, level, untaken, taken_total, last_order_date, epoch, revision, last_applied_at, opening,
             settle, dated, adoption, released)
 WHERE s.shop = w.shop AND s.holder = w.holder";

/// Nobody else remembers one meanwhile: they were locked when they were asked for.
const OPERATIONS: &str = "
INSERT INTO inventory.operations (actor, key, digest, outcome, at)
SELECT w.actor, w.key, decode(w.digest, 'hex'), w.outcome, w.at
  FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[]) AS w (actor, key, digest, outcome, at)";

const INCOMPLETE: &str = "
INSERT INTO inventory.incomplete (shop, order_id, reason, at)
SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::bigint[])
    ON CONFLICT (shop, order_id, reason) DO NOTHING";

const DEAD: &str = "
INSERT INTO inventory.dead
       (shop, kind, payload, reason, attempts, at, identity, queue, trace, leaves_incomplete)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
    ON CONFLICT (identity) DO NOTHING";

/// What nearly every batch writes, in one round trip. None of it needs what another part wrote, and whatever two batches could
/// wait for each other for is locked by now, but for an order that both add.
static BATCH: LazyLock<String> =
    LazyLock::new(|| combined(&[NEW_ORDERS, NEW_LINES, MOVEMENTS, SKUS, STOCKS, PUBLISH]));

impl PgInventoryTx {
    pub(crate) async fn save(&mut self, changes: &Changes<'_>) -> Result<Vec<Unpublished>, Error> {
        let now = Some(changes.now.micros());
        let written = Loaded::written_skus(changes);
        self.make_skus(written.iter()).await?;
        self.made.retain(|sku, _| !written.contains(sku));
        let orders = self.loaded.order_writes(changes);
        let movements = self.loaded.movement_writes(changes.movements);
        let (skus, crossed) = self.loaded.sku_writes(changes);
        let (stocks, unpublished) = self.loaded.stock_writes(changes);
        let mut waiting = Vec::new();
        // Lines come with their order, and the outbox with its stocks.
        if !(orders.new.is_empty() && movements.is_empty() && skus.is_empty() && stocks.is_empty()) {
            let parameters = rows(&orders.new)
                .and_rows(&orders.new_lines)
                .and_rows(&movements)
                .and_rows(&skus)
                .and_rows(&stocks)
                .and_rows(&unpublished)
                .and(changes.now.micros());
            let saved = all(&mut *self.tx, "save a batch", BATCH.as_str(), parameters).await;
            waiting = saved.map_err(|error| error.met(&ORDER_KEYS))?;
        }
        self.write("note shortfalls", SHORT, &crossed.short, now).await?;
        self.write("forget shortfalls", ENOUGH, &crossed.enough, None).await?;
        self.write("save orders", ORDERS, &orders.changed, None).await?;
        self.write("save order lines", LINES, &orders.lines, None).await?;
        self.write("remove order lines", LINES_CUT, &orders.cut, None).await?;
        self.write("remember re-reads", REREADS, &orders.rereads, now).await?;
        self.write("forget re-reads", REREADS_DONE, &orders.rereads_done, None).await?;
        self.save_exceptions(changes).await?;
        Ok(as_they_wait(changes.stocks, waiting))
    }

    /// Runs a statement whose rows are an array for each column, and the time if it has one; nothing if there are none.
    async fn write<'q, T: Columns<'q>>(
        &mut self,
        doing: &'static str,
        statement: &'static str,
        written: &[T],
        now: Option<i64>,
    ) -> Result<(), Error> {
        if written.is_empty() {
            return Ok(());
        }
        let parameters = rows(written);
        let parameters = match now {
            Some(now) => parameters.and(now),
            None => parameters,
        };
        run(&mut *self.tx, doing, statement, parameters).await?;
        Ok(())
    }

    /// What most batches have none of.
    async fn save_exceptions(&mut self, changes: &Changes<'_>) -> Result<(), Error> {
        let operations = saved_operations(changes.operations);
        self.write("remember operation keys", OPERATIONS, &operations, None).await?;
        let incomplete = saved_marks(changes.incomplete);
        self.write("mark shops incomplete", INCOMPLETE, &incomplete, None).await?;
        for dead in changes.dead {
            let parameters = with(dead.shop.map(ShopId::get))
                .and(&dead.kind)
                .and(&dead.payload)
                .and(&dead.reason)
                .and(i64::from(dead.attempts))
                .and(dead.at.micros())
                .and(&dead.identity)
                .and(&dead.queue)
                .and(dead.trace.as_ref().map(<[u8; 16]>::as_slice))
                .and(dead.leaves_incomplete);
            run(&mut *self.tx, "keep a dead message", DEAD, parameters).await?;
        }
        Ok(())
    }
}
