//! The client over real connections, against a server that answers as a shop does, and as a broken one does.

#![expect(clippy::unwrap_used, clippy::panic, reason = "in a test a failed assumption is a failed test")]

mod changes;
mod connection;
mod diagnosis;
mod dialects;
mod listings;
mod model;
mod reads;
mod shop;
mod tell;
