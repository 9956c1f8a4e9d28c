//! What is shipped through onhand: it leaves once, the shop gives the order its status, and the customer reads of it once.

use testkit::shop::{Change, Status};
use values::OrderId;

use crate::harness::{PROOF_PATIENCE, until};
use crate::suite::order;
use crate::world::{World, sku};

/// The goods of this case; nobody else sells them.
const GOODS: usize = 9;
/// The shop whose orders are shipped.
const SHOP: usize = 0;

pub(crate) async fn what_is_shipped_is_told_to_its_shop(world: &World) {
    let bench = &world.bench;
    bench.run(&["shop", "set", "shop-0", "--tag", "cost-centre=4711"]).await.good();
    let id = order(&world.shops[SHOP], world.products[SHOP][GOODS], 5).await;
    let number = id.to_string();
    until("it is reserved", PROOF_PATIENCE, async || (reserved(world).await == "5").then_some(())).await;
    let line = world.shops[SHOP].with_model(|model, _| model.order(id)).unwrap().lines[0].id;

    let too_much = format!("{line}:6");
    let refused = bench.run(&["order", "ship", "shop-0", &number, "--line", &too_much]).await;
    assert_eq!(refused.code, Some(1), "{}", refused.err);
    assert!(refused.err.contains(&format!("only 5 of line {line} is reserved")), "{}", refused.err);

    let part = format!("{line}:2");
    let first = [
        &["order", "ship", "shop-0", &number, "--line", &part, "--carrier", "DHL"][..],
        &["--tracking", "00340", "--key", "first-parcel", "--json"],
    ]
    .concat();
    let shipped = bench.run(&first).await.json();
    assert_eq!((&shipped["number"], &shipped["complete"]), (&1.into(), &false.into()), "{shipped}");
    assert!(shipped["status"].is_null(), "a part of an order changes no status: {shipped}");
    assert_eq!(bench.run(&first).await.json()["number"], 1, "the same key, the same shipment");
    told(world, id, 1).await;
    assert_eq!(notes(world, id), ["Part of your order has been shipped with DHL, tracking number 00340."]);
    assert_eq!(status(world, id), Status::Processing);
    assert_eq!(on_hand(world).await, "398", "it left once");

    // The shop speaks of it again: it still says that all is to be packed.
    world.shops[SHOP].act(Change::TouchOrder(id)).await.unwrap();
    let rest = ["order", "ship", "shop-0", &number, "--carrier", "DHL", "--tracking", "00341", "--json"];
    let shipped = bench.run(&rest).await.json();
    assert_eq!((&shipped["number"], &shipped["complete"]), (&2.into(), &true.into()), "{shipped}");
    told(world, id, 2).await;
    assert_eq!(status(world, id), Status::Completed);
    let expected = [
        "Part of your order has been shipped with DHL, tracking number 00340.",
        "Your order has been shipped with DHL, tracking number 00341.",
    ];
    assert_eq!(notes(world, id), expected);
    // What the shop says of it then confirms it, and takes nothing twice.
    let confirmed = async || {
        let order = bench.run(&["order", "show", "shop-0", &number, "--json"]).await.json();
        (order["status"] == "completed" && order["confirmed"] == true).then_some(())
    };
    until("the shop has confirmed it", PROOF_PATIENCE, confirmed).await;
    assert_eq!((on_hand(world).await, reserved(world).await), ("395".to_owned(), "0".to_owned()));
    assert_eq!(notes(world, id).len(), 2);
    let again = bench.run(&["order", "ship", "shop-0", &number]).await;
    assert!(again.code == Some(1) && again.err.contains("nothing of order"), "{}", again.err);

    let movements = bench.run(&["movements", &sku(GOODS), "--json"]).await.json();
    let of_orders: Vec<_> =
        movements["items"].as_array().unwrap().iter().filter(|m| !m["order"].is_null()).collect();
    let kinds: Vec<&str> = of_orders.iter().map(|movement| movement["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["reserve", "ship", "ship"], "{movements}");
    for movement in of_orders {
        assert_eq!(movement["tags"], serde_json::json!({ "cost-centre": "4711" }), "{movement}");
    }
    all_is_exported(world).await;
}

/// What bookkeeping gets: every movement and every line of the shop's order, each with the tags.
async fn all_is_exported(world: &World) {
    let bench = &world.bench;
    let tags = serde_json::json!({ "cost-centre": "4711" });
    let moved = bench.run(&["export", "movements", "--shop", "shop-0", "--json"]).await.good();
    let moved: Vec<serde_json::Value> =
        moved.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of_goods: Vec<_> = moved.iter().filter(|row| row["sku"] == sku(GOODS).as_str()).collect();
    assert_eq!(of_goods.len(), 3, "{of_goods:?}");
    assert!(of_goods.iter().all(|row| row["tags"] == tags), "{of_goods:?}");
    let orders = bench.run(&["export", "orders", "--shop", "shop-0", "--since", "1d"]).await.good();
    let lines: Vec<&str> =
        orders.lines().filter(|line| line.contains(&format!(",{},", sku(GOODS)))).collect();
    assert_eq!(lines.len(), 1, "{orders}");
    assert!(
        lines[0].contains(",completed,") && lines[0].ends_with(r#","{""cost-centre"":""4711""}""#),
        "{lines:?}"
    );
}

/// Waits until the shop was told all there is of a shipment.
async fn told(world: &World, order: OrderId, shipment: usize) {
    let number = order.to_string();
    let done = async || {
        let shown = world.bench.run(&["order", "show", "shop-0", &number, "--json"]).await.json();
        let shipment = &shown["shipments"][shipment - 1];
        let is_done = |part: &str| shipment[part].is_null() || shipment[part]["state"] == "done";
        (is_done("status") && is_done("note")).then_some(())
    };
    until(&format!("shipment {shipment} is told"), PROOF_PATIENCE, done).await;
}

fn status(world: &World, order: OrderId) -> Status {
    world.shops[SHOP].with_model(|model, _| model.order(order)).unwrap().status
}

fn notes(world: &World, order: OrderId) -> Vec<String> {
    world.shops[SHOP].customer_notes(order)
}

async fn on_hand(world: &World) -> String {
    world.balance(&sku(GOODS)).await.0
}

async fn reserved(world: &World) -> String {
    world.balance(&sku(GOODS)).await.1
}
