//! What the demo came to, for people and for programs.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use super::buyers::Tally;
use super::oracle::{OrderCount, TOLD_MAX, Truth};
use super::oversold::Oversold;
use super::settles::Settles;
use super::settling::Settled;
use super::view::{Lags, Pushes};
use super::world::World;
use super::{DemoError, Plan};
use crate::failure::Failure;
use crate::screen::Screen;

/// What was seen on the way.
#[derive(Debug)]
pub(super) struct Course {
    pub(super) bought: Duration,
    pub(super) lags: Lags,
    pub(super) oversold: Oversold,
    pub(super) settled: Settled,
    /// Since the first order.
    pub(super) settles: Settles,
}

/// What it came to.
#[derive(Debug)]
pub(super) struct Summary {
    plan: Plan,
    orders: OrderCount,
    drift: i64,
    broken: Vec<String>,
    /// Orders and stocks that are wrong, the first of them.
    wrong: Vec<String>,
    course: Course,
    pushes: Pushes,
    deliveries: u64,
    counts: Value,
    attempted: u64,
    acknowledged: u64,
}

impl Summary {
    pub(super) async fn of(
        plan: &Plan,
        world: &World,
        tally: &Tally,
        course: Course,
    ) -> Result<Self, DemoError> {
        let truth = Truth::of(world, &tally.received());
        let broken = world.hub.store.check().await?;
        let orders = truth.count_orders(world).await?;
        let mut wrong = orders.told.clone();
        wrong.extend(tell_stocks(world, &truth).await?);
        let deliveries = world.shops.iter().map(|shop| shop.fake.counts().deliveries).sum();
        Ok(Self {
            plan: *plan,
            orders,
            wrong,
            drift: course.settled.difference.units(),
            broken: broken.iter().map(ToString::to_string).collect(),
            course,
            pushes: Pushes::of(world, tally),
            deliveries,
            counts: counts(tally),
            attempted: of(&tally.attempted),
            acknowledged: of(&tally.acknowledged),
        })
    }

    /// Whether nothing was lost, nothing counted twice, and everything agrees.
    pub(super) fn is_right(&self) -> bool {
        self.orders.lost == 0 && self.orders.duplicated == 0 && self.drift == 0 && self.broken.is_empty()
    }

    pub(super) fn print(&self, screen: Screen) -> Result<(), Failure> {
        if screen.json { screen.value(&self.json()) } else { self.tell(screen) }
    }

    fn json(&self) -> Value {
        let course = &self.course;
        json!({
            "attempted": self.attempted,
            "acknowledged": self.acknowledged,
            "applied": self.orders.applied,
            "lost": self.orders.lost,
            "duplicated": self.orders.duplicated,
            "drift": self.drift,
            "put_back": course.settled.put_back,
            "oversold": course.oversold.units,
            "oversold_because": course.oversold.because(&self.plan),
            "broken": self.broken,
            "wrong": self.wrong,
            "seed": self.plan.seed,
            "shops": self.plan.shops,
            "skus": self.plan.skus,
            "buffer": self.plan.buffer,
            "webhooks": if self.plan.webhooks { "on" } else { "off" },
            "seconds": {
                "buying": course.bought.as_secs_f64(),
                "settling": course.settled.took.as_secs_f64(),
            },
            "settled": course.settled.calm,
            "settles": course.settles.json(),
            "stocks_wrong": course.settled.difference.stocks,
            "ledger_units_wrong": course.settled.difference.ledger_units,
            "lag_ms": { "median": millis(course.lags.median), "longest": millis(course.lags.longest) },
            "push_calls": self.pushes.calls,
            "push_changes": self.pushes.changes,
            "calls_saved": self.pushes.saved,
            "webhook_deliveries": self.deliveries,
            "counts": self.counts,
        })
    }

