//! A new epoch after a restore, on SQLite: what the database says of shops may be older than what they were told since.

use std::time::Duration;

use values::Timestamp;

use super::{Sqlite, commit};
use crate::error::{Error, failed};
use crate::registry::EpochBegun;

/// Levels of the new epoch are newer than all before, and the last proof was of another.
const STOCKS: &str = "UPDATE inventory_stocks SET epoch = epoch + 1, settle = NULL";

const PUBLISH: &str = "
INSERT INTO inventory_outbox (shop, holder, since)
SELECT shop, holder, ?1 FROM inventory_stocks WHERE sku_id IS NOT NULL
    ON CONFLICT (shop, holder) DO NOTHING";

/// Pushes that were made later than this database knows of may be on their way until `?1`: no proof from before counts.
const PUSHES: &str = "
UPDATE egress_stocks
   SET base = NULL, intent = NULL, intent_owner = NULL, doubtful_until = NULL, log = '[]', log_floor = ?1";

/// Edits that the ledger was asked to take over: it has, or never will.
const EDITS: &str = "
UPDATE egress_drifts AS d
   SET action = iif(s.adoption ->> 0 = d.number AND s.adoption ->> 1 IS NULL, 'adopted', 'none'),
       why = iif(s.adoption ->> 0 = d.number, s.adoption ->> 1, 'new_levels')
  FROM inventory_stocks AS s
 WHERE d.action = 'adopting' AND s.shop = d.shop AND s.holder = d.holder";

/// A note may have been written since the copy was made: it is looked for before it is written.
const NOTES: &str = "
UPDATE egress_reports
   SET intent_at = ?1, intent_owner = 'restored', version = version + 1, due_at = ?1
 WHERE note IS NOT NULL AND note_state = 'waiting' AND intent_at IS NULL";

/// Whatever was asked for, the answer is lost.
const FORGET_ASKED: &str = "UPDATE egress_notes SET wish = NULL WHERE wish IS NOT NULL";
const ASK_AGAIN: &str = "UPDATE inventory_rereads SET asked_at = NULL WHERE asked_at IS NOT NULL";

const WANT_SETTLES: &str = "
INSERT INTO inventory_wishes (shop, kind, id, wanted_at)
SELECT s.shop, 'stock', s.holder, ?1
  FROM inventory_stocks AS s CROSS JOIN registry_shops AS r ON r.id = s.shop AND r.state = 'active'
 WHERE s.sku_id IS NOT NULL AND s.removed = 0
    ON CONFLICT (shop, kind, id) DO UPDATE SET wanted_at = excluded.wanted_at";

/// Of orders that were deleted and products that are new since then, no poll tells.
const WANT_ALL: &str = "
INSERT INTO inventory_wishes (shop, kind, id, wanted_at)
SELECT r.id, w.value, 0, ?1 FROM registry_shops AS r CROSS JOIN json_each('[\"audit\",\"catalogue\"]') AS w
 WHERE r.state = 'active'
    ON CONFLICT (shop, kind, id) DO UPDATE SET wanted_at = excluded.wanted_at";

const READ_AGAIN: &str = "
UPDATE ingress_cursors SET shop_time = shop_time - ?1, hub_time = hub_time - ?1 WHERE kind IN ('orders', 'trash')";

impl Sqlite {
    pub(crate) async fn begin_epoch(
        &self,
        now: Timestamp,
        read_again: Duration,
        in_flight: Duration,
    ) -> Result<EpochBegun, Error> {
        let back = now.micros() - (now - read_again).micros();
        let mut tx = self.write().await?;
        let steps = [
            (STOCKS, None),
            (PUBLISH, Some(now.micros())),
            (PUSHES, Some((now + in_flight).micros())),
            (EDITS, None),
            (NOTES, Some(now.micros())),
            (FORGET_ASKED, None),
            (ASK_AGAIN, None),
            (WANT_ALL, Some(now.micros())),
            (READ_AGAIN, Some(back)),
        ];
        for (statement, argument) in steps {
            let mut step = sqlx::query(statement);
            if let Some(argument) = argument {
                step = step.bind(argument);
            }
            step.execute(&mut *tx).await.map_err(failed("begin a new epoch"))?;
        }
        let settles = sqlx::query(WANT_SETTLES)
            .bind(now.micros())
            .execute(&mut *tx)
            .await
            .map_err(failed("ask for settles of a new epoch"))?;
        let shops: i64 = sqlx::query_scalar("SELECT count(*) FROM registry_shops WHERE state = 'active'")
            .fetch_one(&mut *tx)
            .await
            .map_err(failed("count the shops of a new epoch"))?;
        commit(tx).await?;
        Ok(EpochBegun {
            shop_count: crate::rows::unsigned("count", shops)?,
            stock_count: settles.rows_affected(),
        })
    }
}
