//! Work that waits, on SQLite: what a registry change left behind, what expires, what is to be read or decided.

use std::collections::BTreeSet;

use values::{OrderId, ShopId, Sku, Timestamp};

use super::{Sqlite, SqliteInventoryTx};
use crate::error::{Error, failed};
use crate::inventory::{Approval, DeadMessage, Decided};
use crate::registry::Changed;
use crate::rows::registry::done_if;
use crate::rows::upkeep::{ApprovalColumns, DeadColumns, approval, dead, dead_columns};
use crate::rows::{id, json, order_keys, sku};

const TAKE_SKUS: &str = "
DELETE FROM inventory_recompute_skus
 WHERE sku_id IN (SELECT sku_id FROM inventory_recompute_skus ORDER BY sku_id LIMIT ?1)
RETURNING (SELECT k.sku FROM inventory_skus AS k WHERE k.id = sku_id), sku_id";

const TAKE_SKU: &str = "
DELETE FROM inventory_recompute_skus WHERE sku_id = (SELECT k.id FROM inventory_skus AS k WHERE k.sku = ?1)";

const RESOLVABLE: &str = "
SELECT DISTINCT x.order_id FROM inventory_lines AS x
 WHERE x.shop = ?1 AND x.product = ?2 AND x.variation = ?3 AND (x.sku_id IS NULL OR x.holder IS NULL)
   AND x.product IS NOT NULL AND x.removed = 0 AND x.order_id > ?4
 ORDER BY x.order_id LIMIT ?5";

/// Shown with a code that has become that of a SKU.
const RESOLVABLE_BY_CODE: &str = "
SELECT DISTINCT x.shop, x.order_id
  FROM inventory_lines AS x CROSS JOIN inventory_skus AS k ON k.sku = x.code
 WHERE x.code IS NOT NULL LIMIT ?1";

const ASK: &str = "
UPDATE inventory_rereads SET asked_at = ?1
 WHERE (shop, order_id) IN (SELECT shop, order_id FROM inventory_rereads
                             WHERE asked_at IS NULL OR asked_at <= ?2 ORDER BY shop, order_id LIMIT ?3)
RETURNING shop, order_id";

const APPROVALS: &str = "
SELECT id, kind, summary, payload, at, actor, approved, decided_at FROM inventory_approvals
 WHERE (?1 IS NULL OR id = ?1) AND (?1 IS NOT NULL OR decided_at IS NULL) ORDER BY id LIMIT ?2";

const DEAD: &str =
    concat!("SELECT ", dead_columns!(), " FROM inventory_dead WHERE id > ?1 ORDER BY id LIMIT ?2");

const TAKE_DEAD: &str = concat!("DELETE FROM inventory_dead WHERE id = ?1 RETURNING ", dead_columns!());

type OrderKeys = Vec<(ShopId, OrderId)>;

impl SqliteInventoryTx {
    pub(crate) async fn take_recompute(&mut self, limit: u32) -> Result<Vec<Sku>, Error> {
        let rows: Vec<(String, i64)> = sqlx::query_as(TAKE_SKUS)
            .bind(limit)
            .fetch_all(&mut *self.tx)
            .await
            .map_err(failed("take SKUs to recompute"))?;
        rows.into_iter()
            .map(|(code, sku_id)| {
                let sku = sku(&code)?;
                self.loaded.know_sku(&sku, sku_id);
                Ok(sku)
            })
            .collect()
    }

    pub(crate) async fn take_recompute_of(&mut self, of: &Sku) -> Result<bool, Error> {
        let taken = sqlx::query(TAKE_SKU).bind(of.as_str()).execute(&mut *self.tx).await;
        Ok(taken.map_err(failed("take a SKU to recompute"))?.rows_affected() > 0)
    }

    /// Orders with lines whose listing has been mapped since, or whose code has become known. Marks are few: they are only
    /// made where lines wait.
    pub(crate) async fn take_resolvable(&mut self, limit: u32) -> Result<OrderKeys, Error> {
        let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut found = BTreeSet::new();
        while found.len() < wanted {
            let mark: Option<(i64, i64, i64, i64)> = sqlx::query_as(
                "SELECT shop, product, variation, after FROM inventory_recompute_listings LIMIT 1",
            )
            .fetch_optional(&mut *self.tx)
            .await
            .map_err(failed("look for listings to resolve"))?;
            let Some((shop, product, variation, after)) = mark else { break };
            let room = wanted - found.len();
            let orders: Vec<i64> = sqlx::query_scalar(RESOLVABLE)
                .bind(shop)
                .bind(product)
                .bind(variation)
                .bind(after)
                .bind(i64::try_from(room).unwrap_or(i64::MAX))
                .fetch_all(&mut *self.tx)
                .await
                .map_err(failed("find orders to resolve"))?;
            let statement = match orders.last().filter(|_| orders.len() >= room) {
                Some(last) => sqlx::query(
                    "UPDATE inventory_recompute_listings SET after = ?4
                      WHERE shop = ?1 AND product = ?2 AND variation = ?3",
                )
                .bind(shop)
                .bind(product)
                .bind(variation)
                .bind(*last),
                None => sqlx::query(
                    "DELETE FROM inventory_recompute_listings
                      WHERE shop = ?1 AND product = ?2 AND variation = ?3",
                )
                .bind(shop)
                .bind(product)
                .bind(variation),
            };
            statement.execute(&mut *self.tx).await.map_err(failed("work off listings to resolve"))?;
            for order in orders {
                found.insert((id::<ShopId>("shop", shop)?, id::<OrderId>("order", order)?));
            }
        }
        found.extend(self.resolvable_by_code(wanted - found.len()).await?);
        Ok(found.into_iter().collect())
    }

