//! Runs that compare whole shops, on SQLite.

use values::{HolderId, ReadNumber, ShopId, Timestamp};

use super::{Sqlite, commit};
use crate::error::{Error, failed};
use crate::ingress::SettleHold;
use crate::reconcile::{
    NewRun, Run, RunAdded, RunAnswer, RunJob, RunLeft, RunRead, RunState, RunStock, RunVerdict,
};
use crate::report::PAGE_ROWS_MAX;
use crate::rows::reconcile::{
    AnswerColumns, RunColumns, RunStockColumns, TotalColumns, answer, failure_kept, read_rows, run_columns,
    run_job, run_left, run_row, run_stock, run_stock_columns, total, totals_text, verdict_rows,
};
use crate::rows::{json, signed};

const ADD_RUN: &str = "
INSERT INTO ingress_reconciliations (shop, dry_run, cause, chosen, state, deadline, created_at)
VALUES (?1, ?2, ?3, ?4, 'waiting', ?5, ?6) ON CONFLICT DO NOTHING RETURNING id";

const OPEN_RUN: &str = concat!(
    "SELECT ",
    run_columns!(),
    " FROM ingress_reconciliations WHERE shop = ?1 AND state IN ('waiting', 'running')"
);

const CHOOSE: &str = "
INSERT INTO ingress_reconciled (run, holder, parent, sku, state, due_at, class, action)
SELECT ?1, s.holder, s.parent, k.sku, iif(k.sku IS NULL, 'judged', 'open'), ?4,
       iif(k.sku IS NULL, 'unmapped', NULL), iif(k.sku IS NULL, 'none', NULL)
  FROM jsonb_each(?3) AS w CROSS JOIN inventory_stocks AS s ON s.shop = ?2 AND s.holder = w.value
  LEFT JOIN inventory_skus AS k ON k.id = s.sku_id
 WHERE s.removed = 0
    ON CONFLICT DO NOTHING";

const FILL: &str = "
INSERT INTO ingress_reconciled (run, holder, parent, sku, state, due_at, class, action)
SELECT q.id, s.holder, s.parent, k.sku, iif(k.sku IS NULL, 'judged', 'open'), ?3,
       iif(k.sku IS NULL, 'unmapped', NULL), iif(k.sku IS NULL, 'none', NULL)
  FROM ingress_reconciliations AS q CROSS JOIN inventory_stocks AS s ON s.shop = q.shop
  LEFT JOIN inventory_skus AS k ON k.id = s.sku_id
 WHERE q.id = ?1 AND q.state = 'waiting' AND q.chosen = 0 AND s.removed = 0
   AND s.holder > coalesce((SELECT max(holder) FROM ingress_reconciled WHERE run = ?1), 0)
 ORDER BY s.holder LIMIT ?2";

/// What a shop sells and keeps no quantity for; a product with variations is sold by these.
const FILL_UNMANAGED: &str = "
INSERT INTO ingress_reconciled (run, holder, parent, sku, state, due_at, class, action)
SELECT q.id, iif(l.variation = 0, l.product, l.variation), iif(l.variation = 0, NULL, l.product), l.sku, 'judged', ?2,
       'unmanaged', 'none'
  FROM ingress_reconciliations AS q CROSS JOIN registry_listings AS l ON l.shop = q.shop
 WHERE q.id = ?1 AND q.state = 'waiting' AND q.chosen = 0 AND l.holder IS NULL
   AND (l.variation <> 0 OR NOT EXISTS (SELECT 1 FROM registry_listings AS v
                                         WHERE v.shop = l.shop AND v.product = l.product AND v.variation <> 0))
    ON CONFLICT DO NOTHING";

const BEGIN: &str = "
UPDATE ingress_reconciliations SET state = 'running', started_at = ?2 WHERE id = ?1 AND state = 'waiting'";

