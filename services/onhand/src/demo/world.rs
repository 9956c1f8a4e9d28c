//! What the demo plays with: onhand in a directory of its own, warehouses, and fake shops that sell the same goods.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use process::CallShare;
use process::backoff::Backoff;
use process::config::{self, Source};
use process::serve::Limits;
use reqwest::Url;
use secrecy::SecretString;
use serde_json::{Value, json};
use store::PollSettings;
use tempfile::TempDir;
use testkit::fake_shop::{FakeShop, FakeShopOptions};
use testkit::shop::{NewLine, NewProduct, NewVariation, Shop as ShopModel, Topic};
use values::{HolderId, ProductId, ShopId, Sku, Timestamp, VariationId};

use super::demand::Demand;
use super::dice::Dice;
use super::{DemoError, Plan};
use crate::api::Api;
use crate::connection::{ADMIN_TOKEN_FILE, Connection, Public};
use crate::secret_input;
use crate::standalone::{self, Options, ServiceSettings, Standalone};

/// Where the goods are.
const WAREHOUSES: [&str; 2] = ["north", "south"];
/// Of a hundred goods, those a shop shows wrongly when it is connected.
const WRONG_PERCENT: usize = 10;
/// Of so many goods, as many are variations of one product; pushes to those go in a call of their own.
const GROUP: usize = 50;
const VARIATIONS_IN_GROUP: usize = 10;

/// Operations of one call, as the API allows.
const OPERATIONS_A_CALL: usize = 1_000;

/// How often the demo has onhand read a shop; a real one is read every minute.
const POLL: PollSettings = PollSettings { orders: Duration::from_secs(2), trash: Duration::from_secs(5) };

/// Calls to one shop, to read and to push.
const CALLS: CallShare = CallShare::per_minute(3_000);

/// A stock that sold meanwhile is compared again so soon: when the buyers have gone, the demo is to end.
const SETTLE_AGAIN: Backoff = Backoff { first: Duration::from_secs(5), max: Duration::from_secs(15) };

/// How slow a call to a fake shop is, and each item of a batch, and each step of a write.
const SHOP_LATENCY: Duration = Duration::from_millis(15);
const SHOP_ITEM_LATENCY: Duration = Duration::from_millis(1);
const SHOP_STEP_PAUSE: Duration = Duration::from_millis(2);
/// How often a fake shop sends what it has to tell; a real one takes up to a minute.
const DELIVERY_PERIOD: Duration = Duration::from_millis(500);

/// Everything the demo started.
#[derive(Debug)]
pub(super) struct World {
    pub(super) hub: Standalone,
    pub(super) api: Api,
    pub(super) shops: Vec<DemoShop>,
    pub(super) skus: Vec<Sku>,
    /// Units each shop keeps back of each good.
    pub(super) buffer: i64,
    /// What was received into all warehouses together.
    pub(super) received: BTreeMap<Sku, i64>,
    /// Removed with everything in it when the demo ends.
    _directory: TempDir,
}

/// A fake shop and how onhand knows it.
#[derive(Debug)]
pub(super) struct DemoShop {
    pub(super) name: String,
    pub(super) id: ShopId,
    /// The task that reads its catalogue and orders.
    pub(super) connecting: Value,
    pub(super) fake: FakeShop,
    /// What it sells; in the order of the world's SKUs.
    pub(super) goods: Vec<Good>,
}

/// What a shop sells under one SKU.
#[derive(Debug, Clone, Copy)]
pub(super) struct Good {
    pub(super) product: ProductId,
    pub(super) variation: Option<VariationId>,
}

impl Good {
    pub(super) fn line(self, quantity: i64) -> NewLine {
        NewLine { product: self.product, variation: self.variation, quantity, total: None }
    }

    /// Where the shop keeps its quantity.
    pub(super) fn holder(self) -> HolderId {
        self.variation.map_or_else(|| self.product.into(), HolderId::from)
    }
}

impl World {
    /// Starts everything and connects the shops; they are being read when this returns.
    pub(super) async fn open(plan: &Plan) -> Result<Self, DemoError> {
        let directory =
            tempfile::Builder::new().prefix("onhand-demo-").tempdir().map_err(DemoError::Directory)?;
        let hub = standalone::start(options(directory.path())).await?;
        let api = api(&hub, directory.path())?;
        let skus = (1..=plan.skus)
            .map(|number| format!("DEMO-{number:05}").parse().expect("a short code is a SKU"))
            .collect();
        let mut world = Self {
            hub,
            api,
            shops: Vec::new(),
            skus,
            buffer: plan.buffer,
            received: BTreeMap::new(),
            _directory: directory,
        };
        let mut dice = Dice::new(plan.seed);
        for warehouse in WAREHOUSES {
            world.api.post(&["warehouses"], &json!({ "name": warehouse })).await?;
        }
        world.fill_warehouses(Demand::of(plan), &mut dice).await?;
        for number in 0..usize::try_from(plan.shops).unwrap_or(1) {
            let shop = world.connect(number, plan.webhooks, &mut dice).await?;
            world.shops.push(shop);
        }
        Ok(world)
    }

    async fn fill_warehouses(&mut self, demand: Demand, dice: &mut Dice) -> Result<(), DemoError> {
        let mut operations = Vec::new();
        for (number, sku) in self.skus.iter().enumerate() {
            let (least, most) = demand.stocked(number, WAREHOUSES.len());
            // What no shop offers lies there besides.
            let mut kept_back = self.buffer;
            for warehouse in WAREHOUSES {
                let units = dice.units(least, most) + std::mem::take(&mut kept_back);
                *self.received.entry(sku.clone()).or_default() += units;
                operations.push(receipt(sku, warehouse, units));
            }
        }
        for some in operations.chunks(OPERATIONS_A_CALL) {
            self.api.operate(&json!({ "operations": some }), None).await?;
        }
        Ok(())
    }

