//! Why inventory could not do what it was asked.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;

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
