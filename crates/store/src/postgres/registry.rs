//! Warehouses and shops on PostgreSQL.

use ledger::Routing;
use secrecy::ExposeSecret;
use values::{OrderId, ShopId, Timestamp, WarehouseId};

use super::parameters::{all, maybe, none, one, rows, run, with};
use super::{Postgres, WriteTx, commit, marks};
use crate::error::Error;
use crate::registry::{
    Changed, NewShop, Opening, Orphaned, Shop, ShopAdded, ShopSettings, Warehouse, WarehouseAdded,
    WarehouseKind,
};
use crate::rows::id;
use crate::rows::registry::{
    Known, ShopColumns, WEBHOOK_TOKEN, WarehouseColumns, added_shop, done_if, millis, shipping_text, shop,
    statuses_text, warehouse,
};
use crate::secret::{random_token, token_hash};
use crate::tags::Tags;

const WAREHOUSES: &str = "SELECT id, name, kind, created_at FROM inventory.warehouses ORDER BY id";

const ADD_WAREHOUSE: &str = "
INSERT INTO inventory.warehouses (name, kind, created_at) VALUES ($1, $2, $3)
    ON CONFLICT (name) DO NOTHING RETURNING id";

pub(super) const SHOPS: &str = "
SELECT id, name, connector, url, buffer, pending_hold_ms, orders_poll_ms, trash_poll_ms, private_allowed, statuses,
       state, created_at, baseline_last, opening, sign_in,
       (SELECT coalesce(json_agg(warehouse ORDER BY position)::text, '[]')
          FROM inventory.routes AS r WHERE r.shop = s.id),
       releases_orphans, shipping, tag_set,
       (SELECT t.tags FROM inventory.tag_sets AS t WHERE t.id = s.tag_set) AS tags, drift
  FROM inventory.shops AS s
 WHERE $1::bigint[] IS NULL OR id = ANY ($1)
 ORDER BY id";

const SHOP_OF_WEBHOOK: &str = "
SELECT id FROM inventory.shops WHERE webhook_token_hash = $1 AND state <> 'removed'";

const ADD_SHOP: &str = "
INSERT INTO inventory.shops
       (name, connector, url, webhook_token_hash, buffer, pending_hold_ms, orders_poll_ms, trash_poll_ms,
        private_allowed, statuses, state, created_at, opening, sign_in, releases_orphans, shipping, drift)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 'connecting', $11, $12, $13, $14, $15, $16)
    ON CONFLICT (name) WHERE state <> 'removed' DO NOTHING RETURNING id";

const CHANGE_SHOP: &str = "
UPDATE inventory.shops
   SET url = $2, buffer = $3, pending_hold_ms = $4, orders_poll_ms = $5, trash_poll_ms = $6, private_allowed = $7,
       statuses = $8, sign_in = $9, releases_orphans = $10, shipping = $11, drift = $12
 WHERE id = $1 AND state <> 'removed'";

const ADD_TAGS: &str = "INSERT INTO inventory.tag_sets (tags) VALUES ($1) ON CONFLICT (tags) DO NOTHING";

const FIND_TAGS: &str = "SELECT id FROM inventory.tag_sets WHERE tags = $1";

const SET_TAGS: &str = "UPDATE inventory.shops SET tag_set = $2 WHERE id = $1";

const UNKNOWN_WAREHOUSES: &str = "
SELECT w.id FROM unnest($1::bigint[]) AS w (id)
 WHERE NOT EXISTS (SELECT 1 FROM inventory.warehouses AS k WHERE k.id = w.id) LIMIT 1";

const FORGET_ROUTES: &str = "DELETE FROM inventory.routes WHERE shop = $1";

const SET_ROUTES: &str = "
INSERT INTO inventory.routes (position, warehouse, shop)
SELECT w.position, w.warehouse, $3 FROM unnest($1::bigint[], $2::bigint[]) AS w (position, warehouse)";

const ACTIVATE: &str = "UPDATE inventory.shops SET state = 'active' WHERE id = $1 AND state <> 'removed'";

const SET_BASELINE: &str = "UPDATE inventory.shops SET baseline_last = $2 WHERE id = $1";

