//! The settings of egress, and the bounds nobody has to set.

use std::time::Duration;

use connector::{BreakerConfig, PaceConfig};
use process::backoff::Backoff;
use process::config::{Group, Reader, Setting, Within};
use process::{CallBudget, CallShare};

const FLUSH_WINDOW: Setting<Duration> = Setting::duration(
    "ONHAND_EGRESS_FLUSH_WINDOW_MS",
    "How long a changed level waits for others, so that one call carries them together.",
    Within { default: 1_000, min: 0, max: 60_000 },
);
const SETTLE_DELAY: Setting<Duration> = Setting::duration(
    "ONHAND_EGRESS_SETTLE_DELAY_SECONDS",
    "How long after a doubtful push, or a sale during a push, the stock is compared with proof.",
    Within { default: 20, min: 1, max: 600 },
);
const SETTLE_REPEAT: Setting<Duration> = Setting::duration(
    "ONHAND_EGRESS_SETTLE_REPEAT_MAX_SECONDS",
    "The longest pause before a stock is compared again when that proved nothing.",
    Within { default: 600, min: 20, max: 86_400 },
);
const SETTLE_PATIENCE: Setting<Duration> = Setting::duration(
    "ONHAND_EGRESS_SETTLE_PATIENCE_SECONDS",
    "How long to wait for a comparison before it is asked for again.",
    Within { default: 300, min: 60, max: 86_400 },
);

/// What the settings of [`Settings::GROUP`] and [`CallBudget::GROUP`] say, and bounds beside them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// How long a changed level waits for others.
    pub flush_window: Duration,
    /// Calls to one shop.
    pub calls: CallShare,
    /// How long wishes for settles of one shop are gathered before they are asked for.
    pub settle_window: Duration,
    /// How long after doubt a stock is settled.
    pub settle_delay: Duration,
    /// Between settles that prove nothing: first, and longest.
    pub settle_repeat: Backoff,
    /// How long a settle that was asked for may take.
    pub settle_patience: Duration,
    /// Before a temporary refusal or a useless answer is tried again.
    pub refusal: Backoff,
    /// Before a shop is called again that needs a person: its key is refused, its address is wrong.
    pub person: Backoff,
    /// When a shop that fails is left alone.
    pub breaker: BreakerConfig,
    /// How many calls at once. Most shops answer best with 2, and are found to; a larger one bears more.
    pub pace: PaceConfig,
    /// How often the registry is looked into.
    pub registry_period: Duration,
    /// How often pushes are looked for that another process began and did not finish.
    pub strays_period: Duration,
    /// A lane looks by itself after this, should the clock have been set or a wake-up been missed.
    pub look_again: Duration,
    /// Before the database is tried again.
    pub database: Backoff,
}

impl Settings {
    /// What can be set.
    pub const GROUP: Group = Group {
        title: "Egress",
        about: "How levels are carried to the shops.",
        settings: &[
            FLUSH_WINDOW.declaration(),
            SETTLE_DELAY.declaration(),
            SETTLE_REPEAT.declaration(),
            SETTLE_PATIENCE.declaration(),
        ],
    };

    /// From the environment.
    pub fn from_source(reader: &mut Reader<'_>) -> Self {
        let settle_delay = reader.get(&SETTLE_DELAY);
        Self {
            flush_window: reader.get(&FLUSH_WINDOW),
            calls: CallBudget::from_source(reader).pushes,
            settle_window: Duration::from_secs(1),
            settle_delay,
            settle_repeat: Backoff { first: settle_delay, max: reader.get(&SETTLE_REPEAT) },
            settle_patience: reader.get(&SETTLE_PATIENCE),
            refusal: Backoff { first: Duration::from_secs(10), max: Duration::from_mins(30) },
            person: Backoff { first: Duration::from_secs(30), max: Duration::from_mins(10) },
            breaker: BreakerConfig::default(),
            pace: PaceConfig::default(),
            registry_period: Duration::from_secs(2),
            strays_period: Duration::from_mins(1),
            look_again: Duration::from_secs(30),
            database: Backoff { first: Duration::from_millis(500), max: Duration::from_secs(30) },
        }
    }

    /// Short times, so that tests need not wait.
    pub fn for_testing() -> Self {
        const SOON: Duration = Duration::from_millis(10);
        Self {
            flush_window: SOON,
            calls: CallShare::per_minute(60_000),
            settle_window: SOON,
            settle_delay: SOON,
            settle_repeat: Backoff { first: SOON, max: Duration::from_millis(100) },
            settle_patience: Duration::from_mins(5),
            refusal: Backoff { first: SOON, max: Duration::from_millis(100) },
            person: Backoff { first: SOON, max: Duration::from_millis(100) },
            breaker: BreakerConfig {
                failures_max: 3,
                open_min: Duration::from_millis(50),
                open_max: Duration::from_millis(200),
                probe_max: Duration::from_secs(10),
            },
            pace: PaceConfig { max: 2, pause: Duration::from_millis(100), ..PaceConfig::default() },
            registry_period: Duration::from_millis(20),
            strays_period: Duration::from_millis(50),
            look_again: Duration::from_millis(20),
            database: Backoff { first: SOON, max: Duration::from_millis(100) },
        }
    }
}

#[cfg(test)]
mod tests {
    use process::config::{self, Source};

    use super::*;

    #[test]
    fn every_default_can_be_read() {
        let source = Source::from_pairs(std::iter::empty::<(&str, &str)>());
        let settings =
            config::read(&source, &[Settings::GROUP, CallBudget::GROUP], Settings::from_source).unwrap();
        assert_eq!(settings.flush_window, Duration::from_secs(1));
        assert_eq!(settings.calls.calls(), 120);
        let longest = settings.settle_repeat.ceiling(20);
        assert_eq!((settings.settle_repeat.ceiling(1).as_secs(), longest.as_secs()), (20, 600));
    }
}
