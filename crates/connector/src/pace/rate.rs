//! The rate of calls a system was found to bear, learned from its 429s: a least gap between the starts of two calls.
//!
//! Until a system refuses a call there is no gap. A refusal means that its allowance was used up at that moment, so what
//! it took between two refusals is its limit, whatever it may save up. The rate is then held just below, until so many
//! calls were taken that another refusal is within the share that is allowed ([`CALLS_PER_REFUSAL`]); only then is it
//! raised, in steps that grow, to find out whether the limit has changed.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Calls to be taken for each refusal before the rate is raised again: refusals stay below 1 %.
pub const CALLS_PER_REFUSAL: u32 = 120;
/// Staying away when told so costs this many times its length before it is risked again: at most 7 % of the time.
const PAUSE_SHARE: u32 = 14;
/// Calls to be taken before the rate is raised, at most.
const DEBT_MAX: u32 = 20_000;
/// The least gap: 1,000 calls a second.
const GAP_MIN: Duration = Duration::from_millis(1);
/// The longest gap: six calls a minute. What is slower than that says so by `Retry-After`.
const GAP_MAX: Duration = Duration::from_secs(10);
/// A refusal is outweighed after so long too: a shop that is called rarely would otherwise stay slow for ever.
const FORGIVEN_AFTER: Duration = Duration::from_mins(15);
/// The gap after a first call that was refused, when nothing else is known.
const GAP_FIRST: Duration = Duration::from_secs(1);
/// A rate is raised after at least so many calls, fewer if it was lowered by a guess, and so long a time.
const STEP_CALLS: u32 = 4;
const STEP_CALLS_UNSURE: u32 = 2;
const STEP_TIME: Duration = Duration::from_millis(500);
/// The first step raises it by 3 %, each next one by twice as much, up to 25 %.
const STEP_FIRST: u32 = 30;
const STEP_MAX: u32 = 250;
/// A rate that was lowered without knowing how far is raised by 8 % a step.
const STEP_UNSURE: u32 = 80;
/// Below this share of the rate in use nothing is learned of its limit, in thousandths.
const USED_MIN: u32 = 800;
/// So many calls beyond the limit may be taken from what a system has saved up; a rise that took more was no proof.
const SAVED_MAX: u32 = 8;
/// Fewer calls between two refusals are too few to reckon with.
const COUNT_MIN: u32 = 8;
/// A call that started late, as timers do, lets the next one make up for so many thousandths of a gap.
const SLACK: u32 = 10;
/// Start times remembered: more than there are calls at once.
const STARTS_MAX: usize = 256;
/// After so long without a call, the calls before say nothing of the limit.
const IDLE: Duration = Duration::from_secs(1);
/// So many guesses in a row may be tried at once; later ones have to be earned by calls that were taken.
const GUESSES_MAX: u32 = 8;
/// How long to stay away after a refusal that does not say: so many gaps.
const PAUSE_GAPS: u32 = 4;

const THOUSAND: u32 = 1_000;

/// A raised rate that is being tried.
#[derive(Debug, Clone, Copy)]
struct Rise {
    /// The gap before.
    held: Duration,
    /// The last gap that was borne for a whole step.
    borne: Duration,
    /// Calls beyond what `held` allows, in thousandths.
    beyond: u32,
}

/// What was learned.
#[derive(Debug, Clone)]
struct Learned {
    gap: Duration,
    /// It was lowered further than it may have needed, and is raised without waiting for the debt.
    unsure: bool,
    /// The gap before the system failed; it is returned to in large steps.
    before: Option<Duration>,
    /// A gap that was borne for long, before a rise that came to an end.
    proven: Option<Duration>,
    rise: Option<Rise>,
    step: u32,
    step_since: Instant,
    step_calls: u32,
}

/// The rate. All of its state is here.
#[derive(Debug, Clone)]
pub(super) struct Rate {
    learned: Option<Learned>,
    next: Option<Instant>,
    /// Since when calls are counted: the last refused call, or the first after an idle time.
    since: Option<Instant>,
    count: u32,
    starts: VecDeque<Instant>,
    /// Calls that started before this were under way when the rate was lowered; they lower it no further.
    lowered_at: Option<Instant>,
    debt: u32,
    /// As `debt`, for rates that were lowered by a guess.
    guessed: u32,
    /// How long it was stayed away after the last refusal.
    paused: Duration,
    /// As far as the system asked for it.
    asked: Duration,
}

