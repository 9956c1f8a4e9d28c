//! What removing a shop asks and answers.

use serde::{Deserialize, Serialize};
use store::{OpenOrders, StillHeld};
use utoipa::{IntoParams, ToSchema};

use super::super::wire::Amount;

/// What is to become of what its open orders hold.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = OpenOrders)]
pub(in super::super) enum OrdersWord {
    /// They keep it.
    #[default]
    Keep,
    /// It is available again.
    Release,
}

impl From<OrdersWord> for OpenOrders {
    fn from(word: OrdersWord) -> Self {
        match word {
            OrdersWord::Keep => Self::Keep,
            OrdersWord::Release => Self::Release,
        }
    }
}

/// How to remove a shop.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in super::super) struct RemoveQuery {
    /// What is to become of what its open orders hold: `keep` (if left out) or `release`.
    #[serde(default)]
    #[param(inline)]
    pub(super) orders: OrdersWord,
}

/// A shop that was removed.
#[derive(Debug, Serialize, ToSchema)]
pub(in super::super) struct RemovedShop {
    /// How many open orders reserved something.
    #[schema(example = 12)]
    order_count: u64,
    /// What they reserved in all.
    reserved: Amount,
    /// What becomes of that.
    orders: OrdersWord,
}

impl RemovedShop {
    pub(super) fn new(held: StillHeld, orders: OrdersWord) -> Self {
        Self { order_count: held.order_count, reserved: held.reserved.into(), orders }
    }
}
