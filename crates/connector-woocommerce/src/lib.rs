//! `WooCommerce` for onhand: its webhooks, its REST API v3, and what it does that its documents do not say.

#[cfg(test)]
mod captures;
mod json;
mod order;
mod product;
pub mod signature;
pub mod webhook;

pub use signature::{SecretError, Verifier};
pub use webhook::{Content, HintOf, Incoming, SIGNATURE_HEADER, SignedError, classify};
