//! Writing what a batch changed: one statement for each kind of row, in the order of the keys.

use std::collections::BTreeSet;

use ledger::{Cause, Line, SkuBook};
use values::{OrderId, Quantity, ShopId, Sku};

use super::SqliteInventoryTx;
use crate::error::{Error, failed};
use crate::inventory::{Changes, OrderRow, Posted, StockRow};
use crate::rows::{
    balances_text, hex, holds_text, json, listing_key, micros, opening_number, origin_word, settled_text,
    signed, thousandths,
};

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
       value ->> 14, value ->> '$[15][0]', value ->> '$[15][1]',
       (value ->> 11) OR (value ->> '$[15][0]') IS NOT NULL
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
        removed, reserved, not_taken, holds)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7,
       value ->> 8, value ->> 9, value ->> 10, value ->> 11, value ->> 12, value ->> 13, value ->> 14,
       value ->> 15
  FROM jsonb_each(?1) WHERE true
    ON CONFLICT (shop, order_id, position) DO UPDATE SET
       line = excluded.line, product = excluded.product, variation = excluded.variation,
       holder = excluded.holder, sku_id = excluded.sku_id, quantity = excluded.quantity, taken = excluded.taken,
       restocked = excluded.restocked, ever_taken = excluded.ever_taken, removed = excluded.removed,
       reserved = excluded.reserved, not_taken = excluded.not_taken, holds = excluded.holds";

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
        actor, reason, operation, trace)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7,
       value ->> 8, value ->> 9, value ->> 10, value ->> 11, value ->> 12, value ->> 13, value ->> 14,
       unhex(value ->> 15)
  FROM jsonb_each(?1)";

const SKUS: &str = "
UPDATE inventory_skus
   SET movement_count = w.value ->> 1, counted_at = w.value ->> 2, balances = w.value ->> 3
  FROM jsonb_each(?1) AS w
 WHERE inventory_skus.id = w.value ->> 0";

const STOCKS: &str = "
UPDATE inventory_stocks
   SET level = w.value ->> 2, untaken = w.value ->> 3, taken_total = w.value ->> 4,
       last_order_date = w.value ->> 5, epoch = w.value ->> 6, revision = w.value ->> 7,
       last_applied_at = w.value ->> 8, opening = w.value ->> 9, settle = w.value ->> 10
  FROM jsonb_each(?1) AS w
 WHERE inventory_stocks.shop = w.value ->> 0 AND inventory_stocks.holder = w.value ->> 1";

pub(crate) const OUTBOX: &str = "
INSERT INTO inventory_outbox (shop, holder, since, order_first, order_last, trace)
SELECT value ->> 0, value ->> 1, ?2, value ->> 2, value ->> 3, value ->> 4 FROM jsonb_each(?1) WHERE true
    ON CONFLICT (shop, holder) DO UPDATE SET
       trace = coalesce(excluded.trace, trace),
       order_first = min(coalesce(order_first, excluded.order_first), coalesce(excluded.order_first, order_first)),
       order_last = max(coalesce(order_last, excluded.order_last), coalesce(excluded.order_last, order_last))";

const OPERATIONS: &str = "
INSERT INTO inventory_operations (actor, key, digest, outcome, at)
SELECT value ->> 0, value ->> 1, unhex(value ->> 2), value ->> 3, value ->> 4 FROM jsonb_each(?1)";

const INCOMPLETE: &str = "
INSERT INTO inventory_incomplete (shop, order_id, reason, at)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM jsonb_each(?1) WHERE true
    ON CONFLICT (shop, order_id, reason) DO NOTHING";

const DEAD: &str = "
INSERT INTO inventory_dead (shop, kind, payload, reason, attempts, at, identity)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
    ON CONFLICT (identity) WHERE identity IS NOT NULL DO NOTHING";

impl SqliteInventoryTx {
    pub(crate) async fn save(&mut self, changes: &Changes<'_>) -> Result<(), Error> {
        self.make_skus(changes).await?;
        self.save_orders(changes).await?;
        self.save_movements(changes.movements).await?;
        self.save_skus(changes).await?;
        self.save_stocks(changes).await?;
        self.save_exceptions(changes).await
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
        let lines =
            changes.orders.iter().flat_map(|row| &row.order.lines).filter_map(|line| line.sku.as_ref());
        let moved = changes.movements.iter().map(|posted| &posted.movement.sku);
        let counted = changes
            .book
            .into_iter()
            .flat_map(ledger::Book::skus)
            .filter(|(_, book)| **book != SkuBook::default())
            .map(|(sku, _)| sku);
        let missing: BTreeSet<Sku> =
            lines.chain(moved).chain(counted).filter(|sku| self.sku_id(sku).is_none()).cloned().collect();
        if missing.is_empty() {
            return Ok(());
        }
        let texts: Vec<&str> = missing.iter().map(Sku::as_str).collect();
        self.write("add SKUs", NEW_SKUS, &texts, None).await?;
        self.find_skus(&missing).await
    }

