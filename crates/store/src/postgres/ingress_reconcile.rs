//! Runs that compare whole shops, on PostgreSQL.

use values::{HolderId, ReadNumber, ShopId, Timestamp};

use super::parameters::{all, maybe, page, rows, run, with};
use super::{Postgres, WriteTx, commit};
use crate::error::Error;
use crate::ingress::SettleHold;
use crate::reconcile::{
    NewRun, Run, RunAdded, RunAnswer, RunJob, RunLeft, RunRead, RunState, RunStock, RunVerdict,
};
use crate::report::PAGE_ROWS_MAX;
use crate::rows::reconcile::{
    AnswerColumns, RunColumns, RunStockColumns, TotalColumns, answer, failure_kept, read_rows, run_columns,
    run_job, run_left, run_row, run_stock, run_stock_columns, total, totals_text, verdict_rows,
};
use crate::rows::signed;

/// Two who ask at once: the second waits here until the first has committed.
const ADD_RUN: &str = "
INSERT INTO ingress.reconciliations (shop, dry_run, cause, chosen, state, deadline, created_at)
VALUES ($1, $2, $3, $4, 'waiting', $5, $6) ON CONFLICT DO NOTHING RETURNING id";

const OPEN_RUN: &str = concat!(
    "SELECT ",
    run_columns!(),
    " FROM ingress.reconciliations WHERE shop = $1 AND state IN ('waiting', 'running')"
);

const ENDED: &str = "the one before has ended at this moment";

const CHOOSE: &str = "
INSERT INTO ingress.reconciled (run, holder, parent, sku, state, due_at, class, action)
SELECT $1, s.holder, s.parent, k.sku, CASE WHEN k.sku IS NULL THEN 'judged' ELSE 'open' END, $4,
       CASE WHEN k.sku IS NULL THEN 'unmapped' END, CASE WHEN k.sku IS NULL THEN 'none' END
  FROM inventory.stocks AS s LEFT JOIN inventory.skus AS k ON k.id = s.sku_id
 WHERE s.shop = $2 AND s.holder = ANY ($3) AND NOT s.removed
    ON CONFLICT DO NOTHING";

/// Whoever writes stocks of a run locks the run first: they wait for each other once, in whatever order the stocks come.
const LOCK: &str = "SELECT state FROM ingress.reconciliations WHERE id = $1 FOR UPDATE";

const FILL: &str = "
INSERT INTO ingress.reconciled (run, holder, parent, sku, state, due_at, class, action)
SELECT q.id, s.holder, s.parent, k.sku, CASE WHEN k.sku IS NULL THEN 'judged' ELSE 'open' END, $3,
       CASE WHEN k.sku IS NULL THEN 'unmapped' END, CASE WHEN k.sku IS NULL THEN 'none' END
  FROM ingress.reconciliations AS q JOIN inventory.stocks AS s ON s.shop = q.shop
  LEFT JOIN inventory.skus AS k ON k.id = s.sku_id
 WHERE q.id = $1 AND q.state = 'waiting' AND NOT q.chosen AND NOT s.removed
   AND s.holder > coalesce((SELECT max(holder) FROM ingress.reconciled WHERE run = $1), 0)
 ORDER BY s.holder LIMIT $2";

/// What a shop sells and keeps no quantity for; a product with variations is sold by these.
const FILL_UNMANAGED: &str = "
INSERT INTO ingress.reconciled (run, holder, parent, sku, state, due_at, class, action)
SELECT q.id, CASE WHEN l.variation = 0 THEN l.product ELSE l.variation END,
       CASE WHEN l.variation <> 0 THEN l.product END, l.sku, 'judged', $2, 'unmanaged', 'none'
  FROM ingress.reconciliations AS q JOIN inventory.listings AS l ON l.shop = q.shop
 WHERE q.id = $1 AND q.state = 'waiting' AND NOT q.chosen AND l.holder IS NULL
   AND (l.variation <> 0 OR NOT EXISTS (SELECT 1 FROM inventory.listings AS v
                                         WHERE v.shop = l.shop AND v.product = l.product AND v.variation <> 0))
    ON CONFLICT DO NOTHING";

