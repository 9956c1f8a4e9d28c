//! Warehouses and shops on SQLite.

use ledger::Routing;
use secrecy::ExposeSecret;
use values::{OrderId, ShopId, Timestamp, WarehouseId};

use super::{Sqlite, WriteTx, commit};
use crate::error::{Error, failed};
use crate::registry::{
    Changed, NewShop, Opening, Orphaned, Shop, ShopAdded, ShopSettings, ShopState, Warehouse, WarehouseAdded,
    WarehouseKind,
};
use crate::rows::registry::{
    Known, ShopColumns, WEBHOOK_TOKEN, WarehouseColumns, added_shop, done_if, millis, shipping_text, shop,
    statuses_text, warehouse,
};
use crate::rows::{id, json};
use crate::secret::{random_token, token_hash};
use crate::tags::Tags;

const WAREHOUSES: &str = "SELECT id, name, kind, created_at FROM registry_warehouses ORDER BY id";

const ADD_WAREHOUSE: &str = "
INSERT INTO registry_warehouses (name, kind, created_at) VALUES (?1, ?2, ?3)
    ON CONFLICT (name) DO NOTHING RETURNING id";

pub(super) const SHOPS: &str = "
SELECT id, name, connector, url, buffer, pending_hold_ms, orders_poll_ms, trash_poll_ms, private_allowed, statuses,
       state, created_at, baseline_last, opening, sign_in,
       (SELECT json_group_array(warehouse ORDER BY position) FROM registry_routes AS r WHERE r.shop = s.id),
       releases_orphans, shipping, tag_set,
       (SELECT t.tags FROM registry_tag_sets AS t WHERE t.id = s.tag_set) AS tags, drift
  FROM registry_shops AS s
 WHERE ?1 IS NULL OR id IN (SELECT value FROM jsonb_each(?1))
 ORDER BY id";

const ADD_SHOP: &str = "
INSERT INTO registry_shops
       (name, connector, url, webhook_token_hash, buffer, pending_hold_ms, orders_poll_ms, trash_poll_ms,
        private_allowed, statuses, state, created_at, opening, sign_in, releases_orphans, shipping, drift)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, 'connecting', ?11, ?12, ?13, ?14, ?15, ?16)
    ON CONFLICT (name) WHERE state <> 'removed' DO NOTHING RETURNING id";

const CHANGE_SHOP: &str = "
UPDATE registry_shops
   SET url = ?2, buffer = ?3, pending_hold_ms = ?4, orders_poll_ms = ?5, trash_poll_ms = ?6, private_allowed = ?7,
       statuses = ?8, sign_in = ?9, releases_orphans = ?10, shipping = ?11, drift = ?12
 WHERE id = ?1 AND state <> 'removed'";

const ADD_TAGS: &str = "INSERT INTO registry_tag_sets (tags) VALUES (?1) ON CONFLICT (tags) DO NOTHING";

const FIND_TAGS: &str = "SELECT id FROM registry_tag_sets WHERE tags = ?1";

const SET_TAGS: &str = "UPDATE registry_shops SET tag_set = ?2 WHERE id = ?1";

const UNKNOWN_WAREHOUSES: &str = "
SELECT value FROM jsonb_each(?1) WHERE value NOT IN (SELECT id FROM registry_warehouses) LIMIT 1";

const SET_ROUTES: &str = "
INSERT INTO registry_routes (shop, position, warehouse) SELECT ?1, key, value FROM jsonb_each(?2)";

/// Every level of the shop may be another now.
const MARK_SKUS: &str = "
INSERT INTO inventory_recompute_skus (sku_id)
SELECT sku_id FROM inventory_stocks WHERE shop = ?1 AND sku_id IS NOT NULL AND removed = 0
    ON CONFLICT (sku_id) DO NOTHING";

const ACTIVATE: &str = "UPDATE registry_shops SET state = 'active' WHERE id = ?1 AND state <> 'removed'";

impl Sqlite {
    pub(crate) async fn add_warehouse(
        &self,
        name: &str,
        kind: WarehouseKind,
        now: Timestamp,
    ) -> Result<WarehouseAdded, Error> {
        let mut tx = self.write().await?;
        let added: Option<i64> = sqlx::query_scalar(ADD_WAREHOUSE)
            .bind(name)
            .bind(kind.as_str())
            .bind(now.micros())
            .fetch_optional(&mut *tx)
            .await
            .map_err(failed("add a warehouse"))?;
        commit(tx).await?;
        Ok(match added {
            Some(added) => WarehouseAdded::Added(Warehouse {
                id: id("warehouse", added)?,
                name: name.to_owned(),
                kind,
                created_at: now,
            }),
            None => WarehouseAdded::NameTaken,
        })
    }