    async fn resolvable_by_code(&mut self, limit: usize) -> Result<OrderKeys, Error> {
        let rows: Vec<(i64, i64)> = sqlx::query_as(RESOLVABLE_BY_CODE)
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .fetch_all(&mut *self.tx)
            .await
            .map_err(failed("find orders to resolve"))?;
        order_keys(rows)
    }

    pub(crate) async fn expired_orders(&mut self, now: Timestamp, limit: u32) -> Result<OrderKeys, Error> {
        let rows: Vec<(i64, i64)> = sqlx::query_as(
            "SELECT shop, order_id FROM inventory_orders WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2",
        )
        .bind(now.micros())
        .bind(limit)
        .fetch_all(&mut *self.tx)
        .await
        .map_err(failed("find expired orders"))?;
        order_keys(rows)
    }

    pub(crate) async fn rereads_to_ask(
        &mut self,
        now: Timestamp,
        asked_before: Timestamp,
        limit: u32,
    ) -> Result<OrderKeys, Error> {
        let rows: Vec<(i64, i64)> = sqlx::query_as(ASK)
            .bind(now.micros())
            .bind(asked_before.micros())
            .bind(limit)
            .fetch_all(&mut *self.tx)
            .await
            .map_err(failed("take orders to read again"))?;
        order_keys(rows)
    }

    pub(crate) async fn clear_incomplete(
        &mut self,
        orders: &[(ShopId, Option<OrderId>)],
    ) -> Result<(), Error> {
        let rows: Vec<_> = orders.iter().map(|(shop, order)| (shop.get(), order.map(OrderId::get))).collect();
        sqlx::query(
            "DELETE FROM inventory_incomplete
              WHERE EXISTS (SELECT 1 FROM jsonb_each(?1) AS w
                             WHERE shop = w.value ->> 0 AND order_id = coalesce(w.value ->> 1, order_id))",
        )
        .bind(json(&rows))
        .execute(&mut *self.tx)
        .await
        .map_err(failed("clear marks of incomplete shops"))?;
        Ok(())
    }

    pub(crate) async fn add_approval(
        &mut self,
        kind: &str,
        summary: &str,
        payload: &[u8],
        now: Timestamp,
    ) -> Result<i64, Error> {
        sqlx::query_scalar(
            "INSERT INTO inventory_approvals (kind, summary, payload, at) VALUES (?1, ?2, ?3, ?4) RETURNING id",
        )
        .bind(kind)
        .bind(summary)
        .bind(payload)
        .bind(now.micros())
        .fetch_one(&mut *self.tx)
        .await
        .map_err(failed("ask for an approval"))
    }

    /// The approval, if it waited and is decided now.
    pub(crate) async fn decide_approval(
        &mut self,
        number: i64,
        decided: &Decided,
    ) -> Result<Option<Approval>, Error> {
        let changed = sqlx::query(
            "UPDATE inventory_approvals SET actor = ?2, approved = ?3, decided_at = ?4
              WHERE id = ?1 AND decided_at IS NULL",
        )
        .bind(number)
        .bind(&decided.actor)
        .bind(decided.approved)
        .bind(decided.at.micros())
        .execute(&mut *self.tx)
        .await
        .map_err(failed("decide an approval"))?;
        if done_if(changed.rows_affected()) == Changed::Unknown {
            return Ok(None);
        }
        let row: Option<ApprovalColumns> = sqlx::query_as(APPROVALS)
            .bind(number)
            .bind(1)
            .fetch_optional(&mut *self.tx)
            .await
            .map_err(failed("read an approval"))?;
        Ok(row.map(approval))
    }

    /// Takes a dead message out, to be replayed in this transaction or thrown away.
    pub(crate) async fn take_dead(&mut self, number: i64) -> Result<Option<DeadMessage>, Error> {
        let row: Option<DeadColumns> = sqlx::query_as(TAKE_DEAD)
            .bind(number)
            .fetch_optional(&mut *self.tx)
            .await
            .map_err(failed("take a dead message"))?;
        row.map(dead).transpose()
    }

    pub(crate) async fn prune_operations(&mut self, before: Timestamp, limit: u32) -> Result<u64, Error> {
        let pruned = sqlx::query(
            "DELETE FROM inventory_operations
              WHERE (actor, key) IN (SELECT actor, key FROM inventory_operations
                                      WHERE at < ?1 ORDER BY at LIMIT ?2)",
        )
        .bind(before.micros())
        .bind(limit)
        .execute(&mut *self.tx)
        .await
        .map_err(failed("forget old operation keys"))?;
        Ok(pruned.rows_affected())
    }
}

impl Sqlite {
    pub(crate) async fn approvals_waiting(&self, limit: u32) -> Result<Vec<Approval>, Error> {
        let rows: Vec<ApprovalColumns> = sqlx::query_as(APPROVALS)
            .bind(None::<i64>)
            .bind(limit)
            .fetch_all(&self.readers)
            .await
            .map_err(failed("list approvals"))?;
        Ok(rows.into_iter().map(approval).collect())
    }

    pub(crate) async fn dead_messages(&self, after: i64, limit: u32) -> Result<Vec<DeadMessage>, Error> {
        let rows: Vec<DeadColumns> = sqlx::query_as(DEAD)
            .bind(after)
            .bind(limit)
            .fetch_all(&self.readers)
            .await
            .map_err(failed("list dead messages"))?;
        rows.into_iter().map(dead).collect()
    }
}