const BEGIN: &str = "
UPDATE ingress.reconciliations SET state = 'running', started_at = $2 WHERE id = $1 AND state = 'waiting'";

const TO_READ: &str = "
SELECT r.holder, r.parent
  FROM ingress.reconciliations AS q JOIN ingress.reconciled AS r ON r.run = q.id
 WHERE q.id = $1 AND r.state = 'open' AND r.state <> 'judged' AND (r.parent IS NOT NULL) = $2 AND r.due_at <= $3
   AND ($5::bigint IS NULL OR r.due_at <= $7 OR NOT EXISTS
       (SELECT 1 FROM inventory.stocks AS i
         WHERE i.shop = q.shop AND i.holder = r.holder AND i.last_order_date BETWEEN $5 AND $6))
 ORDER BY r.holder LIMIT $4";

const LEFT: &str = "
SELECT state, parent IS NOT NULL, count(*) FROM ingress.reconciled
 WHERE run = $1 AND state <> 'judged' GROUP BY 1, 2";

const NOTE_READ: &str = "
UPDATE ingress.reconciled AS r SET
       state = CASE WHEN w.class IS NULL THEN 'read' ELSE 'judged' END, class = w.class,
       action = CASE WHEN w.class IS NOT NULL THEN 'none' END, shown = w.shown, number = $5,
       first_number = coalesce(r.first_number, $5), read_at = $6, tries = r.tries + 1
  FROM unnest($1::bigint[], $2::bigint[], $3::text[]) AS w (holder, shown, class)
 WHERE r.run = $4 AND r.holder = w.holder AND r.state = 'open'";

const COUNT_READ: &str = "
UPDATE ingress.reconciliations SET reads = reads + 1, calls = calls + $2 WHERE id = $1";

/// A comparison without consequences is inventory's, the others are what egress made of the proof.
const DRY_ANSWERS: &str = "
SELECT r.holder, r.tries, r.shown, c.number IS NOT NULL, c.class IS NOT NULL, c.class, c.action, c.difference,
       coalesce(s.removed, true)
  FROM ingress.reconciled AS r
  LEFT JOIN inventory.stocks AS s ON s.shop = $2 AND s.holder = r.holder
  LEFT JOIN inventory.comparisons AS c ON c.shop = $2 AND c.holder = r.holder AND c.number >= r.number
 WHERE r.run = $1 AND r.state = 'read' AND r.state <> 'judged'
   AND (c.number IS NOT NULL OR r.read_at < $3 OR coalesce(s.removed, true))
 ORDER BY r.holder LIMIT $4";

const ANSWERS: &str = "
SELECT r.holder, r.tries, r.shown, coalesce(n.proof_seen >= r.number, false), coalesce(e.settled >= r.number, false),
       d.class, d.action, d.difference, coalesce(s.removed, true)
  FROM ingress.reconciled AS r
  LEFT JOIN inventory.stocks AS s ON s.shop = $2 AND s.holder = r.holder
  LEFT JOIN egress.stocks AS e ON e.shop = $2 AND e.holder = r.holder
  LEFT JOIN egress.notes AS n ON n.shop = $2 AND n.holder = r.holder
  LEFT JOIN egress.drifts AS d ON d.shop = $2 AND d.holder = r.holder AND d.number =
       (SELECT max(number) FROM egress.drifts
         WHERE shop = $2 AND holder = r.holder AND number >= r.first_number
           AND class NOT IN ('unmanaged', 'unsettled'))
 WHERE r.run = $1 AND r.state = 'read' AND r.state <> 'judged'
   AND (n.proof_seen >= r.number OR e.settled >= r.number OR r.read_at < $3 OR coalesce(s.removed, true))
 ORDER BY r.holder LIMIT $4";

/// What is known of a difference may be more by the end: that many stocks were edited at once, that the ledger has taken an
/// edit over.
const REFRESH: &str = "
UPDATE ingress.reconciled AS r SET class = d.class, action = d.action
  FROM ingress.reconciliations AS q, egress.drifts AS d
 WHERE r.run = $1 AND q.id = $1 AND NOT q.dry_run AND q.ended_at IS NULL AND r.difference <> 0
   AND d.shop = q.shop AND d.holder = r.holder AND d.number =
       (SELECT max(number) FROM egress.drifts
         WHERE shop = q.shop AND holder = r.holder AND number BETWEEN r.first_number AND r.number
           AND class NOT IN ('unmanaged', 'unsettled'))";

