//! Batches of many shards that meet at the same SKUs, with people and upkeep in between: all get through, and no two ever
//! wait for each other.

use futures_util::future::join_all;
use inventory::{Operated, OperationRequest, OperationRow, Requester};
use ledger::Operation;
use proto::{Message, OrderUnreadable, Source, Word};
use uuid::Uuid;
use values::{Quantity, ShopId};

use crate::world::{
    World, connected, listing, order_id, product, read, seen, sells, shown, sku, stock_id, units,
};

/// Shards, each with a consumer of its own.
const SHARDS: u16 = 4;
/// Shops, two or so a shard.
const SHOPS: usize = 8;
/// SKUs that all of them sell, as products of these numbers.
const SKUS: u64 = 12;
/// Messages of each shop.
const MESSAGES: u64 = 250;
/// Requests of people at once, and how often each is made.
const PEOPLE: u64 = 3;
const REQUESTS: u64 = 40;

/// Numbers that look like chance, the same each time.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> i64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        i64::try_from((self.0 >> 33) % bound).unwrap()
    }
}

fn code(number: i64) -> String {
    format!("SKU {number:02}")
}

/// Anything that a shop may be told of; later ones are newer.
fn anything(shop: ShopId, number: u64, chance: &mut Chance) -> Message {
    let later = i64::try_from(number).unwrap();
    let order = 1 + chance.below(40);
    match chance.below(20) {
        0 => connected(shop, None),
        1 => {
            let reason = Word::clipped("test");
            Message::OrderUnreadable(OrderUnreadable { shop, order: Some(order_id(order)), reason })
        }
        // Two of the products change what they are.
        2 => listing(shop, product(1), Some(1), Some(&code(1 + chance.below(SKUS)))),
        3..7 => shown(shop, 1 + chance.below(SKUS), 50 + chance.below(9), number, later + 100),
        kind => {
            let statuses = ["pending", "processing", "completed", "cancelled"];
            let status = statuses[usize::try_from(chance.below(4)).unwrap()];
            let lines: Vec<_> = (0..=chance.below(3)).map(|_| (1 + chance.below(SKUS), 1, Some(1))).collect();
            let source = if kind < 13 { Source::Webhook } else { read(number, 10_000) };
            seen(shop, order, source, status, later, &lines)
        }
    }
}

/// Receipts of several SKUs at once, in any order.
async fn person(world: &World, seed: u64) {
    let mut chance = Chance(seed);
    for _ in 0..REQUESTS {
        let rows = (0..=chance.below(4)).map(|_| {
            let (warehouse, quantity) = (world.warehouse, units(1));
            let operation =
                Operation::Receive { sku: sku(&code(1 + chance.below(SKUS))), warehouse, quantity };
            OperationRow { operation, reason: None }
        });
        let request = OperationRequest {
            requester: Requester { actor: format!("person {seed}"), traceparent: None },
            key: Uuid::now_v7().to_string(),
            rows: rows.collect(),
            dry_run: false,
        };
        let operated = world.inventory().operate(&request).await.unwrap();
        assert!(matches!(operated, Operated::Applied(_)), "{operated:?}");
    }
}

/// Changes what shops are, and to what their stocks are mapped.
async fn administrator(world: &World, shops: &[ShopId]) {
    let mut chance = Chance(99);
    for _ in 0..REQUESTS {
        let shop = shops[usize::try_from(chance.below(8)).unwrap()];
        let mut settings = world.settings();
        settings.url = format!("https://{shop}.example");
        settings.buffer = units(chance.below(5));
        world.inventory().change_shop(shop, &settings).await.unwrap();
        let stock = stock_id(shop, 1 + chance.below(2));
        let requester = Requester { actor: "administrator".to_owned(), traceparent: None };
        world.inventory().map(stock, &sku(&code(1 + chance.below(SKUS))), &requester).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_of_many_shards_never_wait_for_each_other() {
    let mut world = World::sharded(SHARDS).await;
    world.batch_messages_max = 25;
    let mut shops = Vec::new();
    for number in 1..=SHOPS {
        shops.push(world.shop(&format!("shop-{number}")).await.id);
    }
    world.start();
    let catalogue =
        |shop: &ShopId| (1..=12).map(|number| sells(*shop, number, &code(number))).collect::<Vec<_>>();
    world.tell(shops.iter().flat_map(catalogue)).await;

    let mut chances: Vec<Chance> = (1..).take(SHOPS).map(Chance).collect();
    let mut messages = Vec::new();
    for number in 1..=MESSAGES {
        for (shop, chance) in shops.iter().zip(&mut chances) {
            messages.push(anything(*shop, number, chance));
        }
    }
    let people = join_all((1..=PEOPLE).map(|seed| person(&world, seed)));
    tokio::join!(world.tell(messages), people, administrator(&world, &shops));

    assert_eq!(world.database.deadlocks(), 0);
    assert_eq!(world.store.dead_messages(0, 1).await.unwrap(), []);
    world.check().await;
    let available: Quantity = world.balance(&code(1)).await.on_hand;
    assert!(available > Quantity::ZERO, "goods came in: {available}");
    world.stop().await;
}
