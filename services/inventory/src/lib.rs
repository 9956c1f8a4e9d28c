//! The truth about stock: applies what ingress learnt to orders, ledger and levels, and tells egress what changed.
//!
//! [`start`] runs the consumers, the relay and the upkeep of a process; the [`Inventory`] it gives back is how people and
//! their programs change stock and registry. Nothing else writes orders, ledger, levels or registry.
#![warn(missing_docs)]

pub mod api;

mod alerts;
mod batch;
mod catalogue;
mod compare;
mod connect;
mod consumer;
mod dead;
mod deciding;
mod edited;
mod error;
mod fresh;
mod handle;
mod letters;
mod observe;
mod operations;
mod orders;
mod registry;
mod relay;
mod settings;
mod shipping;
mod shown;
mod trace;
mod upkeep;
mod work;

pub use alerts::AlertSettings;
pub use catalogue::MAPPINGS_MAX;
pub use dead::DeadOutcome;
pub use deciding::{DecisionOutcome, DecisionRequest};
pub use error::Error;
pub use handle::{Inventory, Parts, Released, start};
pub use observe::METRICS;
pub use operations::{
    OPERATIONS_MAX, Operated, OperationRequest, OperationRow, Receipt, Refusal, RefusalCause, Requester,
    Settled,
};
pub use settings::{Pace, Settings};
pub use shipping::{Carriage, ShipmentRequest, Shipped};
