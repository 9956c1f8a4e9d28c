//! What people should know of: looked for in turns by one of the replicas, kept, and told.

mod decide;
mod found;
mod settings;
mod words;

use std::sync::Arc;
use std::time::Duration;

use process::clock;
use process::metrics::{Gauge, Label, Metric, Metrics};
use store::{Alert, AlertChanges, AlertKind, News, Store};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use values::Timestamp;

use crate::error::{Error, guarded};
use decide::{Decided, decide};
pub use settings::AlertSettings;

/// How long a replica has the turn without renewing it. Whoever follows one that died waits for so long.
const TURN: Duration = Duration::from_secs(30);
/// How long alerts that ended, and notices, are kept.
const HISTORY_KEPT: Duration = Duration::from_hours(90 * 24);
/// Rows of history that are forgotten in one transaction.
const PRUNE_CHUNK: u32 = 1_000;
/// Between looks for history to forget.
const PRUNE_PERIOD: Duration = Duration::from_hours(1);

const KIND: Label = Label {
    name: "kind",
    values: &[
        "webhook_address",
        "webhooks_not_made",
        "webhooks_mended",
        "webhooks_unreachable",
        "webhooks_redirected",
        "webhooks_misdirected",
        "webhooks_silent",
        "webhooks_blind",
        "drift",
        "shortfall",
        "stock_blocked",
        "shop_unreachable",
        "shop_refuses",
        "parked_lines",
        "dead_messages",
        "orphaned_orders",
        "approvals_waiting",
        "shipments_given_up",
    ],
};
/// Open alerts.
pub(crate) const OPEN: Metric<Gauge> = Metric::gauge("onhand_alerts_open", "Open alerts, by kind.", &[KIND]);

/// Looks for alerts until `stop`. `owner` names this process among the replicas.
pub(crate) async fn run(
    store: Arc<Store>,
    owner: String,
    settings: AlertSettings,
    metrics: Metrics,
    stop: CancellationToken,
) {
    let mut watch = Watch { store, owner, settings, open: metrics.gauge(&OPEN), prune_at: Instant::now() };
    while !stop.is_cancelled() {
        if let Err(error) = guarded(watch.round()).await {
            watch.failed(&error);
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = sleep(watch.settings.period) => {}
        }
    }
    if let Err(error) = watch.store.end_alert_turn(&watch.owner).await {
        watch.failed(&error.into());
    }
}

struct Watch {
    store: Arc<Store>,
    owner: String,
    settings: AlertSettings,
    open: Gauge,
    prune_at: Instant,
}

impl Watch {
    async fn round(&mut self) -> Result<(), store::Error> {
        let now = clock::now();
        if self.store.take_alert_turn(&self.owner, now, TURN).await? {
            self.look(now).await?;
            self.prune(now).await?;
        }
        let counts = self.store.alert_counts().await?;
        for kind in AlertKind::ALL {
            let count = counts.iter().find(|(counted, _)| *counted == kind).map_or(0, |(_, count)| *count);
            self.open.set(&[kind.as_str()], i64::try_from(count).unwrap_or(i64::MAX));
        }
        Ok(())
    }

    /// Compares what is the case with what was known.
    async fn look(&self, now: Timestamp) -> Result<(), store::Error> {
        let known = self.store.alerts_at_work(now - decide::RETURNS_WITHIN).await?;
        let found = found::look(&self.store, &known, now).await?;
        let Decided { mut changed, dropped, unchanged } = decide(known, found, now, &self.settings);
        let told = forget_news(&mut changed, unchanged);
        if changed.is_empty() && dropped.is_empty() {
            return Ok(());
        }
        let changes = AlertChanges { alerts: &changed, dropped: &dropped, notices: &[] };
        if self.store.save_alerts(&self.owner, now, &changes).await? {
            told.iter().for_each(log);
        }
        Ok(())
    }

    async fn prune(&mut self, now: Timestamp) -> Result<(), store::Error> {
        if self.prune_at > Instant::now() {
            return Ok(());
        }
        while self.store.prune_alerts(now - HISTORY_KEPT, PRUNE_CHUNK).await? >= u64::from(PRUNE_CHUNK) {}
        self.prune_at = Instant::now() + PRUNE_PERIOD;
        Ok(())
    }

    #[expect(clippy::unused_self, reason = "who fails has a name")]
    fn failed(&self, error: &Error) {
        tracing::warn!("looking for alerts failed and is tried again: {}", process::error_chain(error));
    }
}

/// Nobody is told in another way than by the log and the list: what is news is over.
fn forget_news(changed: &mut Vec<Alert>, unchanged: Vec<Alert>) -> Vec<(News, Alert)> {
    changed.extend(unchanged.into_iter().filter(|alert| alert.news.is_some()));
    let news = |alert: &mut Alert| alert.news.take().map(|(news, _)| (news, alert.clone()));
    changed.iter_mut().filter_map(news).collect()
}

/// What an alert is about goes to people; the log has its kind and where to look.
fn log((news, alert): &(News, Alert)) {
    let (kind, shop) = (alert.key.kind.as_str(), alert.key.shop.map(values::ShopId::get));
    match news {
        News::Raised => {
            tracing::warn!(alert = kind, shop.id = shop, "there is an alert: {kind}; see `onhand alerts`");
        }
        News::Resolved => tracing::info!(alert = kind, shop.id = shop, "an alert is over: {kind}"),
    }
}