    #[expect(clippy::too_many_lines, reason = "a table, one row each")]
    fn tell(&self, screen: Screen) -> Result<(), Failure> {
        let count = |name: &str| crate::screen::text(&self.counts, name);
        let (seconds, oversold) = (self.course.bought.as_secs(), self.course.oversold);
        screen.line(format!(
            "{} shops, {} goods each, {} of each kept back, {} s of buying, webhooks {}, seed {}",
            self.plan.shops,
            self.plan.skus,
            self.plan.buffer,
            seconds,
            if self.plan.webhooks { "on" } else { "off" },
            self.plan.seed
        ))?;
        let rate = self.acknowledged / seconds.max(1);
        let lines = [
            (
                "orders",
                format!(
                    "{} tried, {} accepted ({rate}/s), {} found nothing left",
                    self.attempted,
                    self.acknowledged,
                    count("turned_away")
                ),
            ),
            (
                "then",
                format!(
                    "{} paid, {} shipped, {} cancelled, {} edited, {} refunded ({} beyond what was left), {} thrown away",
                    count("paid"),
                    count("completed"),
                    count("cancelled"),
                    count("edited"),
                    count("refunded"),
                    count("refunded_beyond"),
                    count("trashed")
                ),
            ),
            ("goods in", format!("{} receipts, {} of them sent twice", count("receipts"), count("repeated"))),
            ("trouble", format!("{} calls cut, refused or garbled", count("faults"))),
            (
                "pushes",
                format!(
                    "{} changes in {} calls, {} calls saved",
                    self.pushes.changes, self.pushes.calls, self.pushes.saved
                ),
            ),
            (
                "lag",
                format!(
                    "{:.1?} until onhand knew an order, {:.1?} at most",
                    self.course.lags.median, self.course.lags.longest
                ),
            ),
            (
                "settled",
                format!(
                    "{} s after the last order; {} stocks compared with proof, {} times for nothing",
                    self.course.settled.took.as_secs(),
                    self.course.settles.proven,
                    self.course.settles.useless
                ),
            ),
            ("", String::new()),
            ("applied", self.orders.applied.to_string()),
            ("lost", self.orders.lost.to_string()),
            ("duplicated", self.orders.duplicated.to_string()),
            ("drift", format!("{} units", self.drift)),
            ("put back", format!("{} units, for as long as proof takes", self.course.settled.put_back)),
            ("oversold", format!("{} units: {}", oversold.units, oversold.because(&self.plan))),
        ];
        for (name, text) in lines {
            screen.line(format!("{name:12}{text}").trim_end())?;
        }
        for (name, texts) in [("broken", &self.broken), ("wrong", &self.wrong)] {
            for text in texts {
                screen.line(format!("{name:12}{text}"))?;
            }
        }
        let verdict = if self.is_right() {
            "every shop shows what it should, and the ledger says why"
        } else {
            "they do not agree"
        };
        screen.line(format!("\n{verdict}"))
    }
}

/// Stocks that show a wrong number, with what onhand knows of them.
async fn tell_stocks(world: &World, truth: &Truth) -> Result<Vec<String>, DemoError> {
    let wrong = truth.wrong_stocks(world);
    let mut told = Vec::new();
    for wrong in wrong.iter().take(TOLD_MAX) {
        let rows = world.hub.store.pushes(&[wrong.stock]).await?;
        let known = rows.first().map(|row| {
            let push = &row.push;
            let state = (push.base, push.target, push.intent, push.doubtful_until, row.due_at);
            format!("{:?} {state:?} blocked {:?} told {:?}", row.sku, row.blocked, row.told)
        });
        told.push(format!(
            "stock {} shows {}, should show {}; {known:?}",
            wrong.stock, wrong.shown, wrong.goal
        ));
    }
    Ok(told)
}

fn of(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn counts(tally: &Tally) -> Value {
    json!({
        "turned_away": of(&tally.turned_away),
        "lines": of(&tally.lines),
        "paid": of(&tally.paid),
        "completed": of(&tally.completed),
        "cancelled": of(&tally.cancelled),
        "refunded": of(&tally.refunded),
        "refunded_beyond": of(&tally.refunded_beyond),
        "edited": of(&tally.edited),
        "trashed": of(&tally.trashed),
        "receipts": of(&tally.receipts),
        "repeated": of(&tally.repeated),
        "faults": of(&tally.faults),
    })
}
