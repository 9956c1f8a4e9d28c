//! How fast one system may be called: how many calls at once, how long between two, and never above a ceiling.
//!
//! The window (calls at once) grows by one while all goes well and is halved when the other side has enough (additive
//! increase, multiplicative decrease). The rate is learned from its 429s. Time is passed in, the state is visible.

mod ceiling;
mod latency;
mod rate;

use std::time::{Duration, Instant};

pub use ceiling::Ceiling;
pub use rate::CALLS_PER_REFUSAL;

use crate::error::CallError;
use ceiling::Allowance;
use latency::{Latency, Speed};
use rate::Rate;

/// The limit is counted in thousandths of a call, so that it can grow by a part of a call.
const CALL: u32 = 1_000;

/// The pace's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PaceConfig {
    /// Calls at once in the beginning.
    pub start: u32,
    /// Calls at once at the least; 1 or more.
    pub min: u32,
    /// Calls at once at the most. A shop on two cores is fastest with 2, more only queue there.
    pub max: u32,
    /// How long to stay away if the system says "too many calls" but not for how long; less once its rate is known.
    pub pause: Duration,
    /// How long to stay away at most, whatever it says.
    pub pause_max: Duration,
    /// Never more calls than this, whatever the system bears.
    pub ceiling: Option<Ceiling>,
}

impl Default for PaceConfig {
    fn default() -> Self {
        Self {
            start: 1,
            min: 1,
            max: 4,
            pause: Duration::from_secs(2),
            pause_max: Duration::from_hours(1),
            ceiling: None,
        }
    }
}

/// What can be seen of a pace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PaceState {
    /// Calls allowed at once, in thousandths.
    pub limit_thousandths: u32,
    /// Calls under way.
    pub in_flight: u32,
    /// No call before this: the system asked for it.
    pub paused_until: Option<Instant>,
    /// The least time between the starts of two calls, learned from refusals.
    pub gap: Option<Duration>,
    /// How long answers take, in thousandths of the best.
    pub slowness_thousandths: u32,
}

/// Whether a call may start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// Yes; it must be followed by [`Pace::finish`].
    Go,
    /// When one under way has finished.
    Full,
    /// Not before this.
    Wait {
        /// When to ask again.
        until: Instant,
    },
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Answered, whatever the answer.
    Answered {
        /// How long it took.
        took: Duration,
        /// How many items it carried: answers are compared with those to calls of about the same size.
        size: u32,
    },
    /// It has had too many calls (429).
    Refused {
        /// How long it asks us to stay away.
        retry_after: Option<Duration>,
    },
    /// The other side cannot go on: 5xx, no answer in time.
    Overloaded {
        /// How long it asks us to stay away.
        retry_after: Option<Duration>,
    },
    /// It says nothing about the load: never sent, or access refused.
    Neutral,
}

impl Signal {
    /// What an error says about the load. A refusal is an answer, but as quick ones say nothing of slow ones it
    /// counts for nothing.
    pub fn of(error: &CallError) -> Self {
        match error {
            CallError::RateLimited { retry_after } => Self::Refused { retry_after: *retry_after },
            CallError::Unavailable { retry_after, .. } | CallError::Uncertain { retry_after, .. } => {
                Self::Overloaded { retry_after: *retry_after }
            }
            CallError::NotSent { .. }
            | CallError::Auth(_)
            | CallError::Refused { .. }
            | CallError::Redirected { .. }
            | CallError::BadReply { .. } => Self::Neutral,
        }
    }
}

/// The pace that one system seems to bear.
#[derive(Debug, Clone)]
pub struct Pace {
    config: PaceConfig,
    limit: u32,
    in_flight: u32,
    paused_until: Option<Instant>,
    /// Calls that started before this were part of the load that was too much; they halve nothing again.
    halved_at: Option<Instant>,
    latency: Latency,
    rate: Rate,
    allowance: Allowance,
}

impl Pace {
    /// A pace at its start.
    pub fn new(config: PaceConfig) -> Self {
        let min = config.min.max(1);
        let max = config.max.max(min);
        let config = PaceConfig { min, max, ..config };
        Self {
            config,
            limit: config.start.clamp(min, max).saturating_mul(CALL),
            in_flight: 0,
            paused_until: None,
            halved_at: None,
            latency: Latency::new(),
            rate: Rate::new(),
            allowance: Allowance::new(config.ceiling),
        }
    }

