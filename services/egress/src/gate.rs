//! Whether one shop may be called now: its call budget, what it asked for, how it bears calls, and whether it works
//! at all. In memory; what people should see of it is stored by the lane.

use std::time::{Duration, Instant};

use connector::{
    AuthProblem, Breaker, BreakerState, CallError, NotSentCause, Pace, Permit as Breaks, Signal, Start,
    UncertainCause,
};
use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

use crate::settings::Settings;

/// Calls owed at most. No reply is made of more: a page of stocks with each parent asked for itself.
const OWED_MAX: u32 = 200;

/// Whether a call may start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Permit {
    /// Yes; it must be followed by [`Gate::answered`], [`Gate::failed`] or [`Gate::unused`].
    Go,
    /// Yes, one that changes nothing: it finds out whether the shop is back.
    Probe,
    /// When one under way has ended.
    Full,
    /// Not before this.
    Wait(Instant),
}

/// What people see of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct GateState {
    /// `closed`, `open`, `half_open`, `paused` (the shop asked for it) or `refused` (a person is needed).
    pub(crate) word: &'static str,
    /// Why, unless it is closed.
    pub(crate) cause: Option<&'static str>,
    /// No call before this.
    pub(crate) until: Option<Instant>,
}

pub(crate) struct Gate {
    breaker: Breaker,
    pace: Pace,
    budget: DefaultDirectRateLimiter,
    /// Calls that were made beside those permitted; the next one waits for them.
    owed: u32,
    /// Until somebody may have changed something, or what was asked for before a restart.
    paused_until: Option<Instant>,
    /// Refusals in a row that only a person can end.
    person_failures: u32,
    cause: Option<&'static str>,
}

impl Gate {
    /// A gate at its start.
    pub(crate) fn new(settings: &Settings) -> Self {
        let quota = Quota::with_period(settings.calls.period()).expect("a period is never zero");
        Self {
            breaker: Breaker::new(settings.breaker),
            pace: Pace::new(settings.pace),
            budget: RateLimiter::direct(quota.allow_burst(settings.calls.burst())),
            owed: 0,
            paused_until: None,
            person_failures: 0,
            cause: None,
        }
    }

    /// What the shop asked for in an earlier life still holds.
    pub(crate) fn keep_pause(&mut self, until: Instant, cause: Option<&str>) {
        self.paused_until = Some(until);
        self.cause = CAUSES.iter().find(|known| Some(**known) == cause).copied();
    }

    /// Until when there is no call at all, without taking a permit.
    pub(crate) fn closed_until(&self, now: Instant) -> Option<Instant> {
        let breaker = match self.breaker.state() {
            BreakerState::Open { until, .. } => Some(until),
            BreakerState::Closed { .. } | BreakerState::HalfOpen { .. } => None,
        };
        let pauses = [breaker, self.pace.state().paused_until, self.paused_until];
        pauses.into_iter().flatten().filter(|until| now < *until).max()
    }

    /// Asks for one call.
    pub(crate) fn permit(&mut self, now: Instant) -> Permit {
        if let Some(until) = self.closed_until(now) {
            return Permit::Wait(until);
        }
        match self.pace.start(now) {
            Start::Go => {}
            Start::Full => return Permit::Full,
            Start::Wait { until } => return Permit::Wait(until),
        }
        while self.owed > 0 && self.budget.check().is_ok() {
            self.owed -= 1;
        }
        if let Err(early) = self.budget.check() {
            self.unused(now);
            return Permit::Wait(now + early.wait_time_from(DefaultClock::default().now()));
        }
        match self.breaker.permit(now) {
            Breaks::Go => Permit::Go,
            Breaks::Probe => Permit::Probe,
            // A probe is under way.
            Breaks::Wait { until } => {
                self.unused(now);
                Permit::Wait(until)
            }
        }
    }

    /// The permitted call was not made.
    pub(crate) fn unused(&mut self, now: Instant) {
        self.pace.finish(now, now, Signal::Neutral);
    }

    /// Calls were made that nobody asked the gate for.
    pub(crate) fn owe(&mut self, calls: u32) {
        self.owed = self.owed.saturating_add(calls).min(OWED_MAX);
    }

    /// A call that started at `started` was answered.
    pub(crate) fn answered(&mut self, now: Instant, started: Instant) {
        let took = now.saturating_duration_since(started);
        self.pace.finish(now, started, Signal::Answered { took });
        self.breaker.success();
        self.person_failures = 0;
        self.paused_until = None;
        if matches!(self.breaker.state(), BreakerState::Closed { .. }) {
            self.cause = None;
        }
    }

    /// A call that started at `started` failed. `random` spreads the next tries of many.
    pub(crate) fn failed(
        &mut self,
        now: Instant,
        started: Instant,
        error: &CallError,
        settings: &Settings,
        random: u64,
    ) {
        self.pace.finish(now, started, Signal::of(error));
        self.cause = Some(cause(error));
        if error.is_outage() {
            self.breaker.failure(now, random);
        } else {
            self.breaker.success();
        }
        if error.needs_a_person() {
            self.wait_for_a_person(now, settings, random);
        } else {
            self.person_failures = 0;
        }
    }

    /// The shop cannot be called until somebody changes something.
    pub(crate) fn unusable(&mut self, now: Instant, settings: &Settings, random: u64) {
        self.cause = Some("settings");
        self.wait_for_a_person(now, settings, random);
    }

