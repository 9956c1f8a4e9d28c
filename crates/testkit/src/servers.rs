//! Real servers for tests, thrown away afterwards: they end when nobody uses them any more, however that comes about.
#![expect(clippy::panic, reason = "a test without its server cannot go on")]

mod kept;
mod ports;
pub mod postgres;
pub mod rabbitmq;

pub use kept::{Kept, Recipe, Signal};
pub use ports::free_ports;
