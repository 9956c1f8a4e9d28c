//! Secrets of shops on PostgreSQL: sealed before they are stored, opened after they are read.

use std::collections::BTreeMap;

use secrecy::SecretString;
use values::ShopId;

use super::parameters::{all, maybe, run, with};
use super::{Postgres, WriteTx, commit};
use crate::error::Error;
use crate::ingress::CursorKind;
use crate::registry::{Changed, ShopSecrets, WebhookDoor};
use crate::rows::registry::{
    DoorColumns, WEBHOOK_SECRET_PREVIOUS, WEBHOOK_TOKEN, open_fields, secret_fields, shop_secrets,
    webhook_door,
};

const SECRETS: &str = "SELECT field, sealed FROM inventory.shop_secrets WHERE shop = $1";

const SET_SECRET: &str = "
INSERT INTO inventory.shop_secrets (shop, field, sealed) VALUES ($1, $2, $3)
    ON CONFLICT (shop, field) DO UPDATE SET sealed = excluded.sealed";

const FORGET_SECRET: &str = "DELETE FROM inventory.shop_secrets WHERE shop = $1 AND field = $2";

const DOORS: &str = "
SELECT shop.id, shop.webhook_token_hash, secret.sealed, previous.sealed, EXISTS (
           SELECT FROM ingress.cursors AS cursor WHERE cursor.shop = shop.id AND cursor.kind = $1)
  FROM inventory.shops AS shop
  JOIN inventory.shop_secrets AS secret ON secret.shop = shop.id AND secret.field = 'webhook_secret'
  LEFT JOIN inventory.shop_secrets AS previous
    ON previous.shop = shop.id AND previous.field = 'webhook_secret_previous'
 WHERE shop.state <> 'removed' ORDER BY shop.id";

/// Two that change them at once do so one after the other.
const LOCK_SHOP: &str = "
SELECT id FROM inventory.shops WHERE id = $1 AND state <> 'removed' FOR NO KEY UPDATE";

impl Postgres {
    pub(crate) async fn shop_secrets(&self, shop: ShopId) -> Result<Option<ShopSecrets>, Error> {
        Ok(shop_secrets(self.open_secrets(shop).await?))
    }

    pub(crate) async fn webhook_doors(&self) -> Result<Vec<WebhookDoor>, Error> {
        let orders = with(CursorKind::Orders.as_str());
        let rows: Vec<DoorColumns> = all(&self.pool, "list webhook addresses", DOORS, orders).await?;
        rows.into_iter().map(|row| webhook_door(&self.key, row)).collect()
    }

    pub(crate) async fn webhook_token(&self, shop: ShopId) -> Result<Option<SecretString>, Error> {
        Ok(self.open_secrets(shop).await?.remove(WEBHOOK_TOKEN))
    }

    pub(crate) async fn set_shop_secrets(
        &self,
        shop: ShopId,
        secrets: &ShopSecrets,
    ) -> Result<Changed, Error> {
        let mut tx = self.write().await?;
        let known: Option<(i64,)> = maybe(&mut *tx, "look up a shop", LOCK_SHOP, with(shop.get())).await?;
        if known.is_none() {
            return Ok(Changed::Unknown);
        }
        let previous = with(shop.get()).and(WEBHOOK_SECRET_PREVIOUS);
        run(&mut *tx, "change a shop's secrets", FORGET_SECRET, previous).await?;
        self.seal_secrets(&mut tx, shop.get(), secrets).await?;
        commit(tx).await?;
        Ok(Changed::Done)
    }

    pub(super) async fn seal_secrets(
        &self,
        tx: &mut WriteTx,
        shop: i64,
        secrets: &ShopSecrets,
    ) -> Result<(), Error> {
        for (field, secret) in secret_fields(secrets) {
            self.seal(tx, shop, field, secret).await?;
        }
        Ok(())
    }

    pub(super) async fn seal(
        &self,
        tx: &mut WriteTx,
        shop: i64,
        field: &'static str,
        secret: &SecretString,
    ) -> Result<(), Error> {
        let parameters = with(shop).and(field).and(self.key.seal(shop, field, secret));
        run(&mut **tx, "store a shop's secrets", SET_SECRET, parameters).await?;
        Ok(())
    }

    async fn open_secrets(&self, shop: ShopId) -> Result<BTreeMap<String, SecretString>, Error> {
        let rows = all(&self.pool, "read a shop's secrets", SECRETS, with(shop.get())).await?;
        open_fields(&self.key, shop, rows)
    }
}
