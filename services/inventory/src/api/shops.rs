//! Shops: connecting, changing, disconnecting. Their secrets go in and never come out.

mod body;
pub(super) mod counts;
pub(super) mod doctor;
pub(super) mod grants;
mod removal;
mod settings;

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use process::clock;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use store::{
    Changed, Connector, NewShop, Opening, Scope, Shop, ShopAdded, ShopRemoved, ShopSecrets, ShopSettings,
    ShopState, TaskKind, UnmappedCause, UnmappedStock, same_address,
};
use utoipa::ToSchema;
use values::{HolderId, StockId};

use super::auth::Caller;
use super::extract::{Body, Path, Query};
use super::names::{self, Warehouses};
use super::page::{Page, PageQuery};
use super::problem::{Kind, Problem};
use super::reconcile;
use super::{Served, Shared, created, tasks};
use crate::error::patiently;
pub(super) use body::tag_map;
use body::{AddShop, AddedShop, ChangeShop, ReadingCalls, ShopBody, Unmapped, WebhooksWord};
use grants::AskedGrant;
use removal::{RemoveQuery, RemovedShop};

/// How often a change is worked out anew because somebody else has made one meanwhile.
const CHANGES_MAX: u32 = 5;

/// List shops
///
/// Those that were removed are left out.
#[utoipa::path(get, path = "/shops", tag = "registry", operation_id = "list_shops", params(PageQuery),
    responses((status = 200, body = Page<ShopBody>)))]
pub(super) async fn list(
    State(parts): State<Shared>,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<ShopBody>>, Problem> {
    let asked = query.of("shops")?;
    let after: Option<i64> = asked.after(|key| key.parse().ok())?;
    let warehouses = Warehouses::load(&parts.store).await?;
    let mut shops = parts.store.shops(None).await?;
    shops.sort_unstable_by_key(|shop| shop.id);
    shops.retain(|shop| shop.state != ShopState::Removed && after.is_none_or(|after| shop.id.get() > after));
    shops.truncate(asked.rows());
    Ok(Json(asked.page(shops, |shop| shop.id.to_string(), |shop| ShopBody::new(&shop, &warehouses))))
}

/// Read a shop
///
/// With an admin's token also the address for its webhooks, which nobody else should know.
#[utoipa::path(get, path = "/shops/{name}", tag = "registry", operation_id = "read_shop",
    params(("name" = String, Path, description = "Its name")), responses((status = 200, body = ShopBody)))]
pub(super) async fn read(
    State(parts): State<Shared>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Json<ShopBody>, Problem> {
    let shop = names::shop(&parts.store, &name).await?;
    let mut body = ShopBody::new(&shop, &Warehouses::load(&parts.store).await?);
    body.lane = parts.store.lane(shop.id).await?.map(Into::into);
    let reading = parts.store.reading(shop.id).await?;
    body.reading_calls = reading.as_ref().map(|reading| ReadingCalls::of(reading, clock::now()));
    body.reading = reading.map(Into::into);
    body.match_names = Some(parts.store.matches_names(shop.id).await?);
    body.reconcile = Some(reconcile::schedule_text(&parts, shop.id).await?);
    let conditions = parts.store.conditions(shop.id).await?;
    body.conditions = Some(conditions.into_iter().map(Into::into).collect());
    if shop.opening == Opening::Take {
        body.openings = Some(parts.store.openings(shop.id).await?.into());
    }
    if caller.scope == Scope::Admin {
        let token = parts.store.webhook_token(shop.id).await?;
        body.webhook_url = token.map(|token| webhook_url(&parts, &token));
    }
    Ok(Json(body))
}

/// Connect a shop
///
/// Its state is `connecting` until the task is done: the shop is tested, its catalogue and open orders are read, each of
/// its stocks is compared with proof. Nothing is pushed to a stock before that. Its webhooks are made then, if onhand knows
/// its public address; else enter `webhook_url` and `webhook_secret` in the shop; the secret is not shown again. One that was removed is known by its address: it comes back as itself, and
/// its orders hold nothing twice.
///
/// With neither `consumer_key` nor `consumer_secret` nothing is added yet: the answer names a page of the shop on which its
/// owner lets it grant them, and a grant to follow. This needs a public address with https.
#[utoipa::path(post, path = "/shops", tag = "registry", operation_id = "add_shop", request_body = AddShop,
    responses((status = 201, body = AddedShop), (status = 202, body = AskedGrant)))]
pub(super) async fn add(State(parts): State<Shared>, Body(new): Body<AddShop>) -> Result<Response, Problem> {
    names::check_shop_name(&new.name)?;
    new.settings(&Warehouses::load(&parts.store).await?)?;
    let keys = match (&new.consumer_key, &new.consumer_secret) {
        (None, None) => return grants::ask(&parts, new).await,
        (Some(key), Some(secret)) => Keys {
            consumer_key: settings::secret("consumer_key", key)?,
            consumer_secret: settings::secret("consumer_secret", secret)?,
        },
        _ => {
            return Err(Problem::invalid(
                "give both consumer_key and consumer_secret, or neither to have the shop grant them",
            ));
        }
    };
    let connected = connect(&parts, &new, &keys).await?;
    Ok(created(connected))
}

