//! The guardian of a shop's webhooks: makes them, looks regularly whether they are still as they were made, makes anew what is
//! broken, has the gap read, and finds out whether deliveries arrive at all.

mod plan;
mod silence;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use connector::{CallError, KeepWebhooks, OrderSet, OrdersCursor, Tried};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use store::{Condition, ConditionKind, KeptWebhook};
use values::{OrderId, Timestamp};

use super::cursor::OVERLAP;
use super::orders::Told;
use super::{ReadError, Reader};
use crate::Connect;
use crate::observe::Observe;
use crate::webhooks::DELIVERIES_NOTED_EVERY;

pub(crate) use plan::{Fault, is_ours};
use plan::{Ours, Plan};
use silence::Silence;

/// Furthest back that orders are read again after webhooks were broken. Polls read what changed all the time; this is for what
/// they may have missed.
const GAP_MAX: Duration = Duration::from_hours(24 * 7);
/// Clocks of replicas differ by no more, so that a ping which another of them heard is not taken for an older one.
const CLOCKS_DIFFER_MAX: Duration = Duration::from_secs(5);

/// What the guardian of one shop remembers.
#[derive(Debug)]
pub(super) struct Guard {
    /// When it looks again.
    pub(super) due: Instant,
    /// The shop, as it was added then, is about to be removed: none are made before this.
    pub(super) rests_until: Option<(Instant, Timestamp)>,
    /// What is wrong with the shop, and since when; `None`: not looked up yet.
    open: Option<BTreeMap<ConditionKind, Timestamp>>,
    silence: Silence,
    /// Orders changed since then, by the hub's clock, are to be read again.
    gap: Option<Timestamp>,
}

impl Guard {
    pub(super) fn new(now: Timestamp) -> Self {
        Self { due: Instant::now(), rests_until: None, open: None, silence: Silence::from(now), gap: None }
    }

    pub(super) fn has_gap(&self) -> bool {
        self.gap.is_some()
    }

    /// Another may have changed what is wrong with the shop.
    pub(super) fn forget(&mut self) {
        self.open = None;
    }
}

/// What a look came to.
#[derive(Debug, Default)]
pub(super) struct Looked {
    /// Webhooks that are as they should be.
    pub(super) good: usize,
    /// Webhooks that were made.
    pub(super) made: usize,
}

/// Where the webhooks of a shop deliver, and what they are signed with.
struct Door {
    address: String,
    /// The end of it, which cannot be guessed.
    path: String,
    secret: SecretString,
}

impl Door {
    /// Says with which address and secret a webhook was made; nothing can be learnt from it without the path.
    fn mark(&self) -> String {
        const BYTES: usize = 16;
        let parts = [self.path.as_bytes(), self.address.as_bytes(), self.secret.expose_secret().as_bytes()];
        let mut hash = Sha256::new();
        for part in parts {
            hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            hash.update(part);
        }
        hash.finalize().iter().take(BYTES).fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").ok();
            text
        })
    }
}

impl<C: Connect> Reader<C> {
    /// Looks after the webhooks, if it is time and onhand knows its public address.
    pub(super) async fn guard_if_due(&mut self, now: Instant) -> Result<bool, ReadError> {
        if now < self.guard.due || self.shared.public_url.is_none() {
            return Ok(false);
        }
        self.guard_webhooks().await?;
        Ok(true)
    }

    /// When the webhooks are looked after next; `None`: never.
    pub(super) fn guard_due(&self) -> Option<Instant> {
        self.shared.public_url.as_ref().map(|_| self.guard.due)
    }

    /// Makes what is missing, mends what is broken, and finds out whether deliveries arrive.
    pub(super) async fn guard_webhooks(&mut self) -> Result<Looked, ReadError> {
        let added = self.shop.borrow().created_at;
        let rests_until =
            self.guard.rests_until.filter(|(until, of)| Instant::now() < *until && *of == added);
        if let Some((until, _)) = rests_until {
            self.guard.due = until;
            return Ok(Looked::default());
        }
        let Some(door) = self.door().await? else { return Ok(Looked::default()) };
        self.open_conditions().await?;
        let kept = self.shared.store.kept_webhooks(self.id).await?;
        let listed = self.webhooks().await?;
        let mark = door.mark();
        let ours = Ours {
            address: &door.address,
            path: &door.path,
            mark: &mark,
            topics: C::Connection::TOPICS,
            name: C::Connection::webhook_name,
        };
        let plan = ours.plan(&listed, &kept);
        self.note_faults(&plan, &kept).await?;
        let started = self.now();
        let refused = match self.carry_out(&plan, &door, &mark).await {
            Ok(()) => None,
            Err(ReadError::Call(error)) if is_refusal(&error) => Some(error),
            Err(error) => return Err(error),
        };
        let not_made = refused.as_ref().map(not_made_text);
        self.condition(ConditionKind::WebhooksNotMade, not_made).await?;
        let made = if refused.is_none() { plan.create.len() } else { 0 };
        self.see_whether_reached(&door, started, made > 0).await?;
        self.see_whether_redirected(&door).await?;
        if plan.faults.is_empty() && self.guard.gap.is_none() {
            self.condition(ConditionKind::WebhooksMended, None).await?;
        }
        self.guard.due = Instant::now() + Self::spread(self.shared.settings.webhook_period);
        Ok(Looked { good: plan.good, made })
    }

