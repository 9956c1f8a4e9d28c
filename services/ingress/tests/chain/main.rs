//! Ingress against fake shops over HTTP, with a real spool and a real database.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "in a test a failed assumption is a failed test"
)]

mod counts;
mod guard;
mod health;
mod http;
mod listings;
mod polls;
mod reconcile;
mod settles;
mod tasks;
mod trouble;
mod webhooks;
mod world;
