//! What can be set about looking for alerts.

use std::time::Duration;

use process::backoff::Backoff;
use process::config::{Group, Reader, Setting, Within};

const PERIOD: Setting<Duration> = Setting::duration(
    "ONHAND_ALERT_PERIOD_SECONDS",
    "How often everything that can be an alert is looked at.",
    Within { default: 15, min: 1, max: 3_600 },
);
const PATIENCE: Setting<Duration> = Setting::duration(
    "ONHAND_ALERT_PATIENCE_SECONDS",
    "How long something has to last that often passes by itself, as a shop that does not answer, before it is an alert.",
    Within { default: 300, min: 0, max: 86_400 },
);
const CLEAR: Setting<Duration> = Setting::duration(
    "ONHAND_ALERT_CLEAR_SECONDS",
    "How long something has to stay away before its alert is over; each time it returns within half an hour, twice as long.",
    Within { default: 120, min: 0, max: 3_600 },
);

const DIGEST: Setting<Duration> = Setting::duration(
    "ONHAND_ALERT_DIGEST_SECONDS",
    "How long what is to be told is gathered, so that one notice tells of all of it.",
    Within { default: 30, min: 0, max: 3_600 },
);

const REMIND: Setting<Duration> = Setting::duration(
    "ONHAND_ALERT_REMIND_SECONDS",
    "How long after people were told of an alert they are told again that it is still so, unless somebody took note of it; 0: never.",
    Within { default: 86_400, min: 0, max: 2_592_000 },
);

/// Before a notice that was not taken is sent again.
const RETRY: Backoff = Backoff { first: Duration::from_secs(5), max: Duration::from_mins(30) };

/// When alerts begin and end, and are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertSettings {
    /// How often everything is looked at.
    pub period: Duration,
    /// How long something has to last that often passes by itself.
    pub patience: Duration,
    /// How long something has to stay away before its alert is over.
    pub clear: Duration,
    /// How long what is to be told is gathered.
    pub digest: Duration,
    /// How long after people were told they are reminded; zero: never.
    pub remind: Duration,
    /// Before a notice that was not taken is sent again.
    pub retry: Backoff,
}

impl Default for AlertSettings {
    fn default() -> Self {
        Self {
            period: Duration::from_secs(15),
            patience: Duration::from_mins(5),
            clear: Duration::from_mins(2),
            digest: Duration::from_secs(30),
            remind: Duration::from_hours(24),
            retry: RETRY,
        }
    }
}

impl AlertSettings {
    /// The settings of alerts.
    pub const GROUP: Group = Group {
        title: "Alerts",
        about: "For `onhand up` and `onhand serve inventory`. [alerts.md](alerts.md) says more.",
        settings: &[
            PERIOD.declaration(),
            PATIENCE.declaration(),
            CLEAR.declaration(),
            DIGEST.declaration(),
            REMIND.declaration(),
        ],
    };

    /// As the source says.
    pub fn from_source(reader: &mut Reader<'_>) -> Self {
        Self {
            period: reader.get(&PERIOD),
            patience: reader.get(&PATIENCE),
            clear: reader.get(&CLEAR),
            digest: reader.get(&DIGEST),
            remind: reader.get(&REMIND),
            retry: RETRY,
        }
    }

    /// Without waiting, so that tests are quick.
    pub const fn for_testing() -> Self {
        Self {
            period: Duration::from_millis(20),
            patience: Duration::ZERO,
            clear: Duration::ZERO,
            digest: Duration::ZERO,
            remind: Duration::ZERO,
            retry: Backoff { first: Duration::from_millis(20), max: Duration::from_millis(100) },
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
        let read = config::read(&source, &[AlertSettings::GROUP], AlertSettings::from_source).unwrap();
        assert_eq!(read, AlertSettings::default());
    }
}