/// Left to itself the planner goes through all stocks of the run, those that are long decided too.
const TO_READ: &str = "
SELECT r.holder, r.parent
  FROM ingress_reconciliations AS q CROSS JOIN ingress_reconciled AS r
       INDEXED BY ingress_reconciled_undecided ON r.run = q.id
 WHERE q.id = ?1 AND r.state = 'open' AND r.state <> 'judged' AND (r.parent IS NOT NULL) = ?2 AND r.due_at <= ?3
   AND (?5 IS NULL OR r.due_at <= ?7 OR NOT EXISTS
       (SELECT 1 FROM inventory_stocks AS i
         WHERE i.shop = q.shop AND i.holder = r.holder AND i.last_order_date BETWEEN ?5 AND ?6))
 ORDER BY r.holder LIMIT ?4";

const LEFT: &str = "
SELECT state, parent IS NOT NULL, count(*) FROM ingress_reconciled
 WHERE run = ?1 AND state <> 'judged' GROUP BY 1, 2";

/// The rows are made first: else every stock of the run would be held against each of them, which no index helps.
const NOTE_READ: &str = "
WITH w AS MATERIALIZED (SELECT ?1 AS run, value FROM jsonb_each(?2))
UPDATE ingress_reconciled AS r SET
       state = iif(w.value ->> 2 IS NULL, 'read', 'judged'), class = w.value ->> 2,
       action = iif(w.value ->> 2 IS NULL, NULL, 'none'), shown = w.value ->> 1, number = ?3,
       first_number = coalesce(r.first_number, ?3), read_at = ?4, tries = r.tries + 1
  FROM w WHERE r.run = w.run AND r.holder = w.value ->> 0 AND r.state = 'open'";

/// A comparison without consequences is inventory's, the others are what egress made of the proof.
const DRY_ANSWERS: &str = "
SELECT r.holder, r.tries, r.shown, c.number IS NOT NULL, c.class IS NOT NULL, c.class, c.action, c.difference,
       coalesce(s.removed, 1) <> 0
  FROM ingress_reconciled AS r INDEXED BY ingress_reconciled_undecided
  LEFT JOIN inventory_stocks AS s ON s.shop = ?2 AND s.holder = r.holder
  LEFT JOIN inventory_comparisons AS c ON c.shop = ?2 AND c.holder = r.holder AND c.number >= r.number
 WHERE r.run = ?1 AND r.state = 'read' AND r.state <> 'judged'
   AND (c.number IS NOT NULL OR r.read_at < ?3 OR coalesce(s.removed, 1) <> 0)
 ORDER BY r.holder LIMIT ?4";

const ANSWERS: &str = "
SELECT r.holder, r.tries, r.shown, coalesce(n.proof_seen >= r.number, 0) <> 0, coalesce(e.settled >= r.number, 0) <> 0,
       d.class, d.action, d.difference, coalesce(s.removed, 1) <> 0
  FROM ingress_reconciled AS r INDEXED BY ingress_reconciled_undecided
  LEFT JOIN inventory_stocks AS s ON s.shop = ?2 AND s.holder = r.holder
  LEFT JOIN egress_stocks AS e ON e.shop = ?2 AND e.holder = r.holder
  LEFT JOIN egress_notes AS n ON n.shop = ?2 AND n.holder = r.holder
  LEFT JOIN egress_drifts AS d ON d.shop = ?2 AND d.holder = r.holder AND d.number =
       (SELECT max(number) FROM egress_drifts
         WHERE shop = ?2 AND holder = r.holder AND number >= r.first_number
           AND class NOT IN ('unmanaged', 'unsettled'))
 WHERE r.run = ?1 AND r.state = 'read' AND r.state <> 'judged'
   AND (n.proof_seen >= r.number OR e.settled >= r.number OR r.read_at < ?3 OR coalesce(s.removed, 1) <> 0)
 ORDER BY r.holder LIMIT ?4";

