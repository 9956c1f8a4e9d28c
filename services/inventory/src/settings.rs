//! What can be set about inventory.

use std::time::Duration;

use process::config::{Group, Reader, Setting, Within};

use crate::alerts::AlertSettings;

const BATCH_MESSAGES: Setting<usize> = Setting::count(
    "ONHAND_INVENTORY_BATCH_MESSAGES_MAX",
    "Messages taken from a queue at a time at most, and as many ahead; fewer where there are more than 16 queues (250 of 64 or more). They are applied in one transaction, or in several if that would take long.",
    Within { default: 1_000, min: 1, max: 2_000 },
);
const BATCH_WAIT: Setting<Duration> = Setting::duration(
    "ONHAND_INVENTORY_BATCH_WAIT_MS",
    "How long a batch waits to fill once there is a message.",
    Within { default: 20, min: 0, max: 1_000 },
);
const OPERATION_KEYS_KEPT: Setting<Duration> = Setting::duration(
    "ONHAND_INVENTORY_OPERATION_KEYS_KEPT_SECONDS",
    "How long the key of an operation is remembered: so long the same request can be sent again without effect.",
    Within { default: 30 * 86_400, min: 3_600, max: 366 * 86_400 },
);

/// What the settings of [`Settings::GROUP`] and [`AlertSettings::GROUP`] say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Messages of a batch at most; fewer where there are many queues.
    pub batch_messages_max: usize,
    /// How long a batch waits to fill.
    pub batch_wait: Duration,
    /// How long the key of an operation is remembered.
    pub operation_keys_kept: Duration,
    /// When the upkeep does its work.
    pub pace: Pace,
    /// When alerts begin and end.
    pub alerts: AlertSettings,
}

/// When the upkeep does its work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pace {
    /// How long at most something waits that nobody woke the upkeep for.
    pub poll: Duration,
    /// Between looks at what expires.
    pub expiry: Duration,
    /// Between looks for orders that no read has confirmed, and for those still to be read again.
    pub sweep: Duration,
    /// Two polls confirm an order; what they have not by then they never will.
    pub confirm_within: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            poll: Duration::from_secs(10),
            expiry: Duration::from_secs(10),
            sweep: Duration::from_mins(1),
            confirm_within: Duration::from_mins(3),
        }
    }
}

impl Settings {
    /// The settings of inventory.
    pub const GROUP: Group = Group {
        title: "Inventory",
        about: "",
        settings: &[
            BATCH_MESSAGES.declaration(),
            BATCH_WAIT.declaration(),
            OPERATION_KEYS_KEPT.declaration(),
        ],
    };

    /// As the source says.
    pub fn from_source(reader: &mut Reader<'_>) -> Self {
        Self {
            batch_messages_max: reader.get(&BATCH_MESSAGES),
            batch_wait: reader.get(&BATCH_WAIT),
            operation_keys_kept: reader.get(&OPERATION_KEYS_KEPT),
            pace: Pace::default(),
            alerts: AlertSettings::from_source(reader),
        }
    }

    /// Without waiting, so that tests are quick.
    pub fn for_testing() -> Self {
        Self {
            batch_messages_max: 500,
            batch_wait: Duration::ZERO,
            operation_keys_kept: Duration::from_hours(1),
            pace: Pace {
                poll: Duration::from_millis(20),
                expiry: Duration::from_millis(20),
                sweep: Duration::from_millis(20),
                confirm_within: Duration::from_millis(50),
            },
            alerts: AlertSettings::for_testing(),
        }
    }
}
