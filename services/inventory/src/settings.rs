//! What can be set about inventory.

use std::time::Duration;

use process::config::{Group, Reader, Setting, Within};

const BATCH_MESSAGES: Setting<usize> = Setting::count(
    "ONHAND_INVENTORY_BATCH_MESSAGES_MAX",
    "Messages applied in one transaction at most.",
    Within { default: 500, min: 1, max: 2_000 },
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

/// What the settings of [`Settings::GROUP`] say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Messages applied in one transaction at most.
    pub batch_messages_max: usize,
    /// How long a batch waits to fill.
    pub batch_wait: Duration,
    /// How long the key of an operation is remembered.
    pub operation_keys_kept: Duration,
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
        }
    }

    /// Without waiting, so that tests are quick.
    pub fn for_testing() -> Self {
        Self {
            batch_messages_max: 500,
            batch_wait: Duration::ZERO,
            operation_keys_kept: Duration::from_hours(1),
        }
    }
}