impl Postgres {
    pub(crate) async fn add_warehouse(
        &self,
        name: &str,
        kind: WarehouseKind,
        now: Timestamp,
    ) -> Result<WarehouseAdded, Error> {
        let parameters = with(name).and(kind.as_str()).and(now.micros());
        let added = maybe(&self.pool, "add a warehouse", ADD_WAREHOUSE, parameters).await?;
        let Some((added,)) = added else { return Ok(WarehouseAdded::NameTaken) };
        let id = id("warehouse", added)?;
        Ok(WarehouseAdded::Added(Warehouse { id, name: name.to_owned(), kind, created_at: now }))
    }

    pub(crate) async fn warehouses(&self) -> Result<Vec<Warehouse>, Error> {
        let rows: Vec<WarehouseColumns> = all(&self.pool, "list warehouses", WAREHOUSES, none()).await?;
        rows.into_iter().map(warehouse).collect()
    }

    pub(crate) async fn add_shop(&self, new: NewShop, now: Timestamp) -> Result<ShopAdded, Error> {
        let mut tx = self.write().await?;
        let settings = &new.settings;
        if let Some(unknown) = unknown_warehouse(&mut tx, &settings.routing).await? {
            return Ok(ShopAdded::UnknownWarehouse(unknown));
        }
        match self.find_address(&mut tx, &new).await? {
            Some(Known::InService(name)) if name == new.name => return Ok(ShopAdded::NameTaken),
            Some(Known::InService(name)) => return Ok(ShopAdded::AddressTaken(name)),
            Some(Known::Removed(shop)) => return self.return_shop(tx, shop, &new, now).await,
            None => {}
        }
        let token = random_token();
        let parameters = with(&new.name)
            .and(new.connector.as_str())
            .and(&settings.url)
            .and(token_hash(token.expose_secret()))
            .and(settings.buffer.thousandths())
            .and(millis(settings.pending_hold))
            .and(millis(settings.poll.orders))
            .and(millis(settings.poll.trash))
            .and(settings.private_allowed)
            .and(statuses_text(&settings.statuses))
            .and(now.micros())
            .and(new.opening == Opening::Take)
            .and(settings.sign_in.as_str())
            .and(settings.orphaned == Orphaned::Release)
            .and(shipping_text(&settings.shipping))
            .and(settings.drift.as_str());
        let added = maybe(&mut *tx, "add a shop", ADD_SHOP, parameters).await?;
        let Some((added,)) = added else { return Ok(ShopAdded::NameTaken) };
        set_routes(&mut tx, added, &settings.routing).await?;
        self.seal_secrets(&mut tx, added, &new.secrets).await?;
        self.seal(&mut tx, added, WEBHOOK_TOKEN, &token).await?;
        let tags = set_tags(&mut tx, added, &new.settings.tags).await?;
        commit(tx).await?;
        added_shop(added, tags, new, token, now)
    }

    /// `None`: all, the removed ones too.
    pub(crate) async fn shops(&self, wanted: Option<&[ShopId]>) -> Result<Vec<Shop>, Error> {
        let rows: Vec<ShopColumns> =
            all(&self.pool, "list shops", SHOPS, with(wanted.map(shop_numbers))).await?;
        rows.into_iter().map(shop).collect()
    }

    pub(crate) async fn shop_of_webhook(&self, token: &str) -> Result<Option<ShopId>, Error> {
        let doing = "find the shop of a webhook";
        let found = maybe(&self.pool, doing, SHOP_OF_WEBHOOK, with(token_hash(token))).await?;
        found.map(|(found,)| id("shop", found)).transpose()
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
        Ok(done_if(run(&self.pool, "activate a shop", ACTIVATE, with(shop.get())).await?))
    }
}

impl super::PgInventoryTx {
    pub(crate) async fn warehouses(&mut self) -> Result<Vec<Warehouse>, Error> {
        let rows: Vec<WarehouseColumns> = all(&mut *self.tx, "list warehouses", WAREHOUSES, none()).await?;
        rows.into_iter().map(warehouse).collect()
    }

