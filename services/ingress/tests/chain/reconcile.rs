//! A whole shop is compared in as few calls as it fits in, whoever reads it.

use std::collections::BTreeSet;

use proto::Wanted;
use store::{AGREED, NewRun, Run, RunAdded, RunCause, RunState, TaskKind};
use testkit::fake_shop::FakeShop;
use testkit::shop::{NewProduct, NewVariation};
use values::{HolderId, OrderId, ProductId, ShopId, StockId};

use crate::world::{World, buy, fake, product};

/// Products that keep a quantity themselves, and variations of two others.
const PRODUCTS: usize = 203;
const VARIATIONS: usize = 120;
const READS: u64 = 3 + 2;

fn goods(fake: &FakeShop) -> Vec<ProductId> {
    let products = (0..PRODUCTS).map(|number| product(fake, &format!("P-{number}"), 10)).collect();
    fake.with_model(|model, now| {
        let parents = [0, 1].map(|_| model.add_product(NewProduct::variable(None, None), now));
        for number in 0..VARIATIONS {
            let new = NewVariation::with_stock(format!("V-{number}").parse().ok(), 5);
            model.add_variation(parents[number % 2], new, now);
        }
    });
    products
}

async fn connected(world: &World, fake: &FakeShop) -> ShopId {
    let shop = world.connect(fake).await;
    world
        .until("the registry knows the stocks", async || {
            let rows = world.store.stocks_of_shop(shop, None, 1_000).await.unwrap();
            (rows.len() == PRODUCTS + VARIATIONS).then_some(())
        })
        .await;
    // Connecting asked for those that were known by then; the others follow. All of that is to be over.
    world.run_task(shop, TaskKind::Sync).await;
    shown(world, PRODUCTS + VARIATIONS).await;
    let later = process::clock::now() + std::time::Duration::from_hours(1);
    world
        .until("every settle is done", async || {
            let due = world.store.settles_due(shop, later, None, 1_000).await.unwrap();
            due.is_empty().then_some(())
        })
        .await;
    // What was published is taken in its order: once this order is there, so is all that was shown before it.
    let rows = world.store.stocks_of_shop(shop, None, 1_000).await.unwrap();
    let last = ProductId::new(rows[PRODUCTS - 1].id.holder.get()).unwrap();
    let order = buy(fake, last, 1).await;
    world
        .until("the order is taken", async || world.orders().into_iter().find(|seen| seen.order == order))
        .await;
    world.forget_taken();
    shop
}

async fn begin(world: &World, shop: ShopId, dry_run: bool) -> i64 {
    let now = process::clock::now();
    let deadline = now + std::time::Duration::from_hours(1);
    let new = NewRun { shop, dry_run, cause: RunCause::Asked, deadline, chosen: None };
    let RunAdded::Added(run) = world.store.add_run(&new, now).await.unwrap() else {
        panic!("one is under way")
    };
    run
}

/// Waits until so many stocks were shown for the run.
async fn shown(world: &World, count: usize) {
    world
        .until("the stocks are shown", async || {
            let holders: BTreeSet<HolderId> = world.shown().iter().map(|shown| shown.holder).collect();
            (holders.len() == count).then_some(())
        })
        .await;
}

/// Says what egress would: the proofs are trusted, but of one stock.
async fn trust(world: &World, shop: ShopId, but: Option<HolderId>) {
    let shown = world.shown();
    let ids: Vec<StockId> = shown.iter().map(|shown| StockId { shop, holder: shown.holder }).collect();
    let mut tx = world.store.begin_egress().await.unwrap();
    let (mut rows, mut notes) = (tx.load(&ids).await.unwrap(), tx.load_notes(&ids).await.unwrap());
    for ((row, note), shown) in rows.iter_mut().zip(&mut notes).zip(&shown) {
        note.proof_seen = note.proof_seen.max(shown.number);
        if Some(shown.holder) != but {
            // What was read twice stays settled by the later read, whichever comes first here.
            row.push.settled = row.push.settled.max(shown.number);
        }
    }
    tx.save_all(&rows, &notes).await.unwrap();
    tx.commit().await.unwrap();
}

async fn ended(world: &World, run: i64) -> Run {
    world
        .until("the run ends", async || {
            world.store.run(run).await.unwrap().filter(|run| run.ended_at.is_some())
        })
        .await
}

fn of_class(run: &Run, class: &str) -> u64 {
    run.totals.iter().filter(|total| total.class == class).map(|total| total.stocks).sum()
}

