//! What can happen, and how a random run of it is made.

use proptest::prelude::*;

/// Statuses a shop's order can be in; `"at-the-tailor"` is a plugin's own.
pub(crate) const STATUSES: [&str; 10] = [
    "processing",
    "completed",
    "cancelled",
    "pending",
    "on-hold",
    "refunded",
    "failed",
    "trash",
    "checkout-draft",
    "at-the-tailor",
];

/// One thing that happens. `order`, `line` and so on choose among what there is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Step {
    /// Time passes, in seconds.
    Wait(u8),
    /// The shop's clock is set back, in minutes.
    ClockBack(u8),
    Create {
        order: u8,
        status: u8,
        product: u8,
    },
    Status {
        order: u8,
        status: u8,
    },
    Add {
        order: u8,
        product: u8,
        quantity: u8,
    },
    Quantity {
        order: u8,
        line: u8,
        quantity: u8,
    },
    Remove {
        order: u8,
        line: u8,
    },
    Swap {
        order: u8,
        line: u8,
    },
    Refund {
        order: u8,
        line: u8,
        restock: bool,
    },
    /// The order is deleted for good; no event tells.
    Delete {
        order: u8,
    },
    /// The one product that may be is deleted.
    DeleteProduct,
    /// A webhook delivers the body of that many states ago.
    Webhook {
        order: u8,
        back: u8,
    },
    /// The order is read as it is; the answer is under way.
    Read {
        order: u8,
    },
    /// The order is read while it is being written.
    Glimpse {
        order: u8,
        back: u8,
    },
    /// A read does not find an order that is there.
    Glitch {
        order: u8,
    },
    /// One of the answers under way arrives.
    Arrive(u8),
    Expire {
        order: u8,
    },
    ReleaseOrphan {
        order: u8,
    },
    /// We ship so much of a line; all that the order reserves if that is nothing.
    Ship {
        order: u8,
        line: u8,
        quantity: u8,
    },
    /// The parked product is mapped.
    Map,
    /// What the mapping changed is worked off.
    Resolve,
    /// The shop sells from other warehouses.
    Route(u8),
    Receive {
        sku: u8,
        quantity: u8,
    },
    Adjust {
        sku: u8,
        warehouse: u8,
        delta: i8,
    },
    Transfer {
        sku: u8,
        from: u8,
        quantity: u8,
    },
    Count {
        sku: u8,
        warehouse: u8,
        counted: u8,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let raw = (0_u8..100, 0_u8..3, 0_u8..30, 0_u8..8);
    raw.prop_map(|(kind, order, a, b)| match kind {
        0..8 => Step::Wait([0, 1, 5, 31, 60].into_iter().cycle().nth(usize::from(a)).unwrap_or_default()),
        8 => Step::ClockBack(a),
        9..17 => Step::Create { order, status: a, product: b },
        17..31 => Step::Status { order, status: a },
        31..36 => Step::Add { order, product: b, quantity: a % 4 },
        36..42 => Step::Quantity { order, line: b, quantity: a % 7 },
        42..45 => Step::Remove { order, line: b },
        45..48 => Step::Swap { order, line: b },
        48..53 => Step::Refund { order, line: b, restock: a % 2 == 0 },
        53 => Step::Delete { order },
        54 => Step::DeleteProduct,
        55..67 => Step::Webhook { order, back: b % 5 },
        67..75 => Step::Read { order },
        75..77 => Step::Glimpse { order, back: b % 4 },
        77 | 78 => Step::Ship { order, line: b, quantity: a % 5 },
        79 => Step::Glitch { order },
        80..88 => Step::Arrive(b),
        88 => Step::Expire { order },
        89 => Step::ReleaseOrphan { order },
        90 => Step::Map,
        91 => Step::Resolve,
        92 => Step::Route(b),
        93 | 94 => Step::Receive { sku: b, quantity: a % 5 },
        95 | 96 => Step::Adjust { sku: b, warehouse: order, delta: i8::try_from(a).unwrap_or_default() - 10 },
        97 => Step::Transfer { sku: b, from: order, quantity: a % 5 },
        _ => Step::Count { sku: b, warehouse: order, counted: a % 12 },
    })
}

/// Most steps of one run: short ones are many, and shrink well.
const STEPS_MAX: usize = 40;

pub(crate) fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(step(), 1..=STEPS_MAX)
}
