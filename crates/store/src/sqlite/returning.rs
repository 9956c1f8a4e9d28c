//! Shops that go, on SQLite, with what their orders still hold; and those that come back.

use secrecy::ExposeSecret;
use values::{OrderId, ShopId, Timestamp};

use super::registry::{SHOPS, wanted_shops};
use super::{Sqlite, SqliteInventoryTx, WriteTx, commit};
use crate::error::{Error, failed};
use crate::registry::{NewShop, OpenOrders, Opening, ShopAdded, ShopRemoved, StillHeld};
use crate::rows::registry::{Known, ShopColumns, WEBHOOK_TOKEN, known_address, shop};
use crate::rows::{order_keys, quantity, unsigned};
use crate::secret::{random_token, token_hash};

const REMOVE: &str = "
UPDATE registry_shops SET state = 'removed', releases = ?2 WHERE id = ?1 AND state <> 'removed'";

const STILL_HELD: &str = "
SELECT count(*),
       coalesce(sum((SELECT sum(l.reserved) FROM inventory_lines AS l
                      WHERE l.shop = o.shop AND l.order_id = o.order_id)), 0)
  FROM inventory_orders AS o WHERE o.shop = ?1 AND o.open = 1";

/// Told to egress once more, as removed.
const REMOVE_STOCKS: &str = "
UPDATE inventory_stocks SET removed = 1, revision = revision + 1 WHERE shop = ?1 AND removed = 0";

const PUBLISH_REMOVED: &str = "
INSERT INTO inventory_outbox (shop, holder, since)
SELECT shop, holder, ?2 FROM inventory_stocks WHERE shop = ?1 AND sku_id IS NOT NULL
    ON CONFLICT (shop, holder) DO NOTHING";

const TO_RELEASE: &str = "
SELECT o.shop, o.order_id
  FROM registry_shops AS s CROSS JOIN inventory_orders AS o ON o.shop = s.id AND o.open = 1
 WHERE iif(s.state = 'removed', s.releases = 1, s.releases_orphans = 1 AND o.gone = 1)
 ORDER BY o.shop, o.order_id LIMIT ?1";

const ADDRESSES: &str = "
SELECT id, name, url, state FROM registry_shops WHERE connector = ?1 ORDER BY state = 'removed', id DESC";

const NAME_TAKEN: &str =
    "SELECT EXISTS (SELECT 1 FROM registry_shops WHERE name = ?1 AND state <> 'removed')";

const RETURN: &str = "
UPDATE registry_shops
   SET name = ?2, webhook_token_hash = ?3, opening = ?4, state = 'connecting', releases = 0, created_at = ?5
 WHERE id = ?1";

/// It is read from the start, as when it was first connected.
const FORGET_CURSORS: &str = "DELETE FROM ingress_cursors WHERE shop = ?1";

/// What it reserves and what could not be used is read whatever its age; the rest is in the baseline.
const WISH: &str = "
INSERT INTO inventory_wishes (shop, kind, id, wanted_at)
SELECT ?1, 'audit', 0, ?2
 UNION ALL
SELECT DISTINCT shop, 'order', order_id, ?2 FROM inventory_incomplete WHERE shop = ?1 AND order_id <> 0
    ON CONFLICT (shop, kind, id) DO NOTHING";

impl Sqlite {
    pub(crate) async fn remove_shop(
        &self,
        shop: ShopId,
        orders: OpenOrders,
        now: Timestamp,
    ) -> Result<ShopRemoved, Error> {
        let mut tx = self.write().await?;
        let changed = sqlx::query(REMOVE)
            .bind(shop.get())
            .bind(orders == OpenOrders::Release)
            .execute(&mut *tx)
            .await
            .map_err(failed("remove a shop"))?;
        if changed.rows_affected() == 0 {
            return Ok(ShopRemoved::Unknown);
        }
        let (count, reserved): (i64, i64) = sqlx::query_as(STILL_HELD)
            .bind(shop.get())
            .fetch_one(&mut *tx)
            .await
            .map_err(failed("sum what a shop's orders hold"))?;
        run(&mut tx, "remove a shop's stocks", REMOVE_STOCKS, shop, None).await?;
        run(&mut tx, "publish a shop's removal", PUBLISH_REMOVED, shop, Some(now)).await?;
        let forget = "DELETE FROM registry_shop_secrets WHERE shop = ?1";
        run(&mut tx, "forget a shop's secrets", forget, shop, None).await?;
        commit(tx).await?;
        Ok(ShopRemoved::Removed(StillHeld {
            order_count: unsigned("count", count)?,
            reserved: quantity(reserved),
        }))
    }

    pub(super) async fn find_address(&self, tx: &mut WriteTx, new: &NewShop) -> Result<Option<Known>, Error> {
        let rows = sqlx::query_as(ADDRESSES)
            .bind(new.connector.as_str())
            .fetch_all(&mut **tx)
            .await
            .map_err(failed("look for a shop's address"))?;
        known_address(rows, &new.settings.url)
    }

    /// A removed shop is in service again, as itself: what its orders hold, took and shipped goes on.
    pub(super) async fn return_shop(
        &self,
        mut tx: WriteTx,
        back: ShopId,
        new: &NewShop,
        now: Timestamp,
    ) -> Result<ShopAdded, Error> {
        let taken: bool = sqlx::query_scalar(NAME_TAKEN)
            .bind(&new.name)
            .fetch_one(&mut *tx)
            .await
            .map_err(failed("look up a shop's name"))?;
        if taken {
            return Ok(ShopAdded::NameTaken);
        }
        let token = random_token();
        sqlx::query(RETURN)
            .bind(back.get())
            .bind(&new.name)
            .bind(token_hash(token.expose_secret()))
            .bind(new.opening == Opening::Take)
            .bind(now.micros())
            .execute(&mut *tx)
            .await
            .map_err(failed("bring a shop back"))?;
        run(&mut tx, "forget how far a shop was read", FORGET_CURSORS, back, None).await?;
        run(&mut tx, "want a shop's open orders", WISH, back, Some(now)).await?;
        self.seal_secrets(&mut tx, back.get(), &new.secrets).await?;
        self.seal(&mut tx, back.get(), WEBHOOK_TOKEN, &token).await?;
        let row: ShopColumns = sqlx::query_as(SHOPS)
            .bind(wanted_shops(Some(&[back])))
            .fetch_one(&mut *tx)
            .await
            .map_err(failed("load a shop that is back"))?;
        commit(tx).await?;
        Ok(ShopAdded::Added { shop: shop(row)?, webhook_token: token, returned: true })
    }
}

impl SqliteInventoryTx {
    pub(crate) async fn orders_to_release(&mut self, limit: u32) -> Result<Vec<(ShopId, OrderId)>, Error> {
        let rows: Vec<(i64, i64)> = sqlx::query_as(TO_RELEASE)
            .bind(limit)
            .fetch_all(&mut *self.tx)
            .await
            .map_err(failed("find orders of removed shops"))?;
        order_keys(rows)
    }
}

/// A statement about a shop, and a time if it has one.
async fn run(
    tx: &mut WriteTx,
    doing: &'static str,
    statement: &'static str,
    shop: ShopId,
    now: Option<Timestamp>,
) -> Result<(), Error> {
    let query = sqlx::query(statement).bind(shop.get());
    let query = match now {
        Some(now) => query.bind(now.micros()),
        None => query,
    };
    query.execute(&mut **tx).await.map_err(failed(doing))?;
    Ok(())
}
