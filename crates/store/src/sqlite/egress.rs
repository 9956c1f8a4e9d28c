//! Push state on SQLite.

mod notes;

use std::collections::HashMap;

use push::{Base, Intent, PushRecord, StockPush, Target};
use values::{Epoch, ReadNumber, Revision, ShopId, Step, StockId, Timestamp};

use super::rows::{id, json, micros, quantity, signed, sku, stock_id, timestamp, unsigned};
use super::{Sqlite, WriteTx, commit};
use crate::egress::{DueShop, PushRow, ShopLane, Told};
use crate::error::{Error, failed};
use crate::inventory::ShopFilter;
use crate::report::PAGE_ROWS_MAX;

macro_rules! push_columns {
    () => {
        "e.shop, e.holder, e.sku, e.target, e.base, e.intent, e.intent_owner, e.doubtful_until, e.log, e.log_floor, \
         e.pushed, e.settled, e.due_at, e.blocked, e.told, e.removed"
    };
}

const LOAD: &str = concat!(
    "SELECT ",
    push_columns!(),
    " FROM jsonb_each(?1) AS w CROSS JOIN egress_stocks AS e ON e.shop = w.value ->> 0 AND e.holder = w.value ->> 1"
);

const DUE: &str = concat!(
    "SELECT ",
    push_columns!(),
    " FROM egress_stocks AS e WHERE e.shop = ?1 AND e.due_at <= ?2 ORDER BY e.due_at LIMIT ?3"
);

const INTENDED: &str = concat!(
    "SELECT ",
    push_columns!(),
    " FROM egress_stocks AS e WHERE e.intent IS NOT NULL AND (e.shop, e.holder) > (?1, ?2)
     ORDER BY e.shop, e.holder LIMIT ?3"
);

const BLOCKED: &str = concat!(
    "SELECT ",
    push_columns!(),
    " FROM egress_stocks AS e WHERE e.blocked IS NOT NULL AND e.shop = ?1 AND e.holder > ?2 ORDER BY e.holder LIMIT ?3"
);

const SAVE: &str = "
INSERT INTO egress_stocks
       (shop, holder, sku, target, base, intent, intent_owner, doubtful_until, log, log_floor, pushed, settled, due_at,
        blocked, told, removed)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7,
       value ->> 8, value ->> 9, value ->> 10, value ->> 11, value ->> 12, value ->> 13, value ->> 14, value ->> 15
  FROM jsonb_each(?1) WHERE true
    ON CONFLICT (shop, holder) DO UPDATE SET
       sku = excluded.sku, target = excluded.target, base = excluded.base, intent = excluded.intent,
       intent_owner = excluded.intent_owner, doubtful_until = excluded.doubtful_until, log = excluded.log,
       log_floor = excluded.log_floor, pushed = excluded.pushed, settled = excluded.settled,
       due_at = excluded.due_at, blocked = excluded.blocked, told = excluded.told, removed = excluded.removed";

const DUE_SHOPS: &str = "
SELECT shop, min(due_at), count(*) FROM egress_stocks
 WHERE due_at <= ?1 AND (?2 = 0 OR shop % ?2 = ?3) GROUP BY shop ORDER BY shop";

