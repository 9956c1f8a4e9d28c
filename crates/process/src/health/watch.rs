//! Keeps a check true: by looking at its part again and again, or by the rounds of the part's own loop.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::Check;

/// Between two looks at a part.
pub const LOOK_PERIOD: Duration = Duration::from_secs(2);
/// A look that takes longer has failed.
pub const LOOK_TIME_MAX: Duration = Duration::from_secs(10);
/// How long a look counts. Longer than the next one takes with its pause, so that only one that never comes is missed.
const LOOK_COUNTS_FOR: Duration = Duration::from_secs(20);

impl Check {
    /// Looks at the part at once and then every [`LOOK_PERIOD`], until `stop`. `look` says why the part is not ready, if
    /// it is not; the check says the same.
    pub async fn watch<F>(self, stop: CancellationToken, mut look: impl FnMut() -> F)
    where
        F: Future<Output = Result<(), String>>,
    {
        while !stop.is_cancelled() {
            let looked = tokio::select! {
                () = stop.cancelled() => return,
                looked = timeout(LOOK_TIME_MAX, look()) => looked,
            };
            match looked {
                Ok(Ok(())) => self.ready_for(LOOK_COUNTS_FOR),
                Ok(Err(why)) => self.not_ready(why),
                Err(_elapsed) => {
                    self.not_ready(format!("did not answer within {} s", LOOK_TIME_MAX.as_secs()));
                }
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = sleep(LOOK_PERIOD) => {}
            }
        }
    }

    /// For a part that works in rounds: it is ready until `patience` after its last good round.
    pub fn pulse(self, patience: Duration) -> Pulse {
        Pulse { check: self, patience, good_until: None }
    }
}

/// A check kept by the rounds of a loop. Rounds that fail are borne for a while; a loop that is stuck is not ready once
/// its patience is over.
#[derive(Debug)]
pub struct Pulse {
    check: Check,
    patience: Duration,
    good_until: Option<Instant>,
}

impl Pulse {
    /// A round did all there was to do.
    pub fn good(&mut self) {
        self.good_until = Some(Instant::now() + self.patience);
        self.check.ready_for(self.patience);
    }

    /// A round failed. `why` completes the sentence that the check's name begins, should there have been no good round for
    /// too long.
    pub fn failed(&mut self, why: &str) {
        if self.good_until.is_none_or(|until| until <= Instant::now()) {
            self.check.not_ready(why);
        }
    }
}
