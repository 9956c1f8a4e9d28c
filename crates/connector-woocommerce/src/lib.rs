//! `WooCommerce` for onhand: its webhooks, its REST API v3, and what it does that its documents do not say.
//!
//! * [`classify`] says what a request to a webhook address is. It needs no connection.
//! * [`Client`] reads orders, stocks and the catalogue, changes stocks by differences, tells of shipments, and keeps
//!   webhooks. It has the
//!   capabilities of crate `connector`. It does not retry, wait or limit itself: its caller has the breaker and pace.

mod address;
#[cfg(test)]
mod captures;
mod catalogue;
mod changes;
mod client;
mod delivery;
mod diagnose;
mod hooks;
mod json;
mod listings;
mod notices;
mod oauth1;
mod order;
mod orders;
mod product;
mod reply;
mod signature;
mod stocks;
mod tell;
mod transport;
mod webhook;

pub use address::{ShopUrl, ShopUrlError};
pub use catalogue::CatalogueCursor;
pub use client::{Client, ITEMS_MAX};
pub use diagnose::AUTHORIZATION_STRIPPED;
pub use hooks::TOPICS;
pub use signature::{SecretError, Verifier};
pub use transport::{Access, ClientError, RESPONSE_BYTES_MAX, SignIn, Timeouts};
pub use webhook::{Content, HintOf, Incoming, SIGNATURE_HEADER, SignedError, classify, content};