const JUDGE: &str = "
UPDATE ingress.reconciled AS r SET
       state = w.state, due_at = w.due_at, class = w.class, action = w.action, expected = w.expected,
       difference = w.difference
  FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::bigint[], $7::bigint[])
       AS w (holder, state, due_at, class, action, expected, difference)
 WHERE r.run = $8 AND r.holder = w.holder AND r.state = 'read'";

const REOPEN: &str = "
UPDATE ingress.reconciled SET state = 'open', due_at = $2, tries = tries - 1 WHERE run = $1 AND state = 'read'";

const TOTALS: &str = "
SELECT class, coalesce(action, 'none'), count(*) FROM ingress.reconciled
 WHERE run = $1 AND class IS NOT NULL GROUP BY 1, 2 ORDER BY 1, 2";

const LEAVE_UNSETTLED: &str = "
UPDATE ingress.reconciled SET state = 'judged', class = 'unsettled', action = 'none'
 WHERE run = $1 AND state <> 'judged'
   AND EXISTS (SELECT 1 FROM ingress.reconciliations WHERE id = $1 AND ended_at IS NULL)";

const END: &str = "
UPDATE ingress.reconciliations SET state = $2, failure = $3, ended_at = $4, totals = $5
 WHERE id = $1 AND ended_at IS NULL";

const FORGET_AGREED: &str = "
DELETE FROM ingress.reconciled WHERE run = $1 AND class = 'agreed'
   AND EXISTS (SELECT 1 FROM ingress.reconciliations WHERE id = $1 AND NOT chosen)";

const OVERDUE: &str = "
SELECT id FROM ingress.reconciliations
 WHERE state IN ('waiting', 'running') AND deadline < $1 ORDER BY id LIMIT $2";

const RUN: &str = concat!("SELECT ", run_columns!(), " FROM ingress.reconciliations WHERE id = $1");

const RUNS: &str = concat!(
    "SELECT ",
    run_columns!(),
    " FROM ingress.reconciliations WHERE shop = $1 AND id < $2 ORDER BY id DESC LIMIT $3"
);

const RUN_STOCKS: &str = concat!(
    "SELECT ",
    run_stock_columns!(),
    " FROM ingress.reconciled WHERE run = $1 AND holder > $2 ORDER BY holder LIMIT $3"
);

/// Of runs that ended before.
const PRUNE_STOCKS: &str = "
DELETE FROM ingress.reconciled WHERE (run, holder) IN
  (SELECT r.run, r.holder FROM ingress.reconciliations AS q JOIN ingress.reconciled AS r ON r.run = q.id
    WHERE q.ended_at < $1 ORDER BY r.run, r.holder LIMIT $2 FOR UPDATE OF r SKIP LOCKED)";

/// What a whole run lists of products that no run can compare, once a newer one has.
const PRUNE_INCOMPARABLE: &str = "
DELETE FROM ingress.reconciled WHERE (run, holder) IN
  (SELECT r.run, r.holder FROM ingress.reconciliations AS q JOIN ingress.reconciled AS r ON r.run = q.id
    WHERE q.ended_at IS NOT NULL AND NOT q.chosen AND r.class IN ('unmanaged', 'unmapped')
      AND EXISTS (SELECT 1 FROM ingress.reconciliations AS n
                   WHERE n.shop = q.shop AND n.id > q.id AND n.state = 'done' AND NOT n.chosen)
    ORDER BY r.run, r.holder LIMIT $1 FOR UPDATE OF r SKIP LOCKED)";

const PRUNE_RUNS: &str = "
DELETE FROM ingress.reconciliations WHERE id IN
  (SELECT q.id FROM ingress.reconciliations AS q
    WHERE q.ended_at < $1 AND NOT EXISTS (SELECT 1 FROM ingress.reconciled AS r WHERE r.run = q.id)
    ORDER BY q.id LIMIT $2 FOR UPDATE SKIP LOCKED)";

