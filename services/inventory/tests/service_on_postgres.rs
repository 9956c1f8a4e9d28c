//! The service once more, over PostgreSQL, where there are many writers.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as the tests do")]

extern crate onhand_inventory as inventory;

#[path = "service/alerts.rs"]
mod alerts;
#[path = "service/postgres.rs"]
mod database;
#[path = "service/edits.rs"]
mod edits;
#[path = "service/events.rs"]
mod events;
#[path = "service/faults.rs"]
mod faults;
#[path = "service/health.rs"]
mod health;
#[path = "service/interrupted.rs"]
mod interrupted;
#[path = "service/letters.rs"]
mod letters;
#[path = "service/mapping.rs"]
mod mapping;
#[path = "service/meeting.rs"]
mod meeting;
#[path = "service/operations.rs"]
mod operations;
#[path = "service/removal.rs"]
mod removal;
#[path = "service/settles.rs"]
mod settles;
#[path = "service/telling.rs"]
mod telling;
#[path = "service/upkeep.rs"]
mod upkeep;
#[path = "service/world.rs"]
mod world;
