//! What is measured on: a server of each kind that keeps what it confirmed, and a database as full as is asked for.

use std::sync::Arc;

use anyhow::{Context, bail};
use ledger::Routing;
use store::{
    Connector, NewShop, Opening, PostgresOptions, SecretKey, ShopAdded, ShopSecrets, ShopSettings, Store,
    WarehouseAdded, WarehouseKind,
};
use testkit::servers::postgres::{Database, Postgres};
use testkit::servers::rabbitmq::RabbitMq;
use tokio::task::spawn_blocking;
use values::{ShopId, Timestamp, WarehouseId};

/// Warehouses that every shop sells from, each beginning with another one.
const WAREHOUSES: usize = 4;
/// On hand of each SKU in each warehouse, in thousandths.
const ON_HAND: i64 = 1_000_000_000;
/// The same of the SKU that everybody wants: more is sold than there is.
const ON_HAND_HOT: i64 = 1_000_000;
/// The time of all that was there before.
const BEFORE: Timestamp = Timestamp::from_seconds(1);

/// How much there is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    /// SKUs, aside from the one that everybody wants.
    pub(crate) skus: u32,
    pub(crate) shops: u32,
    /// Shops that sell each of the SKUs.
    pub(crate) sellers: u32,
}

/// The servers.
#[derive(Debug)]
pub(crate) struct Servers {
    pub(crate) broker: RabbitMq,
}

impl Servers {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        Ok(Self { broker: spawn_blocking(RabbitMq::own).await? })
    }
}

/// A database with shops, SKUs and stock.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) size: Size,
    pub(crate) database: Database,
    /// As a process keeps it that runs for long: what it remembers of listings outlives a run.
    pub(crate) store: Arc<Store>,
    pub(crate) shops: Vec<ShopId>,
    /// Orders that were made so far: their numbers go on from here.
    pub(crate) orders_made: u32,
}

impl World {
    pub(crate) async fn make(size: Size) -> anyhow::Result<Self> {
        Self::on(spawn_blocking(Postgres::durable).await?, size).await
    }

    /// On a server that counts statements.
    pub(crate) async fn counting(size: Size) -> anyhow::Result<Self> {
        let world = Self::on(spawn_blocking(Postgres::counting).await?, size).await?;
        world.database.run("CREATE EXTENSION pg_stat_statements SCHEMA public");
        Ok(world)
    }

    async fn on(server: Postgres, size: Size) -> anyhow::Result<Self> {
        let migrate = |url: String| async move {
            store::migrate_postgres(&PostgresOptions::new(url.into())).await.expect("it is empty");
        };
        let database = server.database("of the bench", migrate).await;
        let options = PostgresOptions::new(database.url().into());
        let store = Arc::new(Store::open_postgres(&options, SecretKey::from_bytes([1; 32])).await?);
        let warehouses = warehouses(&store).await?;
        let mut shops = Vec::new();
        for number in 0..size.shops {
            shops.push(shop(&store, number, &warehouses).await?);
        }
        let world = Self { size, database, store, shops, orders_made: 0 };
        world.fill(&warehouses);
        Ok(world)
    }

    /// The place of the SKU that everybody wants.
    pub(crate) const fn hot(&self) -> u32 {
        self.size.skus
    }

