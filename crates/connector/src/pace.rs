//! How many calls may be under way at once to one system: a limit that grows by one while all goes well and is halved
//! when the other side has enough (additive increase, multiplicative decrease). Time is passed in, the state is visible.

use std::time::{Duration, Instant};

use crate::error::CallError;

/// The limit is counted in thousandths of a call, so that it can grow by a part of a call.
const CALL: u32 = 1_000;

/// A call slower than this many times the best seen means the other side queues: the limit stops growing.
const SLOW_FACTOR: u32 = 3;

/// The best time seen is forgotten at this rate, so that a shop that has become slower can be learned: it grows by
/// 1/64 with each call.
const FORGET_SHIFT: u32 = 6;

/// The pace's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PaceConfig {
    /// Calls at once in the beginning.
    pub start: u32,
    /// Calls at once at the least; 1 or more.
    pub min: u32,
    /// Calls at once at the most. A shop on two cores is fastest with 2, more only queue there.
    pub max: u32,
    /// How long to stay away if the system says "too many calls" but not for how long.
    pub pause: Duration,
    /// How long to stay away at most, whatever it says.
    pub pause_max: Duration,
}

impl Default for PaceConfig {
    fn default() -> Self {
        Self { start: 1, min: 1, max: 4, pause: Duration::from_secs(2), pause_max: Duration::from_hours(1) }
    }
}

/// What can be seen of a pace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PaceState {
    /// Calls allowed at once, in thousandths.
    pub limit_thousandths: u32,
    /// Calls under way.
    pub in_flight: u32,
    /// No call before this.
    pub paused_until: Option<Instant>,
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
    },
    /// The other side has enough: 429, 5xx, no answer in time.
    Overloaded {
        /// How long it asks us to stay away.
        retry_after: Option<Duration>,
        /// It said so in words (429 or a `Retry-After`), so stay away even if not told for how long.
        told: bool,
    },
    /// It says nothing about the load: never sent, or access refused.
    Neutral,
}

impl Signal {
    /// What an error says about the load. A refusal is an answer, but as quick ones say nothing of slow ones it
    /// counts for nothing.
    pub fn of(error: &CallError) -> Self {
        match error {
            CallError::RateLimited { retry_after } => {
                Self::Overloaded { retry_after: *retry_after, told: true }
            }
            CallError::Unavailable { retry_after, .. } | CallError::Uncertain { retry_after, .. } => {
                Self::Overloaded { retry_after: *retry_after, told: retry_after.is_some() }
            }
            CallError::NotSent { .. }
            | CallError::Auth(_)
            | CallError::Refused { .. }
            | CallError::Redirected { .. }
            | CallError::BadReply { .. } => Self::Neutral,
        }
    }
}

/// The number of calls at once that one system seems to bear.
#[derive(Debug, Clone)]
pub struct Pace {
    config: PaceConfig,
    limit: u32,
    in_flight: u32,
    paused_until: Option<Instant>,
    /// Calls that started before this were part of the load that was too much; they halve nothing again.
    halved_at: Option<Instant>,
    best: Option<Duration>,
}

impl Pace {
    /// A pace at its start.
    pub fn new(config: PaceConfig) -> Self {
        let min = config.min.max(1);
        let max = config.max.max(min);
        let config = PaceConfig { min, max, ..config };
        let limit = config.start.clamp(min, max).saturating_mul(CALL);
        Self { config, limit, in_flight: 0, paused_until: None, halved_at: None, best: None }
    }

    /// What can be seen of it.
    pub fn state(&self) -> PaceState {
        PaceState {
            limit_thousandths: self.limit,
            in_flight: self.in_flight,
            paused_until: self.paused_until,
        }
    }

    /// Whether a call may start now.
    pub fn start(&mut self, now: Instant) -> Start {
        if let Some(until) = self.paused_until.filter(|until| now < *until) {
            return Start::Wait { until };
        }
        self.paused_until = None;
        if self.in_flight.saturating_add(1).saturating_mul(CALL) > self.limit {
            return Start::Full;
        }
        self.in_flight += 1;
        Start::Go
    }

