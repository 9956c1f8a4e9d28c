//! Why inventory could not do what it was asked.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use process::backoff::{Backoff, random};
use tokio::time::{Instant, sleep};

/// Most tries of a call that finds the database busy.
const TRIES_MAX: u32 = 4;
/// Waits between them.
const BACKOFF: Backoff = Backoff { first: Duration::from_millis(20), max: Duration::from_millis(200) };
/// After this no further try begins: whoever asks should be told before he gives up.
const TRY_FOR: Duration = Duration::from_secs(3);

/// A call failed; nothing of it was done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database failed.
    #[error("the database could not do it; nothing was changed")]
    Store(#[from] store::Error),
    /// A rule of the ledger was broken: a defect, or damaged data.
    #[error("a rule of the ledger would be broken, so nothing was changed; run `onhand check` ({text})")]
    Broken {
        /// What the rule says.
        text: String,
    },
}

impl Error {
    /// Whether the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Store(error) if error.class() == store::Class::Retry)
    }

    /// The same, and it is sure that nothing was done.
    fn is_undone(&self) -> bool {
        self.is_retryable() && !matches!(self, Self::Store(error) if error.is_in_doubt())
    }
}

/// The words of a panic.
pub(crate) fn panic_text(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "without a message".to_owned())
}

/// A broken rule ends the call, not the process; its transaction is rolled back with it.
pub(crate) async fn guarded<T>(call: impl Future<Output = Result<T, store::Error>>) -> Result<T, Error> {
    match AssertUnwindSafe(call).catch_unwind().await {
        Ok(done) => Ok(done?),
        Err(payload) => Err(Error::Broken { text: panic_text(payload.as_ref()) }),
    }
}

/// The same, tried again a few times while the database is busy: that two met in a deadlock is nothing a caller should have to
/// know. What may be done twice without effect may be called so, since a commit whose answer was lost is tried again too.
pub(crate) async fn patiently<T, F>(call: impl FnMut() -> F) -> Result<T, Error>
where
    F: Future<Output = Result<T, store::Error>>,
{
    while_it(Error::is_retryable, call).await
}

/// The same for what would be answered otherwise the second time: a commit without an answer is told as it is.
pub(crate) async fn patiently_once<T, F>(call: impl FnMut() -> F) -> Result<T, Error>
where
    F: Future<Output = Result<T, store::Error>>,
{
    while_it(Error::is_undone, call).await
}

async fn while_it<T, F>(
    may_be_tried_again: fn(&Error) -> bool,
    mut call: impl FnMut() -> F,
) -> Result<T, Error>
where
    F: Future<Output = Result<T, store::Error>>,
{
    let began = Instant::now();
    let mut failures = 0;
    loop {
        match guarded(call()).await {
            Err(error) if may_be_tried_again(&error) => {
                failures += 1;
                if failures >= TRIES_MAX || began.elapsed() >= TRY_FOR {
                    return Err(error);
                }
                sleep(BACKOFF.delay(failures, random())).await;
            }
            done => return done,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn busy() -> store::Error {
        store::Error::Busy { doing: "save a batch", source: "deadlock".into() }
    }

    #[tokio::test(start_paused = true)]
    async fn who_meets_a_busy_database_tries_a_few_times() {
        for (free_from, tried, is_done) in [(1, 1, true), (3, 3, true), (u32::MAX, TRIES_MAX, false)] {
            let tries = Cell::new(0);
            let done = patiently(|| async {
                tries.set(tries.get() + 1);
                if tries.get() < free_from { Err(busy()) } else { Ok(()) }
            });
            assert_eq!((done.await.is_ok(), tries.get()), (is_done, tried));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_may_have_been_done_is_not_tried_a_second_time_where_that_would_say_otherwise() {
        let in_doubt = || store::Error::Busy { doing: "commit", source: "connection lost".into() };
        let tries = Cell::new(0);
        let failing = |failures: u32| {
            tries.set(0);
            let tries = &tries;
            move || async move {
                tries.set(tries.get() + 1);
                if tries.get() <= failures { Err(busy()) } else { Err::<(), _>(in_doubt()) }
            }
        };
        assert!(patiently_once(failing(2)).await.unwrap_err().is_retryable(), "whoever asks may look");
        assert_eq!(tries.get(), 3);
        patiently(failing(2)).await.unwrap_err();
        assert_eq!(tries.get(), TRIES_MAX, "what may be done twice is");
    }

    #[tokio::test(start_paused = true)]
    async fn what_took_long_or_broke_a_rule_is_not_tried_again() {
        let tries = Cell::new(0);
        let slow = patiently(|| async {
            tries.set(tries.get() + 1);
            sleep(TRY_FOR).await;
            Err::<(), _>(busy())
        });
        assert!(slow.await.unwrap_err().is_retryable());
        assert_eq!(tries.get(), 1);
        let broken = patiently(|| async {
            tries.set(tries.get() + 1);
            assert_eq!(tries.get(), 1, "units went missing");
            Ok(())
        });
        assert!(matches!(broken.await, Err(Error::Broken { .. })));
        assert_eq!(tries.get(), 2);
    }
}
