//! How shops look in JSON.

mod reading;

use std::collections::BTreeMap;

use ledger::StatusRule;
use push::DriftPolicy;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use store::{Condition, Opening, Openings, Orphaned, Shop, ShopLane, SignIn, Tags};
use utoipa::ToSchema;

use super::super::Served;
use super::super::names::Warehouses;
use super::super::wire::{Amount, Time};
pub(in super::super) use reading::{ReadingBody, ReadingCalls};

/// What an order in some status does to stock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = StatusRule)]
pub(in super::super) enum Rule {
    /// Reserve, until the shop takes the stock or the reservation expires.
    ReservePending,
    /// Reserve: sold, not yet shipped.
    Reserve,
    /// Deduct from on hand: shipped.
    Deduct,
    /// Hold nothing.
    Release,
    /// Not an order yet.
    Ignore,
    /// Hold what the shop still keeps taken.
    Follow,
}

impl From<StatusRule> for Rule {
    fn from(rule: StatusRule) -> Self {
        match rule {
            StatusRule::ReservePending => Self::ReservePending,
            StatusRule::Reserve => Self::Reserve,
            StatusRule::Deduct => Self::Deduct,
            StatusRule::Release => Self::Release,
            StatusRule::Ignore => Self::Ignore,
            StatusRule::Follow => Self::Follow,
        }
    }
}

impl From<Rule> for StatusRule {
    fn from(rule: Rule) -> Self {
        match rule {
            Rule::ReservePending => Self::ReservePending,
            Rule::Reserve => Self::Reserve,
            Rule::Deduct => Self::Deduct,
            Rule::Release => Self::Release,
            Rule::Ignore => Self::Ignore,
            Rule::Follow => Self::Follow,
        }
    }
}

/// Where the SKUs of a new shop start from.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = Opening)]
pub(in super::super) enum OpeningWord {
    /// From what the hub knows of them.
    #[default]
    None,
    /// From what the shop shows when its stocks are proven for the first time; SKUs that were received, counted or opened
    /// before keep what they have.
    Take,
}

impl From<OpeningWord> for Opening {
    fn from(word: OpeningWord) -> Self {
        match word {
            OpeningWord::None => Self::None,
            OpeningWord::Take => Self::Take,
        }
    }
}

impl From<Opening> for OpeningWord {
    fn from(opening: Opening) -> Self {
        match opening {
            Opening::None => Self::None,
            Opening::Take => Self::Take,
        }
    }
}

/// How a shop is told who calls it.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = SignIn)]
pub(in super::super) enum SignInWord {
    /// In the `Authorization` header.
    #[default]
    Header,
    /// In the query, for hosts that drop that header.
    Query,
}

impl From<SignInWord> for SignIn {
    fn from(word: SignInWord) -> Self {
        match word {
            SignInWord::Header => Self::Header,
            SignInWord::Query => Self::Query,
        }
    }
}

impl From<SignIn> for SignInWord {
    fn from(sign_in: SignIn) -> Self {
        match sign_in {
            SignIn::Header => Self::Header,
            SignIn::Query => Self::Query,
        }
    }
}

/// What becomes of what an order holds whose shop no longer knows it.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = Orphaned)]
pub(in super::super) enum OrphanedWord {
    /// It stays held until somebody releases it.
    #[default]
    Keep,
    /// It is let go.
    Release,
}

/// What is done about differences between what a shop shows and what it should.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = DriftPolicy)]
pub(in super::super) enum DriftWord {
    /// The ledger is right: what is too much is lowered again, what somebody took out stays out.
    #[default]
    Correct,
    /// What people set stays, up or down; only what may be onhand's own doing is put right.
    Withhold,
    /// What people set becomes the ledger's, where it can mean one thing only; else as `correct`.
    Adopt,
    /// No difference is put right, whoever made it.
    Alert,
}

impl From<DriftWord> for DriftPolicy {
    fn from(word: DriftWord) -> Self {
        match word {
            DriftWord::Correct => Self::Correct,
            DriftWord::Withhold => Self::Withhold,
            DriftWord::Adopt => Self::Adopt,
            DriftWord::Alert => Self::Alert,
        }
    }
}

impl From<DriftPolicy> for DriftWord {
    fn from(policy: DriftPolicy) -> Self {
        match policy {
            DriftPolicy::Correct => Self::Correct,
            DriftPolicy::Withhold => Self::Withhold,
            DriftPolicy::Adopt => Self::Adopt,
            DriftPolicy::Alert => Self::Alert,
        }
    }
}