    async fn door(&self) -> Result<Option<Door>, ReadError> {
        let Some(public_url) = &self.shared.public_url else { return Ok(None) };
        let secrets = self.shared.store.shop_secrets(self.id).await?.ok_or(ReadError::NoSecrets)?;
        let path = self.webhook_path().await?;
        let address = format!("{}{path}", public_url.trim_end_matches('/'));
        Ok(Some(Door { address, path, secret: secrets.webhook_secret }))
    }

    /// The end of the address of this shop's webhooks.
    pub(super) async fn webhook_path(&self) -> Result<String, ReadError> {
        let token = self.shared.store.webhook_token(self.id).await?.ok_or(ReadError::NoSecrets)?;
        Ok(format!("{}{}", crate::webhooks::PATH, token.expose_secret()))
    }

    /// What is found broken is said, and what it may not have told is read again, before anything is done: a crash between
    /// leaves the condition, and with it the gap.
    async fn note_faults(&mut self, plan: &Plan, kept: &[KeptWebhook]) -> Result<(), ReadError> {
        if plan.faults.is_empty() {
            return Ok(());
        }
        let lost = plan.faults.iter().filter(|(_, fault)| fault.lost_something());
        let since = lost.filter_map(|(topic, _)| self.last_told(topic, kept)).min();
        if let Some(since) = since {
            self.guard.gap = Some(self.guard.gap.map_or(since, |gap| gap.min(since)));
        }
        for (_, fault) in &plan.faults {
            self.shared.observe.webhook_mended(*fault);
        }
        let named: Vec<String> =
            plan.faults.iter().map(|(topic, fault)| format!("{topic} ({})", fault.as_str())).collect();
        let what = format!(
            "Webhooks of the shop were broken and are made anew: {}. Orders they may not have told of are read again. If it \
             comes again, see why deliveries fail (the log of onhand, WooCommerce: Status, Logs) or who changes them \
             (WooCommerce: Settings, Advanced, Webhooks).",
            named.join(", ")
        );
        self.condition(ConditionKind::WebhooksMended, Some(what)).await
    }

    /// From when on an order may have changed untold, if the topic tells of orders.
    fn last_told(&self, topic: &str, kept: &[KeptWebhook]) -> Option<Timestamp> {
        let earliest = self.now() - GAP_MAX;
        let kept = kept.iter().find(|kept| kept.topic == topic);
        let told = kept.and_then(|kept| kept.delivered_at.max(kept.made_at));
        topic.starts_with("order.").then(|| told.unwrap_or(earliest).max(earliest))
    }

    async fn carry_out(&mut self, plan: &Plan, door: &Door, mark: &str) -> Result<(), ReadError> {
        for (topic, id) in &plan.adopt {
            self.shared.store.keep_webhook(self.id, topic, *id, None, self.now()).await?;
        }
        for id in &plan.delete {
            self.delete_webhook(*id).await?;
        }
        for topic in &plan.create {
            let made = self.create_webhook(topic, &door.address, &door.secret).await?;
            // Between the two a crash leaves one that is known by its address and taken over.
            self.shared.store.keep_webhook(self.id, topic, made.id, Some(mark), self.now()).await?;
            if !self.hold_lease().await? {
                return Err(ReadError::Stale);
            }
        }
        Ok(())
    }