impl Postgres {
    pub(crate) async fn add_run(&self, new: &NewRun, now: Timestamp) -> Result<RunAdded, Error> {
        let doing = "ask for a comparison of a shop";
        let mut tx = self.write().await?;
        let parameters = with(new.shop.get())
            .and(new.dry_run)
            .and(new.cause.as_str())
            .and(new.chosen.is_some())
            .and(new.deadline.micros())
            .and(now.micros());
        let added: Option<(i64,)> = maybe(&mut *tx, doing, ADD_RUN, parameters).await?;
        let Some((added,)) = added else {
            let open: Option<RunColumns> = maybe(&mut *tx, doing, OPEN_RUN, with(new.shop.get())).await?;
            let open = open.ok_or(Error::Busy { doing, source: ENDED.into() })?;
            return Ok(RunAdded::UnderWay(run_row(open)?.id));
        };
        if let Some(chosen) = &new.chosen {
            let holders: Vec<i64> = chosen.iter().map(|holder| holder.get()).collect();
            let parameters = with(added).and(new.shop.get()).and(holders).and(now.micros());
            run(&mut *tx, doing, CHOOSE, parameters).await?;
        }
        commit(tx).await?;
        Ok(RunAdded::Added(added))
    }

    pub(crate) async fn open_run(&self, shop: ShopId) -> Result<Option<Run>, Error> {
        let row: Option<RunColumns> =
            maybe(&self.pool, "look for a comparison under way", OPEN_RUN, with(shop.get())).await?;
        row.map(run_row).transpose()
    }

    pub(crate) async fn fill_run(&self, id: i64, limit: u32, now: Timestamp) -> Result<u64, Error> {
        let doing = "list the stocks to compare";
        let limit = limit.min(PAGE_ROWS_MAX);
        let mut tx = self.write().await?;
        lock(&mut tx, doing, id).await?;
        let parameters = with(id).and(i64::from(limit)).and(now.micros());
        let filled = run(&mut *tx, doing, FILL, parameters).await?;
        if filled < u64::from(limit) {
            for statement in [FILL_UNMANAGED, BEGIN] {
                run(&mut *tx, doing, statement, with(id).and(now.micros())).await?;
            }
        }
        commit(tx).await?;
        Ok(filled)
    }

    pub(crate) async fn run_to_read(
        &self,
        id: i64,
        variations: bool,
        now: Timestamp,
        hold: Option<SettleHold>,
        limit: u32,
    ) -> Result<Vec<RunJob>, Error> {
        let parameters = with(id)
            .and(variations)
            .and(now.micros())
            .and(page(limit))
            .and(hold.map(|hold| hold.dated_from.micros()))
            .and(hold.map(|hold| hold.dated_to.micros()))
            .and(hold.map(|hold| hold.due_since.micros()));
        let rows: Vec<(i64, Option<i64>)> =
            all(&self.pool, "look for stocks to compare", TO_READ, parameters).await?;
        rows.into_iter().map(run_job).collect()
    }

    pub(crate) async fn run_left(&self, id: i64) -> Result<RunLeft, Error> {
        run_left(all(&self.pool, "count the stocks to compare", LEFT, with(id)).await?)
    }

    pub(crate) async fn note_run_read(
        &self,
        id: i64,
        reads: &[RunRead],
        number: ReadNumber,
        calls: u32,
        now: Timestamp,
    ) -> Result<(), Error> {
        let doing = "note which stocks were read";
        let mut tx = self.write().await?;
        lock(&mut tx, doing, id).await?;
        let parameters = rows(&read_rows(reads)).and(id).and(signed(number.get())).and(now.micros());
        run(&mut *tx, doing, NOTE_READ, parameters).await?;
        run(&mut *tx, doing, COUNT_READ, with(id).and(i64::from(calls))).await?;
        commit(tx).await
    }

    pub(crate) async fn run_answers(
        &self,
        of: &Run,
        overdue: Timestamp,
        limit: u32,
    ) -> Result<Vec<RunAnswer>, Error> {
        let statement = if of.dry_run { DRY_ANSWERS } else { ANSWERS };
        let parameters = with(of.id).and(of.shop.get()).and(overdue.micros()).and(page(limit));
        let rows: Vec<AnswerColumns> =
            all(&self.pool, "look what comparisons came to", statement, parameters).await?;
        rows.into_iter().map(answer).collect()
    }

