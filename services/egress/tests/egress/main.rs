//! egress between a real bus, a real database and fake shops over HTTP.

#![expect(clippy::unwrap_used, reason = "in a test a failed assumption is a failed test")]

mod crash;
mod drift;
mod faults;
mod health;
mod pacing;
mod pushing;
mod reporting;
mod settling;
mod world;