    /// The shop pings while it makes a webhook, so whoever heard nothing by now will not.
    async fn see_whether_reached(
        &mut self,
        door: &Door,
        started: Timestamp,
        made: bool,
    ) -> Result<(), ReadError> {
        use ConditionKind::{WebhookAddress, WebhooksUnreachable};
        let open = self.open_conditions().await?;
        let since =
            [WebhookAddress, WebhooksUnreachable].iter().filter_map(|kind| open.get(kind)).max().copied();
        if !made && since.is_none() {
            return Ok(());
        }
        let from = if made { started - CLOCKS_DIFFER_MAX } else { since.unwrap_or(started) };
        let pinged = self.shared.store.reading(self.id).await?.and_then(|reading| reading.pinged_at);
        let delivered = delivered_at(&self.shared.store.kept_webhooks(self.id).await?, "");
        if pinged.max(delivered).is_some_and(|heard| heard >= from) {
            self.condition(WebhookAddress, None).await?;
            return self.condition(WebhooksUnreachable, None).await;
        }
        if !made {
            return Ok(());
        }
        let connection = self.connection().await?;
        let obstacles = connection.delivery_obstacles(&door.address);
        let texts: Vec<String> =
            obstacles.iter().map(|found| format!("{} {}", found.what, found.todo)).collect();
        if !texts.is_empty() {
            self.condition(WebhooksUnreachable, None).await?;
            return self.condition(WebhookAddress, Some(texts.join(" "))).await;
        }
        self.condition(WebhookAddress, None).await?;
        let what = "The shop made its webhooks, but when it tried their address nobody heard it: onhand cannot be reached from \
                    the shop at ONHAND_PUBLIC_URL. See whether that address is right, whether its certificate is valid, and \
                    whether a firewall is in between. Orders are found by polling meanwhile.";
        self.condition(WebhooksUnreachable, Some(what.to_owned())).await
    }

    /// WordPress takes a redirect for success and does not follow it, so everything vanishes and nobody notices.
    async fn see_whether_redirected(&mut self, door: &Door) -> Result<(), ReadError> {
        use ConditionKind::{WebhooksMisdirected, WebhooksRedirected};
        let connection = self.connection().await?;
        let tried = tokio::select! {
            () = self.stop.cancelled() => return Err(ReadError::Stopped),
            tried = connection.try_delivery(&door.address) => tried,
        };
        let (redirected, misdirected) = match tried {
            Tried::Taken => (None, None),
            Tried::Redirected { status, to } => (Some(redirected_text(status, to.as_deref())), None),
            // Whatever is before us fails for the moment, or cannot be reached from here: that proves nothing.
            Tried::NoAnswer | Tried::Refused { status: 500.. } => return Ok(()),
            Tried::Refused { status } => (None, Some(misdirected_text(status))),
        };
        self.condition(WebhooksRedirected, redirected).await?;
        self.condition(WebhooksMisdirected, misdirected).await
    }

    /// A poll read an order that changed; it was answered at `shop_now`.
    pub(super) fn note_change(&mut self, order: OrderId, modified_at: Timestamp, shop_now: Timestamp) {
        let changed_at = self.now() - shop_now.since(modified_at);
        self.guard.silence.saw(order, changed_at);
    }

    /// Whether orders change and no webhook tells of them.
    pub(super) async fn see_whether_silent(&mut self) -> Result<(), ReadError> {
        let (now, bound) = (self.now(), self.shared.settings.webhook_silence);
        let since = self.open_conditions().await?.get(&ConditionKind::WebhooksSilent).copied();
        if since.is_none() && !self.guard.silence.is_suspect(now, bound) {
            return Ok(());
        }
        let kept = self.shared.store.kept_webhooks(self.id).await?;
        let of_orders = |kept: &&KeptWebhook| kept.topic.starts_with("order.");
        let made_at = kept.iter().filter(of_orders).filter_map(|kept| kept.made_at).max();
        let delivered_at = delivered_at(&kept, "order.");
        self.guard.silence.heard(made_at, delivered_at, DELIVERIES_NOTED_EVERY);
        // Where webhooks were never made and never came, nobody waits for them.
        let expected = made_at.or(delivered_at).is_some();
        match self.guard.silence.is_silent(now, bound) {
            Some((count, first)) if expected => {
                let what = silent_text(count, now.since(first));
                self.condition(ConditionKind::WebhooksSilent, Some(what)).await
            }
            None if since.is_some_and(|since| delivered_at.is_some_and(|at| at > since)) => {
                self.condition(ConditionKind::WebhooksSilent, None).await
            }
            _ => Ok(()),
        }
    }

    /// Whether orders may change without a webhook that says so: something is wrong with them, or they came and were empty.
    pub(super) async fn doubts_webhooks(&mut self) -> Result<bool, ReadError> {
        let now = self.now();
        let reading = self.shared.store.reading(self.id).await?;
        let is_blind = reading
            .and_then(|reading| reading.blind_at)
            .is_some_and(|at| now.since(at) < self.shared.settings.webhook_silence);
        Ok(is_blind || !self.open_conditions().await?.is_empty())
    }