    pub(crate) async fn judge_run(&self, id: i64, verdicts: &[RunVerdict]) -> Result<(), Error> {
        let doing = "note what comparisons came to";
        let mut tx = self.write().await?;
        lock(&mut tx, doing, id).await?;
        run(&mut *tx, doing, JUDGE, rows(&verdict_rows(verdicts)).and(id)).await?;
        commit(tx).await
    }

    pub(crate) async fn reopen_run(&self, id: i64, now: Timestamp) -> Result<(), Error> {
        let doing = "take a comparison up again";
        let mut tx = self.write().await?;
        lock(&mut tx, doing, id).await?;
        run(&mut *tx, doing, REOPEN, with(id).and(now.micros())).await?;
        commit(tx).await
    }

    pub(crate) async fn end_run(
        &self,
        id: i64,
        state: RunState,
        failure: &str,
        now: Timestamp,
    ) -> Result<(), Error> {
        let doing = "end a comparison";
        let mut tx = self.write().await?;
        lock(&mut tx, doing, id).await?;
        run(&mut *tx, doing, LEAVE_UNSETTLED, with(id)).await?;
        run(&mut *tx, doing, REFRESH, with(id)).await?;
        let totals: Vec<TotalColumns> = all(&mut *tx, doing, TOTALS, with(id)).await?;
        let parameters = with(id)
            .and(state.as_str())
            .and(failure_kept(failure))
            .and(now.micros())
            .and(totals_text(&totals));
        if run(&mut *tx, doing, END, parameters).await? > 0 {
            run(&mut *tx, doing, FORGET_AGREED, with(id)).await?;
        }
        commit(tx).await
    }

    pub(crate) async fn overdue_runs(&self, before: Timestamp, limit: u32) -> Result<Vec<i64>, Error> {
        let parameters = with(before.micros()).and(i64::from(limit));
        let rows: Vec<(i64,)> =
            all(&self.pool, "look for comparisons that never ended", OVERDUE, parameters).await?;
        Ok(rows.into_iter().map(|(run,)| run).collect())
    }

    pub(crate) async fn run(&self, id: i64) -> Result<Option<Run>, Error> {
        let doing = "read a comparison";
        let mut tx = self.snapshot().await?;
        let row: Option<RunColumns> = maybe(&mut *tx, doing, RUN, with(id)).await?;
        let Some(mut found) = row.map(run_row).transpose()? else { return Ok(None) };
        if found.ended_at.is_none() {
            let totals: Vec<TotalColumns> = all(&mut *tx, doing, TOTALS, with(id)).await?;
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
        let parameters = with(shop.get()).and(before.unwrap_or(i64::MAX)).and(page(limit));
        let rows: Vec<RunColumns> = all(&self.pool, "list comparisons", RUNS, parameters).await?;
        rows.into_iter().map(run_row).collect()
    }

    pub(crate) async fn run_stocks(
        &self,
        id: i64,
        after: Option<HolderId>,
        limit: u32,
    ) -> Result<Vec<RunStock>, Error> {
        let parameters = with(id).and(after.map_or(0, HolderId::get)).and(page(limit));
        let rows: Vec<RunStockColumns> =
            all(&self.pool, "list what a comparison found", RUN_STOCKS, parameters).await?;
        rows.into_iter().map(run_stock).collect()
    }

    pub(crate) async fn prune_runs(&self, before: Timestamp, limit: u32) -> Result<u64, Error> {
        let doing = "forget old comparisons";
        let limit = i64::from(limit);
        let mut gone = run(&self.pool, doing, PRUNE_INCOMPARABLE, with(limit)).await?;
        for statement in [PRUNE_STOCKS, PRUNE_RUNS] {
            gone += run(&self.pool, doing, statement, with(before.micros()).and(limit)).await?;
        }
        Ok(gone)
    }
}

async fn lock(tx: &mut WriteTx, doing: &'static str, id: i64) -> Result<(), Error> {
    let _: Option<(String,)> = maybe(&mut **tx, doing, LOCK, with(id)).await?;
    Ok(())
}