    /// As they are now. Who asks after the SKUs are locked knows what the levels are to be computed with: a change made
    /// later marks them to be computed anew.
    pub(crate) async fn load_shops(&mut self, wanted: &[ShopId]) -> Result<Vec<Shop>, Error> {
        let rows: Vec<ShopColumns> =
            all(&mut *self.tx, "load shops", SHOPS, with(Some(shop_numbers(wanted)))).await?;
        rows.into_iter().map(shop).collect()
    }

    pub(crate) async fn change_shop(
        &mut self,
        shop: ShopId,
        settings: &ShopSettings,
    ) -> Result<Changed, Error> {
        change_shop(&mut self.tx, shop, settings).await
    }

    pub(crate) async fn activate_shop(&mut self, shop: ShopId) -> Result<Changed, Error> {
        Ok(done_if(run(&mut *self.tx, "activate a shop", ACTIVATE, with(shop.get())).await?))
    }

    pub(crate) async fn set_baseline(
        &mut self,
        shop: ShopId,
        last: Option<OrderId>,
    ) -> Result<Changed, Error> {
        let parameters = with(shop.get()).and(last.map(OrderId::get));
        let doing = "note where a shop's baseline ends";
        Ok(done_if(run(&mut *self.tx, doing, SET_BASELINE, parameters).await?))
    }
}

async fn change_shop(tx: &mut WriteTx, shop: ShopId, settings: &ShopSettings) -> Result<Changed, Error> {
    if let Some(unknown) = unknown_warehouse(tx, &settings.routing).await? {
        return Ok(Changed::UnknownWarehouse(unknown));
    }
    let parameters = with(shop.get())
        .and(&settings.url)
        .and(settings.buffer.thousandths())
        .and(millis(settings.pending_hold))
        .and(millis(settings.poll.orders))
        .and(millis(settings.poll.trash))
        .and(settings.private_allowed)
        .and(statuses_text(&settings.statuses))
        .and(settings.sign_in.as_str())
        .and(settings.orphaned == Orphaned::Release)
        .and(shipping_text(&settings.shipping))
        .and(settings.drift.as_str());
    if run(&mut **tx, "change a shop", CHANGE_SHOP, parameters).await? == 0 {
        return Ok(Changed::Unknown);
    }
    run(&mut **tx, "change a shop's routing", FORGET_ROUTES, with(shop.get())).await?;
    set_routes(tx, shop.get(), &settings.routing).await?;
    set_tags(tx, shop.get(), &settings.tags).await?;
    run(&mut **tx, "mark SKUs to recompute", marks::SKUS_OF_SHOP, with(shop.get())).await?;
    Ok(Changed::Done)
}

pub(super) fn shop_numbers(shops: &[ShopId]) -> Vec<i64> {
    shops.iter().map(|shop| shop.get()).collect()
}

async fn unknown_warehouse(tx: &mut WriteTx, routing: &Routing) -> Result<Option<WarehouseId>, Error> {
    let wanted: Vec<i64> = routing.iter().map(WarehouseId::get).collect();
    let unknown = maybe(&mut **tx, "look up warehouses", UNKNOWN_WAREHOUSES, with(wanted)).await?;
    unknown.map(|(unknown,)| id("warehouse", unknown)).transpose()
}

async fn set_routes(tx: &mut WriteTx, shop: i64, routing: &Routing) -> Result<(), Error> {
    let routes: Vec<(i64, i64)> = (0..).zip(routing.iter().map(WarehouseId::get)).collect();
    run(&mut **tx, "set a shop's routing", SET_ROUTES, rows(&routes).and(shop)).await?;
    Ok(())
}

/// The number of the tags, which are made if nobody ever had them.
async fn set_tags(tx: &mut WriteTx, shop: i64, tags: &Tags) -> Result<Option<i64>, Error> {
    let doing = "set a shop's tags";
    let id = if tags.is_empty() {
        None
    } else {
        let text = tags.to_text();
        run(&mut **tx, doing, ADD_TAGS, with(&text)).await?;
        let (id,): (i64,) = one(&mut **tx, doing, FIND_TAGS, with(&text)).await?;
        Some(id)
    };
    run(&mut **tx, doing, SET_TAGS, with(shop).and(id)).await?;
    Ok(id)
}
