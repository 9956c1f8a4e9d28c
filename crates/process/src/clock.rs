//! The only place that reads the wall clock; everything below it is given the time.

use std::time::{SystemTime, UNIX_EPOCH};

use values::Timestamp;

/// The present moment. The clock may be set back between two calls; durations are measured with
/// `tokio::time::Instant`.
pub fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_micros(i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn now_is_after_this_was_written() {
        // 2026-01-01T00:00:00Z
        assert!(now() > Timestamp::from_seconds(1_767_225_600));
    }
}
