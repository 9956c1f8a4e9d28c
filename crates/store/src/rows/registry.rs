//! What the registry holds, as rows: shops, warehouses, tokens, and the fields of a shop's secrets.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ledger::{Routing, StatusMap, StatusRule};
use push::DriftPolicy;
use secrecy::{ExposeSecret, SecretString};
use sqlx::{ColumnIndex, Decode, FromRow, Row, Type};
use values::{MICROS_PER_SECOND, ShopId, Timestamp, WarehouseId};

use super::{id, json, quantity, timestamp};
use crate::error::Error;
use crate::grant::{GRANT_FAILURE_CHARS_MAX, Grant, GrantEnd, TakenGrant};
use crate::registry::{
    ApiToken, Changed, Connector, NewShop, Opening, Orphaned, PollSettings, Scope, Shop, ShopAdded,
    ShopSecrets, ShopSettings, ShopState, SignIn, TokenRevoked, Warehouse, WarehouseKind, WebhookDoor,
    same_address,
};
use crate::secret::{NO_SHOP, SecretKey, random_token};
use crate::shipments::Shipping;
use crate::tags::{TagSet, Tags};

/// A use is written down at most this often, so that reading through the API does not write each time.
const USED_EVERY_MICROS: i64 = 60 * MICROS_PER_SECOND;
/// Says what it is when it turns up where it should not.
const TOKEN_PREFIX: &str = "onhand_";

const CONSUMER_KEY: &str = "consumer_key";
const CONSUMER_SECRET: &str = "consumer_secret";
const WEBHOOK_SECRET: &str = "webhook_secret";
pub(crate) const WEBHOOK_SECRET_PREVIOUS: &str = "webhook_secret_previous";
pub(crate) const WEBHOOK_TOKEN: &str = "webhook_token";

pub(crate) type WarehouseColumns = (i64, String, String, i64);

pub(crate) fn warehouse(row: WarehouseColumns) -> Result<Warehouse, Error> {
    let (number, name, kind, created_at) = row;
    Ok(Warehouse {
        id: id("warehouse", number)?,
        name,
        kind: WarehouseKind::from_word(&kind).ok_or_else(|| Error::damaged("kind of warehouse", kind))?,
        created_at: timestamp(created_at),
    })
}

/// A shop: what came later has names.
pub(crate) struct ShopColumns {
    first: FirstColumns,
    /// Whether what its orders hold is let go once it no longer knows them.
    releases_orphans: bool,
    shipping: String,
    tag_set: Option<i64>,
    tags: Option<String>,
    drift: String,
}

impl<'r, R: Row> FromRow<'r, R> for ShopColumns
where
    usize: ColumnIndex<R>,
    for<'n> &'n str: ColumnIndex<R>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
    bool: Decode<'r, R::Database> + Type<R::Database>,
    String: Decode<'r, R::Database> + Type<R::Database>,
{
    fn from_row(row: &'r R) -> Result<Self, sqlx::Error> {
        Ok(Self {
            first: FromRow::from_row(row)?,
            releases_orphans: row.try_get("releases_orphans")?,
            shipping: row.try_get("shipping")?,
            tag_set: row.try_get("tag_set")?,
            tags: row.try_get("tags")?,
            drift: row.try_get("drift")?,
        })
    }
}

/// As many as a tuple may have.
type FirstColumns = (
    i64,
    String,
    String,
    String,
    i64,
    i64,
    i64,
    i64,
    bool,
    String,
    String,
    i64,
    Option<i64>,
    bool,
    String,
    String,
);

pub(crate) fn shop_state(word: &str) -> Result<ShopState, Error> {
    ShopState::from_word(word).ok_or_else(|| Error::damaged("state of a shop", word))
}

pub(crate) fn shop(row: ShopColumns) -> Result<Shop, Error> {
    let (
        number,
        name,
        connector,
        url,
        buffer,
        hold,
        orders,
        trash,
        private_allowed,
        statuses,
        state,
        at,
        last,
        opening,
        sign_in,
        routes,
    ) = row.first;
    let warehouses: Vec<i64> =
        serde_json::from_str(&routes).map_err(|_| Error::damaged("routing", &routes))?;
    let warehouses =
        warehouses.into_iter().map(|raw| id("warehouse", raw)).collect::<Result<Vec<WarehouseId>, _>>()?;
    let tag_set = row.tag_set.zip(row.tags).map(|(id, text)| tag_set(id, &text)).transpose()?;
    Ok(Shop {
        id: id("shop", number)?,
        name,
        connector: Connector::from_word(&connector).ok_or_else(|| Error::damaged("connector", connector))?,
        settings: ShopSettings {
            url,
            routing: Routing::new(warehouses).ok_or_else(|| Error::damaged("routing", &routes))?,
            buffer: quantity(buffer),
            statuses: statuses_of(&statuses)?,
            pending_hold: duration(hold)?,
            poll: PollSettings { orders: duration(orders)?, trash: duration(trash)? },
            private_allowed,
            sign_in: SignIn::from_word(&sign_in).ok_or_else(|| Error::damaged("way to sign in", sign_in))?,
            orphaned: if row.releases_orphans { Orphaned::Release } else { Orphaned::Keep },
            shipping: shipping_of(&row.shipping)?,
            tags: tag_set.as_ref().map(|set| set.tags.clone()).unwrap_or_default(),
            drift: DriftPolicy::from_word(&row.drift)
                .ok_or_else(|| Error::damaged("policy on differences", row.drift))?,
        },
        tag_set: tag_set.map(Arc::new),
        opening: if opening { Opening::Take } else { Opening::None },
        baseline_last: last.map(|last| id("order", last)).transpose()?,
        state: shop_state(&state)?,
        created_at: timestamp(at),
    })
}

