//! What there has to be at the broker: the one place that declares it, with every argument said, none left to a default
//! that another release of RabbitMQ may have changed.

use futures_util::future::try_join_all;
use lapin::options::QueueDeclareOptions;
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Channel, Connection};

use super::error::BrokerError;
use crate::delivery::DELIVERY_LIMIT;
use crate::topology::{Flow, QueueName, Topology};

/// The exchange that gives a message to the queue which its routing key names.
pub(super) const BY_NAME: &str = "";

/// After this many deliveries the broker gives a message up by itself. The consumer does so before, after
/// [`DELIVERY_LIMIT`], so that the letter is offered in its place; this is for one that dies before it can.
const BROKER_LIMIT: u32 = DELIVERY_LIMIT + 20;
/// Dead letters are looked at and put back any number of times.
const NO_LIMIT: u32 = 1 << 30;
/// Bytes that a queue holds. It refuses more; a publisher with a spool keeps them there.
const QUEUE_BYTES_MAX: u64 = 4 << 30;

/// The name as the protocol wants it.
pub(super) fn short(name: QueueName) -> ShortString {
    name.to_string().into()
}

/// The queue beside `name` for what was given up.
pub(super) fn dead(name: QueueName) -> ShortString {
    format!("{name}.dead").into()
}

/// Declares everything, or finds that it is there already. Queues only: messages go to them by name, through the
/// exchange that every broker has. A topic exchange costs the broker almost twice the work for a message.
pub(super) async fn declare(connection: &Connection, topology: Topology) -> Result<(), BrokerError> {
    declare_all(connection, Flow::ALL.into_iter().flat_map(|flow| topology.queues(flow))).await
}

/// Declares these queues, and beside each the one for what was given up.
pub(super) async fn declare_all(
    connection: &Connection,
    names: impl IntoIterator<Item = QueueName>,
) -> Result<(), BrokerError> {
    let channel = connection.create_channel().await.map_err(BrokerError)?;
    let both = |name| [(dead(name), dead_arguments()), (short(name), arguments(name))];
    let queues = names.into_iter().flat_map(both);
    try_join_all(queues.map(async |(name, arguments)| queue(&channel, name, arguments).await)).await?;
    channel.close(lapin::protocol::constants::REPLY_SUCCESS, "declared".into()).await.map_err(BrokerError)
}

async fn queue(channel: &Channel, name: ShortString, arguments: FieldTable) -> Result<(), BrokerError> {
    let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(name, options, arguments).await.map(drop).map_err(BrokerError)
}

fn arguments(name: QueueName) -> FieldTable {
    let mut arguments = common(BROKER_LIMIT);
    arguments.insert("x-single-active-consumer".into(), AMQPValue::Boolean(true));
    arguments.insert("x-dead-letter-exchange".into(), text(BY_NAME));
    arguments.insert("x-dead-letter-routing-key".into(), text(dead(name).as_str()));
    arguments.insert("x-dead-letter-strategy".into(), text("at-least-once"));
    arguments
}

fn dead_arguments() -> FieldTable {
    common(NO_LIMIT)
}

fn common(delivery_limit: u32) -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), text("quorum"));
    arguments.insert("x-delivery-limit".into(), AMQPValue::LongInt(signed(delivery_limit)));
    arguments.insert("x-overflow".into(), text("reject-publish"));
    let bytes = i64::try_from(QUEUE_BYTES_MAX).expect("the bound fits");
    arguments.insert("x-max-length-bytes".into(), AMQPValue::LongLongInt(bytes));
    arguments
}

fn signed(limit: u32) -> i32 {
    i32::try_from(limit).expect("the limits fit")
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}
