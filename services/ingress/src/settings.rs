//! The settings of ingress.

use std::time::Duration;

use connector::BreakerConfig;
use process::backoff::Backoff;
use process::config::{Group, Reader, Setting, Within};
use process::{CallBudget, CallShare};

const BODY_READ_TIMEOUT: Setting<Duration> = Setting::duration(
    "ONHAND_INGRESS_BODY_READ_TIMEOUT_MS",
    "How long a shop may take to send a webhook's body.",
    Within { default: 10_000, min: 100, max: 120_000 },
);
const SETTLE_PERIOD: Setting<Duration> = Setting::duration(
    "ONHAND_INGRESS_SETTLE_PERIOD_SECONDS",
    "How often every stock of a shop is compared with what it should show.",
    Within { default: 21_600, min: 60, max: 604_800 },
);
const AUDIT_PERIOD: Setting<Duration> = Setting::duration(
    "ONHAND_INGRESS_AUDIT_PERIOD_SECONDS",
    "How often every open order is read again, to find those that were deleted.",
    Within { default: 86_400, min: 60, max: 2_592_000 },
);
const CATALOGUE_PERIOD: Setting<Duration> = Setting::duration(
    "ONHAND_INGRESS_CATALOGUE_PERIOD_SECONDS",
    "How often the whole catalogue of a shop is read.",
    Within { default: 86_400, min: 60, max: 2_592_000 },
);

const WEBHOOK_PERIOD: Setting<Duration> = Setting::duration(
    "ONHAND_INGRESS_WEBHOOK_PERIOD_SECONDS",
    "How often the webhooks in each shop are looked after, where `ONHAND_PUBLIC_URL` is set.",
    Within { default: 600, min: 10, max: 86_400 },
);
const WEBHOOK_SILENCE: Setting<Duration> = Setting::duration(
    "ONHAND_INGRESS_WEBHOOK_SILENCE_SECONDS",
    "How long orders may change without a webhook before that is told; a shop sends them within one or two minutes.",
    Within { default: 900, min: 60, max: 604_800 },
);

/// What the settings of [`GROUP`] and [`CallBudget::GROUP`] say, and the times that only tests change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// How long a shop may take to send a webhook's body.
    pub body_read_timeout: Duration,
    /// Calls to one shop.
    pub calls: CallShare,
    /// How often every stock is settled.
    pub settle_period: Duration,
    /// How often every open order is read again.
    pub audit_period: Duration,
    /// How often the whole catalogue is read.
    pub catalogue_period: Duration,
    /// How often the webhooks in a shop are looked after.
    pub webhook_period: Duration,
    /// How long orders may change without a webhook.
    pub webhook_silence: Duration,
    /// The catalogue is not read again sooner, whatever contradicts it.
    pub catalogue_pause: Duration,
    /// From a read of stocks to the read of orders that proves it. More than 30 s: an order written meanwhile may be
    /// that late to show its date.
    pub settle_wait: Duration,
    /// A stock is not read for a settle before its newest order is so old. A second more than the 30 s that a proof needs,
    /// since dates have whole seconds, and one for the call.
    pub quiet_wait: Duration,
    /// But a settle that is due is held back no longer than this: a stock that sells all the time is tried all the same.
    pub settle_hold_max: Duration,
    /// How long wishes to read an order again, or to settle a stock, are gathered.
    pub gather: Duration,
    /// How often the registry and the lists of work are looked at.
    pub look_period: Duration,
    /// How long the right to read a shop lasts; it is renewed when half of it is over.
    pub lease: Duration,
    /// How long a webhook's shop and its secrets are believed without looking.
    pub shop_cache: Duration,
    /// How often the shops are looked up that webhooks are taken of while the database is away.
    pub snapshot_period: Duration,
    /// Waits after failed calls of one shop.
    pub retry: Backoff,
    /// When a shop that fails is left alone.
    pub breaker: BreakerConfig,
    /// A task whose shop fails this long is given up.
    pub task_patience: Duration,
}

/// The settings of ingress, for the documents.
pub const GROUP: Group = Group {
    title: "Ingress",
    about: "",
    settings: &[
        BODY_READ_TIMEOUT.declaration(),
        SETTLE_PERIOD.declaration(),
        AUDIT_PERIOD.declaration(),
        CATALOGUE_PERIOD.declaration(),
        WEBHOOK_PERIOD.declaration(),
        WEBHOOK_SILENCE.declaration(),
    ],
};

impl Settings {
    /// From the process's settings.
    pub fn from_source(reader: &mut Reader<'_>) -> Self {
        Self {
            body_read_timeout: reader.get(&BODY_READ_TIMEOUT),
            calls: CallBudget::from_source(reader).reads,
            settle_period: reader.get(&SETTLE_PERIOD),
            audit_period: reader.get(&AUDIT_PERIOD),
            catalogue_period: reader.get(&CATALOGUE_PERIOD),
            webhook_period: reader.get(&WEBHOOK_PERIOD),
            webhook_silence: reader.get(&WEBHOOK_SILENCE),
            ..Self::default()
        }
    }

    /// So fast that a test need not wait.
    pub fn for_testing() -> Self {
        Self {
            body_read_timeout: Duration::from_millis(300),
            calls: CallShare::per_minute(u32::MAX),
            settle_wait: Duration::from_millis(20),
            gather: Duration::from_millis(2),
            look_period: Duration::from_millis(5),
            shop_cache: Duration::from_millis(5),
            snapshot_period: Duration::from_millis(5),
            retry: Backoff { first: Duration::from_millis(2), max: Duration::from_millis(20) },
            breaker: BreakerConfig {
                open_min: Duration::from_millis(5),
                open_max: Duration::from_millis(50),
                ..BreakerConfig::default()
            },
            ..Self::default()
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            body_read_timeout: Duration::from_secs(10),
            calls: CallShare::per_minute(280),
            settle_period: Duration::from_hours(6),
            audit_period: Duration::from_hours(24),
            catalogue_period: Duration::from_hours(24),
            webhook_period: Duration::from_mins(10),
            webhook_silence: Duration::from_mins(15),
            catalogue_pause: Duration::from_mins(10),
            settle_wait: Duration::from_secs(32),
            quiet_wait: Duration::from_secs(32),
            settle_hold_max: Duration::from_mins(2),
            gather: Duration::from_millis(250),
            look_period: Duration::from_secs(2),
            lease: Duration::from_secs(30),
            shop_cache: Duration::from_secs(2),
            snapshot_period: Duration::from_secs(10),
            retry: Backoff { first: Duration::from_secs(1), max: Duration::from_mins(1) },
            breaker: BreakerConfig::default(),
            task_patience: Duration::from_mins(15),
        }
    }
}

#[cfg(test)]
mod tests {
    use process::config::{self, Source};

    use super::*;

    #[test]
    fn the_environment_says_what_the_code_says() {
        let source = Source::from_pairs(Vec::<(&str, &str)>::new());
        let read = config::read(&source, &[GROUP, CallBudget::GROUP], Settings::from_source).unwrap();
        assert_eq!(read, Settings::default());
    }
}
