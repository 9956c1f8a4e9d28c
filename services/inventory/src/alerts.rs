//! What people should know of: looked for in turns by one of the replicas, kept, and told.

mod decide;
mod found;
mod observe;
mod send;
mod settings;
mod tell;
mod words;

use std::sync::Arc;
use std::time::Duration;

use notices::Channels;
use process::clock;
use process::metrics::Metrics;
use process::tasks::{Stage, Tasks};
use store::{Alert, AlertChanges, Channel, Store};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use values::Timestamp;

use crate::error::guarded;
use decide::{Decided, decide};
use observe::Observer;
pub(crate) use observe::{NOTICES, OPEN};
pub(crate) use send::send_test;
use send::{Post, ways};
pub use settings::AlertSettings;

/// How long a replica has the turn without renewing it. Whoever follows one that died waits for so long. Longer than sending
/// one notice takes.
const TURN: Duration = Duration::from_secs(45);
/// How long alerts that ended, and notices, are kept.
const HISTORY_KEPT: Duration = Duration::from_hours(90 * 24);
/// Rows of history that are forgotten in one transaction.
const PRUNE_CHUNK: u32 = 1_000;
/// Between looks for history to forget.
const PRUNE_PERIOD: Duration = Duration::from_hours(1);

/// The ways that notices go, each with a task of its own.
const POSTS: [(Channel, &str); 2] =
    [(Channel::Webhook, "inventory notices by request"), (Channel::Smtp, "inventory notices by mail")];

/// Looks for alerts and tells of them, until the tasks are told to stop. `owner` names this process among the replicas.
pub(crate) fn start(
    store: &Arc<Store>,
    owner: String,
    channels: &Arc<Channels>,
    settings: &AlertSettings,
    (tasks, metrics): (&Tasks, &Metrics),
) {
    let observer = Observer::new(metrics);
    let mut wakes = Vec::new();
    // Also those that are not set up any more: what was to go that way is given up in time.
    for (channel, name) in POSTS {
        let wake = Arc::new(Notify::new());
        wakes.push(Arc::clone(&wake));
        let post = Post {
            channel,
            store: Arc::clone(store),
            owner: owner.clone(),
            channels: Arc::clone(channels),
            settings: settings.clone(),
            observer: observer.clone(),
            wake,
        };
        let stop = tasks.stopping(Stage::Work);
        tasks.spawn_in(Stage::Work, name, post.run(stop));
    }
    let watch = Watch {
        store: Arc::clone(store),
        owner,
        ways: ways(channels),
        settings: settings.clone(),
        observer,
        wakes,
        prune_at: Instant::now(),
    };
    let stop = tasks.stopping(Stage::Work);
    tasks.spawn_in(Stage::Work, "inventory alerts", watch.run(stop));
}

struct Watch {
    store: Arc<Store>,
    owner: String,
    ways: Vec<Channel>,
    settings: AlertSettings,
    observer: Observer,
    /// There is something to send.
    wakes: Vec<Arc<Notify>>,
    prune_at: Instant,
}

impl Watch {
    async fn run(mut self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            if let Err(error) = guarded(self.round()).await {
                self.observer.failed("looking for alerts", &error);
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = sleep(self.settings.period) => {}
            }
        }
        // Who comes next need not wait.
        if let Err(error) = self.store.end_alert_turn(&self.owner).await {
            self.observer.failed("giving the turn to look for alerts back", &error);
        }
    }

    async fn round(&mut self) -> Result<(), store::Error> {
        let now = clock::now();
        if self.store.take_alert_turn(&self.owner, now, TURN).await? {
            if self.look(now).await? {
                self.tell(now).await?;
            }
            self.prune(now).await?;
        }
        self.observer.counted(&self.store.alert_counts().await?);
        Ok(())
    }

    async fn known(&self, now: Timestamp) -> Result<Vec<Alert>, store::Error> {
        self.store.alerts_at_work(now - decide::RETURNS_WITHIN).await
    }

    /// Compares what is the case with what was known; whether there is something to tell.
    async fn look(&self, now: Timestamp) -> Result<bool, store::Error> {
        let known = self.known(now).await?;
        let found = found::look(&self.store, &known, now).await?;
        let Decided { changed, dropped, unchanged } = decide(known, found, now, &self.settings);
        if !(changed.is_empty() && dropped.is_empty()) {
            let changes = AlertChanges { alerts: &changed, dropped: &dropped, notices: &[] };
            if !self.store.save_alerts(&self.owner, now, &changes).await? {
                return Ok(false);
            }
        }
        let is_new = |alert: &&Alert| alert.news.is_some_and(|(_, at)| at == now);
        changed.iter().filter(is_new).for_each(|alert| self.observer.news(alert));
        Ok(changed.iter().chain(&unchanged).any(|alert| alert.news.is_some()))
    }

    /// Makes notices of the news there is, with the numbers that new alerts have by now.
    async fn tell(&self, now: Timestamp) -> Result<(), store::Error> {
        let known = self.known(now).await?;
        let telling = tell::tell(&self.store, known, &self.ways, self.settings.digest, now).await?;
        if telling.alerts.is_empty() {
            return Ok(());
        }
        let changes = AlertChanges { alerts: &telling.alerts, dropped: &[], notices: &telling.notices };
        if self.store.save_alerts(&self.owner, now, &changes).await? && !telling.notices.is_empty() {
            self.wakes.iter().for_each(|wake| wake.notify_one());
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
}
