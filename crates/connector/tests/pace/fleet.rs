//! A thousand shops of which one is dead, all driven by one process: the others must not notice.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

use onhand_connector::{Breaker, BreakerConfig, Pace, PaceConfig, Permit, Signal, Start};

use crate::shop::{MILLI, SECOND};

const SHOPS: usize = 1_000;
/// A call costs the process as much before it starts: a commit. Nothing else can be done meanwhile.
const COMMIT: Duration = Duration::from_micros(400);
/// The healthy shops have something to push this often.
const PERIOD: Duration = SECOND;
/// The dead one has something to push all the time, and refuses the connection at once.
const REFUSES_AFTER: Duration = Duration::from_micros(100);
const LASTS: Duration = Duration::from_mins(1);
/// How much later the others' calls may start at the 99th percentile because of it, in thousandths.
const COST_MAX: u32 = 50;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// There may be something to do; due since then.
    Due(Duration),
    /// A call that started then, and was due since then, has ended.
    Ended(Duration, Duration),
}

struct Fleet {
    base: Instant,
    events: BinaryHeap<Reverse<(Duration, usize, Event)>>,
    shops: Vec<(Pace, Breaker)>,
    dead: Option<usize>,
    /// Until when the process is busy with commits.
    busy: Duration,
    lags: Vec<Duration>,
}

impl Fleet {
    fn new(dead: Option<usize>, breaker: BreakerConfig) -> Self {
        let spread = PERIOD / u32::try_from(SHOPS).unwrap();
        let events = (0..SHOPS).map(|shop| {
            let at = spread * u32::try_from(shop).unwrap();
            Reverse((at, shop, Event::Due(at)))
        });
        Self {
            base: Instant::now(),
            events: events.collect(),
            shops: (0..SHOPS).map(|_| (Pace::new(PaceConfig::default()), Breaker::new(breaker))).collect(),
            dead,
            busy: Duration::ZERO,
            lags: Vec::new(),
        }
    }

    /// The 99th percentile of the time from when a call is due to its start, of those that live.
    fn p99(mut self) -> Duration {
        while let Some(Reverse((at, shop, event))) = self.events.pop().filter(|next| next.0.0 < LASTS) {
            match event {
                Event::Due(since) => self.due(at, shop, since),
                Event::Ended(started, since) => self.ended(at, shop, started, since),
            }
        }
        self.lags.sort_unstable();
        self.lags[self.lags.len() * 99 / 100]
    }

    fn due(&mut self, at: Duration, shop: usize, since: Duration) {
        let now = self.base + at;
        let (pace, breaker) = &mut self.shops[shop];
        let wait = match pace.start(now) {
            Start::Go => match breaker.permit(now) {
                Permit::Go | Permit::Probe => None,
                Permit::Wait { until } => {
                    pace.unused();
                    Some(until)
                }
            },
            Start::Wait { until } => Some(until),
            Start::Full => unreachable!("the next is due when this has ended"),
        };
        if let Some(until) = wait {
            self.events.push(Reverse((until - self.base, shop, Event::Due(since))));
            return;
        }
        self.busy = self.busy.max(at) + COMMIT;
        // The first one lives in only one of the two runs.
        if shop > 0 {
            self.lags.push(self.busy - since);
        }
        let takes = if self.dead == Some(shop) { REFUSES_AFTER } else { 100 * MILLI };
        self.events.push(Reverse((self.busy + takes, shop, Event::Ended(self.busy, since))));
    }

    fn ended(&mut self, at: Duration, shop: usize, started: Duration, since: Duration) {
        let (now, began) = (self.base + at, self.base + started);
        let (pace, breaker) = &mut self.shops[shop];
        if self.dead == Some(shop) {
            pace.finish(now, began, Signal::Overloaded { retry_after: None });
            breaker.failure(now, 0);
            self.events.push(Reverse((at, shop, Event::Due(at))));
            return;
        }
        pace.finish(now, began, Signal::Answered { took: now - began, size: 1 });
        breaker.success();
        let next = (since + PERIOD).max(at);
        self.events.push(Reverse((next, shop, Event::Due(next))));
    }
}

fn cost(breaker: BreakerConfig) -> u128 {
    let (without, with) = (Fleet::new(None, breaker).p99(), Fleet::new(Some(0), breaker).p99());
    with.as_nanos() * 1_000 / without.as_nanos()
}

#[test]
fn a_dead_shop_costs_the_others_nothing() {
    let cost = cost(BreakerConfig::default());
    assert!(cost <= u128::from(1_000 + COST_MAX), "{cost} thousandths");
}

#[test]
fn without_a_breaker_it_would() {
    let never = BreakerConfig { failures_max: u32::MAX, ..BreakerConfig::default() };
    let cost = cost(never);
    assert!(cost > u128::from(1_000 + COST_MAX), "{cost} thousandths: then the other test shows nothing");
}