impl From<OrphanedWord> for Orphaned {
    fn from(word: OrphanedWord) -> Self {
        match word {
            OrphanedWord::Keep => Self::Keep,
            OrphanedWord::Release => Self::Release,
        }
    }
}

impl From<Orphaned> for OrphanedWord {
    fn from(orphaned: Orphaned) -> Self {
        match orphaned {
            Orphaned::Keep => Self::Keep,
            Orphaned::Release => Self::Release,
        }
    }
}

/// A shop.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Shop)]
pub(in super::super) struct ShopBody {
    /// Its name, unique.
    #[schema(example = "berlin")]
    pub(super) name: String,
    /// What it is connected through.
    #[schema(example = "woocommerce")]
    pub(super) connector: &'static str,
    /// `connecting` until its catalogue and open orders are read, then `active`.
    #[schema(example = "active")]
    pub(super) state: &'static str,
    /// Its address.
    #[schema(example = "https://shop.example")]
    pub(super) url: String,
    /// The warehouses it sells from, best first.
    #[schema(example = json!(["main"]))]
    pub(super) warehouses: Vec<String>,
    /// Kept back from it, of every SKU.
    pub(super) buffer: Amount,
    /// Where its SKUs started from.
    pub(super) opening: OpeningWord,
    /// It may be at a private address.
    pub(super) private_addresses: bool,
    /// How it is told who calls it; on plain http requests are signed, whatever this says.
    pub(super) sign_in: SignInWord,
    /// What becomes of what its orders hold once it no longer knows them, as when they were deleted for good.
    pub(super) orphaned: OrphanedWord,
    /// What is done about differences between what it shows and what it should.
    pub(super) drift: DriftWord,
    /// The status its orders get once all of them is shipped; `null`: it is left alone.
    #[schema(example = "completed")]
    pub(super) shipped_status: Option<String>,
    /// The status its orders get once a part of them is shipped; `null`: it is left alone.
    pub(super) partly_shipped_status: Option<String>,
    /// Whether its customers get a note with carrier and tracking number.
    pub(super) shipment_note: bool,
    /// What it is tagged with; movements carry the tags of their time.
    #[schema(example = json!({"cost-centre": "4711"}))]
    pub(super) tags: BTreeMap<String, String>,
    /// How long an unpaid order keeps its reservation, in minutes.
    #[schema(example = 60)]
    pub(super) pending_hold_minutes: u64,
    /// What its order statuses mean; one that is not here is followed.
    pub(super) statuses: BTreeMap<String, Rule>,
    /// When it was connected.
    pub(super) created_at: Time,
    /// How it takes pushes; only when a single shop is read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in super::super) lane: Option<Lane>,
    /// How reading it goes; only when a single shop is read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in super::super) reading: Option<ReadingBody>,
    /// What reading it costs, in calls; only when a single shop is read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in super::super) reading_calls: Option<Vec<ReadingCalls>>,
    /// What became of its stocks with `opening: take`; only when a single shop is read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in super::super) openings: Option<OpeningsBody>,
    /// Products without a SKU are the SKU of their name, where there is but one of each; only when a single shop is read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in super::super) match_names: Option<bool>,
    /// When it is compared with the ledger as a whole by itself; only when a single shop is read.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "daily@03:00")]
    pub(in super::super) reconcile: Option<String>,
    /// What is wrong with it, and what was last; only when a single shop is read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in super::super) conditions: Option<Vec<ConditionBody>>,
    /// The address for its webhooks; only for admins, when a single shop is read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in super::super) webhook_url: Option<String>,
}

impl ShopBody {
    pub(super) fn new(shop: &Shop, warehouses: &Warehouses) -> Self {
        let settings = &shop.settings;
        Self {
            name: shop.name.clone(),
            connector: shop.connector.as_str(),
            state: shop.state.as_str(),
            url: settings.url.clone(),
            warehouses: settings.routing.iter().map(|id| warehouses.name(id)).collect(),
            buffer: settings.buffer.into(),
            opening: shop.opening.into(),
            private_addresses: settings.private_allowed,
            sign_in: settings.sign_in.into(),
            orphaned: settings.orphaned.into(),
            drift: settings.drift.into(),
            shipped_status: settings.shipping.shipped.clone(),
            partly_shipped_status: settings.shipping.partly.clone(),
            shipment_note: settings.shipping.note,
            tags: tag_map(&settings.tags),
            pending_hold_minutes: settings.pending_hold.as_secs() / 60,
            statuses: settings.statuses.iter().map(|(word, rule)| (word.to_owned(), rule.into())).collect(),
            created_at: shop.created_at.into(),
            lane: None,
            reading: None,
            reading_calls: None,
            openings: None,
            match_names: None,
            reconcile: None,
            conditions: None,
            webhook_url: None,
        }
    }
}

