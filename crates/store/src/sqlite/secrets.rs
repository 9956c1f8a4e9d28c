//! Shops' secrets on SQLite: sealed before they are bound, opened after they are read.

use std::collections::BTreeMap;

use secrecy::SecretString;
use values::ShopId;

use super::{Sqlite, WriteTx, commit};
use crate::error::{Error, failed};
use crate::ingress::CursorKind;
use crate::registry::{Changed, ShopSecrets, WebhookDoor};
use crate::rows::registry::{
    DoorColumns, WEBHOOK_SECRET_PREVIOUS, WEBHOOK_TOKEN, open_fields, secret_fields, shop_secrets,
    webhook_door,
};

const SET_SECRET: &str = "
INSERT INTO registry_shop_secrets (shop, field, sealed) VALUES (?1, ?2, ?3)
    ON CONFLICT (shop, field) DO UPDATE SET sealed = excluded.sealed";

const DOORS: &str = "
SELECT shop.id, shop.webhook_token_hash, secret.sealed, previous.sealed, EXISTS (
           SELECT 1 FROM ingress_cursors AS cursor WHERE cursor.shop = shop.id AND cursor.kind = ?1)
  FROM registry_shops AS shop
  JOIN registry_shop_secrets AS secret ON secret.shop = shop.id AND secret.field = 'webhook_secret'
  LEFT JOIN registry_shop_secrets AS previous
    ON previous.shop = shop.id AND previous.field = 'webhook_secret_previous'
 WHERE shop.state <> 'removed' ORDER BY shop.id";

impl Sqlite {
    pub(crate) async fn shop_secrets(&self, shop: ShopId) -> Result<Option<ShopSecrets>, Error> {
        Ok(shop_secrets(self.open_secrets(shop).await?))
    }

    pub(crate) async fn webhook_doors(&self) -> Result<Vec<WebhookDoor>, Error> {
        let rows: Vec<DoorColumns> = sqlx::query_as(DOORS)
            .bind(CursorKind::Orders.as_str())
            .fetch_all(&self.readers)
            .await
            .map_err(failed("list webhook addresses"))?;
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
        let known: Option<i64> =
            sqlx::query_scalar("SELECT id FROM registry_shops WHERE id = ?1 AND state <> 'removed'")
                .bind(shop.get())
                .fetch_optional(&mut *tx)
                .await
                .map_err(failed("look up a shop"))?;
        if known.is_none() {
            return Ok(Changed::Unknown);
        }
        sqlx::query("DELETE FROM registry_shop_secrets WHERE shop = ?1 AND field = ?2")
            .bind(shop.get())
            .bind(WEBHOOK_SECRET_PREVIOUS)
            .execute(&mut *tx)
            .await
            .map_err(failed("change a shop's secrets"))?;
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
        sqlx::query(SET_SECRET)
            .bind(shop)
            .bind(field)
            .bind(self.key.seal(shop, field, secret))
            .execute(&mut **tx)
            .await
            .map_err(failed("store a shop's secrets"))?;
        Ok(())
    }

    async fn open_secrets(&self, shop: ShopId) -> Result<BTreeMap<String, SecretString>, Error> {
        let rows: Vec<(String, Vec<u8>)> =
            sqlx::query_as("SELECT field, sealed FROM registry_shop_secrets WHERE shop = ?1")
                .bind(shop.get())
                .fetch_all(&self.readers)
                .await
                .map_err(failed("read a shop's secrets"))?;
        open_fields(&self.key, shop, rows)
    }
}