    /// One page of the orders that broken webhooks may not have told of; where to go on.
    pub(super) async fn read_gap(
        &mut self,
        set: OrderSet,
        cursor: Option<OrdersCursor>,
    ) -> Result<Option<OrdersCursor>, ReadError> {
        let Some(gap) = self.guard.gap else { return Ok(None) };
        let reached = self.position(set).await?;
        let since = reached.shop_time - reached.hub_time.since(gap) - OVERLAP - DELIVERIES_NOTED_EVERY;
        let number = self.number().await?;
        let reply = self.orders_changed(cursor.unwrap_or(OrdersCursor::since(set, since))).await?;
        let told = Told { number, read_at: reply.asked_at(), baseline: false };
        let page = reply.value;
        self.publish_orders(told, page.orders, &page.unusable).await?;
        // From there on polls read.
        Ok(page.next.filter(|next| next.after < reached.shop_time))
    }

    /// The gap is read.
    pub(super) fn gap_read(&mut self) {
        self.guard.gap = None;
    }

    /// What is wrong with the shop, and since when.
    async fn open_conditions(&mut self) -> Result<&BTreeMap<ConditionKind, Timestamp>, ReadError> {
        if self.guard.open.is_none() {
            let conditions = self.shared.store.conditions(self.id).await?;
            let open = conditions.into_iter().filter(|condition| condition.cleared_at.is_none());
            let open: BTreeMap<_, _> = open.map(|Condition { kind, since, .. }| (kind, since)).collect();
            if let Some(since) = open.get(&ConditionKind::WebhooksMended) {
                // Mended in an earlier life, which may not have come to reading the gap: it began after the look before.
                let begun = *since - self.shared.settings.webhook_period * 2;
                self.guard.gap = Some(self.guard.gap.map_or(begun, |gap| gap.min(begun)));
            }
            self.guard.open = Some(open);
        }
        Ok(self.guard.open.get_or_insert_default())
    }

    /// Notes that something is wrong, in the words given, or that it is not so any more.
    async fn condition(&mut self, kind: ConditionKind, what: Option<String>) -> Result<(), ReadError> {
        let (id, now) = (self.id, self.now());
        let is_open = self.open_conditions().await?.contains_key(&kind);
        let store = std::sync::Arc::clone(&self.shared.store);
        let open = self.guard.open.get_or_insert_default();
        match what {
            Some(what) => {
                store.raise_condition(id, kind, &what, now).await?;
                if !is_open {
                    Observe::condition_raised(id, kind.as_str(), &what);
                    open.insert(kind, now);
                    // Polls tell what webhooks may not have told.
                    self.orders_due = self.orders_due.min(Instant::now());
                }
            }
            None if is_open => {
                store.clear_condition(id, kind, now).await?;
                Observe::condition_cleared(id, kind.as_str());
                open.remove(&kind);
            }
            None => {}
        }
        Ok(())
    }
}

/// When a delivery of the topics that begin so last came.
fn delivered_at(kept: &[KeptWebhook], prefix: &str) -> Option<Timestamp> {
    kept.iter().filter(|kept| kept.topic.starts_with(prefix)).filter_map(|kept| kept.delivered_at).max()
}

/// The shop answers and does not want it: trying again soon is of no use.
fn is_refusal(error: &CallError) -> bool {
    matches!(error, CallError::Auth(_) | CallError::Refused { .. })
}

fn not_made_text(error: &CallError) -> String {
    format!(
        "The shop does not let onhand make its webhooks: {}. Give the key Read/Write permission and its user the role Shop \
         manager, and have security plugins let /wp-json/wc/v3/webhooks through. Orders are found by polling meanwhile.",
        process::error_chain(error)
    )
}

fn redirected_text(status: u16, to: Option<&str>) -> String {
    let to = to.map(|to| format!(", to {to}")).unwrap_or_default();
    format!(
        "Whoever calls onhand's public address is redirected (status {status}{to}). WordPress takes that for success and does \
         not follow, so every webhook vanishes. Set ONHAND_PUBLIC_URL to the address that answers without a redirect (https \
         rather than http, with or without www), or take the redirect away."
    )
}

fn misdirected_text(status: u16) -> String {
    format!(
        "At onhand's public address something else answers (status {status}), so no webhook arrives. See whether \
         ONHAND_PUBLIC_URL is right and the proxy passes /webhooks/ on to ingress, POST included."
    )
}

fn silent_text(count: usize, since: Duration) -> String {
    format!(
        "{count} orders have changed within {} minutes and no webhook told of any. Something between the shop and onhand may \
         swallow them, or the shop does not run its scheduled actions (WooCommerce: Status, Scheduled Actions). Orders are \
         found by polling meanwhile.",
        since.as_secs() / 60
    )
}