impl Rate {
    pub(super) fn new() -> Self {
        Self {
            learned: None,
            next: None,
            since: None,
            count: 0,
            starts: VecDeque::new(),
            lowered_at: None,
            debt: 0,
            guessed: 0,
            paused: Duration::ZERO,
            asked: Duration::ZERO,
        }
    }

    /// The least gap between two calls, if one was learned.
    pub(super) fn gap(&self) -> Option<Duration> {
        self.learned.as_ref().map(|learned| learned.gap)
    }

    /// When the next call may start, if not now.
    pub(super) fn wait(&self, now: Instant) -> Option<Instant> {
        self.next.filter(|next| now < *next)
    }

    /// A call starts.
    pub(super) fn started(&mut self, now: Instant) {
        let gap = self.gap().unwrap_or_default();
        let quiet_since = self.starts.back().copied().max(self.next).or(self.since);
        if quiet_since.is_none_or(|at| now.saturating_duration_since(at) > IDLE.max(gap * 4)) {
            self.since = Some(now);
            self.count = 0;
        }
        self.count = self.count.saturating_add(1);
        if self.starts.len() == STARTS_MAX {
            self.starts.pop_front();
        }
        self.starts.push_back(now);
        if !gap.is_zero() {
            let earliest = now.checked_sub(scaled(gap, SLACK)).unwrap_or(now);
            self.next = Some(self.next.map_or(now, |next| next.max(earliest)) + gap);
        }
    }

    /// A call was taken.
    pub(super) fn answered(&mut self, now: Instant) {
        self.debt = self.debt.saturating_sub(1);
        self.guessed = self.guessed.saturating_sub(1);
        let forgiven_after = FORGIVEN_AFTER + self.asked.saturating_mul(PAUSE_SHARE);
        if self.lowered_at.is_some_and(|at| now.saturating_duration_since(at) > forgiven_after) {
            self.debt = 0;
        }
        let Some(learned) = &mut self.learned else { return };
        if self.debt > 0 && !learned.unsure {
            learned.step_since = now;
            return;
        }
        learned.step_calls = learned.step_calls.saturating_add(1);
        let lasted = now.saturating_duration_since(learned.step_since);
        let enough = if learned.unsure { STEP_CALLS_UNSURE } else { STEP_CALLS };
        if learned.step_calls >= enough && lasted >= STEP_TIME {
            learned.end_step(now, lasted);
        }
    }

    /// A call that started at `started` was refused for being one too many. How long to stay away, if it was not told.
    pub(super) fn refused(
        &mut self,
        now: Instant,
        started: Instant,
        told: Option<Duration>,
    ) -> Option<Duration> {
        self.debt = self.debt.saturating_add(CALLS_PER_REFUSAL).min(DEBT_MAX);
        self.count = self.count.saturating_sub(1);
        if self.lowered_at.is_some_and(|at| started < at) {
            return None;
        }
        let later = self.starts.iter().rev().take_while(|start| **start > started).count();
        let later = u32::try_from(later).unwrap_or(u32::MAX);
        let count = self.count.saturating_sub(later);
        let span = self.since.map_or(Duration::ZERO, |since| started.saturating_duration_since(since));
        let proven = self.learned.as_ref().and_then(|learned| learned.rise).map(|rise| rise.held);
        let (gap, unsure) = match &self.learned {
            Some(learned) => learned.lowered(count, span, self.paused),
            None if count == 0 => (GAP_FIRST, true),
            None => (scaled(span / count, 1_100), count < COUNT_MIN),
        };
        let gap = gap.clamp(GAP_MIN, GAP_MAX);
        let unsure = unsure && self.guessed < GUESSES_MAX * CALLS_PER_REFUSAL;
        if unsure {
            self.guessed = self.guessed.saturating_add(CALLS_PER_REFUSAL);
        }
        self.learned = Some(Learned { proven, ..Learned::held(gap, unsure, now) });
        self.since = Some(started);
        self.count = later;
        self.lowered_at = Some(now);
        let pause = told.unwrap_or(gap * PAUSE_GAPS);
        if let Some(told) = told {
            let missed =
                told.as_nanos().checked_div(gap.as_nanos()).and_then(|calls| u32::try_from(calls).ok());
            let cost = missed.unwrap_or(DEBT_MAX).saturating_mul(PAUSE_SHARE);
            self.debt = self.debt.saturating_add(cost).min(DEBT_MAX);
        }
        self.paused = pause;
        self.asked = told.unwrap_or_default();
        self.next = Some(now + pause);
        told.is_none().then_some(pause)
    }

