//! Whether a shop answers as WooCommerce 10.5 was recorded to answer: the transcripts, replayed and compared.
//!
//! [`replay`] sends the requests of recorded REST transcripts to any address (the fake shop in this crate's tests, a
//! real shop when asked to) and compares what comes back: status, error code and body, the fields that carry meaning
//! ([`MEANINGFUL`]), and the set of fields. Ids are mapped; what differs from run to run is not looked at.
//! [`replay_anywhere`] brings the goods along and takes away what it made; [`census`] tells beforehand what else is there.

mod caller;
mod compare;
mod ids;
mod recorded;
mod replay;
mod stage;
mod transcript;

pub use caller::{Credentials, ReplayError, Target};
pub use compare::{Difference, MEANINGFUL};
pub use recorded::{History, recorded_shop};
pub use replay::{Outcome, Report, SKIPPED, TAKE_AWAY_MAX, replay, replay_anywhere};
pub use stage::{Census, census};
pub use transcript::{Key, LoadError, Origin, Transcript, fixtures, load};