/// What a shop is called with.
struct Keys {
    consumer_key: SecretString,
    consumer_secret: SecretString,
}

/// Adds a shop, and has it connected.
async fn connect(parts: &Served, new: &AddShop, keys: &Keys) -> Result<AddedShop, Problem> {
    let warehouses = Warehouses::load(&parts.store).await?;
    let webhook_secret = new.webhook_secret.clone().unwrap_or_else(random_secret);
    let shop = NewShop {
        name: new.name.clone(),
        connector: Connector::Woocommerce,
        settings: new.settings(&warehouses)?,
        opening: new.opening.into(),
        secrets: ShopSecrets {
            consumer_key: settings::secret("consumer_key", &keys.consumer_key)?,
            consumer_secret: settings::secret("consumer_secret", &keys.consumer_secret)?,
            webhook_secret: settings::webhook_secret(&webhook_secret)?,
            webhook_secret_previous: None,
        },
    };
    let added = parts.inventory.add_shop(shop).await?;
    let (shop, token, returned) = match added {
        ShopAdded::Added { shop, webhook_token, returned } => (shop, webhook_token, returned),
        ShopAdded::NameTaken => {
            return Err(Problem::new(Kind::NameTaken, format!("there already is a shop {:?}", new.name)));
        }
        ShopAdded::AddressTaken(name) => {
            return Err(address_taken(&new.url, &name));
        }
        ShopAdded::UnknownWarehouse(_) => return Err(warehouse_gone()),
    };
    let task = tasks::add(&parts.store, shop.id, TaskKind::Connect).await?;
    let webhook_url = webhook_url(parts, &token);
    Ok(AddedShop {
        shop: ShopBody { webhook_url: Some(webhook_url), ..ShopBody::new(&shop, &warehouses) },
        webhook_secret: webhook_secret.expose_secret().to_owned(),
        webhooks: WebhooksWord::of(parts),
        task,
        returned,
    })
}

/// Change a shop
///
/// What is left out stays as it is. After a change of `webhook_secret` what the shop still signs with the old one is
/// believed too.
#[utoipa::path(patch, path = "/shops/{name}", tag = "registry", operation_id = "change_shop", request_body = ChangeShop,
    params(("name" = String, Path, description = "Its name")), responses((status = 200, body = ShopBody)))]
pub(super) async fn change(
    State(parts): State<Shared>,
    Path(name): Path<String>,
    Body(change): Body<ChangeShop>,
) -> Result<Json<ShopBody>, Problem> {
    let mut shop = names::shop(&parts.store, &name).await?;
    let warehouses = Warehouses::load(&parts.store).await?;
    let changed = change.settings(&shop.settings, &warehouses)?;
    let schedule = change.reconcile.as_deref().map(reconcile::schedule).transpose()?;
    let secrets = change.secrets(parts.store.shop_secrets(shop.id).await?)?;
    if let Some(secrets) = secrets {
        done(patiently(|| parts.store.set_shop_secrets(shop.id, &secrets)).await?, &name)?;
    }
    if let Some(on) = change.match_names
        && on != parts.store.matches_names(shop.id).await?
    {
        done(patiently(|| parts.store.set_matches_names(shop.id, on)).await?, &name)?;
        if on && shop.state == ShopState::Active {
            tasks::add(&parts.store, shop.id, TaskKind::Catalogue).await?;
        }
    }
    change_settings(&parts, &mut shop, changed, |now| change.settings(now, &warehouses)).await?;
    if let Some(schedule) = schedule {
        patiently(|| parts.store.set_schedule(shop.id, schedule, clock::now())).await?;
    }
    let mut body = ShopBody::new(&shop, &warehouses);
    body.reconcile = Some(reconcile::schedule_text(&parts, shop.id).await?);
    Ok(Json(body))
}

/// Changes them to `wanted`. If somebody else has changed them meanwhile it is worked out anew what is wanted, so that his
/// change stays.
async fn change_settings(
    parts: &Served,
    shop: &mut Shop,
    mut wanted: ShopSettings,
    of: impl Fn(&ShopSettings) -> Result<ShopSettings, Problem>,
) -> Result<(), Problem> {
    for _ in 0..CHANGES_MAX {
        if wanted == shop.settings {
            return Ok(());
        }
        if !same_address(&wanted.url, &shop.settings.url) {
            let shops = parts.store.shops(None).await?;
            let in_service = |other: &&Shop| other.state != ShopState::Removed;
            let other =
                shops.iter().filter(in_service).find(|other| same_address(&other.settings.url, &wanted.url));
            if let Some(other) = other {
                return Err(address_taken(&wanted.url, &other.name));
            }
        }
        if let Some(changed) = parts.inventory.change_shop_from(shop.id, &shop.settings, &wanted).await? {
            done(changed, &shop.name)?;
            shop.settings = wanted;
            return Ok(());
        }
        *shop = names::shop(&parts.store, &shop.name).await?;
        wanted = of(&shop.settings)?;
    }
    Err(Problem::new(Kind::NotNow, "others change the shop all the time; repeating is safe"))
}

