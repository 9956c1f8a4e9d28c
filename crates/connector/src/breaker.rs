//! A circuit breaker whose state can be seen: after enough failures in a row it lets nothing through for a while, then
//! one probe, and stays away longer each time the probe fails. Time and randomness are passed in.

use std::time::{Duration, Instant};

/// The breaker's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerConfig {
    /// Failures in a row that open it; at least 1.
    pub failures_max: u32,
    /// How long it stays open the first time.
    pub open_min: Duration,
    /// How long it stays open at most, however often the probe fails.
    pub open_max: Duration,
    /// How long a probe may take before another is allowed: the first one's caller may have died.
    pub probe_max: Duration,
}

impl Default for BreakerConfig {
    fn default() -> Self {
        Self {
            failures_max: 5,
            open_min: Duration::from_secs(5),
            open_max: Duration::from_mins(5),
            probe_max: Duration::from_mins(2),
        }
    }
}

/// What the breaker is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerState {
    /// Calls go through.
    Closed {
        /// Failures since the last success.
        failures: u32,
    },
    /// No call goes through.
    Open {
        /// When a probe will be allowed.
        until: Instant,
        /// How often in a row it has opened; 1 the first time.
        times: u32,
    },
    /// One call is on its way to find out.
    HalfOpen {
        /// When it was let through.
        since: Instant,
        /// How often in a row it had opened.
        times: u32,
    },
}

/// Whether a call may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permit {
    /// Go ahead.
    Go,
    /// Go ahead with one cheap call: its outcome decides.
    Probe,
    /// Not before this.
    Wait {
        /// When to ask again.
        until: Instant,
    },
}

/// A circuit breaker. Every permitted call must be followed by [`Breaker::success`] or [`Breaker::failure`].
#[derive(Debug, Clone)]
pub struct Breaker {
    config: BreakerConfig,
    state: BreakerState,
}

impl Breaker {
    /// A closed breaker.
    pub fn new(config: BreakerConfig) -> Self {
        Self { config, state: BreakerState::Closed { failures: 0 } }
    }

    /// What it is doing.
    pub fn state(&self) -> BreakerState {
        self.state
    }

    /// Whether a call may be made now.
    pub fn permit(&mut self, now: Instant) -> Permit {
        match self.state {
            BreakerState::Closed { .. } => Permit::Go,
            BreakerState::Open { until, .. } if now < until => Permit::Wait { until },
            BreakerState::Open { times, .. } => {
                self.state = BreakerState::HalfOpen { since: now, times };
                Permit::Probe
            }
            BreakerState::HalfOpen { since, times } => {
                let until = since + self.config.probe_max;
                if now < until {
                    return Permit::Wait { until };
                }
                self.state = BreakerState::HalfOpen { since: now, times };
                Permit::Probe
            }
        }
    }

    /// The probe that was let through was not made after all: another may be at once.
    pub fn unused(&mut self, now: Instant) {
        if let BreakerState::HalfOpen { times, .. } = self.state {
            self.state = BreakerState::Open { until: now, times };
        }
    }

    /// A call was answered.
    ///
    /// While the breaker is open this is a call from before; it says nothing about now, and is left out.
    pub fn success(&mut self) {
        if !matches!(self.state, BreakerState::Open { .. }) {
            self.state = BreakerState::Closed { failures: 0 };
        }
    }

    /// A call failed by the other side's fault. `random` is any number: it spreads the probes of many callers.
    pub fn failure(&mut self, now: Instant, random: u64) {
        self.state = match self.state {
            BreakerState::Closed { failures } => {
                let failures = failures.saturating_add(1);
                if failures < self.config.failures_max {
                    BreakerState::Closed { failures }
                } else {
                    self.open(now, 1, random)
                }
            }
            open @ BreakerState::Open { .. } => open,
            BreakerState::HalfOpen { times, .. } => self.open(now, times.saturating_add(1), random),
        };
    }

    /// Twice as long each time, up to the bound, plus up to a quarter of it by chance.
    fn open(&self, now: Instant, times: u32, random: u64) -> BreakerState {
        let doublings = times.saturating_sub(1).min(20);
        let wait = self.config.open_min.saturating_mul(1 << doublings).min(self.config.open_max);
        let spread = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX) / 4;
        let jitter = Duration::from_millis(random.checked_rem(spread.saturating_add(1)).unwrap_or(0));
        BreakerState::Open { until: now + wait + jitter, times }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn config() -> BreakerConfig {
        BreakerConfig { failures_max: 2, open_min: SECOND, open_max: 8 * SECOND, probe_max: 10 * SECOND }
    }