    pub(crate) async fn warehouses(&self) -> Result<Vec<Warehouse>, Error> {
        let rows: Vec<WarehouseColumns> =
            sqlx::query_as(WAREHOUSES).fetch_all(&self.readers).await.map_err(failed("list warehouses"))?;
        rows.into_iter().map(warehouse).collect()
    }

    pub(crate) async fn add_shop(&self, new: NewShop, now: Timestamp) -> Result<ShopAdded, Error> {
        let mut tx = self.write().await?;
        if let Some(unknown) = unknown_warehouse(&mut tx, &new.settings.routing).await? {
            return Ok(ShopAdded::UnknownWarehouse(unknown));
        }
        match self.find_address(&mut tx, &new).await? {
            Some(Known::InService(name)) if name == new.name => return Ok(ShopAdded::NameTaken),
            Some(Known::InService(name)) => return Ok(ShopAdded::AddressTaken(name)),
            Some(Known::Removed(shop)) => return self.return_shop(tx, shop, &new, now).await,
            None => {}
        }
        let token = random_token();
        let settings = &new.settings;
        let added: Option<i64> = sqlx::query_scalar(ADD_SHOP)
            .bind(&new.name)
            .bind(new.connector.as_str())
            .bind(&settings.url)
            .bind(token_hash(token.expose_secret()))
            .bind(settings.buffer.thousandths())
            .bind(millis(settings.pending_hold))
            .bind(millis(settings.poll.orders))
            .bind(millis(settings.poll.trash))
            .bind(settings.private_allowed)
            .bind(statuses_text(&settings.statuses))
            .bind(now.micros())
            .bind(new.opening == Opening::Take)
            .bind(settings.sign_in.as_str())
            .bind(settings.orphaned == Orphaned::Release)
            .bind(shipping_text(&settings.shipping))
            .bind(settings.drift.as_str())
            .fetch_optional(&mut *tx)
            .await
            .map_err(failed("add a shop"))?;
        let Some(added) = added else {
            return Ok(ShopAdded::NameTaken);
        };
        set_routes(&mut tx, added, &settings.routing).await?;
        self.seal_secrets(&mut tx, added, &new.secrets).await?;
        self.seal(&mut tx, added, WEBHOOK_TOKEN, &token).await?;
        let tags = set_tags(&mut tx, added, &new.settings.tags).await?;
        commit(tx).await?;
        added_shop(added, tags, new, token, now)
    }

    /// `None`: all, the removed ones too.
    pub(crate) async fn shops(&self, wanted: Option<&[ShopId]>) -> Result<Vec<Shop>, Error> {
        let rows: Vec<ShopColumns> = sqlx::query_as(SHOPS)
            .bind(wanted_shops(wanted))
            .fetch_all(&self.readers)
            .await
            .map_err(failed("list shops"))?;
        rows.into_iter().map(shop).collect()
    }

    pub(crate) async fn shop_of_webhook(&self, token: &str) -> Result<Option<ShopId>, Error> {
        let found: Option<i64> = sqlx::query_scalar(
            "SELECT id FROM registry_shops WHERE webhook_token_hash = ?1 AND state <> 'removed'",
        )
        .bind(token_hash(token))
        .fetch_optional(&self.readers)
        .await
        .map_err(failed("find the shop of a webhook"))?;
        found.map(|found| id("shop", found)).transpose()
    }

    pub(crate) async fn change_shop(&self, shop: ShopId, settings: &ShopSettings) -> Result<Changed, Error> {
        let mut tx = self.write().await?;
        let changed = change_shop(&mut tx, shop, settings).await?;
        if changed == Changed::Done {
            commit(tx).await?;
        }
        Ok(changed)
    }

    pub(crate) async fn activate_shop(&self, shop: ShopId) -> Result<Changed, Error> {
        let mut tx = self.write().await?;
        let changed = sqlx::query(ACTIVATE)
            .bind(shop.get())
            .execute(&mut *tx)
            .await
            .map_err(failed("activate a shop"))?;
        commit(tx).await?;
        Ok(done_if(changed.rows_affected()))
    }
}

impl super::SqliteInventoryTx {
    pub(crate) async fn warehouses(&mut self) -> Result<Vec<Warehouse>, Error> {
        let rows: Vec<WarehouseColumns> =
            sqlx::query_as(WAREHOUSES).fetch_all(&mut *self.tx).await.map_err(failed("list warehouses"))?;
        rows.into_iter().map(warehouse).collect()
    }

    /// As they are within this transaction.
    pub(crate) async fn load_shops(&mut self, wanted: &[ShopId]) -> Result<Vec<Shop>, Error> {
        let rows: Vec<ShopColumns> = sqlx::query_as(SHOPS)
            .bind(wanted_shops(Some(wanted)))
            .fetch_all(&mut *self.tx)
            .await
            .map_err(failed("load shops"))?;
        rows.into_iter().map(shop).collect()
    }
}