    /// The system failed under the load: half the rate, found again quickly.
    pub(super) fn failed(&mut self, now: Instant, started: Instant) {
        if self.lowered_at.is_some_and(|at| started < at) {
            return;
        }
        self.lowered_at = Some(now);
        if let Some(learned) = self.learned.as_mut().filter(|learned| learned.before.is_none()) {
            let before = learned.gap;
            *learned = Learned::held((before * 2).min(GAP_MAX), true, now);
            learned.before = Some(before);
            learned.step = STEP_MAX;
        }
    }
}

impl Learned {
    fn held(gap: Duration, unsure: bool, now: Instant) -> Self {
        let step = if unsure { STEP_UNSURE } else { STEP_FIRST };
        Self { gap, unsure, before: None, proven: None, rise: None, step, step_since: now, step_calls: 0 }
    }

    /// A step was borne: the next one, if the rate was made use of.
    fn end_step(&mut self, now: Instant, lasted: Duration) {
        let enough = self.gap.saturating_mul(self.step_calls) >= scaled(lasted, USED_MIN);
        let calls = std::mem::take(&mut self.step_calls);
        self.step_since = now;
        if !enough {
            self.step = self.step.min(STEP_UNSURE);
            return;
        }
        let held = self.rise.map_or(self.gap, |rise| rise.held);
        let beyond = self.rise.map_or(0, |rise| rise.beyond);
        let share = per_thousand(self.gap, held);
        let more = calls.saturating_mul(THOUSAND.saturating_sub(share));
        self.rise = Some(Rise { held, borne: self.gap, beyond: beyond.saturating_add(more) });
        self.gap = divided(self.gap, THOUSAND + self.step).max(GAP_MIN);
        if let Some(before) = self.before.filter(|before| self.gap <= *before) {
            *self = Self::held(before, false, now);
        } else if !self.unsure {
            self.step = self.step.saturating_mul(2).min(STEP_MAX);
        }
    }

    /// The gap after a refusal, when `count` calls were taken in `span` since the one before, and whether that is a guess.
    fn lowered(&self, count: u32, span: Duration, paused: Duration) -> (Duration, bool) {
        let counted = span.checked_div(count);
        if let Some(rise) = self.rise {
            let shallow = rise.beyond <= SAVED_MAX * THOUSAND;
            let far = per_thousand(rise.borne, rise.held) < 667;
            let gap = match counted {
                // Some of what the rise took was saved up before: the limit is between.
                Some(counted) if !shallow && !far => counted.min((rise.held + rise.borne) / 2),
                _ => rise.borne,
            };
            return (scaled(gap, 1_020), false);
        }
        let (gap, unsure) = self.counted_down(counted, count, paused > span / 8, paused);
        match self.proven {
            Some(proven) if proven > self.gap && proven <= gap => (proven, false),
            _ => (gap, unsure),
        }
    }

    /// The same, from the count alone. `spoiled`: what may have been saved up in the pause is a good part of it.
    fn counted_down(
        &self,
        counted: Option<Duration>,
        count: u32,
        spoiled: bool,
        paused: Duration,
    ) -> (Duration, bool) {
        match counted {
            Some(_) if count >= COUNT_MIN && spoiled => {
                (scaled(self.gap, if paused > self.gap * COUNT_MIN { 1_150 } else { 1_050 }), false)
            }
            Some(counted) if count >= COUNT_MIN => {
                (scaled(counted.clamp(self.gap, self.gap * 2), 1_030), false)
            }
            Some(counted) => (counted.clamp(scaled(self.gap, 1_100), self.gap * 2), true),
            None => (self.gap * 2, true),
        }
    }
}

/// `span` times `thousandths`.
fn scaled(span: Duration, thousandths: u32) -> Duration {
    span.saturating_mul(thousandths) / THOUSAND
}

/// `span` divided by `thousandths`.
fn divided(span: Duration, thousandths: u32) -> Duration {
    span.saturating_mul(THOUSAND).checked_div(thousandths).unwrap_or(span)
}

/// How many thousandths of `whole` a part is.
fn per_thousand(part: Duration, whole: Duration) -> u32 {
    let share = part.as_nanos().saturating_mul(u128::from(THOUSAND)).checked_div(whole.as_nanos());
    share.and_then(|share| u32::try_from(share).ok()).unwrap_or(THOUSAND)
}
