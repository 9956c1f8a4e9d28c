//! The service over a real spool and a real database: messages in, ledger, levels and questions out.

extern crate onhand_inventory as inventory;

mod events;
mod faults;
mod mapping;
mod operations;
mod settles;
mod upkeep;
mod world;