    /// A call that started at `started` has ended.
    pub fn finish(&mut self, now: Instant, started: Instant, signal: Signal) {
        // The limit only grows while it is used: an idle pace learns nothing.
        let was_full = self.in_flight.saturating_add(1).saturating_mul(CALL) > self.limit;
        self.in_flight = self.in_flight.saturating_sub(1);
        match signal {
            Signal::Neutral => {}
            Signal::Answered { took } => {
                let slow = self.is_slow(took);
                if was_full && !slow {
                    let step = CALL.saturating_mul(CALL).checked_div(self.limit).unwrap_or(CALL);
                    self.limit = self.limit.saturating_add(step).min(self.config.max.saturating_mul(CALL));
                }
            }
            Signal::Overloaded { retry_after, told } => {
                if self.halved_at.is_none_or(|halved| started >= halved) {
                    self.limit = (self.limit / 2).max(self.config.min.saturating_mul(CALL));
                    self.halved_at = Some(now);
                }
                let pause = retry_after.or(told.then_some(self.config.pause));
                if let Some(pause) = pause {
                    let until = now + pause.min(self.config.pause_max);
                    self.paused_until = Some(self.paused_until.map_or(until, |known| known.max(until)));
                }
            }
        }
    }

    fn is_slow(&mut self, took: Duration) -> bool {
        let Some(best) = self.best else {
            self.best = Some(took);
            return false;
        };
        let slow = took > best.saturating_mul(SLOW_FACTOR);
        self.best = Some(took.min(best + best / (1 << FORGET_SHIFT)));
        slow
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
        assert_eq!(call(&mut pace, now, Signal::Answered { took: MILLI }), Start::Go);
        assert_eq!(pace.state().limit_thousandths, 2_000);
        // Two at once, both well answered: the limit grows by about one.
        assert_eq!((pace.start(now), pace.start(now), pace.start(now)), (Start::Go, Start::Go, Start::Full));
        pace.finish(now, now, Signal::Answered { took: MILLI });
        assert_eq!(pace.state().limit_thousandths, 2_500);
        pace.finish(now, now, Signal::Overloaded { retry_after: None, told: false });
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
            pace.finish(later, now, Signal::Overloaded { retry_after: None, told: false });
        }
        assert_eq!(pace.state().limit_thousandths, 4_000);
    }

    #[test]
    fn no_call_inside_retry_after() {
        let now = Instant::now();
        let mut pace = Pace::new(PaceConfig::default());
        let wait = Duration::from_secs(7);
        call(&mut pace, now, Signal::Overloaded { retry_after: Some(wait), told: true });
        assert_eq!(pace.start(now + Duration::from_secs(6)), Start::Wait { until: now + wait });
        assert_eq!(pace.start(now + wait), Start::Go);
    }

    #[test]
    fn what_errors_say_about_the_load() {
        let wait = Some(Duration::from_secs(7));
        assert_eq!(
            Signal::of(&CallError::RateLimited { retry_after: None }),
            Signal::Overloaded { retry_after: None, told: true }
        );
        assert_eq!(
            Signal::of(&CallError::Unavailable { status: 503, retry_after: wait }),
            Signal::Overloaded { retry_after: wait, told: true }
        );
        assert_eq!(Signal::of(&CallError::Refused { status: 400, code: "-".to_owned() }), Signal::Neutral);
    }

    #[test]
    fn a_slow_shop_is_not_pressed() {
        let now = Instant::now();
        let mut pace = Pace::new(PaceConfig { max: 8, ..PaceConfig::default() });
        call(&mut pace, now, Signal::Answered { took: 100 * MILLI });
        let before = pace.state().limit_thousandths;
        assert_eq!((pace.start(now), pace.start(now)), (Start::Go, Start::Go));
        pace.finish(now, now, Signal::Answered { took: 400 * MILLI });
        assert_eq!(pace.state().limit_thousandths, before);
    }

    proptest! {
        #[test]
        fn the_limit_stays_within_its_bounds(
            steps in proptest::collection::vec((0_u8..5, 0_u64..5_000), 0..300),
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
                        let signal = if kind == 3 {
                            Signal::Answered { took: span }
                        } else {
                            Signal::Overloaded { retry_after: Some(span), told: true }
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