    fn wait_for_a_person(&mut self, now: Instant, settings: &Settings, random: u64) {
        self.person_failures = self.person_failures.saturating_add(1);
        let failures = self.person_failures;
        // At least half of it: a person does not act within no time.
        let pause = settings.person.ceiling(failures) / 2 + settings.person.delay(failures, random) / 2;
        self.paused_until = Some(now + pause.max(Duration::from_millis(1)));
    }

    /// Only a person can end what stands in the way: the next call should use what is registered by then.
    pub(crate) fn needs_a_person(&self) -> bool {
        self.person_failures > 0
    }

    pub(crate) fn state(&self, now: Instant) -> GateState {
        let until = self.closed_until(now);
        let word = match self.breaker.state() {
            BreakerState::Open { .. } => "open",
            BreakerState::HalfOpen { .. } => "half_open",
            BreakerState::Closed { .. } if until.is_none() => "closed",
            BreakerState::Closed { .. } if self.person_failures > 0 => "refused",
            BreakerState::Closed { .. } => "paused",
        };
        GateState { word, cause: self.cause.filter(|_| word != "closed"), until }
    }
}

/// Why a shop may be paused or its breaker open, beside what needs a person.
const CAUSES: &[&str] = &[
    "rate_limited",
    "unavailable",
    "server_error",
    "timeout",
    "cut",
    "bad_reply",
    "dns",
    "connect",
    "connect_timeout",
    "tls",
];

/// A stable word for why a call failed.
pub(crate) const fn cause(error: &CallError) -> &'static str {
    match error {
        CallError::NotSent { cause, .. } => match cause {
            NotSentCause::Dns => "dns",
            NotSentCause::AddressRefused => "address_refused",
            NotSentCause::Connect => "connect",
            NotSentCause::ConnectTimeout => "connect_timeout",
            NotSentCause::Tls => "tls",
            NotSentCause::Malformed | NotSentCause::TooMany => "not_sent",
        },
        CallError::Auth(problem) => match problem {
            AuthProblem::KeyUnknown => "key_unknown",
            AuthProblem::SecretWrong => "secret_wrong",
            AuthProblem::NoReadPermission => "no_read_permission",
            AuthProblem::NoWritePermission => "no_write_permission",
            AuthProblem::SignatureInvalid => "signature_invalid",
            AuthProblem::ClockSkew => "clock_skew",
            AuthProblem::UserLacksRights => "user_lacks_rights",
            AuthProblem::Blocked(_) => "firewall",
            AuthProblem::Other(_) => "access_refused",
        },
        CallError::Refused { .. } => "refused",
        CallError::Redirected { .. } => "redirected",
        CallError::RateLimited { .. } => "rate_limited",
        CallError::Unavailable { .. } => "unavailable",
        CallError::Uncertain { cause, .. } => match cause {
            UncertainCause::Timeout => "timeout",
            UncertainCause::Cut => "cut",
            UncertainCause::ServerError(_) => "server_error",
            UncertainCause::BadReply => "bad_reply",
        },
        CallError::BadReply { .. } => "bad_reply",
    }
}

#[cfg(test)]
mod tests {
    use process::CallShare;

    use super::*;

    #[test]
    fn a_pause_of_an_earlier_life_is_kept() {
        let now = Instant::now();
        let until = now + Duration::from_secs(9);
        let mut gate = Gate::new(&Settings::for_testing());
        gate.keep_pause(until, Some("rate_limited"));
        assert_eq!(gate.permit(now), Permit::Wait(until));
        assert_eq!((gate.state(now).word, gate.state(now).cause), ("paused", Some("rate_limited")));
        assert_eq!(gate.permit(until), Permit::Go);
    }

    #[test]
    fn the_budget_of_a_minute_is_kept() {
        let settings = Settings { calls: CallShare::per_minute(12), ..Settings::for_testing() };
        let mut gate = Gate::new(&settings);
        let now = Instant::now();
        assert_eq!(gate.permit(now), Permit::Go);
        gate.answered(now, now);
        // It was made of two, and two at once are all for now; the other ten come in the rest of the minute.
        gate.owe(1);
        let Permit::Wait(until) = gate.permit(now) else { unreachable!("two calls were made") };
        assert!(until > now + Duration::from_secs(5), "{:?}", until - now);
    }

    #[test]
    fn two_calls_at_once_at_the_most() {
        let mut gate = Gate::new(&Settings::for_testing());
        let now = Instant::now();
        for _ in 0..10 {
            assert_eq!(gate.permit(now), Permit::Go);
            gate.answered(now, now);
        }
        assert_eq!(
            [gate.permit(now), gate.permit(now), gate.permit(now)],
            [Permit::Go, Permit::Go, Permit::Full]
        );
    }

    #[test]
    fn a_refused_key_waits_longer_each_time() {
        let settings = Settings::for_testing();
        let mut gate = Gate::new(&settings);
        let mut now = Instant::now();
        for _ in 0..3 {
            assert_eq!(gate.permit(now), Permit::Go);
            gate.failed(now, now, &CallError::Auth(AuthProblem::KeyUnknown), &settings, u64::MAX);
            assert_eq!((gate.state(now).word, gate.state(now).cause), ("refused", Some("key_unknown")));
            let Permit::Wait(until) = gate.permit(now) else { unreachable!("it waits") };
            now = until;
        }
        assert!(gate.needs_a_person());
    }
}