/// Disconnect a shop
///
/// Our webhooks in it are deleted, if it answers within ten seconds; the answer says so. Nothing more is read from it or pushed
/// to it and its secrets are forgotten. What it sold stays in the ledger. Its open
/// orders keep what they hold, since goods that were paid are still to be sent, and are listed as orphaned; with
/// `orders=release` all of it is available again.
#[utoipa::path(delete, path = "/shops/{name}", tag = "registry", operation_id = "remove_shop",
    params(("name" = String, Path, description = "Its name"), RemoveQuery),
    responses((status = 200, body = RemovedShop)))]
pub(super) async fn remove(
    State(parts): State<Shared>,
    Path(name): Path<String>,
    Query(query): Query<RemoveQuery>,
) -> Result<Json<RemovedShop>, Problem> {
    let shop = names::shop(&parts.store, &name).await?;
    let unhooked = removal::unhook(&parts.store, shop.id).await?;
    match parts.inventory.remove_shop(shop.id, query.orders.into()).await? {
        ShopRemoved::Removed(held) => Ok(Json(RemovedShop::new(held, query.orders, unhooked))),
        ShopRemoved::Unknown => Err(Problem::not_found(format_args!("shop {name:?}"))),
    }
}

/// What is published again.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Republished {
    /// Stocks whose level goes out once more. Those that wait to go out anyway are not counted.
    #[schema(example = 120)]
    stocks: u64,
}

/// Publish every level of a shop again
///
/// For what a broker lost: levels are published once, and not again before they change. Egress takes each that it knows
/// already without a call to the shop.
#[utoipa::path(post, path = "/shops/{name}/republish", tag = "registry", operation_id = "republish_shop",
    params(("name" = String, Path, description = "Its name")), responses((status = 200, body = Republished)))]
pub(super) async fn republish(
    State(parts): State<Shared>,
    Path(name): Path<String>,
) -> Result<Json<Republished>, Problem> {
    let shop = names::shop(&parts.store, &name).await?;
    Ok(Json(Republished { stocks: parts.inventory.republish(shop.id).await? }))
}

/// List stocks of a shop without SKU
#[utoipa::path(get, path = "/shops/{name}/unmapped", tag = "registry", operation_id = "list_unmapped",
    params(("name" = String, Path, description = "Name of the shop"), PageQuery),
    responses((status = 200, body = Page<Unmapped>)))]
pub(super) async fn unmapped(
    State(parts): State<Shared>,
    Path(name): Path<String>,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<Unmapped>>, Problem> {
    let asked = query.of("unmapped")?;
    let shop = names::shop(&parts.store, &name).await?;
    let after = asked.after(|key| key.parse::<HolderId>().ok())?;
    let after = after.map(|holder| StockId { shop: shop.id, holder });
    let rows = parts.store.unmapped(shop.id, after, asked.limit).await?;
    Ok(Json(asked.page(rows, |row| row.stock.holder.to_string(), unmapped_body)))
}

fn unmapped_body(row: UnmappedStock) -> Unmapped {
    let why = match row.cause {
        UnmappedCause::NoSku => {
            "it has no SKU, or one that cannot be used; give it one in the shop".to_owned()
        }
        UnmappedCause::SkuTaken { sku, by } => {
            format!("stock {by} of the shop already has the SKU {sku}; give one of them another")
        }
    };
    Unmapped { stock: row.stock.holder.get(), name: row.name, why }
}

fn webhook_url(parts: &Served, token: &SecretString) -> String {
    let base = parts.public_url.as_deref().unwrap_or_default().trim_end_matches('/');
    format!("{base}/webhooks/{}", token.expose_secret())
}

fn address_taken(url: &str, name: &str) -> Problem {
    Problem::new(
        Kind::AddressTaken,
        format!(
            "the shop at {url} is connected already, as {name:?}; a second time its orders would count twice"
        ),
    )
}

/// 244 random bits, of a generator that is made for secrets and seeded by the system (`rand`'s, which `uuid` is set to use).
fn random_secret() -> SecretString {
    format!("{}{}", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple()).into()
}

fn done(changed: Changed, name: &str) -> Result<(), Problem> {
    match changed {
        Changed::Done => Ok(()),
        Changed::Unknown => Err(Problem::not_found(format_args!("shop {name:?}"))),
        Changed::UnknownWarehouse(_) => Err(warehouse_gone()),
    }
}

/// Warehouses are never removed.
fn warehouse_gone() -> Problem {
    Problem::internal("a warehouse that was just found is not there")
}
