//! The REST API over real HTTP, in front of a running inventory with a real database.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

extern crate onhand_inventory as inventory;

mod access;
#[path = "../service/database.rs"]
#[expect(dead_code, reason = "the tests of the service use the rest of it")]
mod database;
mod deciding;
mod document;
mod exports;
mod grants;
mod imports;
mod operations;
mod reading;
mod registry;
mod server;
mod shipments;
#[path = "../service/world.rs"]
#[expect(dead_code, reason = "the tests of the service use the rest of it")]
mod world;
