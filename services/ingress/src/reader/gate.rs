//! Whether a shop may be called now: its call budget, its breaker, what it asks for itself, and our own patience.

use std::time::{Duration, Instant};

use connector::{
    Breaker, BreakerConfig, BreakerState, CallError, Ceiling, Pace, PaceConfig, Permit, Signal, Start,
};
use process::CallShare;
use process::backoff::{Backoff, random};
use store::BreakerWord;

/// A call that was let through; hand it back with [`Gate::succeeded`] or [`Gate::failed`].
#[derive(Debug)]
pub(super) struct Call {
    started: Instant,
}

/// Guards one shop. Calls are made one after the other.
#[derive(Debug)]
pub(super) struct Gate {
    breaker: Breaker,
    pace: Pace,
    retry: Backoff,
    failures: u32,
    rest_until: Option<Instant>,
    /// The least time between two calls that its share of the budget allows.
    period: Duration,
}

impl Gate {
    pub(super) fn new(calls: CallShare, breaker: BreakerConfig, retry: Backoff) -> Self {
        let ceiling = Ceiling { burst: calls.burst().get(), period: calls.period() };
        Self {
            breaker: Breaker::new(breaker),
            pace: Pace::new(PaceConfig { ceiling: Some(ceiling), ..PaceConfig::default() }),
            retry,
            failures: 0,
            rest_until: None,
            period: calls.period(),
        }
    }

    /// The least time between two calls, as far as it is known: by the budget, and by what the shop has refused.
    pub(super) fn between_calls(&self) -> Duration {
        self.pace.state().gap.map_or(self.period, |gap| gap.max(self.period))
    }

    /// Until when no call is let through; `None`: one may be tried.
    pub(super) fn rests_until(&self, now: Instant) -> Option<Instant> {
        let open = match self.breaker.state() {
            BreakerState::Open { until, .. } => Some(until),
            BreakerState::Closed { .. } | BreakerState::HalfOpen { .. } => None,
        };
        let all = [open, self.pace.state().paused_until, self.rest_until];
        all.into_iter().flatten().max().filter(|until| *until > now)
    }

    /// Asks for a call; the moment to ask again if none is let through.
    pub(super) async fn enter(&mut self, now: Instant) -> Result<Call, Instant> {
        if let Some(until) = self.rests_until(now) {
            return Err(until);
        }
        if let Permit::Wait { until } = self.breaker.permit(now) {
            return Err(until);
        }
        let mut now = now;
        loop {
            match self.pace.start(now) {
                Start::Go => break,
                // No more than the ceiling, or what the shop bears.
                Start::Wait { until } => {
                    tokio::time::sleep_until(until.into()).await;
                    now = until.max(Instant::now());
                }
                // A call that was cut off by a stop was never handed back; there is none beside it.
                Start::Full => self.pace.abandon(),
            }
        }
        Ok(Call { started: now })
    }

    /// It was answered after `took`, with `calls` calls in all.
    pub(super) fn succeeded(&mut self, call: &Call, now: Instant, took: Duration, calls: u32) {
        self.breaker.success();
        self.pace.finish(now, call.started, Signal::Answered { took, size: 1 });
        self.owe(now, calls.saturating_sub(1));
        self.failures = 0;
        self.rest_until = None;
    }

    /// Calls were made that nobody asked the gate for.
    pub(super) fn owe(&mut self, now: Instant, calls: u32) {
        self.pace.owe(now, calls);
    }

    /// It failed; how often in a row by now.
    pub(super) fn failed(&mut self, call: &Call, now: Instant, error: &CallError) -> u32 {
        if error.is_outage() {
            self.breaker.failure(now, random());
        } else {
            self.breaker.success();
        }
        self.pace.finish(now, call.started, Signal::of(error));
        self.failures = self.failures.saturating_add(1);
        // At least half of what it may be: a shop that refuses us is not to be asked again at once by chance.
        let delay = (self.retry.delay(self.failures, random()) + self.retry.ceiling(self.failures)) / 2;
        self.rest_until = Some(now + delay);
        self.failures
    }

    pub(super) fn breaker(&self) -> BreakerWord {
        match self.breaker.state() {
            BreakerState::Closed { .. } => BreakerWord::Closed,
            BreakerState::Open { .. } => BreakerWord::Open,
            BreakerState::HalfOpen { .. } => BreakerWord::HalfOpen,
        }
    }
}

#[cfg(test)]
mod tests {
    use connector::AuthProblem;

    use super::*;

    fn gate() -> Gate {
        let retry = Backoff { first: Duration::from_secs(2), max: Duration::from_mins(1) };
        Gate::new(CallShare::per_minute(60_000), BreakerConfig::default(), retry)
    }

    #[tokio::test]
    async fn a_reply_of_many_calls_is_paid_for_by_the_next() {
        let retry = Backoff { first: Duration::from_secs(2), max: Duration::from_mins(1) };
        // Two at once, then ten more in a minute.
        let mut gate = Gate::new(CallShare::per_minute(12), BreakerConfig::default(), retry);
        let now = Instant::now();
        let call = gate.enter(now).await.unwrap();
        gate.succeeded(&call, now, Duration::from_millis(5), 1);
        let call = tokio::time::timeout(Duration::from_secs(1), gate.enter(now)).await.unwrap().unwrap();
        gate.succeeded(&call, now, Duration::from_millis(5), 3);
        let third = tokio::time::timeout(Duration::from_millis(20), gate.enter(now)).await;
        assert!(third.is_err(), "the minute's calls at once are made");
    }

    #[tokio::test]
    async fn a_shop_that_says_when_is_left_alone_until_then() {
        let (mut gate, now) = (gate(), Instant::now());
        let call = gate.enter(now).await.unwrap();
        let error = CallError::RateLimited { retry_after: Some(Duration::from_secs(90)) };
        assert_eq!(gate.failed(&call, now, &error), 1);
        assert_eq!(gate.rests_until(now), Some(now + Duration::from_secs(90)));
        assert_eq!(gate.enter(now).await.unwrap_err(), now + Duration::from_secs(90));
        let later = now + Duration::from_secs(90);
        let call = gate.enter(later).await.unwrap();
        gate.succeeded(&call, later, Duration::from_millis(5), 3);
        assert_eq!(gate.rests_until(later), None);
    }

    #[tokio::test]
    async fn refusals_rest_longer_each_time_and_outages_open_the_breaker() {
        let (mut gate, start) = (gate(), Instant::now());
        let mut now = start;
        let mut last = Duration::ZERO;
        for _ in 0..4 {
            let call = gate.enter(now).await.unwrap();
            gate.failed(&call, now, &CallError::Auth(AuthProblem::KeyUnknown));
            let rest = gate.rests_until(now).unwrap() - now;
            assert!(rest > last / 2 && rest <= Duration::from_secs(16), "{rest:?}");
            last = rest;
            now += rest;
        }
        assert_eq!(gate.breaker(), BreakerWord::Closed, "a refusal is an answer");
        for _ in 0..5 {
            let call = gate.enter(now).await.unwrap();
            gate.failed(&call, now, &CallError::Unavailable { status: 503, retry_after: None });
            now = gate.rests_until(now).unwrap();
        }
        assert_eq!(gate.breaker(), BreakerWord::Open);
    }
}
