//! What the registry holds: warehouses, shops with their secrets, tokens of users.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ledger::{Routing, StatusMap};
use push::DriftPolicy;
use secrecy::SecretString;
use values::{OrderId, Quantity, ShopId, Timestamp, WarehouseId};

use crate::shipments::Shipping;
use crate::tags::{TagSet, Tags};

/// Most warehouses one shop sells from.
pub const ROUTING_MAX: usize = 32;

/// Who is right about what a warehouse has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WarehouseKind {
    /// The hub's own ledger.
    HubOwned,
    /// An ERP; the ledger follows what it reads there.
    Mirrored,
}

/// A place where stock physically is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warehouse {
    /// Its id.
    pub id: WarehouseId,
    /// Its name, unique.
    pub name: String,
    /// Who owns its numbers.
    pub kind: WarehouseKind,
    /// When it was added.
    pub created_at: Timestamp,
}

/// What adding a warehouse came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WarehouseAdded {
    /// It is there now.
    Added(Warehouse),
    /// Another has the name.
    NameTaken,
}

/// What a shop is connected through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Connector {
    /// WooCommerce's REST API, version 3.
    Woocommerce,
}

/// What becomes of what an order holds whose shop no longer knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Orphaned {
    /// It stays held until somebody releases it.
    #[default]
    Keep,
    /// It is let go.
    Release,
}

/// How a shop is told who calls it. On plain http requests are signed, whatever this says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum SignIn {
    /// In the `Authorization` header.
    #[default]
    Header,
    /// In the query, for hosts that drop that header.
    Query,
}

/// How far a shop has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ShopState {
    /// Its catalogue and baseline are being read; nothing is pushed.
    Connecting,
    /// In service.
    Active,
    /// Taken out of service; what it sold stays in the ledger.
    Removed,
}

/// How often a shop is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PollSettings {
    /// Between reads of changed orders.
    pub orders: Duration,
    /// Between reads of the trash.
    pub trash: Duration,
}

impl Default for PollSettings {
    fn default() -> Self {
        Self { orders: Duration::from_mins(1), trash: Duration::from_mins(10) }
    }
}

/// What may be changed about a shop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShopSettings {
    /// Its address.
    pub url: String,
    /// Where it sells from, best first.
    pub routing: Routing,
    /// Kept back from it, of every SKU.
    pub buffer: Quantity,
    /// What its statuses mean.
    pub statuses: StatusMap,
    /// How long an unpaid order keeps its reservation.
    pub pending_hold: Duration,
    /// How often it is read.
    pub poll: PollSettings,
    /// It may be at a private address.
    pub private_allowed: bool,
    /// How it is told who calls it.
    pub sign_in: SignIn,
    /// What becomes of what its orders hold once it no longer knows them.
    pub orphaned: Orphaned,
    /// What it is told of shipments.
    pub shipping: Shipping,
    /// What it is tagged with.
    pub tags: Tags,
    /// What is done about differences between what it shows and what it should.
    pub drift: DriftPolicy,
}

/// WooCommerce itself cancels unpaid orders after an hour.
const PENDING_HOLD_DEFAULT: Duration = Duration::from_hours(1);

impl ShopSettings {
    /// Those of a shop of which nothing else is said.
    pub fn new(url: impl Into<String>, routing: Routing) -> Self {
        Self {
            url: url.into(),
            routing,
            buffer: Quantity::ZERO,
            statuses: StatusMap::default(),
            pending_hold: PENDING_HOLD_DEFAULT,
            poll: PollSettings::default(),
            private_allowed: false,
            sign_in: SignIn::Header,
            orphaned: Orphaned::Keep,
            shipping: Shipping::default(),
            tags: Tags::default(),
            drift: DriftPolicy::Correct,
        }
    }
}

/// A connected shop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shop {
    /// Its id.
    pub id: ShopId,
    /// Its name, unique among those not removed.
    pub name: String,
    /// What it is connected through.
    pub connector: Connector,
    /// What may be changed.
    pub settings: ShopSettings,
    /// Its tags, as its movements carry them.
    pub tag_set: Option<Arc<TagSet>>,
    /// Where its SKUs start from.
    pub opening: Opening,
    /// Highest number of an order when it was connected; `None` before, or if there was none.
    pub baseline_last: Option<OrderId>,
    /// How far it has come.
    pub state: ShopState,
    /// When it was added.
    pub created_at: Timestamp,
}

/// Where the SKUs of a new shop start from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Opening {
    /// From what the hub knows of them.
    #[default]
    None,
    /// From what the shop shows when its stocks are proven for the first time.
    Take,
}

/// A shop to add.
#[derive(Debug, Clone)]
pub struct NewShop {
    /// Its name.
    pub name: String,
    /// What it is connected through.
    pub connector: Connector,
    /// Its settings.
    pub settings: ShopSettings,
    /// Where its SKUs start from.
    pub opening: Opening,
    /// What it is called with.
    pub secrets: ShopSecrets,
}

