//! The service over a real spool and a real database: messages in, ledger, levels and questions out.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as the tests do")]

extern crate onhand_inventory as inventory;

mod alerts;
mod database;
mod edits;
mod events;
mod faults;
mod health;
mod letters;
mod mapping;
mod meeting;
mod operations;
mod removal;
mod settles;
mod telling;
mod upkeep;
mod world;