const SAVE_LANE: &str = "
INSERT INTO egress_shops (shop, breaker, cause, until, calls_per_minute, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
    ON CONFLICT (shop) DO UPDATE SET
       breaker = excluded.breaker, cause = excluded.cause, until = excluded.until,
       calls_per_minute = excluded.calls_per_minute, at = excluded.at";

/// A transaction of egress on SQLite.
#[derive(Debug)]
pub(crate) struct SqliteEgressTx {
    pub(super) tx: WriteTx,
    loaded: HashMap<StockId, PushRow>,
}

impl Sqlite {
    pub(crate) async fn begin_egress(&self) -> Result<SqliteEgressTx, Error> {
        Ok(SqliteEgressTx { tx: self.write().await?, loaded: HashMap::new() })
    }

    pub(crate) async fn pushes(&self, stocks: &[StockId]) -> Result<Vec<PushRow>, Error> {
        rows_of(sqlx::query_as(LOAD).bind(keys(stocks)).fetch_all(&self.readers).await)
    }

    pub(crate) async fn pushes_due(
        &self,
        shop: ShopId,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<PushRow>, Error> {
        let due = sqlx::query_as(DUE).bind(shop.get()).bind(now.micros()).bind(limit.min(PAGE_ROWS_MAX));
        rows_of(due.fetch_all(&self.readers).await)
    }

    pub(crate) async fn open_intents(
        &self,
        after: Option<StockId>,
        limit: u32,
    ) -> Result<Vec<PushRow>, Error> {
        let (shop, holder) = after.map_or((0, 0), |stock| (stock.shop.get(), stock.holder.get()));
        let open = sqlx::query_as(INTENDED).bind(shop).bind(holder).bind(limit.min(PAGE_ROWS_MAX));
        rows_of(open.fetch_all(&self.readers).await)
    }

    pub(crate) async fn pushes_blocked(
        &self,
        shop: ShopId,
        after: Option<StockId>,
        limit: u32,
    ) -> Result<Vec<PushRow>, Error> {
        let holder = after.map_or(0, |stock| stock.holder.get());
        let blocked = sqlx::query_as(BLOCKED).bind(shop.get()).bind(holder).bind(limit.min(PAGE_ROWS_MAX));
        rows_of(blocked.fetch_all(&self.readers).await)
    }

    pub(crate) async fn shops_due(&self, filter: ShopFilter, now: Timestamp) -> Result<Vec<DueShop>, Error> {
        let (of, rest) = filter.divisor_and_rest();
        let rows: Vec<(i64, i64, i64)> = sqlx::query_as(DUE_SHOPS)
            .bind(now.micros())
            .bind(of)
            .bind(rest)
            .fetch_all(&self.readers)
            .await
            .map_err(failed("look for shops with pushes due"))?;
        rows.into_iter()
            .map(|(shop, oldest, count)| {
                let count = unsigned("count", count)?;
                Ok(DueShop { shop: id("shop", shop)?, oldest: timestamp(oldest), count })
            })
            .collect()
    }

    pub(crate) async fn save_lane(&self, lane: &ShopLane) -> Result<(), Error> {
        let mut tx = self.write().await?;
        sqlx::query(SAVE_LANE)
            .bind(lane.shop.get())
            .bind(&lane.breaker)
            .bind(&lane.cause)
            .bind(micros(lane.until))
            .bind(lane.calls_per_minute)
            .bind(lane.at.micros())
            .execute(&mut *tx)
            .await
            .map_err(failed("save how a shop takes pushes"))?;
        commit(tx).await
    }

    pub(crate) async fn lane(&self, shop: ShopId) -> Result<Option<ShopLane>, Error> {
        let row: Option<LaneColumns> = sqlx::query_as(
            "SELECT breaker, cause, until, calls_per_minute, at FROM egress_shops WHERE shop = ?1",
        )
        .bind(shop.get())
        .fetch_optional(&self.readers)
        .await
        .map_err(failed("read how a shop takes pushes"))?;
        Ok(row.map(|(breaker, cause, until, calls_per_minute, at)| ShopLane {
            shop,
            breaker,
            cause,
            until: until.map(timestamp),
            calls_per_minute,
            at: timestamp(at),
        }))
    }
}

impl SqliteEgressTx {
    pub(crate) async fn load(&mut self, stocks: &[StockId]) -> Result<Vec<PushRow>, Error> {
        let found = rows_of(sqlx::query_as(LOAD).bind(keys(stocks)).fetch_all(&mut *self.tx).await)?;
        self.loaded.extend(found.into_iter().map(|row| (row.id, row)));
        let loaded = &mut self.loaded;
        let row = |stock: &StockId| loaded.entry(*stock).or_insert_with(|| PushRow::unknown(*stock)).clone();
        Ok(stocks.iter().map(row).collect())
    }

    pub(crate) async fn save(&mut self, rows: &[PushRow]) -> Result<(), Error> {
        let mut changed: Vec<&PushRow> =
            rows.iter().filter(|row| self.loaded.get(&row.id) != Some(*row)).collect();
        changed.sort_unstable_by_key(|row| row.id);
        let columns: Vec<_> = changed.iter().map(|row| columns_of(row)).collect();
        if !columns.is_empty() {
            sqlx::query(SAVE)
                .bind(json(&columns))
                .execute(&mut *self.tx)
                .await
                .map_err(failed("save pushes"))?;
        }
        for row in changed {
            self.loaded.insert(row.id, row.clone());
        }
        Ok(())
    }

    pub(crate) async fn commit(self) -> Result<(), Error> {
        commit(self.tx).await
    }
}

/// Those of the stocks that egress knows, as a transaction sees them.
pub(super) async fn pushes_in(tx: &mut WriteTx, stocks: &[StockId]) -> Result<Vec<PushRow>, Error> {
    rows_of(sqlx::query_as(LOAD).bind(keys(stocks)).fetch_all(&mut **tx).await)
}

fn keys(stocks: &[StockId]) -> String {
    let keys: std::collections::BTreeSet<_> =
        stocks.iter().map(|stock| (stock.shop.get(), stock.holder.get())).collect();
    json(&keys)
}

type LaneColumns = (String, Option<String>, Option<i64>, u32, i64);

type PushColumns = (
    i64,
    i64,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<i64>,
    String,
    Option<i64>,
    bool,
    i64,
    Option<i64>,
    Option<String>,
    Option<String>,
    bool,
);

fn rows_of(rows: Result<Vec<PushColumns>, sqlx::Error>) -> Result<Vec<PushRow>, Error> {
    rows.map_err(failed("read pushes"))?.into_iter().map(push_row).collect()
}

fn push_row(row: PushColumns) -> Result<PushRow, Error> {
    let (
        shop,
        holder,
        code,
        target,
        base,
        intent,
        intent_owner,
        doubtful_until,
        log,
        log_floor,
        pushed_since_settle,
        settled,
        due_at,
        blocked,
        told,
        removed,
    ) = row;
    let push = StockPush {
        target: target.as_deref().map(target_of).transpose()?,
        base: base.as_deref().map(base_of).transpose()?,
        intent: intent.as_deref().map(intent_of).transpose()?,
        doubtful_until: doubtful_until.map(timestamp),
        log: log_of(&log)?,
        log_floor: log_floor.map(timestamp),
        pushed_since_settle,
        settled: ReadNumber::new(unsigned("read number", settled)?),
    };
    Ok(PushRow {
        id: stock_id(shop, holder)?,
        sku: code.as_deref().map(sku).transpose()?,
        push,
        intent_owner,
        due_at: due_at.map(timestamp),
        blocked,
        told: told.as_deref().map(told_of).transpose()?,
        removed,
    })
}

fn columns_of(row: &PushRow) -> impl serde::Serialize + use<'_> {
    let push = &row.push;
    let target = push.target.map(|target| {
        json(&(
            target.epoch.get(),
            target.revision.get(),
            target.level.thousandths(),
            target.untaken.thousandths(),
            target.taken_total.thousandths(),
            target.step.quantity().thousandths(),
        ))
    });
    let base = push.base.map(|base| {
        json(&(
            base.epoch.get(),
            base.quantity.thousandths(),
            base.slack.thousandths(),
            base.withheld.thousandths(),
        ))
    });
    let intent = push.intent.map(|intent| json(&(intent.delta.thousandths(), intent.started_at.micros())));
    let log: Vec<_> = push
        .log
        .iter()
        .map(|push| {
            (
                micros(push.started),
                micros(push.ended),
                push.hub_started.micros(),
                push.hub_ended.micros(),
                push.delta.thousandths(),
            )
        })
        .collect();
    let told =
        row.told.as_ref().map(|told| json(&(told.at.micros(), told.delta.thousandths(), &told.answer)));
    (
        row.id.shop.get(),
        row.id.holder.get(),
        row.sku.as_ref().map(values::Sku::as_str),
        target,
        base,
        intent,
        row.intent_owner.as_deref(),
        micros(push.doubtful_until),
        json(&log),
        micros(push.log_floor),
        push.pushed_since_settle,
        signed(push.settled.get()),
        micros(row.due_at),
        row.blocked.as_deref(),
        told,
        row.removed,
    )
}

fn parse<'a, T: serde::Deserialize<'a>>(what: &'static str, text: &'a str) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|_| Error::damaged(what, text))
}