    async fn save_orders(&mut self, changes: &Changes<'_>) -> Result<(), Error> {
        let mut changed: Vec<&OrderRow> = changes
            .orders
            .iter()
            .filter(|row| self.orders.get(&(row.shop, row.order.id)) != Some(*row))
            .collect();
        changed.sort_unstable_by_key(|row| (row.shop, row.order.id));
        let rows: Vec<_> = changed.iter().map(|row| order_columns(row)).collect();
        self.write("save orders", ORDERS, &rows, None).await?;

        let mut lines = Vec::new();
        let mut cut = Vec::new();
        for row in &changed {
            let before =
                self.orders.get(&(row.shop, row.order.id)).map(|before| before.order.lines.as_slice());
            for (position, line) in row.order.lines.iter().enumerate() {
                if before.and_then(|before| before.get(position)) != Some(line) {
                    let sku_id = line.sku.as_ref().and_then(|sku| self.sku_id(sku));
                    lines.push(line_columns(row.shop, row.order.id, position, line, sku_id));
                }
            }
            let count = row.order.lines.len();
            if before.is_some_and(|before| before.len() > count) {
                cut.push((row.shop.get(), row.order.id.get(), count));
            }
        }
        self.write("save order lines", LINES, &lines, None).await?;
        self.write("remove order lines", LINES_CUT, &cut, None).await?;

        let key = |row: &&OrderRow| (row.shop.get(), row.order.id.get());
        let wanted: Vec<_> = changed.iter().filter(|row| row.order.reread).map(key).collect();
        let now = changes.now.micros();
        self.write("remember re-reads", REREADS, &wanted, Some(now)).await?;
        let was_wanted = |row: &&&OrderRow| {
            !row.order.reread
                && self.orders.get(&(row.shop, row.order.id)).is_some_and(|before| before.order.reread)
        };
        let done: Vec<_> = changed.iter().filter(was_wanted).map(key).collect();
        self.write("forget re-reads", REREADS_DONE, &done, None).await?;
        for row in changed {
            self.orders.insert((row.shop, row.order.id), row.clone());
        }
        Ok(())
    }

    async fn save_movements(&mut self, movements: &[Posted]) -> Result<(), Error> {
        let mut rows = Vec::with_capacity(movements.len());
        for Posted { movement, posting } in movements {
            let sku_id = self.sku_id(&movement.sku).expect("every SKU has an id by now");
            let (shop, order, line) = match movement.cause {
                Cause::Order { shop, order, line } => (Some(shop.get()), Some(order.get()), Some(line.get())),
                Cause::Operation => (None, None, None),
            };
            rows.push((
                sku_id,
                movement.number,
                movement.warehouse.get(),
                movement.kind.as_str(),
                movement.on_hand_delta.thousandths(),
                movement.reserved_delta.thousandths(),
                movement.after.on_hand.thousandths(),
                movement.after.reserved.thousandths(),
                shop,
                order,
                line,
                posting.at.micros(),
                posting.actor.as_deref(),
                posting.reason.as_deref(),
                posting.operation.as_deref(),
                posting.trace.map(|trace| hex(&trace)),
            ));
        }
        rows.sort_unstable_by_key(|row| (row.0, row.1));
        self.write("append movements", MOVEMENTS, &rows, None).await
    }

    async fn save_skus(&mut self, changes: &Changes<'_>) -> Result<(), Error> {
        let mut rows = Vec::new();
        let mut saved = Vec::new();
        for (sku, book) in changes.book.into_iter().flat_map(ledger::Book::skus) {
            let before = self.skus.get(sku).and_then(|loaded| loaded.book.as_ref());
            let Some(sku_id) = self.sku_id(sku).filter(|_| before != Some(book)) else {
                continue;
            };
            rows.push((sku_id, book.movement_count, micros(book.counted_at), balances_text(book)));
            saved.push((sku.clone(), book.clone()));
        }
        rows.sort_unstable_by_key(|row| row.0);
        self.write("save SKUs", SKUS, &rows, None).await?;
        for (sku, book) in saved {
            self.skus.entry(sku).or_default().book = Some(book);
        }
        Ok(())
    }