/// What is known of a difference may be more by the end: that many stocks were edited at once, that the ledger has taken an
/// edit over.
const REFRESH: &str = "
UPDATE ingress_reconciled AS r SET class = d.class, action = d.action
  FROM ingress_reconciliations AS q, egress_drifts AS d
 WHERE r.run = ?1 AND q.id = ?1 AND q.dry_run = 0 AND q.ended_at IS NULL AND r.difference <> 0
   AND d.shop = q.shop AND d.holder = r.holder AND d.number =
       (SELECT max(number) FROM egress_drifts
         WHERE shop = q.shop AND holder = r.holder AND number BETWEEN r.first_number AND r.number
           AND class NOT IN ('unmanaged', 'unsettled'))";

const JUDGE: &str = "
WITH w AS MATERIALIZED (SELECT ?1 AS run, value FROM jsonb_each(?2))
UPDATE ingress_reconciled AS r SET
       state = w.value ->> 1, due_at = w.value ->> 2, class = w.value ->> 3, action = w.value ->> 4,
       expected = w.value ->> 5, difference = w.value ->> 6
  FROM w WHERE r.run = w.run AND r.holder = w.value ->> 0 AND r.state = 'read'";

const TOTALS: &str = "
SELECT class, coalesce(action, 'none'), count(*) FROM ingress_reconciled
 WHERE run = ?1 AND class IS NOT NULL GROUP BY 1, 2 ORDER BY 1, 2";

/// Of runs that ended before.
const PRUNE_STOCKS: &str = "
DELETE FROM ingress_reconciled WHERE (run, holder) IN
  (SELECT r.run, r.holder FROM ingress_reconciliations AS q CROSS JOIN ingress_reconciled AS r ON r.run = q.id
    WHERE q.ended_at < ?2 LIMIT ?1)";

/// What a whole run lists of products that no run can compare, once a newer one has.
const PRUNE_INCOMPARABLE: &str = "
DELETE FROM ingress_reconciled WHERE (run, holder) IN
  (SELECT r.run, r.holder FROM ingress_reconciliations AS q CROSS JOIN ingress_reconciled AS r ON r.run = q.id
    WHERE q.ended_at IS NOT NULL AND q.chosen = 0 AND r.class IN ('unmanaged', 'unmapped')
      AND EXISTS (SELECT 1 FROM ingress_reconciliations AS n
                   WHERE n.shop = q.shop AND n.id > q.id AND n.state = 'done' AND n.chosen = 0)
    LIMIT ?1)";

const PRUNE_RUNS: &str = "
DELETE FROM ingress_reconciliations WHERE id IN
  (SELECT q.id FROM ingress_reconciliations AS q
    WHERE q.ended_at < ?2 AND NOT EXISTS (SELECT 1 FROM ingress_reconciled AS r WHERE r.run = q.id) LIMIT ?1)";

impl Sqlite {
    pub(crate) async fn add_run(&self, new: &NewRun, now: Timestamp) -> Result<RunAdded, Error> {
        let doing = "ask for a comparison of a shop";
        let mut tx = self.write().await?;
        let added: Option<i64> = sqlx::query_scalar(ADD_RUN)
            .bind(new.shop.get())
            .bind(new.dry_run)
            .bind(new.cause.as_str())
            .bind(new.chosen.is_some())
            .bind(new.deadline.micros())
            .bind(now.micros())
            .fetch_optional(&mut *tx)
            .await
            .map_err(failed(doing))?;
        let Some(run) = added else {
            let open: RunColumns = sqlx::query_as(OPEN_RUN)
                .bind(new.shop.get())
                .fetch_one(&mut *tx)
                .await
                .map_err(failed(doing))?;
            return Ok(RunAdded::UnderWay(run_row(open)?.id));
        };
        if let Some(chosen) = &new.chosen {
            let holders: Vec<i64> = chosen.iter().map(|holder| holder.get()).collect();
            sqlx::query(CHOOSE)
                .bind(run)
                .bind(new.shop.get())
                .bind(json(&holders))
                .bind(now.micros())
                .execute(&mut *tx)
                .await
                .map_err(failed(doing))?;
        }
        commit(tx).await?;
        Ok(RunAdded::Added(run))
    }

