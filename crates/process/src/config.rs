//! Settings from the environment: declared once, read together, every problem reported at once.
//!
//! ```
//! # use onhand_process as process;
//! use process::config::{self, Group, Setting, Source, Within};
//! use std::time::Duration;
//!
//! const POLL_INTERVAL: Setting<Duration> = Setting::duration(
//!     "ONHAND_INGRESS_POLL_INTERVAL_MS",
//!     "How often a shop's orders are read.",
//!     Within { default: 60_000, min: 1_000, max: 3_600_000 },
//! );
//! const GROUP: Group = Group { title: "Ingress", about: "", settings: &[POLL_INTERVAL.declaration()] };
//!
//! let source = Source::from_pairs([("ONHAND_INGRESS_POLL_INTERVAL_MS", "5000")]);
//! let poll_interval = config::read(&source, &[GROUP], |reader| reader.get(&POLL_INTERVAL))?;
//! assert_eq!(poll_interval, Duration::from_secs(5));
//! # Ok::<(), config::Problems>(())
//! ```

pub mod document;
mod problem;
mod reader;
mod setting;
mod source;

pub use problem::{EXIT_CODE_CONFIG, Problem, Problems};
pub use reader::{Reader, SECRET_FILE_BYTES_MAX, read};
pub use setting::{Declaration, Fallback, Group, Kind, OptionalSetting, Setting, Unit, Within, Word};
pub use source::Source;

/// Every setting's name starts with this.
pub const PREFIX: &str = "ONHAND_";

/// The second words of setting names across the whole product. A process is often given the settings of its
/// neighbours too; a variable whose second word is here but is none of its own is not taken for a typing error.
pub const SERVICES: &[&str] = &[
    "PROCESS",
    "INGRESS",
    "INVENTORY",
    "EGRESS",
    "SHOP",
    "ALERT",
    "DATABASE",
    "BROKER",
    "SECRET",
    "SHARDS",
    "SERVE",
    "BUS",
    "STORE",
    "CLI",
];