/// What a shop is called with and believed by. Sealed at rest; prints as nothing.
#[derive(Clone)]
pub struct ShopSecrets {
    /// User of its REST API.
    pub consumer_key: SecretString,
    /// Password of its REST API.
    pub consumer_secret: SecretString,
    /// What its webhooks are signed with.
    pub webhook_secret: SecretString,
    /// What they were signed with before, while the shop may still use it.
    pub webhook_secret_previous: Option<SecretString>,
}

impl fmt::Debug for ShopSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShopSecrets").finish_non_exhaustive()
    }
}

/// What is needed to take a shop's webhooks. Prints as the shop alone.
#[derive(Clone)]
pub struct WebhookDoor {
    /// Whose webhooks.
    pub shop: ShopId,
    /// SHA-256 of the part of the webhook address that cannot be guessed.
    pub token_hash: [u8; 32],
    /// What they are signed with.
    pub secret: SecretString,
    /// What they were signed with before, while the shop may still use it.
    pub secret_previous: Option<SecretString>,
    /// The shop's orders were read for the first time.
    pub is_read: bool,
}

impl fmt::Debug for WebhookDoor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookDoor").field("shop", &self.shop).finish_non_exhaustive()
    }
}

/// What adding a shop came to.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "made once a shop; boxing would only be in the way")]
pub enum ShopAdded {
    /// It is there now, connecting.
    Added {
        /// The shop.
        shop: Shop,
        /// The part of its webhook address that cannot be guessed.
        webhook_token: SecretString,
        /// It is a removed shop that has come back: its orders go on where they were. Its settings are those it had.
        returned: bool,
    },
    /// Another has the name.
    NameTaken,
    /// It is connected already, under this name: its orders would hold their goods twice.
    AddressTaken(String),
    /// Its routing names a warehouse that is not there.
    UnknownWarehouse(WarehouseId),
}

/// What is proven anew in a new epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpochBegun {
    /// Shops in service.
    pub shop_count: u64,
    /// Their stocks that are to be compared with proof.
    pub stock_count: u64,
}

/// What is to become of what the open orders of a removed shop hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum OpenOrders {
    /// They keep it: most were paid, and their goods are still to be sent.
    #[default]
    Keep,
    /// It is available again.
    Release,
}

/// What the open orders of a shop hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StillHeld {
    /// How many orders reserve something.
    pub order_count: u64,
    /// What they reserve in all.
    pub reserved: Quantity,
}

/// What removing a shop came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShopRemoved {
    /// It is out of service; its open orders held this.
    Removed(StillHeld),
    /// There is no such shop, or no more.
    Unknown,
}

/// Whether two addresses are those of one shop: with http or https, with a slash at the end or without.
pub fn same_address(one: &str, other: &str) -> bool {
    fn place(address: &str) -> &str {
        let rest = address.strip_prefix("https://").or_else(|| address.strip_prefix("http://"));
        rest.unwrap_or(address).trim_end_matches('/')
    }
    place(one).eq_ignore_ascii_case(place(other))
}

/// What changing something of the registry came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changed {
    /// Done.
    Done,
    /// There is no such thing.
    Unknown,
    /// A routing names a warehouse that is not there.
    UnknownWarehouse(WarehouseId),
}

/// What became of a token that was to be revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TokenRevoked {
    /// It is revoked.
    Done,
    /// There is no such valid token.
    Unknown,
    /// It is the only one that administers, and stays.
    LastAdministrator,
}

/// What a token allows; each scope holds those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Look at things.
    Read,
    /// Move stock.
    Operate,
    /// Change the registry.
    Admin,
}

/// A token of the API, without the token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiToken {
    /// Its number.
    pub id: i64,
    /// Whose or what for; the actor of what is done with it.
    pub name: String,
    /// What it allows.
    pub scope: Scope,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// When it was used last, to the minute.
    pub used_at: Option<Timestamp>,
}

macro_rules! words {
    ($name:ident { $($variant:ident = $word:literal),+ $(,)? }) => {
        impl $name {
            /// Its word in storage, API and CLI.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// From its word.
            pub fn from_word(word: &str) -> Option<Self> {
                match word {
                    $($word => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

pub(crate) use words;

words!(WarehouseKind { HubOwned = "hub_owned", Mirrored = "mirrored" });
words!(Opening { None = "none", Take = "take" });
words!(SignIn { Header = "header", Query = "query" });
words!(Connector { Woocommerce = "woocommerce" });
words!(ShopState { Connecting = "connecting", Active = "active", Removed = "removed" });
words!(Scope { Read = "read", Operate = "operate", Admin = "admin" });