fn target_of(text: &str) -> Result<Target, Error> {
    let (epoch, revision, level, untaken, taken_total, step) =
        parse::<(u64, u64, i64, i64, i64, i64)>("target of a stock", text)?;
    Ok(Target {
        epoch: Epoch::new(epoch),
        revision: Revision::new(revision),
        level: quantity(level),
        untaken: quantity(untaken),
        taken_total: quantity(taken_total),
        step: Step::new(quantity(step)).ok_or_else(|| Error::damaged("step", step))?,
    })
}

fn base_of(text: &str) -> Result<Base, Error> {
    let (epoch, base, slack, withheld) = parse::<(u64, i64, i64, i64)>("base of a stock", text)?;
    Ok(Base {
        epoch: Epoch::new(epoch),
        quantity: quantity(base),
        slack: quantity(slack),
        withheld: quantity(withheld),
    })
}

fn intent_of(text: &str) -> Result<Intent, Error> {
    let (delta, started_at) = parse::<(i64, i64)>("intent", text)?;
    Ok(Intent { delta: quantity(delta), started_at: timestamp(started_at) })
}

fn log_of(text: &str) -> Result<Vec<PushRecord>, Error> {
    let rows = parse::<Vec<(Option<i64>, Option<i64>, i64, i64, i64)>>("log of pushes", text)?;
    let record =
        |(started, ended, hub_started, hub_ended, delta): (Option<i64>, Option<i64>, i64, i64, i64)| {
            PushRecord {
                started: started.map(timestamp),
                ended: ended.map(timestamp),
                hub_started: timestamp(hub_started),
                hub_ended: timestamp(hub_ended),
                delta: quantity(delta),
            }
        };
    Ok(rows.into_iter().map(record).collect())
}

fn told_of(text: &str) -> Result<Told, Error> {
    let (at, delta, answer) = parse::<(i64, i64, String)>("last push", text)?;
    Ok(Told { at: timestamp(at), delta: quantity(delta), answer })
}
