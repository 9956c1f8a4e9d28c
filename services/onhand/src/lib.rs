//! The command line of onhand, the process that is all of onhand at once, and the demo.
//!
//! Commands that look at stock or move it speak to a running onhand over its REST API ([`commands`]); `onhand up` is
//! that running onhand, and `onhand demo` is one with fake shops and buyers around it.

mod api;
mod arguments;
mod commands;
mod connection;
mod demo;
mod failure;
mod progress;
mod quantity;
mod screen;
mod secret_input;
mod standalone;
mod up;

pub use arguments::Arguments;
pub use commands::run;
pub use connection::GROUP as CONNECTION_GROUP;
pub use demo::DemoError;
pub use failure::{Failure, RefusedRow};
pub use standalone::StartError;
pub use up::GROUP as STANDALONE_GROUP;