#[tokio::test]
async fn a_shop_is_compared_in_exactly_as_many_reads_as_it_fits_in() {
    let (world, fake) = (World::start().await, fake().await);
    goods(&fake);
    let shop = connected(&world, &fake).await;
    let calls = || world.counted(r#"onhand_ingress_reads_total{outcome="ok",what="stocks"}"#);
    let before = calls();
    let run = begin(&world, shop, false).await;
    shown(&world, PRODUCTS + VARIATIONS).await;
    trust(&world, shop, None).await;
    let run = ended(&world, run).await;
    assert_eq!((run.state, run.reads, run.calls), (RunState::Done, READS, READS));
    assert_eq!(calls() - before, READS, "and nothing else read stocks");
    assert_eq!(of_class(&run, AGREED), u64::try_from(PRODUCTS + VARIATIONS).unwrap());
    assert!(world.shown().iter().all(|shown| !shown.dry_run));
    // Counted once its end is stored.
    let agreed = || world.counted(r#"onhand_ingress_reconciled_stocks_total{outcome="agreed"}"#);
    world.until("they are counted", async || (agreed() == 323).then_some(())).await;
}

#[tokio::test]
async fn what_proves_nothing_is_read_again_and_at_last_left_unsettled() {
    let (world, fake) = (World::start().await, fake().await);
    let busy = HolderId::from(goods(&fake)[7]);
    let shop = connected(&world, &fake).await;
    let run = begin(&world, shop, false).await;
    shown(&world, PRODUCTS + VARIATIONS).await;
    let ended = world
        .until("the run ends", async || {
            trust(&world, shop, Some(busy)).await;
            world.store.run(run).await.unwrap().filter(|run| run.ended_at.is_some())
        })
        .await;
    let rows = world.store.run_stocks(run, None, 1_000).await.unwrap();
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_eq!((rows[0].holder, rows[0].class.as_deref(), rows[0].tries), (busy, Some("unsettled"), 4));
    assert_eq!(ended.reads, READS + 3);
}

#[tokio::test]
async fn a_dry_run_says_so_with_each_stock_and_asks_inventory_what_it_came_to() {
    let (world, fake) = (World::start().await, fake().await);
    let raised = HolderId::from(goods(&fake)[0]);
    let shop = connected(&world, &fake).await;
    let run = begin(&world, shop, true).await;
    shown(&world, PRODUCTS + VARIATIONS).await;
    let seen = world.shown();
    assert!(seen.iter().all(|shown| shown.dry_run));
    let found: Vec<_> = seen
        .iter()
        .map(|shown| store::Comparison {
            stock: StockId { shop, holder: shown.holder },
            number: shown.number,
            class: Some(if shown.holder == raised { "edit_up" } else { AGREED }),
            action: "corrected",
            difference: values::Quantity::from_units(i64::from(shown.holder == raised) * 4),
        })
        .collect();
    let mut tx = world.store.begin_inventory().await.unwrap();
    tx.save_comparisons(&found).await.unwrap();
    tx.commit().await.unwrap();
    let ended = ended(&world, run).await;
    assert_eq!(of_class(&ended, "edit_up"), 1);
    let rows = world.store.run_stocks(run, None, 9).await.unwrap();
    let text = |quantity: Option<values::Quantity>| quantity.unwrap().to_string();
    assert_eq!(
        (text(rows[0].expected), text(rows[0].shown), text(rows[0].difference)),
        ("6".to_owned(), "10".to_owned(), "4".to_owned())
    );
}

#[tokio::test]
async fn whoever_reads_the_shop_next_goes_on_with_the_run() {
    let (world, fake) = (World::start().await, fake().await);
    goods(&fake);
    let shop = connected(&world, &fake).await;
    let run = begin(&world, shop, false).await;
    world.until("some are read", async || (!world.shown().is_empty()).then_some(())).await;
    let world = world.restart().await;
    assert_eq!(world.store.run(run).await.unwrap().unwrap().ended_at, None);
    world
        .until("the run ends", async || {
            trust(&world, shop, None).await;
            world.store.run(run).await.unwrap().filter(|run| run.ended_at.is_some())
        })
        .await;
    let ended = world.store.run(run).await.unwrap().unwrap();
    assert_eq!(of_class(&ended, AGREED), 323, "{ended:?}");
}

#[tokio::test]
async fn a_run_whose_shop_refuses_ends_with_a_clear_word() {
    let (world, fake) = (World::start().await, fake().await);
    goods(&fake);
    let shop = connected(&world, &fake).await;
    let wrong = crate::world::secrets("cs_wrong", crate::world::SECRET);
    world.store.set_shop_secrets(shop, &wrong).await.unwrap();
    // With other settings it is connected anew.
    world.poll_rarely(shop).await;
    world
        .until("the shop refuses", async || {
            // So that it is called at all: the first time it may be by the old keys still.
            world.want(shop, Wanted::Orders(vec![OrderId::new(999_999).unwrap()])).await;
            world.store.reading(shop).await.unwrap()?.failing_since
        })
        .await;
    let run = begin(&world, shop, false).await;
    let run = ended(&world, run).await;
    assert_eq!(run.state, RunState::Failed);
    assert!(run.failure.contains("signature"), "{}", run.failure);
}

#[tokio::test]
async fn a_schedule_begins_a_run() {
    let (world, fake) = (World::start().await, fake().await);
    goods(&fake);
    let shop = connected(&world, &fake).await;
    let long_ago = process::clock::now() - std::time::Duration::from_hours(7);
    world.store.set_schedule(shop, "every 6h".parse().ok(), long_ago).await.unwrap();
    // It is looked at when a reader begins, and once a minute.
    let world = world.restart().await;
    let runs = world
        .until("a run is begun", async || {
            let runs = world.store.runs(shop, None, 9).await.unwrap();
            (!runs.is_empty()).then_some(runs)
        })
        .await;
    assert_eq!((runs.len(), runs[0].cause, runs[0].dry_run), (1, RunCause::Scheduled, false));
    world
        .until("the next is later", async || {
            let kept = world.store.schedule(shop).await.unwrap().unwrap();
            (kept.due_at() > process::clock::now()).then_some(())
        })
        .await;
}