/// Who has an address.
#[derive(Debug)]
pub(crate) enum Known {
    /// The shop of this name.
    InService(String),
    /// One that was removed; the last, if there were several.
    Removed(ShopId),
}

/// Who has the address, of shops with id, name, address and state: those in service first, then the newest.
pub(crate) fn known_address(
    shops: Vec<(i64, String, String, String)>,
    url: &str,
) -> Result<Option<Known>, Error> {
    let found = shops.into_iter().find(|(_, _, other, _)| same_address(other, url));
    let Some((number, name, _, state)) = found else { return Ok(None) };
    let removed = state == ShopState::Removed.as_str();
    Ok(Some(if removed { Known::Removed(id("shop", number)?) } else { Known::InService(name) }))
}

/// Tags under their number.
pub(crate) fn tag_set(id: i64, text: &str) -> Result<TagSet, Error> {
    Ok(TagSet { id, tags: Tags::from_text(text).ok_or_else(|| Error::damaged("tags", text))? })
}

pub(crate) fn shipping_text(shipping: &Shipping) -> String {
    json(&(&shipping.shipped, &shipping.partly, shipping.note))
}

fn shipping_of(text: &str) -> Result<Shipping, Error> {
    let (shipped, partly, note) =
        serde_json::from_str(text).map_err(|_| Error::damaged("what a shop is told of shipments", text))?;
    Ok(Shipping { shipped, partly, note })
}

/// A shop that was just added under this number, with the number of its tags.
pub(crate) fn added_shop(
    number: i64,
    tags: Option<i64>,
    new: NewShop,
    webhook_token: SecretString,
    now: Timestamp,
) -> Result<ShopAdded, Error> {
    let shop = Shop {
        id: id("shop", number)?,
        name: new.name,
        connector: new.connector,
        tag_set: tags.map(|id| Arc::new(TagSet { id, tags: new.settings.tags.clone() })),
        settings: new.settings,
        opening: new.opening,
        baseline_last: None,
        state: ShopState::Connecting,
        created_at: now,
    };
    Ok(ShopAdded::Added { shop, webhook_token, returned: false })
}

/// What becomes of a token that is to be revoked, from the valid tokens: it, and those that administer.
pub(crate) fn may_be_revoked(valid: &[(i64, String)], id: i64, even_the_last: bool) -> TokenRevoked {
    let is_admin = |(_, scope): &&(i64, String)| scope == Scope::Admin.as_str();
    match valid.iter().find(|(other, _)| *other == id) {
        None => TokenRevoked::Unknown,
        Some(token) if is_admin(&token) && !even_the_last && valid.iter().filter(is_admin).count() == 1 => {
            TokenRevoked::LastAdministrator
        }
        Some(_) => TokenRevoked::Done,
    }
}

pub(crate) const fn done_if(rows_affected: u64) -> Changed {
    if rows_affected == 0 { Changed::Unknown } else { Changed::Done }
}

pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn duration(millis: i64) -> Result<Duration, Error> {
    u64::try_from(millis).map(Duration::from_millis).map_err(|_| Error::damaged("duration", millis))
}

const RULES: [(&str, StatusRule); 6] = [
    ("reserve_pending", StatusRule::ReservePending),
    ("reserve", StatusRule::Reserve),
    ("deduct", StatusRule::Deduct),
    ("release", StatusRule::Release),
    ("ignore", StatusRule::Ignore),
    ("follow", StatusRule::Follow),
];

pub(crate) fn statuses_text(statuses: &StatusMap) -> String {
    let word = |wanted| RULES.iter().find(|(_, rule)| *rule == wanted).map_or("follow", |(word, _)| word);
    let words: BTreeMap<&str, &str> = statuses.iter().map(|(status, rule)| (status, word(rule))).collect();
    json(&words)
}

fn statuses_of(text: &str) -> Result<StatusMap, Error> {
    let words: BTreeMap<String, String> =
        serde_json::from_str(text).map_err(|_| Error::damaged("status map", text))?;
    words.iter().try_fold(StatusMap::default(), |statuses, (status, word)| {
        let (_, rule) = RULES
            .iter()
            .find(|(known, _)| known == word)
            .ok_or_else(|| Error::damaged("rule of a status", word))?;
        Ok(statuses.with(status, *rule))
    })
}