/// Tags as JSON shows them.
pub(in super::super) fn tag_map(tags: &Tags) -> BTreeMap<String, String> {
    tags.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// Something that is wrong with a shop, or was.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Condition)]
pub(in super::super) struct ConditionBody {
    /// A stable word for it.
    #[schema(example = "webhooks_redirected")]
    kind: &'static str,
    /// What is the case and what to do.
    what: String,
    /// Since when.
    since: Time,
    /// When it was last found to be so.
    seen_at: Time,
    /// When it ended; nothing while it is so.
    #[serde(skip_serializing_if = "Option::is_none")]
    cleared_at: Option<Time>,
}

impl From<Condition> for ConditionBody {
    fn from(condition: Condition) -> Self {
        Self {
            kind: condition.kind.as_str(),
            what: condition.what,
            since: condition.since.into(),
            seen_at: condition.seen_at.into(),
            cleared_at: condition.cleared_at.map(Into::into),
        }
    }
}

/// Who makes the webhooks of a shop.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = Webhooks)]
pub(in super::super) enum WebhooksWord {
    /// onhand does, once its orders are read.
    Made,
    /// People do, as onhand does not know its public address or is told not to.
    ByHand,
}

impl WebhooksWord {
    pub(super) fn of(parts: &Served) -> Self {
        if parts.makes_webhooks && parts.public_url.is_some() { Self::Made } else { Self::ByHand }
    }
}

/// What became of the stocks of a shop that was to open its SKUs.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Openings)]
pub(in super::super) struct OpeningsBody {
    /// Stocks whose SKU started from what the shop showed.
    #[schema(example = 120)]
    opened: u64,
    /// Stocks whose SKU had stock already: nothing was added, the shop is told what there is.
    #[schema(example = 3)]
    left_alone: u64,
    /// Stocks that have not been compared with proof yet.
    #[schema(example = 0)]
    awaited: u64,
}

impl From<Openings> for OpeningsBody {
    fn from(openings: Openings) -> Self {
        Self {
            opened: openings.opened_count,
            left_alone: openings.left_alone_count,
            awaited: openings.awaited_count,
        }
    }
}

/// How a shop takes pushes.
#[derive(Debug, Serialize, ToSchema)]
pub(in super::super) struct Lane {
    /// State of its breaker.
    #[schema(example = "closed")]
    breaker: String,
    /// Why, if it is not closed.
    cause: Option<String>,
    /// Until when nothing is tried.
    until: Option<Time>,
    /// Its pace.
    calls_per_minute: u32,
    /// When it was so.
    at: Time,
}

impl From<ShopLane> for Lane {
    fn from(lane: ShopLane) -> Self {
        Self {
            breaker: lane.breaker,
            cause: lane.cause,
            until: lane.until.map(Into::into),
            calls_per_minute: lane.calls_per_minute,
            at: lane.at.into(),
        }
    }
}

/// A shop to connect.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct AddShop {
    /// Its name: 1 to 63 of `A-Z a-z 0-9 - _ .`
    #[schema(example = "berlin")]
    pub(super) name: String,
    /// Its address, as in `https://shop.example` or `https://example.com/shop`.
    #[schema(example = "https://shop.example")]
    pub(super) url: String,
    /// User of its REST API; without it and the secret the shop is asked to grant both.
    #[schema(value_type = Option<String>, write_only)]
    pub(super) consumer_key: Option<SecretString>,
    /// Password of its REST API.
    #[schema(value_type = Option<String>, write_only)]
    pub(super) consumer_secret: Option<SecretString>,
    /// What its webhooks are signed with; made if left out.
    #[schema(value_type = Option<String>, write_only)]
    pub(super) webhook_secret: Option<SecretString>,
    /// The warehouses it sells from, best first; at least one, at most 32.
    #[schema(example = json!(["main"]))]
    pub(super) warehouses: Vec<String>,
    /// Kept back from it, of every SKU; nothing if left out.
    #[serde(default)]
    pub(super) buffer: Option<Amount>,
    /// Where its SKUs start from.
    #[serde(default)]
    pub(super) opening: OpeningWord,
    /// It may be at a private address.
    #[serde(default)]
    pub(super) private_addresses: bool,
    /// How it is told who calls it: `query` for hosts that drop the `Authorization` header.
    #[serde(default)]
    pub(super) sign_in: SignInWord,
    /// What becomes of what its orders hold once it no longer knows them: kept if left out.
    #[serde(default)]
    pub(super) orphaned: OrphanedWord,
    /// What is done about differences between what it shows and what it should: corrected if left out.
    #[serde(default)]
    pub(super) drift: DriftWord,
    /// How long an unpaid order keeps its reservation, in minutes: 1 to 43200. 60 if left out.
    #[schema(example = 60)]
    pub(super) pending_hold_minutes: Option<u64>,
    /// What its order statuses mean, besides WooCommerce's own.
    #[serde(default)]
    pub(super) statuses: BTreeMap<String, Rule>,
}

