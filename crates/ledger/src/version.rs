//! Which of two snapshots of an order wins.
//!
//! WooCommerce's dates have a resolution of one second and it writes an order in steps, so a date alone cannot order two
//! snapshots. What we read ourselves is a fact, numbered by the one reader; what is pushed to us is a hint.

use std::time::Duration;

use crate::order::{Applied, Order, Origin};
use crate::snapshot::{Digest, Seen, Snapshot};

/// How long after an order's own date a read must be for its content to be whole: the longest that WooCommerce may still be
/// writing after it set the date.
pub const CONFIRM_MARGIN: Duration = Duration::from_secs(30);

/// What to do with a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// It becomes the order's state.
    Apply {
        /// It is known to be whole.
        confirmed: bool,
    },
    /// The state stays as it is, and is now known to be whole.
    Confirm,
    /// The very same was applied before.
    Duplicate,
    /// A later read was applied before.
    Older,
    /// It cannot be ordered: read the order again. From a read, the older date it showed is remembered.
    Reread,
}

/// Decides whether `incoming`, whose digest is `digest`, replaces what was applied to `order`.
pub fn decide(order: &Order, incoming: &Snapshot, digest: Digest) -> Decision {
    let applied = order.applied.as_ref();
    let Some(modified_at) = incoming.modified_at else {
        return decide_gone(applied, incoming.seen);
    };
    let whole = match incoming.seen {
        Seen::Webhook => false,
        Seen::Read { read_at, .. } => read_at >= modified_at + CONFIRM_MARGIN,
    };
    let Some(applied) = applied else {
        return Decision::Apply { confirmed: whole };
    };
    let same = applied.digest == digest;
    match incoming.seen {
        // A read did not find the order: only another read can show that it is there again.
        Seen::Webhook if order.gone => Decision::Reread,
        Seen::Webhook => {
            if modified_at > applied.modified_at {
                // Content that was known to be whole stays so when only the date moves.
                Decision::Apply { confirmed: same && applied.confirmed }
            } else if modified_at == applied.modified_at && same {
                Decision::Duplicate
            } else {
                Decision::Reread
            }
        }
        Seen::Read { number, .. } => {
            if number <= applied.last_read {
                return Decision::Older;
            }
            if order.gone {
                return Decision::Apply { confirmed: whole };
            }
            if same && modified_at == applied.modified_at {
                return if whole && !applied.confirmed { Decision::Confirm } else { Decision::Duplicate };
            }
            let wins = match applied.origin {
                Origin::Read => true,
                Origin::Webhook => {
                    modified_at >= applied.modified_at || applied.older == Some((modified_at, digest))
                }
            };
            if wins {
                Decision::Apply { confirmed: whole || (same && applied.confirmed) }
            } else {
                Decision::Reread
            }
        }
    }
}

fn decide_gone(applied: Option<&Applied>, seen: Seen) -> Decision {
    match (seen, applied) {
        // A webhook that says an order is gone is a hint like any other.
        (Seen::Webhook, _) => Decision::Reread,
        (Seen::Read { number, .. }, Some(applied)) if number <= applied.last_read => Decision::Older,
        // An order that was never known and is not there is nothing.
        (Seen::Read { .. }, None) => Decision::Duplicate,
        (Seen::Read { .. }, Some(_)) => Decision::Apply { confirmed: true },
    }
}

#[cfg(test)]
mod tests;
