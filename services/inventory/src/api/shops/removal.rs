//! What removing a shop asks and answers.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use store::{OpenOrders, StillHeld, Store, TaskKind, TaskState};
use tokio::time::Instant;
use utoipa::{IntoParams, ToSchema};
use values::ShopId;

use super::super::problem::Problem;
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

/// How long a shop may take to let our webhooks go. Who removes it waits for that.
const UNHOOK_WAIT_MAX: Duration = Duration::from_secs(10);
/// How often it is looked whether it has.
const UNHOOK_LOOK_EVERY: Duration = Duration::from_millis(100);

/// What became of our webhooks in a shop.
#[derive(Debug, Default)]
pub(super) struct Unhooked {
    deleted: u64,
    left: Option<String>,
}

/// What ingress reports of it.
#[derive(Debug, Default, Deserialize)]
struct Report {
    #[serde(default)]
    unhooked: u64,
    failure: Option<String>,
}

/// Has ingress delete our webhooks in the shop, which has to be done while its keys are known.
pub(super) async fn unhook(store: &Store, shop: ShopId) -> Result<Unhooked, Problem> {
    // It was never read, so none were made.
    let Some(before) = store.reading(shop).await? else { return Ok(Unhooked::default()) };
    let id = super::super::tasks::add(store, shop, TaskKind::Unhook).await?;
    let deadline = Instant::now() + UNHOOK_WAIT_MAX;
    while Instant::now() < deadline {
        tokio::time::sleep(UNHOOK_LOOK_EVERY).await;
        let Some(task) = store.task(id).await? else { break };
        if !matches!(task.progress.state, TaskState::Done | TaskState::Failed) {
            continue;
        }
        let report: Report = serde_json::from_str(&task.progress.report).unwrap_or_default();
        let failed = task.progress.state == TaskState::Failed;
        let left = report.failure.or_else(|| failed.then(|| "it failed; the log says why".to_owned()));
        return Ok(Unhooked { deleted: report.unhooked, left });
    }
    let reading = store.reading(shop).await?.unwrap_or(before);
    let why =
        if reading.failing_since.is_some() { reading.failure } else { "nothing was heard of it".to_owned() };
    Ok(Unhooked { deleted: 0, left: Some(format!("not done within {} s: {why}", UNHOOK_WAIT_MAX.as_secs())) })
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
    /// Webhooks of ours that were deleted in the shop.
    #[schema(example = 8)]
    webhooks_deleted: u64,
    /// Why some may be left in the shop; `null` if none are. They are to be deleted there.
    webhooks_left: Option<String>,
}

impl RemovedShop {
    pub(super) fn new(held: StillHeld, orders: OrdersWord, unhooked: Unhooked) -> Self {
        Self {
            order_count: held.order_count,
            reserved: held.reserved.into(),
            orders,
            webhooks_deleted: unhooked.deleted,
            webhooks_left: unhooked.left,
        }
    }
}
