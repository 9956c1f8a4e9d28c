//! Webhooks, the queue of deliveries, and how a shop gives a receiver up.

use std::fmt;
use std::sync::Arc;

use values::{HolderId, OrderId, Timestamp};

use super::{OrderView, ProductView, Shop, Writing, to_second};

/// A webhook with this many failures in a row is disabled by the next.
const FAILURES_MAX: u32 = 6;

/// Number of a webhook within its shop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WebhookId(pub i64);

/// What a webhook tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// `order.created`
    OrderCreated,
    /// `order.updated`
    OrderUpdated,
    /// `order.deleted`
    OrderDeleted,
    /// `order.restored`
    OrderRestored,
    /// `product.created`
    ProductCreated,
    /// `product.updated`
    ProductUpdated,
    /// `product.deleted`
    ProductDeleted,
    /// `product.restored`
    ProductRestored,
}

impl Topic {
    /// All of them, in the order of the declaration.
    pub const ALL: [Self; 8] = [
        Self::OrderCreated,
        Self::OrderUpdated,
        Self::OrderDeleted,
        Self::OrderRestored,
        Self::ProductCreated,
        Self::ProductUpdated,
        Self::ProductDeleted,
        Self::ProductRestored,
    ];

    /// As in the header: `order.created`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OrderCreated => "order.created",
            Self::OrderUpdated => "order.updated",
            Self::OrderDeleted => "order.deleted",
            Self::OrderRestored => "order.restored",
            Self::ProductCreated => "product.created",
            Self::ProductUpdated => "product.updated",
            Self::ProductDeleted => "product.deleted",
            Self::ProductRestored => "product.restored",
        }
    }

    /// `order` or `product`.
    pub fn resource(self) -> &'static str {
        self.as_str().split_once('.').map_or("", |(resource, _)| resource)
    }

    /// `created`, `updated`, `deleted` or `restored`.
    pub fn event(self) -> &'static str {
        self.as_str().split_once('.').map_or("", |(_, event)| event)
    }

    /// The topic of that name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|topic| topic.as_str() == text)
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whether a webhook delivers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebhookStatus {
    /// It does.
    Active,
    /// Somebody paused it.
    Paused,
    /// Somebody, or too many failures, disabled it.
    Disabled,
}

impl WebhookStatus {
    /// As in REST.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Paused => "paused",
            Self::Disabled => "disabled",
        }
    }

    /// The status of that name.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Active, Self::Paused, Self::Disabled].into_iter().find(|status| status.as_str() == text)
    }
}

/// A webhook, including what REST never shows.
#[derive(Clone)]
pub struct Webhook {
    /// Number.
    pub id: WebhookId,
    /// Its name in the admin.
    pub name: Arc<str>,
    /// What it tells of.
    pub topic: Topic,
    /// Key of the signature, as it was typed.
    pub secret: Arc<str>,
    /// Where to.
    pub delivery_url: Arc<str>,
    /// Whether it delivers.
    pub status: WebhookStatus,
    /// Failures in a row; never shown by REST, reset only by a success.
    pub failure_count: u32,
    /// No ping was answered with exactly 200 yet: another follows each delivery.
    pub pending_delivery: bool,
    /// Its owner lost the right to see orders and products: payloads are signed errors.
    pub owner_demoted: bool,
    /// When it was made.
    pub created: Timestamp,
    /// When it was last changed.
    pub modified: Timestamp,
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook")
            .field("id", &self.id)
            .field("topic", &self.topic)
            .field("status", &self.status)
            .field("failure_count", &self.failure_count)
            .finish_non_exhaustive()
    }
}

/// One delivery waiting: at most one per webhook and resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Due {
    webhook: WebhookId,
    resource: i64,
}

/// What is delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// A whole order as it is when the queue runs; trashed ones too.
    Order(Box<OrderView>),
    /// A whole product or variation as it is when the queue runs.
    Product(Box<ProductView>),
    /// `{"id":…}`, of the deleted topics.
    DeletedId(i64),
    /// A REST error, signed like everything else.
    SignedError {
        /// `woocommerce_rest_shop_order_invalid_id`, `woocommerce_rest_product_invalid_id` or
        /// `woocommerce_rest_cannot_view`.
        code: &'static str,
        /// Text of it.
        message: &'static str,
        /// 404 or 403.
        status: u16,
    },
}

/// One call the shop makes to a receiver.
#[derive(Clone)]
pub struct Delivery {
    /// The webhook, for [`Shop::answered`].
    pub webhook: WebhookId,
    /// What the header says.
    pub topic: Topic,
    /// Of webhook and second: **not unique**.
    pub delivery_id: u128,
    /// Where to.
    pub delivery_url: Arc<str>,
    /// Key of the signature, as it was typed.
    pub secret: Arc<str>,
    /// What is told.
    pub payload: Payload,
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("webhook", &self.webhook)
            .field("topic", &self.topic)
            .field("payload", &self.payload)
            .finish_non_exhaustive()
    }
}

impl Shop {
    /// A new webhook, always active, its ping not answered yet (see [`Shop::pinged`]).
    pub fn create_webhook(
        &mut self,
        topic: Topic,
        delivery_url: &str,
        secret: &str,
        now: Timestamp,
    ) -> WebhookId {
        let id = WebhookId(self.next_webhook);
        self.next_webhook += 1;
        let webhook = Webhook {
            id,
            name: topic.as_str().into(),
            topic,
            secret: secret.into(),
            delivery_url: delivery_url.into(),
            status: WebhookStatus::Active,
            failure_count: 0,
            pending_delivery: true,
            owner_demoted: false,
            created: to_second(now),
            modified: to_second(now),
        };
        self.webhooks.insert(id, webhook);
        id
    }

