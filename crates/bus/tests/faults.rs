//! What a broker does to us sooner or later, and that nothing is lost by it. One broker is shared where nobody else feels
//! what is done to it.
#![expect(clippy::unwrap_used, clippy::panic, reason = "test code")]

#[path = "faults/broker.rs"]
mod broker;
#[path = "faults/logs.rs"]
mod logs;
#[path = "faults/proxy.rs"]
mod proxy;
#[path = "faults/queues.rs"]
mod queues;
#[path = "faults/refusals.rs"]
mod refusals;
#[path = "faults/reshard.rs"]
mod reshard;
#[path = "faults/spooled.rs"]
mod spooled;
#[path = "faults/world.rs"]
mod world;