impl AddShop {
    /// The same without keys, to be kept sealed until the shop has granted them.
    pub(super) fn to_text(&self) -> SecretString {
        let text = serde_json::json!({
            "name": self.name,
            "url": self.url,
            "webhook_secret": self.webhook_secret.as_ref().map(ExposeSecret::expose_secret),
            "warehouses": self.warehouses,
            "buffer": self.buffer,
            "opening": self.opening,
            "private_addresses": self.private_addresses,
            "sign_in": self.sign_in,
            "pending_hold_minutes": self.pending_hold_minutes,
            "statuses": self.statuses,
        });
        text.to_string().into()
    }
}

/// A shop that was connected.
#[derive(Debug, Serialize, ToSchema)]
pub(in super::super) struct AddedShop {
    /// The shop.
    #[serde(flatten)]
    pub(super) shop: ShopBody,
    /// What to sign webhooks with; not shown again.
    pub(super) webhook_secret: String,
    /// Who makes its webhooks: with `by_hand` enter `webhook_url` and `webhook_secret` in the shop, for each topic.
    pub(super) webhooks: WebhooksWord,
    /// The task that connects it.
    #[schema(example = 1)]
    pub(super) task: i64,
    /// It was connected before and removed: its orders go on where they were.
    pub(super) returned: bool,
}

/// What to change about a shop.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct ChangeShop {
    /// Whether products without a SKU are the SKU of their name, where there is but one of each. Its catalogue is read again
    /// when this is switched on; what was found so stays when it is switched off.
    pub(super) match_names: Option<bool>,
    /// Its address.
    #[schema(example = "https://shop.example")]
    pub(super) url: Option<String>,
    /// User of its REST API.
    #[schema(value_type = Option<String>, write_only)]
    pub(super) consumer_key: Option<SecretString>,
    /// Password of its REST API.
    #[schema(value_type = Option<String>, write_only)]
    pub(super) consumer_secret: Option<SecretString>,
    /// What its webhooks are signed with.
    #[schema(value_type = Option<String>, write_only)]
    pub(super) webhook_secret: Option<SecretString>,
    /// The warehouses it sells from, best first.
    pub(super) warehouses: Option<Vec<String>>,
    /// Kept back from it, of every SKU.
    pub(super) buffer: Option<Amount>,
    /// It may be at a private address.
    pub(super) private_addresses: Option<bool>,
    /// How it is told who calls it: `query` for hosts that drop the `Authorization` header.
    pub(super) sign_in: Option<SignInWord>,
    /// What becomes of what its orders hold once it no longer knows them.
    pub(super) orphaned: Option<OrphanedWord>,
    /// What is done about differences between what it shows and what it should; from the next comparison on.
    pub(super) drift: Option<DriftWord>,
    /// When it is compared with the ledger as a whole by itself: `daily@03:00` (UTC), `every 6h` or `off`.
    #[schema(example = "daily@03:00")]
    pub(super) reconcile: Option<String>,
    /// The status its orders get once all of them is shipped; empty: it is left alone.
    #[schema(example = "completed")]
    pub(super) shipped_status: Option<String>,
    /// The status its orders get once a part of them is shipped; empty: it is left alone.
    pub(super) partly_shipped_status: Option<String>,
    /// Whether its customers get a note with carrier and tracking number.
    pub(super) shipment_note: Option<bool>,
    /// Tags to set; one that is `null` is taken away, the others stay. A shop has at most 32.
    #[serde(default)]
    #[schema(example = json!({"cost-centre": "4711", "price-list": null}))]
    pub(super) tags: BTreeMap<String, Option<String>>,
    /// How long an unpaid order keeps its reservation, in minutes: 1 to 43200.
    pub(super) pending_hold_minutes: Option<u64>,
    /// What some of its order statuses mean; the others stay.
    #[serde(default)]
    pub(super) statuses: BTreeMap<String, Rule>,
}

/// A stock of a shop without SKU.
#[derive(Debug, Serialize, ToSchema)]
pub(in super::super) struct Unmapped {
    /// The product or variation that keeps it.
    #[schema(example = 17)]
    pub(super) stock: i64,
    /// Its name.
    pub(super) name: String,
    /// Why it has none, and what to do.
    pub(super) why: String,
}
