//! Webhooks kept in shops, and conditions of shops, on PostgreSQL.

use values::{ShopId, Timestamp};

use super::Postgres;
use super::parameters::{all, one, run, with};
use crate::error::Error;
use crate::rows::ingress::{ConditionColumns, WebhookColumns, condition, condition_text, kept_webhook};
use crate::webhooks::{Condition, ConditionKind, KeptWebhook};

const KEPT: &str = "
SELECT topic, webhook, mark, made_at, delivered_at FROM ingress.webhooks WHERE shop = $1 ORDER BY topic";

const KEEP: &str = "
INSERT INTO ingress.webhooks (shop, topic, webhook, mark, made_at) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (shop, topic) DO UPDATE SET
       webhook = excluded.webhook, mark = excluded.mark, made_at = excluded.made_at";

const NOTE_DELIVERY: &str = "
INSERT INTO ingress.webhooks (shop, topic, delivered_at) VALUES ($1, $2, $3)
    ON CONFLICT (shop, topic) DO UPDATE SET
       delivered_at = greatest(webhooks.delivered_at, excluded.delivered_at)";

const NOTE_PING: &str = "
INSERT INTO ingress.readings (shop, failure, breaker, pinged_at) VALUES ($1, '', 'closed', $2)
    ON CONFLICT (shop) DO UPDATE SET pinged_at = excluded.pinged_at";

/// What is so already keeps its beginning.
const RAISE: &str = "
INSERT INTO ingress.conditions AS known (shop, kind, what, since, seen_at) VALUES ($1, $2, $3, $4, $4)
    ON CONFLICT (shop, kind) DO UPDATE SET
       what = excluded.what, seen_at = excluded.seen_at, cleared_at = NULL,
       since = CASE WHEN known.cleared_at IS NULL THEN known.since ELSE excluded.since END
RETURNING since";

const CLEAR: &str = "
UPDATE ingress.conditions SET cleared_at = $3 WHERE shop = $1 AND kind = $2 AND cleared_at IS NULL";

const CONDITIONS: &str = "
SELECT kind, what, since, seen_at, cleared_at FROM ingress.conditions WHERE shop = $1 ORDER BY kind";

impl Postgres {
    pub(crate) async fn kept_webhooks(&self, shop: ShopId) -> Result<Vec<KeptWebhook>, Error> {
        let doing = "look for a shop's webhooks";
        let rows: Vec<WebhookColumns> = all(&self.pool, doing, KEPT, with(shop.get())).await?;
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
        let parameters = with(shop.get()).and(topic).and(webhook).and(mark).and(now.micros());
        run(&self.pool, "note a shop's webhook", KEEP, parameters).await?;
        Ok(())
    }

    pub(crate) async fn note_delivery(&self, shop: ShopId, topic: &str, now: Timestamp) -> Result<(), Error> {
        let parameters = with(shop.get()).and(topic).and(now.micros());
        run(&self.pool, "note a delivery", NOTE_DELIVERY, parameters).await?;
        Ok(())
    }

    pub(crate) async fn note_ping(&self, shop: ShopId, now: Timestamp) -> Result<(), Error> {
        run(&self.pool, "note a ping", NOTE_PING, with(shop.get()).and(now.micros())).await?;
        Ok(())
    }

    pub(crate) async fn raise_condition(
        &self,
        shop: ShopId,
        kind: ConditionKind,
        what: &str,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let parameters = with(shop.get()).and(kind.as_str()).and(condition_text(what)).and(now.micros());
        let (since,): (i64,) = one(&self.pool, "note what is wrong with a shop", RAISE, parameters).await?;
        Ok(since == now.micros())
    }

    pub(crate) async fn clear_condition(
        &self,
        shop: ShopId,
        kind: ConditionKind,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let parameters = with(shop.get()).and(kind.as_str()).and(now.micros());
        Ok(run(&self.pool, "note what is well with a shop", CLEAR, parameters).await? > 0)
    }

    pub(crate) async fn conditions(&self, shop: ShopId) -> Result<Vec<Condition>, Error> {
        let doing = "look what is wrong with a shop";
        let rows: Vec<ConditionColumns> = all(&self.pool, doing, CONDITIONS, with(shop.get())).await?;
        rows.into_iter().map(|row| condition(shop, row)).collect()
    }
}
