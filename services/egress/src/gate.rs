//! Whether one shop may be called now: its call budget, what it asked for, how it bears calls, and whether it works
//! at all. In memory; what people should see of it is stored by the lane.

use std::time::{Duration, Instant};

use connector::{
    AuthProblem, Breaker, BreakerState, CallError, Ceiling, NotSentCause, Pace, PaceConfig, Permit as Breaks,
    Signal, Start, UncertainCause,
};

use crate::settings::Settings;

const MINUTE: Duration = Duration::from_mins(1);

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
    /// Calls a minute: the ceiling, or what the shop was found to bear, if that is less.
    pub(crate) calls_per_minute: u32,
}

impl GateState {
    /// Whether people need not be told of this after `told`: the pace changes a little all the time.
    pub(crate) fn is_much_like(&self, told: &Self) -> bool {
        let apart = self.calls_per_minute.abs_diff(told.calls_per_minute);
        (self.word, self.cause, self.until) == (told.word, told.cause, told.until)
            && apart <= told.calls_per_minute / 4
    }
}

pub(crate) struct Gate {
    breaker: Breaker,
    pace: Pace,
    /// Most calls in a minute.
    most: u32,
    /// Until somebody may have changed something, or what was asked for before a restart.
    paused_until: Option<Instant>,
    /// Refusals in a row that only a person can end.
    person_failures: u32,
    cause: Option<&'static str>,
}

impl Gate {
    /// A gate at its start.
    pub(crate) fn new(settings: &Settings) -> Self {
        let calls = settings.calls;
        let ceiling = Ceiling { burst: calls.burst().get(), period: calls.period() };
        Self {
            breaker: Breaker::new(settings.breaker),
            pace: Pace::new(PaceConfig { ceiling: Some(ceiling), ..settings.pace }),
            most: calls.calls(),
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
        match self.breaker.permit(now) {
            Breaks::Go => Permit::Go,
            Breaks::Probe => Permit::Probe,
            // A probe is under way.
            Breaks::Wait { until } => {
                self.pace.unused();
                Permit::Wait(until)
            }
        }
    }

    /// The permitted call was not made. While the breaker lets nothing but a probe through, it was that.
    pub(crate) fn unused(&mut self, now: Instant) {
        self.pace.unused();
        self.breaker.unused(now);
    }

    /// Calls were made that nobody asked the gate for.
    pub(crate) fn owe(&mut self, now: Instant, calls: u32) {
        self.pace.owe(now, calls);
    }

    /// A call with `stocks` stocks that started at `started` was answered.
    pub(crate) fn answered(&mut self, now: Instant, started: Instant, stocks: usize) {
        let took = now.saturating_duration_since(started);
        let size = u32::try_from(stocks).unwrap_or(u32::MAX);
        self.pace.finish(now, started, Signal::Answered { took, size });
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
        let borne = self.pace.state().gap.and_then(|gap| MINUTE.as_nanos().checked_div(gap.as_nanos()));
        let borne = borne.and_then(|calls| u32::try_from(calls).ok()).unwrap_or(self.most);
        let calls_per_minute = borne.min(self.most);
        GateState { word, cause: self.cause.filter(|_| word != "closed"), until, calls_per_minute }
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
        gate.answered(now, now, 1);
        // It was made of two, and two at once are all for now; the other ten come in the rest of the minute.
        gate.owe(now, 1);
        let Permit::Wait(until) = gate.permit(now) else { unreachable!("two calls were made") };
        assert!(until > now + Duration::from_secs(5), "{:?}", until - now);
    }

    #[test]
    fn people_are_told_of_a_pace_that_is_learned_and_not_of_each_little_change() {
        let settings = Settings { calls: CallShare::per_minute(600), ..Settings::for_testing() };
        let mut gate = Gate::new(&settings);
        let now = Instant::now();
        let before = gate.state(now);
        assert_eq!(before.calls_per_minute, 600);
        assert_eq!(gate.permit(now), Permit::Go);
        gate.failed(now, now, &CallError::RateLimited { retry_after: None }, &settings, 0);
        let after = gate.state(now + Duration::from_secs(10));
        assert_eq!((after.word, after.calls_per_minute), ("closed", 60));
        assert!(!after.is_much_like(&before));
        assert!(GateState { calls_per_minute: 66, ..after }.is_much_like(&after));
    }

    #[test]
    fn two_calls_at_once_at_the_most() {
        let mut gate = Gate::new(&Settings::for_testing());
        let now = Instant::now();
        for _ in 0..10 {
            assert_eq!(gate.permit(now), Permit::Go);
            gate.answered(now, now, 1);
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
