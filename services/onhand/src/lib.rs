//! The command line of onhand, the process that is all of onhand at once, the processes that are one service each, and the
//! demo.
//!
//! Commands that look at stock or move it speak to a running onhand over its REST API ([`commands`]); `onhand up` is
//! that running onhand, `onhand serve` one service of it, and `onhand demo` is one with fake shops and buyers around it.

mod api;
mod arguments;
mod cells;
mod commands;
mod connection;
mod demo;
mod distributed;
mod failure;
mod progress;
mod quantity;
mod running;
mod screen;
mod secret_input;
mod span;
mod standalone;
mod up;

pub use arguments::Arguments;
pub use commands::run;
pub use connection::GROUP as CONNECTION_GROUP;
pub use demo::DemoError;
pub use distributed::{GROUP as DISTRIBUTED_GROUP, ServeError};
pub use failure::{Failure, RefusedRow};
pub use standalone::StartError;
pub use up::GROUP as STANDALONE_GROUP;
