//! Whether a shop may be called now: its call budget, its breaker, what it asks for itself, and our own patience.

use std::time::{Duration, Instant};

use connector::{Breaker, BreakerConfig, BreakerState, CallError, Pace, PaceConfig, Permit, Signal, Start};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use process::backoff::{Backoff, random};
use store::BreakerWord;

/// A reply of several calls is charged for all of them, but no more than this: it was within its bounds.
const CHARGED_MAX: u32 = 20;

/// A call that was let through; hand it back with [`Gate::succeeded`] or [`Gate::failed`].
#[derive(Debug)]
pub(super) struct Call {
    started: Instant,
}

/// Guards one shop. Calls are made one after the other.
#[derive(Debug)]
pub(super) struct Gate {
    budget: DefaultDirectRateLimiter,
    breaker: Breaker,
    pace: Pace,
    retry: Backoff,
    failures: u32,
    rest_until: Option<Instant>,
}

impl Gate {
    pub(super) fn new(
        calls_per_second: std::num::NonZeroU32,
        breaker: BreakerConfig,
        retry: Backoff,
    ) -> Self {
        Self {
            budget: RateLimiter::direct(Quota::per_second(calls_per_second)),
            breaker: Breaker::new(breaker),
            pace: Pace::new(PaceConfig::default()),
            retry,
            failures: 0,
            rest_until: None,
        }
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
        match self.pace.start(now) {
            Start::Go => {}
            Start::Wait { until } => return Err(until),
            // A call that was cut off by a stop was never handed back; there is none beside it.
            Start::Full => self.pace = Pace::new(PaceConfig::default()),
        }
        self.budget.until_ready().await;
        Ok(Call { started: now })
    }

    /// It was answered after `took`, with `calls` calls in all.
    pub(super) fn succeeded(&mut self, call: &Call, now: Instant, took: Duration, calls: u32) {
        self.breaker.success();
        self.pace.finish(now, call.started, Signal::Answered { took });
        for _ in 1..calls.min(CHARGED_MAX) {
            // Charged afterwards: the calls that follow wait for it.
            if self.budget.check().is_err() {
                break;
            }
        }
        self.failures = 0;
        self.rest_until = None;
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
    use std::num::NonZeroU32;

    use connector::AuthProblem;

    use super::*;

    fn gate() -> Gate {
        let retry = Backoff { first: Duration::from_secs(2), max: Duration::from_mins(1) };
        Gate::new(NonZeroU32::new(1_000).unwrap(), BreakerConfig::default(), retry)
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
