//! What tests and simulations of onhand stand on: a fake shop, a simulation of the whole chain, and throwaway servers.

pub mod conformance;
pub mod fake_shop;
pub mod servers;
pub mod shop;