    /// One webhook.
    pub fn webhook(&self, id: WebhookId) -> Option<&Webhook> {
        self.webhooks.get(&id)
    }

    /// All webhooks by number.
    pub fn webhooks(&self) -> impl Iterator<Item = &Webhook> {
        self.webhooks.values()
    }

    /// Changes a webhook. Activating one does not reset its failures. `false` if there is none.
    pub fn edit_webhook(&mut self, id: WebhookId, now: Timestamp, edit: impl FnOnce(&mut Webhook)) -> bool {
        let Some(webhook) = self.webhooks.get_mut(&id) else {
            return false;
        };
        edit(webhook);
        webhook.modified = to_second(now);
        true
    }

    /// Deletes a webhook; what waits for it is never sent.
    pub fn delete_webhook(&mut self, id: WebhookId) -> Option<Webhook> {
        self.webhooks.remove(&id)
    }

    /// How many deliveries wait.
    pub fn queue_len(&self) -> usize {
        self.queue.len()
    }

    /// WP-Cron runs the queue: up to `max` deliveries, their payloads as things are now. WooCommerce sends them one
    /// after the other; take one at a time where that matters.
    pub fn run_queue(&mut self, now: Timestamp, max: usize) -> Vec<Delivery> {
        let mut deliveries = Vec::new();
        while deliveries.len() < max {
            let Some(due) = self.queue.pop_front() else { break };
            self.queued.remove(&due);
            let Some(webhook) = self.webhooks.get(&due.webhook) else {
                continue;
            };
            deliveries.push(Delivery {
                webhook: webhook.id,
                topic: webhook.topic,
                delivery_id: delivery_id(webhook.id, now),
                delivery_url: webhook.delivery_url.clone(),
                secret: webhook.secret.clone(),
                payload: self.payload(webhook, due.resource),
            });
        }
        deliveries
    }

    /// What a receiver said to a delivery: `ok` is any answer from 200 to 302. Failures are never sent again; the
    /// seventh in a row disables the webhook, and so does the first after it was re-enabled by hand.
    pub fn answered(&mut self, webhook: WebhookId, ok: bool) {
        let Some(webhook) = self.webhooks.get_mut(&webhook) else {
            return;
        };
        if ok {
            webhook.failure_count = 0;
        } else if webhook.failure_count >= FAILURES_MAX {
            webhook.status = WebhookStatus::Disabled;
        } else {
            webhook.failure_count += 1;
        }
    }

    /// What a receiver said to a ping: only exactly 200 (`ok`) stops the pings after each delivery.
    pub fn pinged(&mut self, webhook: WebhookId, ok: bool) {
        if let Some(webhook) = self.webhooks.get_mut(&webhook) {
            webhook.pending_delivery &= !ok;
        }
    }

    fn payload(&self, webhook: &Webhook, resource: i64) -> Payload {
        if webhook.topic.event() == "deleted" {
            return Payload::DeletedId(resource);
        }
        if webhook.owner_demoted {
            return Payload::SignedError {
                code: "woocommerce_rest_cannot_view",
                message: "Sorry, you cannot view this resource.",
                status: 403,
            };
        }
        if webhook.topic.resource() == "order" {
            let order = OrderId::new(resource).and_then(|id| self.order(id));
            order.map_or(gone("woocommerce_rest_shop_order_invalid_id"), |order| {
                Payload::Order(Box::new(order))
            })
        } else {
            let product = HolderId::new(resource).and_then(|id| self.product(id));
            product.map_or(gone("woocommerce_rest_product_invalid_id"), |product| {
                Payload::Product(Box::new(product))
            })
        }
    }

    /// An event happened in a request. A webhook hears of a resource once per request.
    pub(super) fn emit(&mut self, writing: &mut Writing, topic: Topic, resource: i64) {
        let hearing = self
            .webhooks
            .values()
            .filter(|webhook| webhook.topic == topic && webhook.status == WebhookStatus::Active);
        for webhook in hearing {
            let due = Due { webhook: webhook.id, resource };
            if !writing.events.contains(&due) {
                writing.events.push(due);
            }
        }
        if self.options.queue_at_once {
            self.enqueue(writing);
        }
    }

    /// The request ends: what happened in it is queued, unless the same is waiting already.
    pub(super) fn enqueue(&mut self, writing: &mut Writing) {
        for due in writing.events.drain(..) {
            if self.queued.insert(due) {
                self.queue.push_back(due);
            }
        }
    }
}

fn gone(code: &'static str) -> Payload {
    Payload::SignedError { code, message: "Invalid ID.", status: 404 }
}

/// A hash of webhook and second (FNV-1a): the same for all deliveries of a webhook in one second.
fn delivery_id(webhook: WebhookId, now: Timestamp) -> u128 {
    const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    let bytes = webhook.0.to_le_bytes().into_iter().chain(now.seconds().to_le_bytes());
    bytes.fold(OFFSET, |hash, byte| (hash ^ u128::from(byte)).wrapping_mul(PRIME))
}
