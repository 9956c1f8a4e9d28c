//! The program itself: its commands against a running onhand, its start and end, the demo, the distributed form, and fifty deaths.

#![expect(clippy::unwrap_used, clippy::panic, reason = "in a test a failed assumption is a failed test")]

mod demo;
mod distributed;
mod exit_codes;
mod harness;
mod kills;
mod life;
mod restore;
mod returning;
mod truth;
mod walk;
