//! Webhooks kept in shops, and conditions of shops, on SQLite.

use values::{ShopId, Timestamp};

use super::{Sqlite, commit};
use crate::error::{Error, failed};
use crate::rows::ingress::{ConditionColumns, WebhookColumns, condition, condition_text, kept_webhook};
use crate::webhooks::{Condition, ConditionKind, KeptWebhook};

const KEPT: &str = "
SELECT topic, webhook, mark, made_at, delivered_at FROM ingress_webhooks WHERE shop = ?1 ORDER BY topic";

const KEEP: &str = "
INSERT INTO ingress_webhooks (shop, topic, webhook, mark, made_at) VALUES (?1, ?2, ?3, ?4, ?5)
    ON CONFLICT (shop, topic) DO UPDATE SET
       webhook = excluded.webhook, mark = excluded.mark, made_at = excluded.made_at";

const NOTE_DELIVERY: &str = "
INSERT INTO ingress_webhooks (shop, topic, delivered_at) VALUES (?1, ?2, ?3)
    ON CONFLICT (shop, topic) DO UPDATE SET delivered_at = max(coalesce(delivered_at, 0), excluded.delivered_at)";

const NOTE_PING: &str = "
INSERT INTO ingress_readings (shop, failure, breaker, pinged_at) VALUES (?1, '', 'closed', ?2)
    ON CONFLICT (shop) DO UPDATE SET pinged_at = excluded.pinged_at";

/// What is so already keeps its beginning.
const RAISE: &str = "
INSERT INTO ingress_conditions AS known (shop, kind, what, since, seen_at) VALUES (?1, ?2, ?3, ?4, ?4)
    ON CONFLICT (shop, kind) DO UPDATE SET
       what = excluded.what, seen_at = excluded.seen_at, cleared_at = NULL,
       since = CASE WHEN known.cleared_at IS NULL THEN known.since ELSE excluded.since END
RETURNING since";

const CLEAR: &str = "
UPDATE ingress_conditions SET cleared_at = ?3 WHERE shop = ?1 AND kind = ?2 AND cleared_at IS NULL";

const CONDITIONS: &str = "
SELECT kind, what, since, seen_at, cleared_at FROM ingress_conditions WHERE shop = ?1 ORDER BY kind";

impl Sqlite {
    pub(crate) async fn kept_webhooks(&self, shop: ShopId) -> Result<Vec<KeptWebhook>, Error> {
        let rows: Vec<WebhookColumns> = sqlx::query_as(KEPT)
            .bind(shop.get())
            .fetch_all(&self.readers)
            .await
            .map_err(failed("look for a shop's webhooks"))?;
        Ok(rows.into_iter().map(kept_webhook).collect())
    }

    pub(crate) async fn keep_webhook(
        &self,
        shop: ShopId,
        topic: &str,
        webhook: i64,
        mark: Option<&str>,
        now: Timestamp,
    ) -> Result<(), Error> {
        let mut tx = self.write().await?;
        sqlx::query(KEEP)
            .bind(shop.get())
            .bind(topic)
            .bind(webhook)
            .bind(mark)
            .bind(now.micros())
            .execute(&mut *tx)
            .await
            .map_err(failed("note a shop's webhook"))?;
        commit(tx).await
    }

    pub(crate) async fn note_delivery(&self, shop: ShopId, topic: &str, now: Timestamp) -> Result<(), Error> {
        let mut tx = self.write().await?;
        sqlx::query(NOTE_DELIVERY)
            .bind(shop.get())
            .bind(topic)
            .bind(now.micros())
            .execute(&mut *tx)
            .await
            .map_err(failed("note a delivery"))?;
        commit(tx).await
    }

    pub(crate) async fn note_ping(&self, shop: ShopId, now: Timestamp) -> Result<(), Error> {
        let mut tx = self.write().await?;
        sqlx::query(NOTE_PING)
            .bind(shop.get())
            .bind(now.micros())
            .execute(&mut *tx)
            .await
            .map_err(failed("note a ping"))?;
        commit(tx).await
    }

    pub(crate) async fn raise_condition(
        &self,
        shop: ShopId,
        kind: ConditionKind,
        what: &str,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let mut tx = self.write().await?;
        let since: i64 = sqlx::query_scalar(RAISE)
            .bind(shop.get())
            .bind(kind.as_str())
            .bind(condition_text(what))
            .bind(now.micros())
            .fetch_one(&mut *tx)
            .await
            .map_err(failed("note what is wrong with a shop"))?;
        commit(tx).await?;
        Ok(since == now.micros())
    }

    pub(crate) async fn clear_condition(
        &self,
        shop: ShopId,
        kind: ConditionKind,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let mut tx = self.write().await?;
        let cleared = sqlx::query(CLEAR)
            .bind(shop.get())
            .bind(kind.as_str())
            .bind(now.micros())
            .execute(&mut *tx)
            .await
            .map_err(failed("note what is well with a shop"))?;
        commit(tx).await?;
        Ok(cleared.rows_affected() > 0)
    }

    pub(crate) async fn conditions(&self, shop: ShopId) -> Result<Vec<Condition>, Error> {
        let rows: Vec<ConditionColumns> = sqlx::query_as(CONDITIONS)
            .bind(shop.get())
            .fetch_all(&self.readers)
            .await
            .map_err(failed("look what is wrong with a shop"))?;
        rows.into_iter().map(|row| condition(shop, row)).collect()
    }
}
