//! What waits for a person, as rows: approvals, and messages that were given up.

use super::{id, timestamp};
use crate::error::Error;
use crate::inventory::{Approval, DeadMessage, Decided, NewDead};

/// Id, kind, summary, payload, at, actor, approved, decided at.
pub(crate) type ApprovalColumns =
    (i64, String, String, Vec<u8>, i64, Option<String>, Option<bool>, Option<i64>);

pub(crate) fn approval(row: ApprovalColumns) -> Approval {
    let (number, kind, summary, payload, at, actor, approved, decided_at) = row;
    let decided = match (actor, approved, decided_at) {
        (Some(actor), Some(approved), Some(at)) => Some(Decided { actor, approved, at: timestamp(at) }),
        _ => None,
    };
    Approval { id: number, kind, summary, payload, at: timestamp(at), decided }
}

/// The columns of [`DeadColumns`].
macro_rules! dead_columns {
    () => {
        "id, shop, kind, payload, reason, attempts, at, identity, queue, trace, leaves_incomplete"
    };
}
pub(crate) use dead_columns;

pub(crate) type DeadColumns = (
    i64,
    Option<i64>,
    String,
    Vec<u8>,
    String,
    i64,
    i64,
    Option<String>,
    Option<String>,
    Option<Vec<u8>>,
    bool,
);

pub(crate) fn dead(row: DeadColumns) -> Result<DeadMessage, Error> {
    let (number, shop, kind, payload, reason, attempts, at, identity, queue, trace, leaves_incomplete) = row;
    let shop = shop.map(|shop| id("shop", shop)).transpose()?;
    let attempts = u32::try_from(attempts).map_err(|_| Error::damaged("count", attempts))?;
    let trace = trace.map(|trace| {
        <[u8; 16]>::try_from(trace).map_err(|trace| Error::damaged("trace of a dead message", trace.len()))
    });
    let message = NewDead {
        identity,
        queue,
        shop,
        leaves_incomplete,
        kind,
        trace: trace.transpose()?,
        payload,
        reason,
        attempts,
        at: timestamp(at),
    };
    Ok(DeadMessage { id: number, message })
}
