//! Work that waits, on PostgreSQL: what a registry change left behind, what expires, what is to be read or decided. What
//! somebody else is working on is left to him.

use std::collections::BTreeSet;

use values::{OrderId, ShopId, Sku, Timestamp};

use super::parameters::{all, maybe, none, one, rows, run, with};
use super::{PgInventoryTx, Postgres};
use crate::error::Error;
use crate::inventory::{Approval, DeadMessage, Decided};
use crate::rows::upkeep::{ApprovalColumns, DeadColumns, approval, dead, dead_columns};
use crate::rows::{id, order_keys, sku};

/// What a mark was made for is committed when it can be locked, so whoever takes it sees that in his next statement.
const TAKE_SKUS: &str = "
WITH taken AS MATERIALIZED
       (SELECT id FROM inventory.recompute_skus ORDER BY sku_id LIMIT $1 FOR UPDATE SKIP LOCKED),
     gone AS
       (DELETE FROM inventory.recompute_skus AS m USING taken WHERE m.id = taken.id RETURNING m.sku_id)
SELECT k.sku, k.id FROM inventory.skus AS k WHERE k.id IN (SELECT sku_id FROM gone) ORDER BY k.id";

const TAKE_SKU: &str = "
DELETE FROM inventory.recompute_skus
 WHERE id IN (SELECT m.id FROM inventory.recompute_skus AS m
               WHERE m.sku_id = (SELECT k.id FROM inventory.skus AS k WHERE k.sku = $1) FOR UPDATE OF m SKIP LOCKED)";

const TAKE_LISTING: &str = "
SELECT id, shop, product, variation, after FROM inventory.recompute_listings
 ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED";

const RESOLVABLE: &str = "
SELECT DISTINCT x.order_id FROM inventory.lines AS x
 WHERE x.shop = $1 AND x.product = $2 AND x.variation = $3 AND (x.sku_id IS NULL OR x.holder IS NULL)
   AND x.product IS NOT NULL AND NOT x.removed AND x.order_id > $4
 ORDER BY x.order_id LIMIT $5";

/// Shown with a code that has become that of a SKU.
const RESOLVABLE_BY_CODE: &str = "
SELECT DISTINCT x.shop, x.order_id FROM inventory.lines AS x JOIN inventory.skus AS k ON k.sku = x.code
 WHERE x.code IS NOT NULL LIMIT $1";

const LISTING_AFTER: &str = "UPDATE inventory.recompute_listings SET after = $2 WHERE id = $1";
const LISTING_DONE: &str = "DELETE FROM inventory.recompute_listings WHERE id = $1";

const EXPIRED: &str = "
SELECT shop, order_id FROM inventory.orders
 WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED";

/// By place: joined to itself, with a plan from when the table was almost empty, each row could be held against all others.
const ASK: &str = "
UPDATE inventory.rereads SET asked_at = $1
 WHERE ctid = ANY (ARRAY
       (SELECT r.ctid FROM inventory.rereads AS r
         WHERE r.asked_at IS NULL OR r.asked_at <= $2 ORDER BY r.shop, r.order_id LIMIT $3
           FOR NO KEY UPDATE SKIP LOCKED))
RETURNING shop, order_id";

const CLEAR: &str = "
DELETE FROM inventory.incomplete AS i
 WHERE EXISTS (SELECT 1 FROM unnest($1::bigint[], $2::bigint[]) AS w (shop, order_id)
                WHERE i.shop = w.shop AND i.order_id = coalesce(w.order_id, i.order_id))";

const ADD_APPROVAL: &str = "
INSERT INTO inventory.approvals (kind, summary, payload, at) VALUES ($1, $2, $3, $4) RETURNING id";

const DECIDE: &str = "
UPDATE inventory.approvals SET actor = $2, approved = $3, decided_at = $4 WHERE id = $1 AND decided_at IS NULL
RETURNING id, kind, summary, payload, at, actor, approved, decided_at";

const APPROVALS: &str = "
SELECT id, kind, summary, payload, at, actor, approved, decided_at FROM inventory.approvals
 WHERE decided_at IS NULL ORDER BY id LIMIT $1";

const TAKE_DEAD: &str = concat!("DELETE FROM inventory.dead WHERE id = $1 RETURNING ", dead_columns!());

const DEAD: &str =
    concat!("SELECT ", dead_columns!(), " FROM inventory.dead WHERE id > $1 ORDER BY id LIMIT $2");

const PRUNE: &str = "
DELETE FROM inventory.operations AS o
 USING (SELECT actor, key FROM inventory.operations
         WHERE at < $1 ORDER BY at LIMIT $2 FOR UPDATE SKIP LOCKED) AS w
 WHERE o.actor = w.actor AND o.key = w.key";

type OrderKeys = Vec<(ShopId, OrderId)>;

impl PgInventoryTx {
    pub(crate) async fn take_recompute(&mut self, limit: u32) -> Result<Vec<Sku>, Error> {
        let doing = "take SKUs to recompute";
        let found: Vec<(String, i64)> = all(&mut *self.tx, doing, TAKE_SKUS, with(i64::from(limit))).await?;
        let skus = found.iter().map(|(code, _)| sku(code)).collect();
        self.loaded.know_sku_ids(found)?;
        skus
    }

