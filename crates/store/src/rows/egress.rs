//! Push state, as rows.

pub(crate) mod drifts;
pub(crate) mod notes;

use push::{Adopting, Base, Intent, PushRecord, StockPush, Target};
use values::{Epoch, Quantity, ReadNumber, Revision, ShopId, Step};

use super::columns::Row;
use super::{id, json, micros, quantity, signed, sku, stock_id, timestamp, unsigned};
use crate::egress::{DueShop, PushRow, ShopLane, Told};
use crate::error::Error;

/// The columns of [`PushColumns`], of `e`.
macro_rules! push_columns {
    () => {
        "e.shop, e.holder, e.sku, e.target, e.base, e.intent, e.intent_owner, e.doubtful_until, e.log, e.log_floor, \
         e.pushed, e.settled, e.due_at, e.blocked, e.told, e.removed"
    };
}
pub(crate) use push_columns;

pub(crate) type LaneColumns = (String, Option<String>, Option<i64>, i64, i64);

pub(crate) fn lane(shop: ShopId, row: LaneColumns) -> Result<ShopLane, Error> {
    let (breaker, cause, until, calls_per_minute, at) = row;
    Ok(ShopLane {
        shop,
        breaker,
        cause,
        until: until.map(timestamp),
        calls_per_minute: u32::try_from(calls_per_minute)
            .map_err(|_| Error::damaged("pace", calls_per_minute))?,
        at: timestamp(at),
    })
}

/// Shop, the oldest, how many.
pub(crate) type DueShopColumns = (i64, i64, i64);

pub(crate) fn due_shop(row: DueShopColumns) -> Result<DueShop, Error> {
    let (shop, oldest, count) = row;
    let count = unsigned("count", count)?;
    Ok(DueShop { shop: id("shop", shop)?, oldest: timestamp(oldest), count })
}

pub(crate) type PushColumns = (
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

pub(crate) fn push_row(row: PushColumns) -> Result<PushRow, Error> {
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

pub(crate) fn columns_of(row: &PushRow) -> impl Row<'_> + use<'_> {
    let push = &row.push;
    let (target, base) = (push.target.as_ref().map(target_text), push.base.as_ref().map(base_text));
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

/// What was let go is written where there is any: programs from before it cannot read that.
fn target_text(target: &Target) -> String {
    let (epoch, revision) = (target.epoch.get(), target.revision.get());
    let quantities = [target.level, target.untaken, target.taken_total, target.step.quantity()];
    let [level, untaken, taken, step] = quantities.map(Quantity::thousandths);
    if target.released.is_zero() {
        json(&(epoch, revision, level, untaken, taken, step))
    } else {
        json(&(epoch, revision, level, untaken, taken, step, target.released.thousandths()))
    }
}

fn base_text(base: &Base) -> String {
    let adopting = base
        .adopting
        .map(|adopting| (adopting.number.get(), adopting.difference.thousandths(), adopting.ask_at.micros()));
    let [quantity, slack, withheld] = [base.quantity, base.slack, base.withheld].map(Quantity::thousandths);
    let (epoch, dated, doubted) = (base.epoch.get(), micros(base.dated), i64::from(base.doubted));
    if base.released.is_zero() {
        json(&(epoch, quantity, slack, withheld, dated, doubted, adopting))
    } else {
        let released = base.released.thousandths();
        json(&(epoch, quantity, slack, withheld, dated, doubted, adopting, released))
    }
}

fn target_of(text: &str) -> Result<Target, Error> {
    type First = (u64, u64, i64, i64, i64, i64);
    type Whole = (u64, u64, i64, i64, i64, i64, i64);
    let whole = parse::<Whole>("target of a stock", text).or_else(|_| {
        let (epoch, revision, level, untaken, taken, step) = parse::<First>("target of a stock", text)?;
        Ok::<_, Error>((epoch, revision, level, untaken, taken, step, 0))
    });
    let (epoch, revision, level, untaken, taken_total, step, released) = whole?;
    Ok(Target {
        epoch: Epoch::new(epoch),
        revision: Revision::new(revision),
        level: quantity(level),
        untaken: quantity(untaken),
        taken_total: quantity(taken_total),
        step: Step::new(quantity(step)).ok_or_else(|| Error::damaged("step", step))?,
        released: quantity(released),
    })
}

fn base_of(text: &str) -> Result<Base, Error> {
    type Asked = Option<(u64, i64, i64)>;
    type Whole = (u64, i64, i64, i64, Option<i64>, i64, Asked, i64);
    // Without what was let go.
    type Second = (u64, i64, i64, i64, Option<i64>, i64, Asked);
    // As it was written before the migration `drift`.
    type First = (u64, i64, i64, i64);
    let whole = parse::<Whole>("base of a stock", text)
        .or_else(|_| {
            let (epoch, base, slack, withheld, dated, doubted, asked) =
                parse::<Second>("base of a stock", text)?;
            Ok::<_, Error>((epoch, base, slack, withheld, dated, doubted, asked, 0))
        })
        .or_else(|_| {
            let (epoch, base, slack, withheld) = parse::<First>("base of a stock", text)?;
            Ok::<_, Error>((epoch, base, slack, withheld, None, 0, None, 0))
        });
    let (epoch, base, slack, withheld, dated, doubted, adopting, released) = whole?;
    let adopting = adopting.map(|(number, difference, ask_at)| Adopting {
        number: ReadNumber::new(number),
        difference: quantity(difference),
        ask_at: timestamp(ask_at),
    });
    Ok(Base {
        epoch: Epoch::new(epoch),
        quantity: quantity(base),
        slack: quantity(slack),
        withheld: quantity(withheld),
        released: quantity(released),
        dated: dated.map(timestamp),
        doubted: doubted != 0,
        adopting,
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
