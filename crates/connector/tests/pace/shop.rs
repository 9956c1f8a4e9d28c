//! A shop with a hidden limit, and a caller that always has something to do. Only computed, nothing waits.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

use onhand_connector::{Pace, PaceConfig, Signal, Start};

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const MILLI: Duration = Duration::from_millis(1);

/// What the shop does from some moment on.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Phase {
    /// It takes so many calls a second.
    Limit(u32),
    /// It answers 503.
    Down,
}

/// What its 429s say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tells {
    Nothing,
    /// The least whole number of seconds after which a call is taken.
    Seconds,
}

/// The shop.
#[derive(Debug, Clone)]
pub(crate) struct Shop {
    /// Each with its beginning, in seconds.
    pub(crate) phases: Vec<(u64, Phase)>,
    /// Calls it saves up while it is not called, in milliseconds of its limit; one call at least.
    pub(crate) saves_ms: u32,
    pub(crate) tells: Tells,
    /// Time of an answer when it has nothing else to do.
    pub(crate) takes: Duration,
    /// Calls it works on at once; more wait. 0: any number.
    pub(crate) cores: u32,
}

impl Shop {
    pub(crate) fn with_limit(calls_per_second: u32) -> Self {
        Self {
            phases: vec![(0, Phase::Limit(calls_per_second))],
            saves_ms: 0,
            tells: Tells::Nothing,
            takes: 100 * MILLI,
            cores: 0,
        }
    }

    pub(crate) fn then(mut self, at: u64, phase: Phase) -> Self {
        self.phases.push((at, phase));
        self
    }

    fn phase(&self, at: Duration) -> Phase {
        self.phases.iter().rev().find(|(from, _)| at >= Duration::from_secs(*from)).unwrap().1
    }
}

/// One call, when it was made and what came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Made {
    pub(crate) ends: Duration,
    pub(crate) started: Duration,
    pub(crate) status: u16,
    wait: Option<Duration>,
}

/// A run of one shop.
pub(crate) struct Run {
    shop: Shop,
    pace: Pace,
    base: Instant,
    now: Duration,
    under_way: BinaryHeap<Reverse<Made>>,
    tokens: f64,
    refilled: Duration,
    random: u64,
    pub(crate) made: Vec<Made>,
    pub(crate) most_at_once: usize,
}

impl Run {
    pub(crate) fn new(shop: Shop, config: PaceConfig) -> Self {
        Self {
            shop,
            pace: Pace::new(config),
            base: Instant::now(),
            now: Duration::ZERO,
            under_way: BinaryHeap::new(),
            tokens: 1.0,
            refilled: Duration::ZERO,
            random: 0x9e37_79b9_7f4a_7c15,
            made: Vec::new(),
            most_at_once: 0,
        }
    }

    /// Lets time pass until `end`.
    pub(crate) fn until(mut self, end: u64) -> Self {
        let end = Duration::from_secs(end);
        while self.now < end {
            let next = match self.pace.start(self.base + self.now) {
                Start::Go => {
                    let made = self.call();
                    self.under_way.push(Reverse(made));
                    self.most_at_once = self.most_at_once.max(self.under_way.len());
                    continue;
                }
                Start::Full => end,
                Start::Wait { until } => until - self.base,
            };
            let ended = self.under_way.peek().map(|made| made.0.ends);
            self.now = next.min(ended.unwrap_or(end)).min(end);
            while let Some(Reverse(made)) =
                self.under_way.peek().copied().filter(|made| made.0.ends <= self.now)
            {
                self.under_way.pop();
                self.made.push(made);
                let signal = match made.status {
                    200 => Signal::Answered { took: made.ends - made.started, size: 1 },
                    429 => Signal::Refused { retry_after: made.wait },
                    _ => Signal::Overloaded { retry_after: None },
                };
                self.pace.finish(self.base + made.ends, self.base + made.started, signal);
            }
        }
        self
    }

    fn call(&mut self) -> Made {
        let (started, quickly) = (self.now, self.now + 10 * MILLI);
        let limit = match self.shop.phase(started) {
            Phase::Down => return Made { ends: quickly, started, status: 503, wait: None },
            Phase::Limit(limit) => f64::from(limit),
        };
        let most = (limit * f64::from(self.shop.saves_ms) / 1_000.0).max(1.0);
        self.tokens = (self.tokens + limit * (started - self.refilled).as_secs_f64()).min(most);
        self.refilled = started;
        // What was reckoned in fractions may miss by a little.
        if self.tokens < 0.999_999 {
            let wait = ((1.0 - self.tokens) / limit).ceil().max(1.0);
            let wait = (self.shop.tells == Tells::Seconds).then(|| Duration::from_secs_f64(wait));
            return Made { ends: quickly, started, status: 429, wait };
        }
        self.tokens -= 1.0;
        Made { ends: started + self.takes(), started, status: 200, wait: None }
    }

    /// Its own time, up to a fifth more by chance, and more the more wait for it.
    fn takes(&mut self) -> Duration {
        self.random =
            self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let chance = u32::try_from(self.random >> 40).unwrap() % 201;
        let takes = self.shop.takes * (1_000 + chance) / 1_000;
        let at_once = u32::try_from(self.under_way.len() + 1).unwrap();
        match self.shop.cores {
            0 => takes,
            cores => takes * at_once.max(cores) / cores,
        }
    }

    pub(crate) fn count(&self, status: u16, from: u64, to: u64) -> u32 {
        let span = Duration::from_secs(from)..Duration::from_secs(to);
        let found =
            self.made.iter().filter(|made| made.status == status && span.contains(&made.started)).count();
        u32::try_from(found).unwrap()
    }

    /// Thousandths of the limit that were used in a span.
    pub(crate) fn used(&self, from: u64, to: u64) -> u32 {
        let Phase::Limit(limit) = self.shop.phase(Duration::from_secs(from)) else { return 0 };
        self.count(200, from, to) * 1_000 / (limit * u32::try_from(to - from).unwrap())
    }

    /// Thousandths of all calls that were refused for being one too many.
    pub(crate) fn refused(&self, from: u64, to: u64) -> u32 {
        let refused = self.count(429, from, to);
        refused * 1_000 / (refused + self.count(200, from, to)).max(1)
    }
}