    pub(crate) async fn take_recompute_of(&mut self, of: &Sku) -> Result<bool, Error> {
        Ok(run(&mut *self.tx, "take a SKU to recompute", TAKE_SKU, with(of.as_str())).await? > 0)
    }

    /// Orders with lines whose listing has been mapped since, or whose code has become known. Marks are few: they are only
    /// made where lines wait.
    pub(crate) async fn take_resolvable(&mut self, limit: u32) -> Result<OrderKeys, Error> {
        let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut found = BTreeSet::new();
        while found.len() < wanted {
            let mark: Option<(i64, i64, i64, i64, i64)> =
                maybe(&mut *self.tx, "look for listings to resolve", TAKE_LISTING, none()).await?;
            let Some((mark, shop, product, variation, after)) = mark else { break };
            let room = wanted - found.len();
            let parameters = with(shop)
                .and(product)
                .and(variation)
                .and(after)
                .and(i64::try_from(room).unwrap_or(i64::MAX));
            let orders: Vec<(i64,)> =
                all(&mut *self.tx, "find orders to resolve", RESOLVABLE, parameters).await?;
            let doing = "work off listings to resolve";
            match orders.last().filter(|_| orders.len() >= room) {
                Some((last,)) => {
                    run(&mut *self.tx, doing, LISTING_AFTER, with(mark).and(*last)).await?;
                }
                None => {
                    run(&mut *self.tx, doing, LISTING_DONE, with(mark)).await?;
                }
            }
            for (order,) in orders {
                found.insert((id::<ShopId>("shop", shop)?, id::<OrderId>("order", order)?));
            }
        }
        let room = i64::try_from(wanted - found.len()).unwrap_or(i64::MAX);
        let doing = "find orders to resolve";
        found.extend(order_keys(all(&mut *self.tx, doing, RESOLVABLE_BY_CODE, with(room)).await?)?);
        Ok(found.into_iter().collect())
    }

    pub(crate) async fn expired_orders(&mut self, now: Timestamp, limit: u32) -> Result<OrderKeys, Error> {
        let parameters = with(now.micros()).and(i64::from(limit));
        order_keys(all(&mut *self.tx, "find expired orders", EXPIRED, parameters).await?)
    }

    pub(crate) async fn rereads_to_ask(
        &mut self,
        now: Timestamp,
        asked_before: Timestamp,
        limit: u32,
    ) -> Result<OrderKeys, Error> {
        let parameters = with(now.micros()).and(asked_before.micros()).and(i64::from(limit));
        order_keys(all(&mut *self.tx, "take orders to read again", ASK, parameters).await?)
    }

    pub(crate) async fn clear_incomplete(
        &mut self,
        orders: &[(ShopId, Option<OrderId>)],
    ) -> Result<(), Error> {
        let cleared: Vec<_> =
            orders.iter().map(|(shop, order)| (shop.get(), order.map(OrderId::get))).collect();
        let parameters = rows(&cleared);
        run(&mut *self.tx, "clear marks of incomplete shops", CLEAR, parameters).await?;
        Ok(())
    }

    pub(crate) async fn add_approval(
        &mut self,
        kind: &str,
        summary: &str,
        payload: &[u8],
        now: Timestamp,
    ) -> Result<i64, Error> {
        let parameters = with(kind).and(summary).and(payload).and(now.micros());
        let (number,) = one(&mut *self.tx, "ask for an approval", ADD_APPROVAL, parameters).await?;
        Ok(number)
    }

    /// The approval, if it waited and is decided now.
    pub(crate) async fn decide_approval(
        &mut self,
        number: i64,
        decided: &Decided,
    ) -> Result<Option<Approval>, Error> {
        let parameters = with(number).and(&decided.actor).and(decided.approved).and(decided.at.micros());
        let row: Option<ApprovalColumns> =
            maybe(&mut *self.tx, "decide an approval", DECIDE, parameters).await?;
        Ok(row.map(approval))
    }

    /// Takes a dead message out, to be replayed in this transaction or thrown away.
    pub(crate) async fn take_dead(&mut self, number: i64) -> Result<Option<DeadMessage>, Error> {
        let row: Option<DeadColumns> =
            maybe(&mut *self.tx, "take a dead message", TAKE_DEAD, with(number)).await?;
        row.map(dead).transpose()
    }

    pub(crate) async fn prune_operations(&mut self, before: Timestamp, limit: u32) -> Result<u64, Error> {
        let parameters = with(before.micros()).and(i64::from(limit));
        run(&mut *self.tx, "forget old operation keys", PRUNE, parameters).await
    }
}

impl Postgres {
    pub(crate) async fn approvals_waiting(&self, limit: u32) -> Result<Vec<Approval>, Error> {
        let found: Vec<ApprovalColumns> =
            all(&self.pool, "list approvals", APPROVALS, with(i64::from(limit))).await?;
        Ok(found.into_iter().map(approval).collect())
    }

    pub(crate) async fn dead_messages(&self, after: i64, limit: u32) -> Result<Vec<DeadMessage>, Error> {
        let parameters = with(after).and(i64::from(limit));
        let found: Vec<DeadColumns> = all(&self.pool, "list dead messages", DEAD, parameters).await?;
        found.into_iter().map(dead).collect()
    }
}