    /// What can be seen of it.
    pub fn state(&self) -> PaceState {
        PaceState {
            limit_thousandths: self.limit,
            in_flight: self.in_flight,
            paused_until: self.paused_until,
            gap: self.rate.gap(),
            slowness_thousandths: self.latency.slowness(),
        }
    }

    /// Whether a call may start now.
    pub fn start(&mut self, now: Instant) -> Start {
        if let Some(until) = self.paused_until.filter(|until| now < *until) {
            return Start::Wait { until };
        }
        self.paused_until = None;
        if self.is_full() {
            return Start::Full;
        }
        if let Some(until) = self.allowance.wait(now).max(self.rate.wait(now)) {
            return Start::Wait { until };
        }
        self.in_flight += 1;
        self.allowance.take(now);
        self.rate.started(now);
        Start::Go
    }

    /// The call that started last was not made after all.
    pub fn unused(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.allowance.give_back();
    }

    /// Calls under way were cut off and will not be finished.
    pub fn abandon(&mut self) {
        self.in_flight = 0;
    }

    /// Calls were made that nobody asked for: those that follow wait until the ceiling allows for them too.
    pub fn owe(&mut self, now: Instant, calls: u32) {
        self.allowance.owe(now, calls);
    }

    /// A call that started at `started` has ended.
    pub fn finish(&mut self, now: Instant, started: Instant, signal: Signal) {
        // The limit only grows while it is used: an idle pace learns nothing.
        let was_full = self.is_full();
        self.in_flight = self.in_flight.saturating_sub(1);
        match signal {
            Signal::Neutral => {}
            Signal::Answered { took, size } => {
                self.rate.answered(now);
                self.answered(now, started, (took, size), was_full);
            }
            Signal::Refused { retry_after } => {
                // Once its rate is known, it is that which is too high, and not the calls at once.
                if self.rate.gap().is_none() {
                    self.halve(now, started);
                }
                let first = self.rate.gap().is_none();
                let retry_after = retry_after.map(|told| told.min(self.config.pause_max));
                let short = self.rate.refused(now, started, retry_after);
                let pause = if first { self.config.pause } else { short.unwrap_or_default() };
                self.pause(now, retry_after.unwrap_or(pause.min(self.config.pause)));
            }
            Signal::Overloaded { retry_after } => {
                self.halve(now, started);
                self.rate.failed(now, started);
                self.pause(now, retry_after.unwrap_or_default());
            }
        }
    }

    fn is_full(&self) -> bool {
        self.in_flight.saturating_add(1).saturating_mul(CALL) > self.limit
    }

    fn answered(&mut self, now: Instant, started: Instant, (took, size): (Duration, u32), was_full: bool) {
        if self.halved_at.is_some_and(|halved| started < halved) {
            return;
        }
        let alone = self.limit < self.config.min.saturating_add(1).saturating_mul(CALL);
        match self.latency.note(took, size, alone) {
            Speed::Good if was_full => {
                let step = CALL.saturating_mul(CALL).checked_div(self.limit).unwrap_or(CALL);
                self.limit = self.limit.saturating_add(step).min(self.config.max.saturating_mul(CALL));
            }
            Speed::Good | Speed::Slow => {}
            Speed::TooSlow => self.halve(now, started),
        }
    }

    fn halve(&mut self, now: Instant, started: Instant) {
        if self.halved_at.is_none_or(|halved| started >= halved) {
            self.limit = (self.limit / 2).max(self.config.min.saturating_mul(CALL));
            self.halved_at = Some(now);
            self.latency.start_anew();
        }
    }