    #[test]
    fn it_opens_probes_and_closes() {
        let start = Instant::now();
        let mut breaker = Breaker::new(config());
        breaker.failure(start, 0);
        assert_eq!(breaker.permit(start), Permit::Go, "one failure is not enough");
        breaker.failure(start, 0);
        assert_eq!(breaker.permit(start), Permit::Wait { until: start + SECOND });
        assert_eq!(breaker.permit(start + SECOND), Permit::Probe);
        assert!(matches!(breaker.permit(start + SECOND), Permit::Wait { .. }), "one probe at a time");
        breaker.failure(start + SECOND, 0);
        assert_eq!(breaker.state(), BreakerState::Open { until: start + 3 * SECOND, times: 2 });
        assert_eq!(breaker.permit(start + 3 * SECOND), Permit::Probe);
        breaker.success();
        assert_eq!(breaker.permit(start + 3 * SECOND), Permit::Go);
        assert_eq!(breaker.state(), BreakerState::Closed { failures: 0 });
    }

    #[test]
    fn a_probe_that_was_not_made_leaves_room_for_another() {
        let start = Instant::now();
        let mut breaker = Breaker::new(config());
        breaker.unused(start);
        assert_eq!(breaker.permit(start), Permit::Go, "it is closed");
        breaker.failure(start, 0);
        breaker.failure(start, 0);
        breaker.unused(start);
        assert_eq!(breaker.permit(start), Permit::Wait { until: start + SECOND }, "it is open");
        assert_eq!(breaker.permit(start + SECOND), Permit::Probe);
        breaker.unused(start + SECOND);
        assert_eq!(breaker.permit(start + SECOND), Permit::Probe);
        breaker.failure(start + SECOND, 0);
        assert_eq!(breaker.state(), BreakerState::Open { until: start + 3 * SECOND, times: 2 });
    }

    #[test]
    fn a_late_answer_does_not_close_an_open_breaker() {
        let start = Instant::now();
        let mut breaker = Breaker::new(config());
        breaker.failure(start, 0);
        breaker.failure(start, 0);
        breaker.success();
        assert!(matches!(breaker.permit(start), Permit::Wait { .. }));
    }

    #[test]
    fn a_lost_probe_does_not_close_the_shop_for_ever() {
        let start = Instant::now();
        let mut breaker = Breaker::new(config());
        breaker.failure(start, 0);
        breaker.failure(start, 0);
        assert_eq!(breaker.permit(start + SECOND), Permit::Probe);
        assert_eq!(breaker.permit(start + 11 * SECOND), Permit::Probe);
    }

    #[derive(Debug, Clone)]
    enum Step {
        Pass(u64),
        Ask,
        Success,
        Failure(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0_u64..20_000).prop_map(Step::Pass),
            Just(Step::Ask),
            Just(Step::Success),
            any::<u64>().prop_map(Step::Failure),
        ]
    }

    proptest! {
        #[test]
        fn it_never_waits_longer_than_its_bound(steps in proptest::collection::vec(step(), 0..200)) {
            let mut now = Instant::now();
            let mut breaker = Breaker::new(config());
            let longest = (config().open_max + config().open_max / 4).max(config().probe_max);
            let mut probing: Option<Instant> = None;
            for step in steps {
                match step {
                    Step::Pass(millis) => now += Duration::from_millis(millis),
                    Step::Success => { breaker.success(); probing = None; }
                    Step::Failure(random) => { breaker.failure(now, random); probing = None; }
                    Step::Ask => match breaker.permit(now) {
                        Permit::Go => {}
                        Permit::Probe => {
                            let lost = probing.is_none_or(|since| now >= since + config().probe_max);
                            prop_assert!(lost, "a second probe beside the first");
                            probing = Some(now);
                        }
                        Permit::Wait { until } => {
                            prop_assert!(until > now);
                            prop_assert!(until <= now + longest, "waits too long");
                        }
                    },
                }
            }
        }
    }
}
