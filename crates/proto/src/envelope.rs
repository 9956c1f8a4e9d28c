//! What travels with a message, and message and properties as one run of bytes for transports without properties.

use prost::Message as _;
use uuid::Uuid;
use values::Timestamp;

use crate::error::{At, DecodeError, EncodeError, FieldProblem, Malformed};
use crate::kind::{Kind, ShardKey, TYPE_NAME_CHARS_MAX};
use crate::messages::Message;
use crate::text::ParseTextError;
use crate::wire;

/// The content type of every message.
pub const CONTENT_TYPE: &str = "application/x-protobuf";
/// Longest name of a sender, in characters.
pub const APP_ID_CHARS_MAX: usize = 100;
/// Longest trace context, in characters; W3C's is 55.
pub const TRACEPARENT_CHARS_MAX: usize = 200;

const STORED: &str = "stored";

/// What travels with a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Properties {
    /// Given by the sender, UUID version 7; the same when a message is sent again.
    pub message_id: Uuid,
    /// Type name with version, see [`Kind::type_name`]. Text, because a newer build may have sent it.
    pub message_type: String,
    /// [`CONTENT_TYPE`].
    pub content_type: String,
    /// When it was made, by the sender's clock. Nothing is decided by it.
    pub timestamp: Timestamp,
    /// Who made it: `ingress`, `inventory` or `egress`.
    pub app_id: String,
    /// W3C trace context, if there is one.
    pub traceparent: Option<String>,
    /// What it keeps its order with.
    pub shard_key: ShardKey,
}

impl Properties {
    /// The properties of `message`, without a trace context.
    pub fn of(message: &Message, message_id: Uuid, timestamp: Timestamp, app_id: &str) -> Self {
        Self {
            message_id,
            message_type: message.kind().type_name().to_owned(),
            content_type: CONTENT_TYPE.to_owned(),
            timestamp,
            app_id: app_id.to_owned(),
            traceparent: None,
            shard_key: message.shard_key(),
        }
    }

    /// Which message it is, unless it is from a newer build or not of onhand.
    pub fn kind(&self) -> Result<Kind, DecodeError> {
        Kind::parse(&self.message_type)
    }
}

/// A message still encoded, with its properties.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// What travels with it.
    pub properties: Properties,
    /// The encoded message.
    pub body: Vec<u8>,
}

impl Envelope {
    /// Seals `message`.
    pub fn seal(
        message: &Message,
        message_id: Uuid,
        timestamp: Timestamp,
        app_id: &str,
    ) -> Result<Self, EncodeError> {
        Ok(Self {
            properties: Properties::of(message, message_id, timestamp, app_id),
            body: message.encode()?,
        })
    }

    /// The message inside.
    pub fn open(&self) -> Result<Message, DecodeError> {
        Message::decode(&self.properties.message_type, &self.body)
    }

    /// Properties and message as one run of bytes.
    pub fn into_bytes(self) -> Vec<u8> {
        let Properties { message_id, message_type, content_type, timestamp, app_id, traceparent, shard_key } =
            self.properties;
        wire::Stored {
            message_id: message_id.as_bytes().to_vec(),
            message_type,
            content_type,
            timestamp_micros: timestamp.micros(),
            app_id,
            traceparent,
            shard_key: shard_key.get(),
            body: self.body,
        }
        .encode_to_vec()
    }

    /// The same, keeping the envelope for a second try.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.clone().into_bytes()
    }

    /// Reads what [`Envelope::into_bytes`] wrote. The message inside is not looked at.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let stored = wire::Stored::decode(bytes)
            .map_err(|error| DecodeError::Malformed { message: STORED, source: Malformed(error) })?;
        let message_id = Uuid::from_slice(&stored.message_id).map_err(|_| FieldProblem::NotUuid);
        let properties = Properties {
            message_id: message_id.at("message_id").map_err(|error| error.of(STORED))?,
            message_type: short("message_type", stored.message_type, TYPE_NAME_CHARS_MAX)?,
            content_type: short("content_type", stored.content_type, TYPE_NAME_CHARS_MAX)?,
            timestamp: Timestamp::from_micros(stored.timestamp_micros),
            app_id: short("app_id", stored.app_id, APP_ID_CHARS_MAX)?,
            traceparent: stored
                .traceparent
                .map(|context| short("traceparent", context, TRACEPARENT_CHARS_MAX))
                .transpose()?,
            shard_key: ShardKey::new(stored.shard_key),
        };
        Ok(Self { properties, body: stored.body })
    }
}

fn short(field: &str, text: String, max: usize) -> Result<String, DecodeError> {
    let chars = text.chars().count();
    let fitting = if chars <= max { Ok(text) } else { Err(ParseTextError::TooLong { chars, max }) };
    fitting.at(field).map_err(|error| error.of(STORED))
}