/// The secrets of a shop with the fields they are sealed as.
pub(crate) fn secret_fields(secrets: &ShopSecrets) -> impl Iterator<Item = (&'static str, &SecretString)> {
    let previous = secrets.webhook_secret_previous.as_ref();
    let always = [
        (CONSUMER_KEY, &secrets.consumer_key),
        (CONSUMER_SECRET, &secrets.consumer_secret),
        (WEBHOOK_SECRET, &secrets.webhook_secret),
    ];
    always.into_iter().chain(previous.map(|previous| (WEBHOOK_SECRET_PREVIOUS, previous)))
}

/// `None` if the shop has none any more.
pub(crate) fn shop_secrets(mut fields: BTreeMap<String, SecretString>) -> Option<ShopSecrets> {
    Some(ShopSecrets {
        consumer_key: fields.remove(CONSUMER_KEY)?,
        consumer_secret: fields.remove(CONSUMER_SECRET)?,
        webhook_secret: fields.remove(WEBHOOK_SECRET)?,
        webhook_secret_previous: fields.remove(WEBHOOK_SECRET_PREVIOUS),
    })
}

/// Shop, hash of its token, sealed secret, sealed previous secret, whether its orders were read.
pub(crate) type DoorColumns = (i64, Vec<u8>, Vec<u8>, Option<Vec<u8>>, bool);

pub(crate) fn webhook_door(key: &SecretKey, row: DoorColumns) -> Result<WebhookDoor, Error> {
    let (number, hash, secret, previous, is_read) = row;
    let shop = id("shop", number)?;
    let hash = hash.try_into();
    let token_hash = hash.map_err(|_| Error::damaged("hash of a webhook token", number))?;
    let open = |field, sealed: Vec<u8>| {
        key.open(number, field, &sealed).map_err(|source| Error::Secret { shop: number, source })
    };
    let secret = open(WEBHOOK_SECRET, secret)?;
    let secret_previous = previous.map(|sealed| open(WEBHOOK_SECRET_PREVIOUS, sealed)).transpose()?;
    Ok(WebhookDoor { shop, token_hash, secret, secret_previous, is_read })
}

/// What is sealed of a shop, opened.
pub(crate) fn open_fields(
    key: &SecretKey,
    shop: ShopId,
    rows: Vec<(String, Vec<u8>)>,
) -> Result<BTreeMap<String, SecretString>, Error> {
    rows.into_iter()
        .map(|(field, sealed)| {
            let opened = key
                .open(shop.get(), &field, &sealed)
                .map_err(|source| Error::Secret { shop: shop.get(), source })?;
            Ok((field, opened))
        })
        .collect()
}

/// The text of a new token of the API.
pub(crate) fn new_token() -> SecretString {
    format!("{TOKEN_PREFIX}{}", random_token().expose_secret()).into()
}

/// Whether a use of the token is to be written down once more.
pub(crate) fn is_use_stale(token: &ApiToken, now: Timestamp) -> bool {
    token.used_at.is_none_or(|used_at| now.micros().saturating_sub(used_at.micros()) >= USED_EVERY_MICROS)
}

pub(crate) type TokenColumns = (i64, String, String, i64, Option<i64>, Option<i64>);

pub(crate) fn token(row: TokenColumns) -> Result<ApiToken, Error> {
    let (id, name, scope, created_at, revoked_at, used_at) = row;
    Ok(ApiToken {
        id,
        name,
        scope: Scope::from_word(&scope).ok_or_else(|| Error::damaged("scope", scope))?,
        created_at: timestamp(created_at),
        revoked_at: revoked_at.map(timestamp),
        used_at: used_at.map(timestamp),
    })
}

/// Number, name, expires at, taken at, task, failure.
pub(crate) type GrantColumns = (i64, String, i64, Option<i64>, Option<i64>, Option<String>);

/// As what a grant's content is sealed.
pub(crate) const GRANT: &str = "grant";

pub(crate) fn grant(row: GrantColumns) -> Grant {
    let (id, name, expires, taken, task, failure) = row;
    let ended = match (task, failure) {
        (Some(task), _) => Some(GrantEnd::Connected { task }),
        (None, failure) => failure.map(|why| GrantEnd::Failed { why }),
    };
    Grant { id, name, expires_at: timestamp(expires), taken_at: taken.map(timestamp), ended }
}

/// What waited under a state.
pub(crate) fn taken_grant(key: &SecretKey, id: i64, sealed: &[u8]) -> Result<TakenGrant, Error> {
    let opened = key.open(NO_SHOP, GRANT, sealed);
    Ok(TakenGrant { id, content: opened.map_err(|source| Error::Secret { shop: NO_SHOP, source })? })
}

/// Task and failure, as they are kept.
pub(crate) fn grant_end(end: &GrantEnd) -> (Option<i64>, Option<String>) {
    match end {
        GrantEnd::Connected { task } => (Some(*task), None),
        GrantEnd::Failed { why } => (None, Some(why.chars().take(GRANT_FAILURE_CHARS_MAX).collect())),
    }
}