    /// Straight into the tables, as receipts and catalogues would have left them.
    fn fill(&self, warehouses: &[WarehouseId]) {
        let Size { skus, shops, sellers } = self.size;
        let number = |index: &WarehouseId| index.get();
        let warehouse_list = list(warehouses.iter().map(number));
        let shop_list = list(self.shops.iter().map(|shop| shop.get()));
        let on_hand = format!("CASE n WHEN {skus} THEN {ON_HAND_HOT} ELSE {ON_HAND} END::bigint");
        let sku = "'SKU-' || lpad((n + 1)::text, 7, '0')";
        let statements = [
            format!(
                "INSERT INTO inventory.skus (sku, movement_count, balances)
                 SELECT {sku}, {WAREHOUSES},
                        (SELECT json_agg(json_build_array(w, {on_hand}, 0, 1) ORDER BY w)::text
                           FROM unnest({warehouse_list}) AS w)
                   FROM generate_series(0, {skus}) AS n ORDER BY n"
            ),
            format!(
                "INSERT INTO inventory.movements
                        (sku_id, number, warehouse, kind, on_hand_delta, reserved_delta, on_hand, reserved, at, actor)
                 SELECT k.id, w.number, w.id, 'receipt', {on_hand}, 0, {on_hand}, 0, {at}, 'bench'
                   FROM generate_series(0, {skus}) AS n JOIN inventory.skus AS k ON k.sku = {sku}
                  CROSS JOIN unnest({warehouse_list}) WITH ORDINALITY AS w (id, number)
                  ORDER BY k.id, w.number",
                at = BEFORE.micros()
            ),
            format!(
                "CREATE UNLOGGED TABLE sold AS
                 SELECT ({shop_list})[(n + j) % {shops} + 1] AS shop, n + 1 AS product, {sku} AS sku,
                        {ON_HAND}::bigint AS on_hand
                   FROM generate_series(0, {skus} - 1) AS n, generate_series(0, {sellers} - 1) AS j
                  UNION ALL
                 SELECT s, n + 1, {sku}, {ON_HAND_HOT} FROM unnest({shop_list}) AS s, generate_series({skus}, {skus}) AS n"
            ),
            "INSERT INTO inventory.listings (shop, product, variation, holder, sku, name, status, seen)
             SELECT shop, product, 0, product, sku, 'A thing', 'publish', 1 FROM sold ORDER BY shop, product"
                .to_owned(),
            format!(
                "INSERT INTO inventory.stocks (shop, holder, sku_id, step, level, epoch, revision)
                 SELECT t.shop, t.product, k.id, 1000, {WAREHOUSES} * t.on_hand, 0, 1
                   FROM sold AS t JOIN inventory.skus AS k ON k.sku = t.sku ORDER BY t.shop, t.product"
            ),
            "DROP TABLE sold".to_owned(),
        ];
        for statement in statements {
            self.database.run(&statement);
        }
        self.database.run("VACUUM (ANALYZE)");
        self.database.run("CHECKPOINT");
    }
}

fn list(numbers: impl Iterator<Item = i64>) -> String {
    let numbers: Vec<String> = numbers.map(|number| number.to_string()).collect();
    format!("ARRAY[{}]::bigint[]", numbers.join(","))
}

async fn warehouses(store: &Store) -> anyhow::Result<Vec<WarehouseId>> {
    let mut warehouses = Vec::new();
    for number in 0..WAREHOUSES {
        let added = store.add_warehouse(&format!("house {number}"), WarehouseKind::HubOwned, BEFORE).await?;
        let WarehouseAdded::Added(warehouse) = added else { bail!("the database is not new") };
        warehouses.push(warehouse.id);
    }
    Ok(warehouses)
}

async fn shop(store: &Store, number: u32, warehouses: &[WarehouseId]) -> anyhow::Result<ShopId> {
    let mut order = warehouses.to_vec();
    order.rotate_left(usize::try_from(number)? % WAREHOUSES);
    let new = NewShop {
        name: format!("shop {number}"),
        connector: Connector::Woocommerce,
        settings: ShopSettings::new(
            format!("https://shop-{number}.example"),
            Routing::new(order).context("some warehouses")?,
        ),
        opening: Opening::None,
        secrets: ShopSecrets {
            consumer_key: "key".into(),
            consumer_secret: "secret".into(),
            webhook_secret: "secret".into(),
            webhook_secret_previous: None,
        },
    };
    let ShopAdded::Added { shop, .. } = store.add_shop(new, BEFORE).await? else {
        bail!("the database is not new");
    };
    store.activate_shop(shop.id).await?;
    Ok(shop.id)
}
