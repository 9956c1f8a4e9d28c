//! What tests and simulations of onhand stand on: a fake shop, and later the simulation itself.

pub mod shop;