    /// Not sooner than this, and than what was asked for before.
    fn pause(&mut self, now: Instant, pause: Duration) {
        if !pause.is_zero() {
            let until = now + pause.min(self.config.pause_max);
            self.paused_until = Some(self.paused_until.map_or(until, |known| known.max(until)));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MILLI: Duration = Duration::from_millis(1);

    fn call(pace: &mut Pace, now: Instant, signal: Signal) -> Start {
        let start = pace.start(now);
        if start == Start::Go {
            pace.finish(now, now, signal);
        }
        start
    }

    #[test]
    fn it_grows_by_one_for_each_full_round_and_halves() {
        let now = Instant::now();
        let mut pace = Pace::new(PaceConfig { max: 8, ..PaceConfig::default() });
        assert_eq!(call(&mut pace, now, Signal::Answered { took: MILLI, size: 1 }), Start::Go);
        assert_eq!(pace.state().limit_thousandths, 2_000);
        // Two at once, both well answered: the limit grows by about one.
        assert_eq!((pace.start(now), pace.start(now), pace.start(now)), (Start::Go, Start::Go, Start::Full));
        pace.finish(now, now, Signal::Answered { took: MILLI, size: 1 });
        assert_eq!(pace.state().limit_thousandths, 2_500);
        pace.finish(now, now, Signal::Overloaded { retry_after: None });
        assert_eq!(pace.state().limit_thousandths, 1_250);
        assert_eq!(pace.state().paused_until, None);
    }

    #[test]
    fn one_overload_halves_once_however_many_calls_see_it() {
        let now = Instant::now();
        let later = now + MILLI;
        let mut pace = Pace::new(PaceConfig { start: 8, max: 8, ..PaceConfig::default() });
        for _ in 0..8 {
            assert_eq!(pace.start(now), Start::Go);
        }
        for _ in 0..8 {
            pace.finish(later, now, Signal::Overloaded { retry_after: None });
        }
        assert_eq!(pace.state().limit_thousandths, 4_000);
    }

    #[test]
    fn no_call_inside_retry_after() {
        let now = Instant::now();
        let mut pace = Pace::new(PaceConfig::default());
        let wait = Duration::from_secs(7);
        call(&mut pace, now, Signal::Refused { retry_after: Some(wait) });
        assert_eq!(pace.start(now + Duration::from_secs(6)), Start::Wait { until: now + wait });
        assert_eq!(pace.start(now + wait), Start::Go);
    }

    #[test]
    fn what_errors_say_about_the_load() {
        let wait = Some(Duration::from_secs(7));
        assert_eq!(
            Signal::of(&CallError::RateLimited { retry_after: None }),
            Signal::Refused { retry_after: None }
        );
        assert_eq!(
            Signal::of(&CallError::Unavailable { status: 503, retry_after: wait }),
            Signal::Overloaded { retry_after: wait }
        );
        assert_eq!(Signal::of(&CallError::Refused { status: 400, code: "-".to_owned() }), Signal::Neutral);
    }

    #[test]
    fn a_slow_shop_is_not_pressed() {
        let now = Instant::now();
        let mut pace = Pace::new(PaceConfig { max: 8, ..PaceConfig::default() });
        call(&mut pace, now, Signal::Answered { took: 100 * MILLI, size: 1 });
        let before = pace.state().limit_thousandths;
        assert_eq!((pace.start(now), pace.start(now)), (Start::Go, Start::Go));
        pace.finish(now, now, Signal::Answered { took: 400 * MILLI, size: 1 });
        assert_eq!(pace.state().limit_thousandths, before);
    }

    proptest! {
        #[test]
        fn the_limit_stays_within_its_bounds(
            steps in proptest::collection::vec((0_u8..6, 0_u64..5_000), 0..300),
        ) {
            let config = PaceConfig { start: 2, min: 1, max: 6, ..PaceConfig::default() };
            let mut pace = Pace::new(config);
            let mut now = Instant::now();
            let mut running = std::collections::VecDeque::new();
            for (kind, millis) in steps {
                let span = Duration::from_millis(millis);
                match kind {
                    0 => now += span,
                    1 | 2 => match pace.start(now) {
                        Start::Go => running.push_back(now),
                        Start::Wait { until } => prop_assert!(until > now && until <= now + config.pause_max),
                        Start::Full => prop_assert!(!running.is_empty(), "full while idle: it would never run again"),
                    },
                    _ => if let Some(started) = running.pop_front() {
                        let signal = match kind {
                            3 => Signal::Answered { took: span, size: 1 },
                            4 => Signal::Overloaded { retry_after: Some(span) },
                            _ => Signal::Refused { retry_after: (millis % 2 == 0).then_some(span) },
                        };
                        pace.finish(now, started, signal);
                    },
                }
                let state = pace.state();
                prop_assert!((1_000..=6_000).contains(&state.limit_thousandths));
                prop_assert_eq!(usize::try_from(state.in_flight).unwrap(), running.len());
            }
        }
    }
}