    pub(crate) async fn open_run(&self, shop: ShopId) -> Result<Option<Run>, Error> {
        let row: Option<RunColumns> = sqlx::query_as(OPEN_RUN)
            .bind(shop.get())
            .fetch_optional(&self.readers)
            .await
            .map_err(failed("look for a comparison under way"))?;
        row.map(run_row).transpose()
    }

    pub(crate) async fn fill_run(&self, run: i64, limit: u32, now: Timestamp) -> Result<u64, Error> {
        let doing = "list the stocks to compare";
        let limit = limit.min(PAGE_ROWS_MAX);
        let mut tx = self.write().await?;
        let filled = sqlx::query(FILL).bind(run).bind(limit).bind(now.micros());
        let filled = filled.execute(&mut *tx).await.map_err(failed(doing))?.rows_affected();
        if filled < u64::from(limit) {
            for statement in [FILL_UNMANAGED, BEGIN] {
                let last = sqlx::query(statement).bind(run).bind(now.micros());
                last.execute(&mut *tx).await.map_err(failed(doing))?;
            }
        }
        commit(tx).await?;
        Ok(filled)
    }

    pub(crate) async fn run_to_read(
        &self,
        run: i64,
        variations: bool,
        now: Timestamp,
        hold: Option<SettleHold>,
        limit: u32,
    ) -> Result<Vec<RunJob>, Error> {
        let rows: Vec<(i64, Option<i64>)> = sqlx::query_as(TO_READ)
            .bind(run)
            .bind(variations)
            .bind(now.micros())
            .bind(limit.min(PAGE_ROWS_MAX))
            .bind(hold.map(|hold| hold.dated_from.micros()))
            .bind(hold.map(|hold| hold.dated_to.micros()))
            .bind(hold.map(|hold| hold.due_since.micros()))
            .fetch_all(&self.readers)
            .await
            .map_err(failed("look for stocks to compare"))?;
        rows.into_iter().map(run_job).collect()
    }

    pub(crate) async fn run_left(&self, run: i64) -> Result<RunLeft, Error> {
        let rows: Vec<(String, bool, i64)> = sqlx::query_as(LEFT)
            .bind(run)
            .fetch_all(&self.readers)
            .await
            .map_err(failed("count the stocks to compare"))?;
        run_left(rows)
    }

    pub(crate) async fn note_run_read(
        &self,
        run: i64,
        reads: &[RunRead],
        number: ReadNumber,
        calls: u32,
        now: Timestamp,
    ) -> Result<(), Error> {
        let doing = "note which stocks were read";
        let mut tx = self.write().await?;
        sqlx::query(NOTE_READ)
            .bind(run)
            .bind(json(&read_rows(reads)))
            .bind(signed(number.get()))
            .bind(now.micros())
            .execute(&mut *tx)
            .await
            .map_err(failed(doing))?;
        sqlx::query("UPDATE ingress_reconciliations SET reads = reads + 1, calls = calls + ?2 WHERE id = ?1")
            .bind(run)
            .bind(calls)
            .execute(&mut *tx)
            .await
            .map_err(failed(doing))?;
        commit(tx).await
    }

    pub(crate) async fn run_answers(
        &self,
        run: &Run,
        overdue: Timestamp,
        limit: u32,
    ) -> Result<Vec<RunAnswer>, Error> {
        let rows: Vec<AnswerColumns> = sqlx::query_as(if run.dry_run { DRY_ANSWERS } else { ANSWERS })
            .bind(run.id)
            .bind(run.shop.get())
            .bind(overdue.micros())
            .bind(limit.min(PAGE_ROWS_MAX))
            .fetch_all(&self.readers)
            .await
            .map_err(failed("look what comparisons came to"))?;
        rows.into_iter().map(answer).collect()
    }

