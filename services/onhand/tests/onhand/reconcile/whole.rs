//! Every kind of difference at once: a dry run tells all of them and moves nothing, then each is put right once while goods are
//! sold, and nothing else is touched.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;
use testkit::fake_shop::{Fault, FaultKind};
use testkit::shop::{Change, NewLine, NewOrder, Status};
use tokio::time::interval;
use values::HolderId;

use super::{compared, holder, set};
use crate::deployment::{Deployment, Form, Servers};
use crate::harness::{PROOF_PATIENCE, Ran, until};
use crate::world::{SKUS, UNITS_START, World, all_is_sound, hasty_bench, open_store, sku, wrong};

/// What is done to goods of the first shop, by their number.
const RAISED: usize = 3;
const LOWERED: usize = 4;
/// By an import or SQL, up and down.
const IMPORTED: usize = 5;
const IMPORTED_DOWN: usize = 6;
/// A push of ours put a sold unit back.
const LOST: usize = 7;
/// A push of ours was cut off before it arrived.
const DOUBTFUL: usize = 8;
const UNMANAGED: usize = 9;
/// Nothing is wrong with these; the first shop sells some of them while it is compared.
const SOLD: std::ops::Range<usize> = 10..16;
/// Nor with these; the second shop sells one of each, of which the first is told.
const SOLD_ELSEWHERE: std::ops::Range<usize> = 16..19;

/// Of each of the goods that sell. What sells until the end is waited for for two minutes, for which the suite has no time: the
/// bench of comparisons has such stocks.
const SALES: i64 = 2;
const SALE_PERIOD: Duration = Duration::from_secs(3);
/// The longest that may be set. Doubts are proven by themselves only then, so it is the comparison that finds them.
const SETTLE_DELAY_SECONDS: &str = "600";
/// Goods that came in, by a push that arrived and one that did not.
const CAME: i64 = 1;
const CAME_IN_DOUBT: i64 = 4;
/// A settle that is due later is routine.
const ROUTINE_LATER: Duration = Duration::from_mins(10);
/// How a call that pushes begins.
const PUSH: &str = "POST products/batch";
/// Goods of the first shop that are not of [`SKUS`], with and without a SKU.
const OTHERS: (usize, usize) = (2, 1);

/// Told that there were differences, or that something could not be decided.
const DRIFTED: Option<i32> = Some(3);

#[tokio::test(flavor = "multi_thread")]
async fn differences_are_told_and_put_right_once_by_two_replicas() {
    let mut bench = hasty_bench();
    bench.set("ONHAND_EGRESS_SETTLE_DELAY_SECONDS", SETTLE_DELAY_SECONDS);
    let servers = Some(Servers::shared().await);
    let (mut deployment, world) =
        Deployment::with_world(bench, Form::Distributed { replicas: 2 }, servers).await;
    world.bench.run(&["shop", "sync", "shop-0"]).await.good();
    all_is_proven(&world).await;
    days_are_counted(&world).await;
    push(&world).await;
    edit(&world).await;

    a_dry_run_tells_all_and_moves_nothing(&world).await;
    each_is_put_right_once(&world).await;

    all_shows_what_it_should(&world).await;
    runs_are_kept(&world).await;
    all_is_sound(&world.bench).await;
    deployment.stop(&world.bench).await;
}

async fn a_dry_run_tells_all_and_moves_nothing(world: &World) {
    let changed: Vec<usize> = (RAISED..=UNMANAGED).filter(|number| *number != DOUBTFUL).collect();
    let (known, moved) = (world.known(&changed).await, world.moved_by_people().await);
    let (counts, shown) = (world.shops[0].counts(), world.shown_by_changed());
    let ran = world.bench.run(&["reconcile", "shop-0", "--json", "--dry-run"]).await;
    let dry = compared(&ran, DRIFTED);
    assert_eq!(dry["dry_run"], true, "{dry}");
    assert_eq!(found(&dry), expected());
    let now = world.shops[0].counts();
    for method in ["POST", "PUT", "DELETE", "PATCH"] {
        assert_eq!(now.calls_of(method), counts.calls_of(method), "the shop was only read: {now:?}");
    }
    assert_eq!(world.shown_by_changed(), shown);
    assert_eq!(world.known(&changed).await, known, "nothing else is known of any of them than before");
    assert_eq!(world.moved_by_people().await, moved, "the ledger moved by orders alone");
    let listed = world.bench.run(&["drift", "list", "--json"]).await.json();
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(0), "{listed}");
}

