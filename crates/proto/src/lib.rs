//! The messages between ingress, inventory and egress: plain Rust values on this side, protobuf on the wire.
//!
//! A [`Message`] is made of parsed values, so that whoever holds one need not check it again. [`Message::encode`] and
//! [`Message::decode`] are the only way to and from bytes; a refused message names the field that was wrong. The
//! schema is `proto/onhand/v1/onhand.proto`, golden bytes of each message are in `proto/fixtures`.
//!
//! A message travels with its [`Properties`]. Its type name says the version: a version that this build does not
//! know is [`DecodeError::FutureVersion`], to be kept until an upgrade and never to be dropped.
#![warn(missing_docs)]

mod envelope;
mod error;
mod kind;
mod messages;
mod text;
mod wire;

pub use envelope::{APP_ID_CHARS_MAX, CONTENT_TYPE, Envelope, Properties, TRACEPARENT_CHARS_MAX};
pub use error::{DecodeError, EncodeError, FieldProblem, Malformed};
pub use kind::{Kind, Shard, ShardKey, TYPE_NAME_CHARS_MAX};
pub use messages::{
    Adoption, ERP_ROWS_MAX, ErpRow, ErpStockObserved, LEVELS_MAX, LevelChanged, LevelsChanged,
    ListingObserved, Message, ORDER_LINES_MAX, OrderLine, OrderObserved, OrderState, OrderUnreadable,
    READ_IDS_MAX, ReadWanted, Settled, ShipmentMade, ShopConnected, Source, StockEdited, StockShown,
    TracedLevel, Wanted,
};
pub use text::{NameText, NoteText, ParseTextError, StatusText, Text, Word};