impl super::SqliteInventoryTx {
    pub(crate) async fn shop_states(&mut self, wanted: &[ShopId]) -> Result<Vec<(ShopId, ShopState)>, Error> {
        Ok(self.load_shops(wanted).await?.into_iter().map(|shop| (shop.id, shop.state)).collect())
    }

    pub(crate) async fn change_shop(
        &mut self,
        shop: ShopId,
        settings: &ShopSettings,
    ) -> Result<Changed, Error> {
        change_shop(&mut self.tx, shop, settings).await
    }

    pub(crate) async fn activate_shop(&mut self, shop: ShopId) -> Result<Changed, Error> {
        let changed = sqlx::query(ACTIVATE)
            .bind(shop.get())
            .execute(&mut *self.tx)
            .await
            .map_err(failed("activate a shop"))?;
        Ok(done_if(changed.rows_affected()))
    }

    pub(crate) async fn set_baseline(
        &mut self,
        shop: ShopId,
        last: Option<OrderId>,
    ) -> Result<Changed, Error> {
        let changed = sqlx::query("UPDATE registry_shops SET baseline_last = ?2 WHERE id = ?1")
            .bind(shop.get())
            .bind(last.map(OrderId::get))
            .execute(&mut *self.tx)
            .await
            .map_err(failed("note where a shop's baseline ends"))?;
        Ok(done_if(changed.rows_affected()))
    }
}

async fn change_shop(tx: &mut WriteTx, shop: ShopId, settings: &ShopSettings) -> Result<Changed, Error> {
    if let Some(unknown) = unknown_warehouse(tx, &settings.routing).await? {
        return Ok(Changed::UnknownWarehouse(unknown));
    }
    let changed = sqlx::query(CHANGE_SHOP)
        .bind(shop.get())
        .bind(&settings.url)
        .bind(settings.buffer.thousandths())
        .bind(millis(settings.pending_hold))
        .bind(millis(settings.poll.orders))
        .bind(millis(settings.poll.trash))
        .bind(settings.private_allowed)
        .bind(statuses_text(&settings.statuses))
        .bind(settings.sign_in.as_str())
        .bind(settings.orphaned == Orphaned::Release)
        .bind(shipping_text(&settings.shipping))
        .bind(settings.drift.as_str())
        .execute(&mut **tx)
        .await
        .map_err(failed("change a shop"))?;
    if changed.rows_affected() == 0 {
        return Ok(Changed::Unknown);
    }
    sqlx::query("DELETE FROM registry_routes WHERE shop = ?1")
        .bind(shop.get())
        .execute(&mut **tx)
        .await
        .map_err(failed("change a shop's routing"))?;
    set_routes(tx, shop.get(), &settings.routing).await?;
    set_tags(tx, shop.get(), &settings.tags).await?;
    sqlx::query(MARK_SKUS)
        .bind(shop.get())
        .execute(&mut **tx)
        .await
        .map_err(failed("mark SKUs to recompute"))?;
    Ok(Changed::Done)
}

pub(super) fn wanted_shops(wanted: Option<&[ShopId]>) -> Option<String> {
    wanted.map(|shops| json(&shops.iter().map(|shop| shop.get()).collect::<Vec<_>>()))
}

async fn unknown_warehouse(tx: &mut WriteTx, routing: &Routing) -> Result<Option<WarehouseId>, Error> {
    let wanted: Vec<i64> = routing.iter().map(WarehouseId::get).collect();
    let unknown: Option<i64> = sqlx::query_scalar(UNKNOWN_WAREHOUSES)
        .bind(json(&wanted))
        .fetch_optional(&mut **tx)
        .await
        .map_err(failed("look up warehouses"))?;
    unknown.map(|unknown| id("warehouse", unknown)).transpose()
}

async fn set_routes(tx: &mut WriteTx, shop: i64, routing: &Routing) -> Result<(), Error> {
    let warehouses: Vec<i64> = routing.iter().map(WarehouseId::get).collect();
    sqlx::query(SET_ROUTES)
        .bind(shop)
        .bind(json(&warehouses))
        .execute(&mut **tx)
        .await
        .map_err(failed("set a shop's routing"))?;
    Ok(())
}

/// The number of the tags, which are made if nobody ever had them.
async fn set_tags(tx: &mut WriteTx, shop: i64, tags: &Tags) -> Result<Option<i64>, Error> {
    let doing = "set a shop's tags";
    let id = if tags.is_empty() {
        None
    } else {
        let text = tags.to_text();
        sqlx::query(ADD_TAGS).bind(&text).execute(&mut **tx).await.map_err(failed(doing))?;
        let found = sqlx::query_scalar(FIND_TAGS).bind(&text).fetch_one(&mut **tx).await;
        Some(found.map_err(failed(doing))?)
    };
    sqlx::query(SET_TAGS).bind(shop).bind(id).execute(&mut **tx).await.map_err(failed(doing))?;
    Ok(id)
}
