//! What tests and simulations of onhand stand on: a fake shop, and a simulation of the whole chain.

pub mod conformance;
pub mod fake_shop;
pub mod shop;
