//! At-least-once transport between the services, the same to its users whatever carries it.
//!
//! A message is published as a sealed [`proto::Envelope`]; [`Publisher::publish`] says for each whether it is confirmed
//! *and* routed, that is: durable in the queue that its kind and its shard key name ([`Topology`]). [`Bus::consume`] gives
//! batches to a [`Handler`] and applies what it decides about each message; this is the only place that acknowledges.
//!
//! What holds for every transport, and is tested for each by the suite in `tests/contract`:
//!
//! * a confirmed message is delivered until it is acknowledged or dead-lettered, over any crash;
//! * messages of one shard key are delivered in the order of publishing; nothing overtakes a message to be retried;
//! * a message that was delivered [`FEW_FROM`] times before without being settled is delivered with [`FEW`] at most, from
//!   [`ALONE_FROM`] times on alone;
//!   after more than [`DELIVERY_LIMIT`] times it is dead-lettered;
//! * a handler that cannot work now pauses ([`Pause`]): the deliveries are kept and count as one;
//! * dead letters are kept with their reason, to be replayed or discarded, unless the handler takes them over: each is
//!   offered to it, and is removed only once it has it. What the transport gives up by itself (the delivery limit, an
//!   envelope that cannot be read) is offered before the handler gets what stood behind it, as far as the transport can.
//!   Those of queues that others consume a [`Keeper`] takes over.
//!
//! There are two transports: local, within one process over a spool, and AMQP, over `RabbitMQ`.
#![warn(missing_docs)]

mod amqp;
mod bus;
mod consume;
mod delivery;
mod keep;
mod local;
mod publish;
mod topology;

pub use amqp::{AmqpOptions, AmqpUrlError, BrokerError, Supervisor};
pub use bus::{Bus, BusError, DeadLetter, DeadLetterId, Depth, LagError};
pub use consume::{ConsumeError, Handler, Limits, RETRY_AFTER_MAX};
pub use delivery::{
    ALONE_FROM, Custody, DELIVERY_LIMIT, Delivery, Disposition, FEW, FEW_FROM, Pause, REASON_CHARS_MAX,
};
pub use keep::{KEEP_EVERY, Keeper};
pub use publish::{CONFIRM_TIMEOUT, PublishError, Publisher};
pub use topology::{Flow, QueueName, SHARDS_MAX, Topology};