    async fn connect(&self, number: usize, webhooks: bool, dice: &mut Dice) -> Result<DemoShop, DemoError> {
        let fake = FakeShop::start(FakeShopOptions {
            latency: SHOP_LATENCY,
            item_latency: SHOP_ITEM_LATENCY,
            step_pause: SHOP_STEP_PAUSE,
            delivery_period: webhooks.then_some(DELIVERY_PERIOD),
            ..FakeShopOptions::default()
        });
        let fake = fake.await.map_err(DemoError::FakeShop)?;
        let goods = fake.with_model(|model, now| self.fill_shop(model, now, dice));
        let name = format!("shop-{}", number + 1);
        let mut warehouses = WAREHOUSES;
        // Every other shop prefers the other warehouse.
        warehouses.rotate_left(number % WAREHOUSES.len());
        let body = json!({
            "name": name,
            "url": fake.url(),
            "consumer_key": FakeShopOptions::KEY,
            "consumer_secret": FakeShopOptions::SECRET,
            "warehouses": warehouses,
            "buffer": self.buffer.to_string(),
            "opening": "none",
            "private_addresses": true,
        });
        let added = self.api.post(&["shops"], &body).await?;
        let shops = self.hub.store.shops(None).await?;
        let shop = shops.into_iter().find(|shop| shop.name == name).ok_or(DemoError::ShopGone)?;
        let settings = store::ShopSettings { poll: POLL, ..shop.settings };
        self.hub.store.change_shop(shop.id, &settings).await?;
        if webhooks {
            let answer = |field| added.get(field).and_then(Value::as_str).unwrap_or_default();
            let address = webhook_address(self.hub.address, answer("webhook_url"));
            let secret = answer("webhook_secret");
            fake.with_model(|model, now| {
                for topic in TOPICS {
                    model.create_webhook(topic, &address, secret, now);
                }
            });
        }
        Ok(DemoShop { name, id: shop.id, connecting: added, fake, goods })
    }

    /// Puts the goods on the shelves, some in a wrong number.
    fn fill_shop(&self, model: &mut ShopModel, now: Timestamp, dice: &mut Dice) -> Vec<Good> {
        let mut goods = Vec::with_capacity(self.skus.len());
        for group in self.skus.chunks(GROUP) {
            let (variations, simple) = group.split_at(VARIATIONS_IN_GROUP.min(group.len() / 2));
            let mut units = |sku: &Sku| {
                let right = (self.received.get(sku).copied().unwrap_or(0) - self.buffer).max(0);
                if dice.chance(WRONG_PERCENT) { dice.units(0, right) } else { right }
            };
            if !variations.is_empty() {
                let parent = model.add_product(NewProduct::variable(None, None), now);
                for sku in variations {
                    let new = NewVariation::with_stock(Some(sku.clone()), units(sku));
                    let variation = model.add_variation(parent, new, now);
                    goods.push(Good { product: parent, variation: Some(variation) });
                }
            }
            for sku in simple {
                let product = model.add_product(NewProduct::simple(Some(sku.clone()), units(sku)), now);
                goods.push(Good { product, variation: None });
            }
        }
        goods
    }

    /// Where receipts go in turn.
    pub(super) fn warehouse(dice: &mut Dice) -> &'static str {
        dice.pick(&WAREHOUSES).copied().unwrap_or(WAREHOUSES[0])
    }
}

pub(super) fn receipt(sku: &Sku, warehouse: &str, units: i64) -> Value {
    json!({ "kind": "receive", "sku": sku.as_str(), "warehouse": warehouse, "quantity": units.to_string() })
}

fn options(directory: &Path) -> Options {
    Options {
        data_dir: directory.join("data"),
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        public: Public::default(),
        http: Limits::default(),
        services: settings(),
    }
}

/// As in earnest, but for how often a shop is called: these shops are quick, and the demo is short.
fn settings() -> ServiceSettings {
    let nothing_set = Source::default();
    let mut settings = config::read(&nothing_set, ServiceSettings::GROUPS, ServiceSettings::from_source)
        .expect("every default can be read");
    settings.ingress.calls = CALLS;
    settings.egress.calls = CALLS;
    settings.egress.settle_delay = SETTLE_AGAIN.first;
    settings.egress.settle_repeat = SETTLE_AGAIN;
    settings
}

fn api(hub: &Standalone, directory: &Path) -> Result<Api, DemoError> {
    let token: SecretString =
        secret_input::from_file(&directory.join("data").join(ADMIN_TOKEN_FILE), "token")?;
    let url = format!("http://{}", hub.address);
    Ok(Api::new(&Connection { url, token, public_url: None })?)
}

/// The address onhand gave, or its path at the address onhand listens on.
fn webhook_address(hub: SocketAddr, given: &str) -> String {
    let path = Url::parse(given).map_or_else(|_| given.to_owned(), |url| url.path().to_owned());
    format!("http://{hub}{path}")
}

/// The topics a merchant sets up.
const TOPICS: [Topic; 5] = [
    Topic::OrderCreated,
    Topic::OrderUpdated,
    Topic::OrderDeleted,
    Topic::OrderRestored,
    Topic::ProductUpdated,
];
