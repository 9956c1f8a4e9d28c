//! Shops that go, on PostgreSQL, with what their orders still hold; and those that come back.

use secrecy::ExposeSecret;
use values::{OrderId, ShopId, Timestamp};

use super::parameters::{all, none, one, run, with};
use super::registry::{SHOPS, shop_numbers};
use super::{PgInventoryTx, Postgres, WriteTx, commit, locks, outbox};
use crate::error::Error;
use crate::registry::{NewShop, OpenOrders, Opening, ShopAdded, ShopRemoved, StillHeld};
use crate::rows::registry::{Known, ShopColumns, WEBHOOK_TOKEN, known_address, shop};
use crate::rows::{order_keys, quantity, unsigned};
use crate::secret::{random_token, token_hash};

const REMOVE: &str = "
UPDATE inventory.shops SET state = 'removed', releases = $2, mapping = (random() * 9e18)::bigint
 WHERE id = $1 AND state <> 'removed'";

const STILL_HELD: &str = "
SELECT count(*),
       coalesce(sum((SELECT sum(l.reserved) FROM inventory.lines AS l
                      WHERE l.shop = o.shop AND l.order_id = o.order_id)), 0)::bigint
  FROM inventory.orders AS o WHERE o.shop = $1 AND o.open";

/// Told to egress once more, as removed.
const REMOVE_STOCKS: &str = "
UPDATE inventory.stocks AS s SET removed = true, revision = s.revision + 1
  FROM (SELECT shop, holder FROM inventory.stocks WHERE shop = $1 AND NOT removed ORDER BY holder FOR UPDATE) AS w
 WHERE s.shop = w.shop AND s.holder = w.holder";

const FORGET_SECRETS: &str = "DELETE FROM inventory.shop_secrets WHERE shop = $1";

const TO_RELEASE: &str = "
SELECT o.shop, o.order_id
  FROM inventory.shops AS s JOIN inventory.orders AS o ON o.shop = s.id AND o.open
 WHERE CASE s.state WHEN 'removed' THEN s.releases ELSE s.releases_orphans AND o.gone END
 ORDER BY o.shop, o.order_id LIMIT $1";

/// Two that add the same address do so one after the other.
const LOCK_ADDRESSES: &str = "LOCK TABLE inventory.shops IN SHARE ROW EXCLUSIVE MODE";

const ADDRESSES: &str = "
SELECT id, name, url, state FROM inventory.shops WHERE connector = $1 ORDER BY state = 'removed', id DESC";

const NAME_TAKEN: &str =
    "SELECT EXISTS (SELECT 1 FROM inventory.shops WHERE name = $1 AND state <> 'removed')";

const RETURN: &str = "
UPDATE inventory.shops
   SET name = $2, webhook_token_hash = $3, opening = $4, state = 'connecting', releases = false, created_at = $5
 WHERE id = $1";

/// It is read from the start, as when it was first connected.
const FORGET_CURSORS: &str = "DELETE FROM ingress.cursors WHERE shop = $1";

/// What it reserves and what could not be used is read whatever its age; the rest is in the baseline.
const WISH: &str = "
INSERT INTO inventory.wishes (shop, kind, id, wanted_at)
SELECT $1, 'audit', 0, $2
 UNION ALL
SELECT DISTINCT shop, 'order', order_id, $2 FROM inventory.incomplete WHERE shop = $1 AND order_id <> 0
    ON CONFLICT (shop, kind, id) DO NOTHING";

impl Postgres {
    pub(crate) async fn remove_shop(
        &self,
        shop: ShopId,
        orders: OpenOrders,
        now: Timestamp,
    ) -> Result<ShopRemoved, Error> {
        let mut tx = self.write().await?;
        let shop = shop.get();
        // Whoever applies something for it has found it in service, and its stocks there.
        locks::change_mapping(&mut tx, vec![shop]).await?;
        let parameters = with(shop).and(orders == OpenOrders::Release);
        if run(&mut *tx, "remove a shop", REMOVE, parameters).await? == 0 {
            return Ok(ShopRemoved::Unknown);
        }
        let (count, reserved): (i64, i64) =
            one(&mut *tx, "sum what a shop's orders hold", STILL_HELD, with(shop)).await?;
        run(&mut *tx, "remove a shop's stocks", REMOVE_STOCKS, with(shop)).await?;
        let parameters = with(now.micros()).and(Some(shop));
        run(&mut *tx, "publish a shop's removal", outbox::PUBLISH_ALL, parameters).await?;
        run(&mut *tx, "forget a shop's secrets", FORGET_SECRETS, with(shop)).await?;
        commit(tx).await?;
        Ok(ShopRemoved::Removed(StillHeld {
            order_count: unsigned("count", count)?,
            reserved: quantity(reserved),
        }))
    }

    pub(super) async fn find_address(&self, tx: &mut WriteTx, new: &NewShop) -> Result<Option<Known>, Error> {
        run(&mut **tx, "lock the addresses of shops", LOCK_ADDRESSES, none()).await?;
        let doing = "look for a shop's address";
        let rows = all(&mut **tx, doing, ADDRESSES, with(new.connector.as_str())).await?;
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
        let (taken,): (bool,) = one(&mut *tx, "look up a shop's name", NAME_TAKEN, with(&new.name)).await?;
        if taken {
            return Ok(ShopAdded::NameTaken);
        }
        let token = random_token();
        let parameters = with(back.get())
            .and(&new.name)
            .and(token_hash(token.expose_secret()))
            .and(new.opening == Opening::Take)
            .and(now.micros());
        run(&mut *tx, "bring a shop back", RETURN, parameters).await?;
        run(&mut *tx, "forget how far a shop was read", FORGET_CURSORS, with(back.get())).await?;
        let parameters = with(back.get()).and(now.micros());
        run(&mut *tx, "want a shop's open orders", WISH, parameters).await?;
        self.seal_secrets(&mut tx, back.get(), &new.secrets).await?;
        self.seal(&mut tx, back.get(), WEBHOOK_TOKEN, &token).await?;
        let parameters = with(Some(shop_numbers(&[back])));
        let row: ShopColumns = one(&mut *tx, "load a shop that is back", SHOPS, parameters).await?;
        commit(tx).await?;
        Ok(ShopAdded::Added { shop: shop(row)?, webhook_token: token, returned: true })
    }
}

impl PgInventoryTx {
    pub(crate) async fn orders_to_release(&mut self, limit: u32) -> Result<Vec<(ShopId, OrderId)>, Error> {
        let parameters = with(i64::from(limit));
        order_keys(all(&mut *self.tx, "find orders of removed shops", TO_RELEASE, parameters).await?)
    }
}
