//! Whether answers take longer than they need: then the other side queues, and more calls at once only queue there too.

use std::time::Duration;

/// Answers are compared with those to calls of about the same size: 1, 2–3, 4–7 … 64 and more items.
const SIZES: usize = 7;
/// Slowness is told in thousandths of the best time.
const EVEN: u32 = 1_000;
/// Above this the other side queues: the window stops growing.
const SLOW: u32 = 1_500;
/// From this on it queues as much as it works: the window is halved.
const TOO_SLOW: u32 = 2_000;
/// One answer counts for at most this much, so that a single slow one (a backup, a cold cache) changes little.
const OUTLIER: u32 = 4_000;
/// With the window at its least it is not we who make it wait: then the best time seen grows by 1/8 with each answer, so
/// that a system that has become slower can be learned.
const FORGET_SHIFT: u32 = 3;
/// An answer counts for a quarter of the average.
const SMOOTH_SHIFT: u32 = 2;

/// How the last answers compare with the best.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Speed {
    /// As good as it gets.
    Good,
    /// Slower: no more calls at once.
    Slow,
    /// Much slower: fewer.
    TooSlow,
}

/// Times of answers.
#[derive(Debug, Clone)]
pub(super) struct Latency {
    best: [Option<Duration>; SIZES],
    slowness: u32,
}

impl Latency {
    pub(super) fn new() -> Self {
        Self { best: [None; SIZES], slowness: EVEN }
    }

    /// Thousandths of the best time that answers take.
    pub(super) fn slowness(&self) -> u32 {
        self.slowness
    }

    /// Takes one answer. `alone`: the window is at its least.
    pub(super) fn note(&mut self, took: Duration, size: u32, alone: bool) -> Speed {
        let class = usize::try_from(size.max(1).ilog2()).unwrap_or(SIZES).min(SIZES - 1);
        let Some(best) = self.best.get_mut(class) else { return Speed::Good };
        let known = best.unwrap_or(took).max(Duration::from_micros(1));
        let ratio = took.as_micros().saturating_mul(u128::from(EVEN)).checked_div(known.as_micros());
        let ratio = ratio.and_then(|ratio| u32::try_from(ratio).ok()).unwrap_or(OUTLIER).clamp(EVEN, OUTLIER);
        let forgotten = if alone { known / (1 << FORGET_SHIFT) } else { Duration::ZERO };
        *best = Some(took.min(known + forgotten));
        self.slowness = self.slowness - (self.slowness >> SMOOTH_SHIFT) + (ratio >> SMOOTH_SHIFT);
        match self.slowness {
            ..SLOW => Speed::Good,
            SLOW..TOO_SLOW => Speed::Slow,
            _ => Speed::TooSlow,
        }
    }

    /// The window was halved: what was slow before says nothing of what follows.
    pub(super) fn start_anew(&mut self) {
        self.slowness = EVEN;
    }
}