    pub(crate) async fn judge_run(&self, run: i64, verdicts: &[RunVerdict]) -> Result<(), Error> {
        let mut tx = self.write().await?;
        sqlx::query(JUDGE)
            .bind(run)
            .bind(json(&verdict_rows(verdicts)))
            .execute(&mut *tx)
            .await
            .map_err(failed("note what comparisons came to"))?;
        commit(tx).await
    }

    pub(crate) async fn reopen_run(&self, run: i64, now: Timestamp) -> Result<(), Error> {
        let mut tx = self.write().await?;
        sqlx::query(
            "UPDATE ingress_reconciled SET state = 'open', due_at = ?2, tries = tries - 1
              WHERE run = ?1 AND state = 'read'",
        )
        .bind(run)
        .bind(now.micros())
        .execute(&mut *tx)
        .await
        .map_err(failed("take a comparison up again"))?;
        commit(tx).await
    }

    pub(crate) async fn end_run(
        &self,
        run: i64,
        state: RunState,
        failure: &str,
        now: Timestamp,
    ) -> Result<(), Error> {
        let doing = "end a comparison";
        let mut tx = self.write().await?;
        sqlx::query(
            "UPDATE ingress_reconciled SET state = 'judged', class = 'unsettled', action = 'none'
              WHERE run = ?1 AND state <> 'judged'
                AND EXISTS (SELECT 1 FROM ingress_reconciliations WHERE id = ?1 AND ended_at IS NULL)",
        )
        .bind(run)
        .execute(&mut *tx)
        .await
        .map_err(failed(doing))?;
        sqlx::query(REFRESH).bind(run).execute(&mut *tx).await.map_err(failed(doing))?;
        let totals: Vec<TotalColumns> =
            sqlx::query_as(TOTALS).bind(run).fetch_all(&mut *tx).await.map_err(failed(doing))?;
        let ended = sqlx::query(
            "UPDATE ingress_reconciliations SET state = ?2, failure = ?3, ended_at = ?4, totals = ?5
              WHERE id = ?1 AND ended_at IS NULL",
        )
        .bind(run)
        .bind(state.as_str())
        .bind(failure_kept(failure))
        .bind(now.micros())
        .bind(totals_text(&totals))
        .execute(&mut *tx)
        .await
        .map_err(failed(doing))?;
        if ended.rows_affected() > 0 {
            sqlx::query(
                "DELETE FROM ingress_reconciled WHERE run = ?1 AND class = 'agreed'
                    AND EXISTS (SELECT 1 FROM ingress_reconciliations WHERE id = ?1 AND chosen = 0)",
            )
            .bind(run)
            .execute(&mut *tx)
            .await
            .map_err(failed(doing))?;
        }
        commit(tx).await
    }

    pub(crate) async fn overdue_runs(&self, before: Timestamp, limit: u32) -> Result<Vec<i64>, Error> {
        sqlx::query_scalar(
            "SELECT id FROM ingress_reconciliations
              WHERE state IN ('waiting', 'running') AND deadline < ?1 ORDER BY id LIMIT ?2",
        )
        .bind(before.micros())
        .bind(limit)
        .fetch_all(&self.readers)
        .await
        .map_err(failed("look for comparisons that never ended"))
    }

    pub(crate) async fn run(&self, run: i64) -> Result<Option<Run>, Error> {
        let doing = "read a comparison";
        let mut tx = self.snapshot().await?;
        let row: Option<RunColumns> =
            sqlx::query_as(concat!("SELECT ", run_columns!(), " FROM ingress_reconciliations WHERE id = ?1"))
                .bind(run)
                .fetch_optional(&mut *tx)
                .await
                .map_err(failed(doing))?;
        let Some(mut found) = row.map(run_row).transpose()? else { return Ok(None) };
        if found.ended_at.is_none() {
            let totals: Vec<TotalColumns> =
                sqlx::query_as(TOTALS).bind(run).fetch_all(&mut *tx).await.map_err(failed(doing))?;
            found.totals = totals.into_iter().map(total).collect::<Result<_, _>>()?;
        }
        Ok(Some(found))
    }