    async fn save_stocks(&mut self, changes: &Changes<'_>) -> Result<(), Error> {
        let mut changed: Vec<&StockRow> =
            changes.stocks.iter().filter(|row| self.stocks.get(&row.id) != Some(*row)).collect();
        changed.sort_unstable_by_key(|row| row.id);
        let rows: Vec<_> = changed.iter().map(|row| stock_columns(row)).collect();
        self.write("save levels", STOCKS, &rows, None).await?;
        let unpublished: Vec<_> = changed
            .iter()
            .filter(|row| {
                self.stocks.get(&row.id).map(|before| (before.epoch, before.revision))
                    != Some((row.epoch, row.revision))
            })
            .map(|row| {
                let (first, last) = row.order_dates.unzip();
                (row.id.shop.get(), row.id.holder.get(), micros(first), micros(last), row.trace.as_deref())
            })
            .collect();
        self.write("fill the outbox", OUTBOX, &unpublished, Some(changes.now.micros())).await?;
        for row in changed {
            self.stocks.insert(row.id, StockRow { order_dates: None, trace: None, ..row.clone() });
        }
        Ok(())
    }

    /// What most batches have none of.
    async fn save_exceptions(&mut self, changes: &Changes<'_>) -> Result<(), Error> {
        let operations: Vec<_> = changes
            .operations
            .iter()
            .map(|done| (&done.key.actor, &done.key.key, hex(&done.digest), &done.outcome, done.at.micros()))
            .collect();
        self.write("remember operation keys", OPERATIONS, &operations, None).await?;
        let incomplete: Vec<_> = changes
            .incomplete
            .iter()
            .map(|mark| (mark.shop.get(), mark.order.map_or(0, OrderId::get), &mark.reason, mark.at.micros()))
            .collect();
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
                .execute(&mut *self.tx)
                .await
                .map_err(failed("keep a dead message"))?;
        }
        Ok(())
    }
}

fn order_columns(row: &OrderRow) -> impl serde::Serialize + use<'_> {
    let order = &row.order;
    let applied = order.applied;
    let older = applied.and_then(|applied| applied.older);
    let reserved: Quantity = order.lines.iter().map(Line::reserved).sum();
    (
        row.shop.get(),
        order.id.get(),
        applied.map(|applied| applied.modified_at.micros()),
        applied.map(|applied| hex(&applied.digest.to_bytes())),
        applied.map(|applied| origin_word(applied.origin)),
        applied.map(|applied| applied.last_read.get()),
        applied.is_some_and(|applied| applied.confirmed),
        older.map(|(at, _)| at.micros()),
        older.map(|(_, digest)| hex(&digest.to_bytes())),
        order.status.as_str(),
        order.gone,
        order.reread,
        order.expired,
        micros(row.expires_at),
        !reserved.is_zero(),
        // A tuple that can be written has 16 members at most.
        (micros(row.unconfirmed_since), order.predates),
    )
}

fn line_columns(
    shop: ShopId,
    order: OrderId,
    position: usize,
    line: &Line,
    sku_id: Option<i64>,
) -> impl serde::Serialize + use<> {
    let listing = line.listing.map(listing_key);
    (
        shop.get(),
        order.get(),
        position,
        line.id.get(),
        listing.map(|(product, _)| product),
        listing.map(|(_, variation)| variation),
        line.stock.map(values::HolderId::get),
        sku_id,
        line.quantity.thousandths(),
        thousandths(line.taken),
        line.restocked.thousandths(),
        line.ever_taken,
        line.removed,
        line.reserved().thousandths(),
        (line.held() - line.taken_or_zero()).or_zero().thousandths(),
        holds_text(&line.holds),
    )
}

fn stock_columns(row: &StockRow) -> impl serde::Serialize + use<> {
    (
        row.id.shop.get(),
        row.id.holder.get(),
        row.level.thousandths(),
        row.untaken.thousandths(),
        row.taken_total.thousandths(),
        micros(row.last_order_date),
        signed(row.epoch.get()),
        signed(row.revision.get()),
        micros(row.last_applied_at),
        opening_number(row.opening),
        row.settle.as_ref().map(settled_text),
    )
}
