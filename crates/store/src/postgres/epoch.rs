//! A new epoch after a restore, on PostgreSQL: what the database says of shops may be older than what they were told since.

use std::time::Duration;

use values::Timestamp;

use super::parameters::{Parameters, none, one, run, with};
use super::{Postgres, commit, outbox};
use crate::error::Error;
use crate::registry::EpochBegun;
use crate::rows::unsigned;

/// Every row is written: whoever is at work waits, instead of meeting this in the middle.
const LOCK: &str = "
LOCK TABLE inventory.stocks, inventory.outbox, inventory.rereads, inventory.wishes, egress.stocks, egress.notes,
           egress.reports, ingress.cursors IN EXCLUSIVE MODE";

/// Levels of the new epoch are newer than all before, and the last proof was of another.
const STOCKS: &str = "UPDATE inventory.stocks SET epoch = epoch + 1, settle = NULL";

/// Pushes that were made later than this database knows of may be on their way until `$1`: no proof from before counts.
const PUSHES: &str = "
UPDATE egress.stocks
   SET base = NULL, intent = NULL, intent_owner = NULL, doubtful_until = NULL, log = '[]', log_floor = $1
 WHERE known";

/// Edits that the ledger was asked to take over: it has, or never will.
const EDITS: &str = "
UPDATE egress.drifts AS d
   SET action = CASE WHEN (s.adoption::jsonb ->> 0)::bigint = d.number AND s.adoption::jsonb ->> 1 IS NULL
                     THEN 'adopted' ELSE 'none' END,
       why = CASE WHEN (s.adoption::jsonb ->> 0)::bigint = d.number
                  THEN s.adoption::jsonb ->> 1 ELSE 'new_levels' END
  FROM inventory.stocks AS s
 WHERE d.action = 'adopting' AND s.shop = d.shop AND s.holder = d.holder";

/// A note may have been written since the copy was made: it is looked for before it is written.
const NOTES: &str = "
UPDATE egress.reports
   SET intent_at = $1, intent_owner = 'restored', version = version + 1, due_at = $1
 WHERE note IS NOT NULL AND note_state = 'waiting' AND intent_at IS NULL";

/// Whatever was asked for, the answer is lost.
const FORGET_ASKED: &str = "UPDATE egress.notes SET wish = NULL WHERE wish IS NOT NULL";
const ASK_AGAIN: &str = "UPDATE inventory.rereads SET asked_at = NULL WHERE asked_at IS NOT NULL";

const WANT_SETTLES: &str = "
INSERT INTO inventory.wishes (shop, kind, id, wanted_at)
SELECT s.shop, 'stock', s.holder, $1
  FROM inventory.stocks AS s JOIN inventory.shops AS r ON r.id = s.shop AND r.state = 'active'
 WHERE s.sku_id IS NOT NULL AND NOT s.removed
    ON CONFLICT (shop, kind, id) DO UPDATE SET wanted_at = excluded.wanted_at";

/// Of orders that were deleted and products that are new since then, no poll tells.
const WANT_ALL: &str = "
INSERT INTO inventory.wishes (shop, kind, id, wanted_at)
SELECT r.id, w.kind, 0, $1 FROM inventory.shops AS r CROSS JOIN (VALUES ('audit'), ('catalogue')) AS w (kind)
 WHERE r.state = 'active'
    ON CONFLICT (shop, kind, id) DO UPDATE SET wanted_at = excluded.wanted_at";

const READ_AGAIN: &str = "
UPDATE ingress.cursors SET shop_time = shop_time - $1, hub_time = hub_time - $1 WHERE kind IN ('orders', 'trash')";

const SHOPS: &str = "SELECT count(*) FROM inventory.shops WHERE state = 'active'";

/// Tables of any size are written whole: this one is not ended by the time set for a statement.
const NO_HURRY: &str = "SET LOCAL statement_timeout = 0";

impl Postgres {
    pub(crate) async fn begin_epoch(
        &self,
        now: Timestamp,
        read_again: Duration,
        in_flight: Duration,
    ) -> Result<EpochBegun, Error> {
        let back = now.micros() - (now - read_again).micros();
        let mut tx = self.write().await?;
        let steps: [(&'static str, Parameters); 11] = [
            (NO_HURRY, none()),
            (LOCK, none()),
            (STOCKS, none()),
            (outbox::PUBLISH_ALL, with(now.micros()).and(None::<i64>)),
            (PUSHES, with((now + in_flight).micros())),
            (EDITS, none()),
            (NOTES, with(now.micros())),
            (FORGET_ASKED, none()),
            (ASK_AGAIN, none()),
            (WANT_ALL, with(now.micros())),
            (READ_AGAIN, with(back)),
        ];
        for (statement, parameters) in steps {
            run(&mut *tx, "begin a new epoch", statement, parameters).await?;
        }
        let doing = "ask for settles of a new epoch";
        let stock_count = run(&mut *tx, doing, WANT_SETTLES, with(now.micros())).await?;
        let (shops,) = one(&mut *tx, "count the shops of a new epoch", SHOPS, none()).await?;
        commit(tx).await?;
        Ok(EpochBegun { shop_count: unsigned("count", shops)?, stock_count })
    }
}