    pub(crate) async fn runs(
        &self,
        shop: ShopId,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<Run>, Error> {
        let rows: Vec<RunColumns> = sqlx::query_as(concat!(
            "SELECT ",
            run_columns!(),
            " FROM ingress_reconciliations WHERE shop = ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3"
        ))
        .bind(shop.get())
        .bind(before.unwrap_or(i64::MAX))
        .bind(limit.min(PAGE_ROWS_MAX))
        .fetch_all(&self.readers)
        .await
        .map_err(failed("list comparisons"))?;
        rows.into_iter().map(run_row).collect()
    }

    pub(crate) async fn run_stocks(
        &self,
        run: i64,
        after: Option<HolderId>,
        limit: u32,
    ) -> Result<Vec<RunStock>, Error> {
        let rows: Vec<RunStockColumns> = sqlx::query_as(concat!(
            "SELECT ",
            run_stock_columns!(),
            " FROM ingress_reconciled WHERE run = ?1 AND holder > ?2 ORDER BY holder LIMIT ?3"
        ))
        .bind(run)
        .bind(after.map_or(0, HolderId::get))
        .bind(limit.min(PAGE_ROWS_MAX))
        .fetch_all(&self.readers)
        .await
        .map_err(failed("list what a comparison found"))?;
        rows.into_iter().map(run_stock).collect()
    }

    pub(crate) async fn prune_runs(&self, before: Timestamp, limit: u32) -> Result<u64, Error> {
        let mut gone = 0;
        let steps = [(PRUNE_INCOMPARABLE, None), (PRUNE_STOCKS, Some(before)), (PRUNE_RUNS, Some(before))];
        // One transaction each: others wait for none of them longer than its rows take.
        for (statement, before) in steps {
            let mut tx = self.write().await?;
            let prune = sqlx::query(statement).bind(limit);
            let prune = match before {
                Some(before) => prune.bind(before.micros()),
                None => prune,
            };
            let pruned = prune.execute(&mut *tx).await.map_err(failed("forget old comparisons"))?;
            gone += pruned.rows_affected();
            commit(tx).await?;
        }
        Ok(gone)
    }
}

#[cfg(test)]
mod tests {
    use sqlx::{AssertSqlSafe, Row as _};

    use super::*;
    use crate::{SecretKey, SqliteOptions};

    /// A run of a large shop has a hundred thousand rows, and each of these is asked for each of its reads.
    #[tokio::test]
    async fn what_every_read_of_a_run_asks_goes_straight_to_its_rows() {
        let folder = tempfile::tempdir().unwrap();
        let options = SqliteOptions::new(folder.path().join("onhand.db"));
        let store = Sqlite::open(&options, SecretKey::from_bytes([7; 32])).await.unwrap();
        let undecided = "SEARCH r USING INDEX ingress_reconciled_undecided (run=? AND state=?)";
        let one = "SEARCH r USING PRIMARY KEY (run=? AND holder=?)";
        for (statement, wanted) in [
            (TO_READ, undecided),
            (ANSWERS, undecided),
            (DRY_ANSWERS, undecided),
            (NOTE_READ, one),
            (JUDGE, one),
        ] {
            let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}"));
            let mut tx = store.write().await.unwrap();
            let rows = sqlx::query(explain).fetch_all(&mut *tx).await.unwrap();
            let plan: Vec<String> = rows.iter().map(|row| row.get("detail")).collect();
            assert!(plan.iter().any(|line| line == wanted), "{statement}\n{plan:#?}");
            tx.rollback().await.unwrap();
        }
        store.close().await;
    }
}