async fn each_is_put_right_once(world: &World) {
    let (written, moved) = (world.written(), world.moved_by_people().await);
    let wet = compared(&world.compare_while_selling().await, DRIFTED);
    assert_eq!(found(&wet), expected());
    for (number, shown) in [
        (RAISED, UNITS_START),
        (IMPORTED, UNITS_START),
        (LOST, UNITS_START + CAME),
        (DOUBTFUL, UNITS_START + CAME_IN_DOUBT),
        (LOWERED, UNITS_START - 2),
        (IMPORTED_DOWN, UNITS_START - 3),
    ] {
        world.comes_to(number, shown).await;
    }
    for number in SOLD_ELSEWHERE {
        world.comes_to(number, UNITS_START - 1).await;
    }
    // Four that were wrong, and what the other shop sold: each by one change.
    assert_eq!(world.written() - written, 4 + u64::try_from(SOLD_ELSEWHERE.len()).unwrap());
    assert_eq!(world.moved_by_people().await, moved, "differences are no stock");
    let listed = world.bench.run(&["drift", "list", "shop-0", "--json"]).await.json();
    let skus: Vec<_> = listed["items"].as_array().unwrap().iter().map(|item| text(&item["sku"])).collect();
    let once: BTreeSet<_> = skus.iter().cloned().collect();
    assert_eq!(once, expected().into_keys().collect(), "{listed}");
    assert_eq!(skus.len(), once.len(), "each was found once: {listed}");
}

/// Ledger and shops are what the orders come to, but for what somebody took out or no longer counts.
async fn all_shows_what_it_should(world: &World) {
    let received = BTreeMap::from([(LOST, CAME), (DOUBTFUL, CAME_IN_DOUBT)]);
    let kept_out = |number, units: i64| {
        format!("{} in shop 0: shows {}, should show {UNITS_START}", sku(number), UNITS_START - units)
    };
    let unmanaged = format!("{} in shop 0: keeps no quantity", sku(UNMANAGED));
    let left = [kept_out(LOWERED, 2), kept_out(IMPORTED_DOWN, 3), unmanaged];
    until("all shows what it should", PROOF_PATIENCE, async || {
        let wrong = wrong(world, &received).await;
        (wrong == left).then_some(())
    })
    .await;
}

async fn runs_are_kept(world: &World) {
    let runs = world.bench.run(&["reconcile", "list", "shop-0", "--json"]).await.json();
    let drifted: Vec<&Value> = runs["items"].as_array().unwrap().iter().map(|run| &run["drifted"]).collect();
    assert_eq!(drifted, [&Value::from(6), &Value::from(6)], "{runs}");
    let id = runs["items"][0]["id"].to_string();
    let csv = world.bench.run(&["reconcile", "show", &id, "--csv"]).await.good();
    assert!(csv.starts_with("sku,product,variation,expected,shown,difference,class,action\n"), "{csv}");
    assert!(csv.contains(&format!("{},", sku(RAISED))), "{csv}");
}

/// Before anything was sold or changed, both sides are the same.
async fn days_are_counted(world: &World) {
    let (with, without) = OTHERS;
    let stocks = i64::try_from(SKUS + with).unwrap();
    let in_shop = stocks + i64::try_from(without).unwrap();
    let sum = |stocks: i64| (stocks * UNITS_START).to_string();
    until("the day is counted", PROOF_PATIENCE, async || {
        let counts = world.bench.run(&["shop", "counts", "shop-0", "--json"]).await.json();
        let day = counts["items"][0].clone();
        let shop = (day["shop_stocks"].as_i64()?, day["shop_sum"].as_str()?.to_owned());
        assert_eq!(shop, (in_shop, sum(in_shop)), "{counts}");
        let hub = (day["stocks"].as_i64()?, day["expected"].as_str()?.to_owned());
        (hub == (stocks, sum(stocks)) && day["level"] == sum(stocks).as_str()).then_some(())
    })
    .await;
    let table = world.bench.run(&["shop", "counts", "shop-0"]).await.good();
    assert!(table.starts_with("DAY") && table.contains(&sum(in_shop)), "{table}");
}

/// Waits until no comparison of the first shop is under way or wished for.
async fn all_is_proven(world: &World) {
    let store = open_store(&world.bench).await;
    let shops = store.shops(None).await.unwrap();
    let shop = shops.iter().find(|shop| shop.name == "shop-0").unwrap().id;
    until("every settle is done", PROOF_PATIENCE, async || {
        let later = process::clock::now() + ROUTINE_LATER;
        store.settles_due(shop, later, None, 1).await.unwrap().is_empty().then_some(())
    })
    .await;
    store.close().await;
    for number in RAISED..SOLD_ELSEWHERE.end {
        until(&format!("{} is settled", sku(number)), PROOF_PATIENCE, async || {
            let known = world.known(&[number]).await.remove(0);
            (known["unsettled"] == Value::Array(Vec::new())).then_some(())
        })
        .await;
    }
}

