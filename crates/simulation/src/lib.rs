//! The whole chain in one thread on virtual time: shops that write as WooCommerce does, buyers, a reader, an inventory and an
//! egress on the pure rules, faults, and an oracle that knows the truth.
//!
//! A run is decided by its seed alone. It fails when the ledger, the shops and the oracle do not agree at the end, or when a
//! shop offers more than there is for longer than the lag that is promised. Each rule has a [`Bug`] that breaks it and a
//! named scenario that notices.

mod agenda;
mod bug;
mod dice;
mod egress;
mod inventory;
mod listings;
mod oracle;
mod random;
mod reader;
mod scenario;
#[cfg(test)]
mod tests;
mod world;

pub use bug::Bug;
pub use random::run_seed;
pub use scenario::{Scenario, scenarios};
pub use world::Report;
