//! What every onhand process needs around its work: settings, telemetry, named tasks, an orderly end, health pages
//! and an HTTP server loop.
//!
//! A `main` reads its settings ([`config`]), starts [`telemetry`], spawns its parts into [`Tasks`], serves
//! [`health`] pages and waits in [`Tasks::run`] for a signal or for a task that ended when it should not have.
//! This crate is the only one that reads the environment ([`config::Source`]) and the wall clock ([`clock`]).

pub mod backoff;
mod calls;
pub mod clock;
pub mod config;
pub mod health;
pub mod metrics;
pub mod private_file;
pub mod serve;
mod settings;
pub mod tasks;
pub mod telemetry;
mod tls;

pub use calls::{CallBudget, CallShare};
pub use settings::Settings;
pub use tasks::{Drain, Exit, Stage, Tasks, error_chain, shutdown_signal};
pub use tls::install_tls_provider;
