//! How reading a shop goes, and what it costs, as JSON.

use serde::Serialize;
use store::Reading;
use utoipa::ToSchema;
use values::Timestamp;

use super::super::super::wire::Time;

/// How reading a shop goes.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Reading)]
pub(in super::super::super) struct ReadingBody {
    /// When changed orders were last read to the end.
    polled_at: Option<Time>,
    /// How often it is polled now, in seconds: more often than set while its webhooks are in doubt, less often while it bears
    /// few calls.
    #[schema(example = 60)]
    polled_every_seconds: Option<u64>,
    /// When every open order was last read.
    audited_at: Option<Time>,
    /// When the catalogue was last read to the end.
    catalogued_at: Option<Time>,
    /// Since when every call fails.
    failing_since: Option<Time>,
    /// The last failure.
    failure: Option<String>,
    /// When that was.
    failed_at: Option<Time>,
    /// Whether calls are let through: `closed`, `open` or `half_open`.
    #[schema(example = "closed")]
    breaker: &'static str,
    /// No call before this.
    resting_until: Option<Time>,
    /// When a webhook last said that its owner may no longer see orders: give it to an administrator of the shop.
    blind_at: Option<Time>,
    /// When the shop last tried whether somebody listens to its webhooks.
    pinged_at: Option<Time>,
}

impl From<Reading> for ReadingBody {
    fn from(reading: Reading) -> Self {
        Self {
            polled_at: reading.polled_at.map(Into::into),
            polled_every_seconds: reading.poll_period.map(|period| period.as_secs()),
            audited_at: reading.audited_at.map(Into::into),
            catalogued_at: reading.catalogued_at.map(Into::into),
            failing_since: reading.failing_since.map(Into::into),
            failure: Some(reading.failure).filter(|failure| !failure.is_empty()),
            failed_at: reading.failed_at.map(Into::into),
            breaker: reading.breaker.as_str(),
            resting_until: reading.resting_until.map(Into::into),
            blind_at: reading.blind_at.map(Into::into),
            pinged_at: reading.pinged_at.map(Into::into),
        }
    }
}

/// Calls that were made to read a shop.
#[derive(Debug, Serialize, ToSchema)]
pub(in super::super::super) struct ReadingCalls {
    /// What they read: `orders`, `orders_by_id`, `stocks`, `catalogue`, `webhooks` or `test`.
    #[schema(example = "orders")]
    what: String,
    /// In this hour, so far.
    this_hour: u64,
    /// In the hour before.
    hour_before: u64,
}

impl ReadingCalls {
    pub(in super::super) fn of(reading: &Reading, now: Timestamp) -> Vec<Self> {
        let calls = reading.calls.clone().at(now).into_iter();
        calls
            .map(|(what, of_kind)| Self {
                what,
                this_hour: of_kind.this_hour,
                hour_before: of_kind.hour_before,
            })
            .collect()
    }
}
