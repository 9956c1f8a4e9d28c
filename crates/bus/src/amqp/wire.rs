//! Envelopes as messages of AMQP: the properties are its properties and headers, the body is the body.

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, ShortString};
use proto::{APP_ID_CHARS_MAX, Envelope, Properties, ShardKey, TRACEPARENT_CHARS_MAX, TYPE_NAME_CHARS_MAX};
use uuid::Uuid;
use values::Timestamp;

/// What a message is ordered by, as 64 bits.
const SHARD_KEY: &str = "onhand-shard-key";
/// AMQP's own time has seconds only.
const MICROS: &str = "onhand-micros";
const TRACEPARENT: &str = "traceparent";
/// Counted by the broker.
const DELIVERY_COUNT: &str = "x-delivery-count";

/// Written to disk before it is confirmed.
const PERSISTENT: u8 = 2;
/// Room that the properties of a message take beside its texts, in bytes, at most.
const FIXED_BYTES: usize = 64;

/// Why a message of the queue is no envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unreadable {
    #[error("{0} is missing or is none")]
    Missing(&'static str),
    #[error("{0} is longer than anything of ours")]
    TooLong(&'static str),
}

/// The properties for a message that is published; `None` if one of them is too long for the protocol.
pub(super) fn properties(of: &Properties) -> Option<BasicProperties> {
    let short = |text: &str| ShortString::try_new(text).ok();
    let mut headers = FieldTable::default();
    headers.insert(SHARD_KEY.into(), AMQPValue::LongLongInt(of.shard_key.get().cast_signed()));
    headers.insert(MICROS.into(), AMQPValue::LongLongInt(of.timestamp.micros()));
    if let Some(context) = &of.traceparent {
        headers.insert(TRACEPARENT.into(), AMQPValue::LongString(context.as_str().into()));
    }
    Some(
        BasicProperties::default()
            .with_message_id(short(&of.message_id.hyphenated().to_string())?)
            .with_type(short(&of.message_type)?)
            .with_content_type(short(&of.content_type)?)
            .with_app_id(short(&of.app_id)?)
            .with_timestamp(u64::try_from(of.timestamp.seconds()).unwrap_or(0))
            .with_delivery_mode(PERSISTENT)
            .with_headers(headers),
    )
}

/// The properties for a message that can no more be read; of its own only what it was routed by may be known.
pub(super) fn unreadable(id: Uuid, key: Option<ShardKey>) -> BasicProperties {
    let mut headers = FieldTable::default();
    if let Some(key) = key {
        headers.insert(SHARD_KEY.into(), AMQPValue::LongLongInt(key.get().cast_signed()));
    }
    let id = id.hyphenated().to_string();
    BasicProperties::default().with_message_id(id.into()).with_delivery_mode(PERSISTENT).with_headers(headers)
}

/// The properties of a message that came with these.
pub(super) fn check(properties: &BasicProperties) -> Result<Properties, Unreadable> {
    let headers = properties.headers().as_ref();
    let header = |name| headers.and_then(|headers| headers.inner().get(name));
    let message_id = message_id(properties).ok_or(Unreadable::Missing("message id"))?;
    let shard_key = shard_key(properties).ok_or(Unreadable::Missing(SHARD_KEY))?;
    let seconds = properties.timestamp().and_then(|seconds| i64::try_from(seconds).ok()).unwrap_or(0);
    let timestamp = header(MICROS)
        .and_then(integer)
        .map_or_else(|| Timestamp::from_seconds(seconds), Timestamp::from_micros);
    let traceparent = header(TRACEPARENT).and_then(text);
    let traceparent = traceparent.map(|context| fitting("traceparent", context, TRACEPARENT_CHARS_MAX));
    Ok(Properties {
        message_id,
        message_type: required("type", properties.kind().as_ref(), TYPE_NAME_CHARS_MAX)?,
        content_type: required("content type", properties.content_type().as_ref(), TYPE_NAME_CHARS_MAX)?,
        timestamp,
        app_id: required("app id", properties.app_id().as_ref(), APP_ID_CHARS_MAX)?,
        traceparent: traceparent.transpose()?,
        shard_key,
    })
}

/// The id of a message, of one that was returned too.
pub(super) fn message_id(properties: &BasicProperties) -> Option<Uuid> {
    Uuid::try_parse(properties.message_id().as_ref()?.as_str()).ok()
}

/// What a message is routed by, even if it is otherwise unreadable.
pub(super) fn shard_key(properties: &BasicProperties) -> Option<ShardKey> {
    Some(ShardKey::new(number(properties, SHARD_KEY)?.cast_unsigned()))
}

/// How often the message was delivered before.
pub(super) fn delivery_count(properties: &BasicProperties) -> u32 {
    let count = number(properties, DELIVERY_COUNT).unwrap_or(0);
    u32::try_from(count.max(0)).unwrap_or(u32::MAX)
}

/// The number in a header.
pub(super) fn number(properties: &BasicProperties, name: &str) -> Option<i64> {
    integer(properties.headers().as_ref()?.inner().get(name)?)
}

/// The text in a header.
pub(super) fn header_text(properties: &BasicProperties, name: &str) -> Option<String> {
    text(properties.headers().as_ref()?.inner().get(name)?)
}

/// A value that is a whole number of any width: clients and releases differ in which they choose.
pub(super) fn integer(value: &AMQPValue) -> Option<i64> {
    match value {
        AMQPValue::ShortShortInt(value) => Some(i64::from(*value)),
        AMQPValue::ShortShortUInt(value) => Some(i64::from(*value)),
        AMQPValue::ShortInt(value) => Some(i64::from(*value)),
        AMQPValue::ShortUInt(value) => Some(i64::from(*value)),
        AMQPValue::LongInt(value) => Some(i64::from(*value)),
        AMQPValue::LongUInt(value) => Some(i64::from(*value)),
        AMQPValue::LongLongInt(value) => Some(*value),
        AMQPValue::Timestamp(value) => i64::try_from(*value).ok(),
        _ => None,
    }
}

/// A value that is a text of either kind.
pub(super) fn text(value: &AMQPValue) -> Option<String> {
    match value {
        AMQPValue::ShortString(text) => Some(text.as_str().to_owned()),
        AMQPValue::LongString(text) => std::str::from_utf8(text.as_bytes()).ok().map(str::to_owned),
        _ => None,
    }
}

/// About as many bytes as the envelope has when it is stored as one run of them, and no fewer.
pub(super) fn bytes(envelope: &Envelope) -> usize {
    let Properties { message_type, content_type, app_id, traceparent, .. } = &envelope.properties;
    let texts = message_type.len() + content_type.len() + app_id.len();
    FIXED_BYTES + texts + traceparent.as_ref().map_or(0, String::len) + envelope.body.len()
}

fn required(name: &'static str, value: Option<&ShortString>, chars_max: usize) -> Result<String, Unreadable> {
    let value = value.ok_or(Unreadable::Missing(name))?;
    fitting(name, value.as_str().to_owned(), chars_max)
}

fn fitting(name: &'static str, text: String, chars_max: usize) -> Result<String, Unreadable> {
    if text.chars().count() > chars_max { Err(Unreadable::TooLong(name)) } else { Ok(text) }
}

#[cfg(test)]
mod tests {
    use proto::CONTENT_TYPE;

    use super::*;

    fn sample() -> Envelope {
        let properties = Properties {
            message_id: Uuid::from_u128(7),
            message_type: "order.observed.v1".to_owned(),
            content_type: CONTENT_TYPE.to_owned(),
            timestamp: Timestamp::from_micros(1_700_000_000_123_456),
            app_id: "ingress".to_owned(),
            traceparent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned()),
            shard_key: ShardKey::new(u64::MAX - 3),
        };
        Envelope { properties, body: vec![1, 2, 3] }
    }

    #[test]
    fn an_envelope_comes_back_as_it_was() {
        let mut sample = sample();
        let sent = properties(&sample.properties).unwrap();
        assert_eq!(check(&sent), Ok(sample.properties.clone()));
        assert_eq!((sent.delivery_mode(), delivery_count(&sent)), (&Some(PERSISTENT), 0));
        assert_eq!(message_id(&sent), Some(sample.properties.message_id));
        sample.properties.traceparent = None;
        let sent = properties(&sample.properties).unwrap();
        assert_eq!(check(&sent), Ok(sample.properties.clone()));
        assert!(bytes(&sample) >= sample.to_bytes().len());
        sample.properties.app_id = "x".repeat(300);
        assert_eq!(properties(&sample.properties), None);
    }

    #[test]
    fn what_is_none_of_ours_is_told() {
        let sent = properties(&sample().properties).unwrap();
        let check_one = |properties: BasicProperties, expected| {
            assert_eq!(check(&properties).unwrap_err(), expected);
        };
        check_one(BasicProperties::default(), Unreadable::Missing("message id"));
        check_one(sent.clone().with_message_id("x".into()), Unreadable::Missing("message id"));
        check_one(sent.clone().with_headers(FieldTable::default()), Unreadable::Missing(SHARD_KEY));
        check_one(sent.with_app_id("x".repeat(200).into()), Unreadable::TooLong("app id"));
    }
}