/// Goods come in and are pushed; of others nobody knows whether their push arrived.
async fn push(world: &World) {
    let receive = async |number, units: i64| {
        let receive = ["stock", "receive", &sku(number), &units.to_string(), "-w", "main"];
        world.bench.run(&receive).await.good();
    };
    receive(LOST, CAME).await;
    world.comes_to(LOST, UNITS_START + CAME).await;
    let put_back = Change::SetStockSilently { holder: holder(world, LOST), quantity: UNITS_START + CAME + 1 };
    world.shops[0].act(put_back).await.unwrap();
    world.shops[0].fault(Fault::next(PUSH, FaultKind::CutBefore));
    receive(DOUBTFUL, CAME_IN_DOUBT).await;
    until("a push is in doubt", PROOF_PATIENCE, async || {
        let known = world.known(&[DOUBTFUL]).await.remove(0);
        known["unsettled"].to_string().contains("a push was not answered").then_some(())
    })
    .await;
}

/// People and programs change the first shop, behind onhand's back.
async fn edit(world: &World) {
    let shop = &world.shops[0];
    let holder = |number| holder(world, number);
    set(shop, holder(RAISED), UNITS_START + 5).await;
    set(shop, holder(LOWERED), UNITS_START - 2).await;
    for (number, quantity) in [(IMPORTED, UNITS_START + 3), (IMPORTED_DOWN, UNITS_START - 3)] {
        shop.act(Change::SetStockSilently { holder: holder(number), quantity }).await.unwrap();
    }
    shop.act(Change::SetManageStock { holder: holder(UNMANAGED), manage: false }).await.unwrap();
}

/// Class, difference and action of each of the goods that do not agree.
fn expected() -> BTreeMap<String, (String, String, String)> {
    [
        (RAISED, "edit_up", "5", "corrected"),
        (LOWERED, "edit_down", "-2", "withheld"),
        (IMPORTED, "bulk_edit", "3", "corrected"),
        (IMPORTED_DOWN, "bulk_edit", "-3", "withheld"),
        (LOST, "lost_update", "1", "corrected"),
        (DOUBTFUL, "doubtful_call", "-4", "corrected"),
        (UNMANAGED, "unmanaged", "-", "none"),
    ]
    .map(|(number, class, difference, action)| {
        (sku(number), (class.to_owned(), difference.to_owned(), action.to_owned()))
    })
    .into()
}

/// The same of what a comparison found; what has no SKU is not compared.
fn found(run: &Value) -> BTreeMap<String, (String, String, String)> {
    let rows = run["stocks"].as_array().unwrap().iter();
    rows.filter(|row| row["class"] != "agreed" && row["sku"].is_string())
        .map(|row| (text(&row["sku"]), (text(&row["class"]), text(&row["difference"]), text(&row["action"]))))
        .collect()
}

/// A text, or a dash.
fn text(value: &Value) -> String {
    value.as_str().unwrap_or("-").to_owned()
}

impl World {
    /// Compares the first shop while it sells, and the second as well.
    async fn compare_while_selling(&self) -> Ran {
        let command = ["reconcile", "shop-0", "--json"];
        let (ran, ()) = tokio::join!(self.bench.run(&command), self.sell());
        ran
    }

    async fn sell(&self) {
        let mut ticks = interval(SALE_PERIOD);
        for round in 0..SALES {
            ticks.tick().await;
            for number in SOLD {
                self.buy(0, number).await;
            }
            if round == 1 {
                for number in SOLD_ELSEWHERE {
                    self.buy(1, number).await;
                }
            }
        }
    }

    pub(super) async fn buy(&self, shop: usize, number: usize) {
        let line = NewLine::of(self.products[shop][number], 1);
        let order = NewOrder::by_checkout(Status::Processing, vec![line]);
        self.shops[shop].act(Change::CreateOrder(order)).await.unwrap();
    }

    /// What the first shop was told of stocks.
    fn written(&self) -> u64 {
        self.shops[0].counts().stock_writes
    }

    /// What the first shop shows of the goods that were changed.
    fn shown_by_changed(&self) -> Vec<Option<i64>> {
        let shown = |number| {
            let holder: HolderId = holder(self, number);
            self.shops[0].with_model(|model, _| model.stock(holder))
        };
        (RAISED..=UNMANAGED).map(shown).collect()
    }

    /// All that is known of goods in the first shop.
    async fn known(&self, numbers: &[usize]) -> Vec<Value> {
        let mut known = Vec::new();
        for number in numbers {
            let explained = self.bench.run(&["explain", &sku(*number), "--json"]).await.json();
            let shops = explained["shops"].as_array().unwrap();
            known.push(shops.iter().find(|shop| shop["shop"] == "shop-0").unwrap().clone());
        }
        known
    }

    /// Movements of the ledger that no order made.
    async fn moved_by_people(&self) -> Vec<Value> {
        let mut moved = Vec::new();
        for number in RAISED..SOLD_ELSEWHERE.end {
            let all = self.bench.run(&["movements", &sku(number), "--json"]).await.json();
            let all = all["items"].as_array().unwrap().iter();
            moved.extend(all.filter(|item| item["kind"] != "reserve").cloned());
        }
        moved
    }
}
