//! Entries of the catalogue that a webhook or a gap in the catalogue told of are read by themselves.

use proto::{ListingObserved, Message, Wanted};
use store::{TaskKind, TaskState};
use testkit::fake_shop::{Fault, FaultKind};
use testkit::shop::{Change, NewProduct, NewVariation};
use values::{HolderId, ProductId, ShopId};

use crate::world::{World, fake, product};

/// Listings of a product that were read, its status.
fn seen(world: &World, product: ProductId) -> Vec<ListingObserved> {
    let of = |message| match message {
        Message::ListingObserved(seen) if seen.listing.product == product && seen.number.get() > 0 => {
            Some(seen)
        }
        _ => None,
    };
    world.taken().into_iter().filter_map(of).collect()
}

async fn is_seen(world: &World, product: ProductId, status: &str) -> ListingObserved {
    world
        .until("it is read by itself", async || {
            seen(world, product).into_iter().find(|seen| seen.status.as_str() == status)
        })
        .await
}

#[tokio::test]
async fn a_number_that_webhooks_name_is_looked_up_if_it_is_of_the_catalogue() {
    let (world, fake) = (World::start().await, fake().await);
    let item = product(&fake, "A", 10);
    let shop = world.connect(&fake).await;
    is_known(&world, shop, 1).await;
    world.forget_taken();
    fake.act(Change::TrashPage).await.unwrap();
    fake.act(Change::TrashProduct(item.into())).await.unwrap();
    assert!(fake.run_queue().await > 0);
    let trashed = is_seen(&world, item, "trash").await;
    assert_eq!((trashed.holder, trashed.sku.is_some()), (None, true), "nothing is told to it any more");
    fake.act(Change::DeleteProduct(item.into())).await.unwrap();
    world.want(shop, Wanted::Listings(vec![item.into(), HolderId::new(4_711).unwrap()])).await;
    let gone = is_seen(&world, item, "gone").await;
    assert_eq!((gone.sku.as_ref().map(ToString::to_string), gone.kind), (Some("A".to_owned()), None));
    world
        .until("nothing is left to be read", async || {
            world.store.listings_wanted(shop, 9).await.unwrap().is_empty().then_some(())
        })
        .await;
}

/// The catalogue was taken in.
async fn is_known(world: &World, shop: ShopId, listings: usize) {
    world
        .until("the catalogue is known", async || {
            let there = world.store.listings_there(shop, None, 100).await.unwrap();
            (there.len() == listings).then_some(())
        })
        .await;
}

#[tokio::test]
async fn what_a_catalogue_no_longer_shows_is_looked_for_by_itself() {
    let (world, fake) = (World::start().await, fake().await);
    let (kept, lost) = (product(&fake, "A", 10), product(&fake, "B", 10));
    let shop = world.connect(&fake).await;
    is_known(&world, shop, 2).await;
    // No event tells of this.
    fake.act(Change::DeleteProduct(lost.into())).await.unwrap();
    world.forget_taken();
    assert_eq!(world.run_task(shop, TaskKind::Catalogue).await.progress.state, TaskState::Done);
    is_seen(&world, lost, "gone").await;
    assert!(seen(&world, kept).iter().all(|seen| seen.status.as_str() == "publish"));
}

#[tokio::test]
async fn only_what_has_stock_is_made_to_keep_a_quantity() {
    let (world, fake) = (World::start().await, fake().await);
    let new = |code: &str| {
        let unmanaged = NewProduct::unmanaged(code.parse().ok());
        fake.with_model(|model, now| model.add_product(unmanaged, now))
    };
    let (stocked, unknown) = (new("A"), new("B"));
    let shop = world.connect(&fake).await;
    is_known(&world, shop, 2).await;
    world.stock("A", 7).await;
    world.forget_taken();
    let task = world.run_task(shop, TaskKind::ManageStock).await;
    assert_eq!(task.progress.state, TaskState::Done, "{task:?}");
    assert!(task.progress.report.contains("\"fixed\":1"), "{}", task.progress.report);
    let shown = |product: ProductId| fake.with_model(|model, _| model.stock(product.into()));
    assert_eq!((shown(stocked), shown(unknown)), (Some(0), None));
    let told = is_seen(&world, stocked, "publish").await;
    assert_eq!(told.holder, Some(stocked.into()), "inventory is told at once");
    // Done once: what keeps a quantity by now keeps it.
    fake.act(Change::SaveProduct {
        holder: stocked.into(),
        edit: testkit::shop::ProductEdit { stock: Some(5), ..Default::default() },
    })
    .await
    .unwrap();
    let again = world.run_task(shop, TaskKind::ManageStock).await;
    assert!(!again.progress.report.contains("fixed"), "{}", again.progress.report);
    assert_eq!(shown(stocked), Some(5));
}

#[tokio::test]
async fn an_entry_that_cannot_be_read_keeps_no_other_from_being_read() {
    let (world, fake) = (World::start().await, fake().await);
    let (parent, bad) = fake.with_model(|model, now| {
        let parent = model.add_product(NewProduct::variable("P".parse().ok(), None), now);
        (parent, model.add_variation(parent, NewVariation::with_stock("V".parse().ok(), 4), now))
    });
    let (good, gone) = (product(&fake, "A", 10), product(&fake, "B", 10));
    let shop = world.connect(&fake).await;
    is_known(&world, shop, 4).await;
    world.forget_taken();
    // The catalogue lists all variations in one; only what is read by itself fails.
    fake.fault(Fault::many("GET products/{id}/variations", 10_000, FaultKind::Status(500)));
    fake.act(Change::DeleteProduct(gone.into())).await.unwrap();
    world.want(shop, Wanted::Listings(vec![bad.into()])).await;
    world.until("it fails", async || (fake.counts().faults > 0).then_some(())).await;
    world.want(shop, Wanted::Listings(vec![good.into(), gone.into()])).await;
    is_seen(&world, good, "publish").await;
    is_seen(&world, gone, "gone").await;
    let left = async |ids: &[HolderId]| {
        let left = world.store.listings_wanted(shop, 9).await.unwrap();
        (left.iter().map(|left| left.id).collect::<Vec<_>>() == ids).then_some(())
    };
    world.until("it alone is left", async || left(&[bad.into()]).await).await;
    fake.clear_faults();
    world.until("it is read in the end", async || left(&[]).await).await;
    is_seen(&world, parent, "publish").await;
}

#[tokio::test]
async fn what_the_shop_does_not_change_is_named_and_the_others_are_changed() {
    for (fault, why) in [(FaultKind::Status(400), "refused"), (FaultKind::ErrorAfter, "looked up")] {
        let (world, fake) = (World::start().await, fake().await);
        let (simple, parent, variation) = fake.with_model(|model, now| {
            let simple = model.add_product(NewProduct::unmanaged("A".parse().ok()), now);
            let parent = model.add_product(NewProduct::variable(None, None), now);
            let new = NewVariation { stock: None, ..NewVariation::with_stock("V".parse().ok(), 0) };
            (simple, parent, model.add_variation(parent, new, now))
        });
        let shop = world.connect(&fake).await;
        is_known(&world, shop, 3).await;
        world.stock("A", 7).await;
        world.stock("V", 7).await;
        fake.take_counts();
        fake.fault(Fault::many("POST products/batch", 10_000, fault));
        let task = world.run_task(shop, TaskKind::ManageStock).await;
        assert_eq!(task.progress.state, TaskState::Done, "{task:?}");
        let report: serde_json::Value = serde_json::from_str(&task.progress.report).unwrap();
        assert_eq!((&report["fixed"], &report["not_fixed_count"]), (&1.into(), &1.into()), "{report}");
        let named = &report["not_fixed"][0];
        assert_eq!(named["product"], simple.get());
        assert!(named["why"].as_str().unwrap().contains(why), "{report}");
        assert_eq!(fake.counts().calls_of("POST products/batch"), 1, "nothing is written twice");
        assert_eq!(fake.with_model(|model, _| model.stock(variation.into())), Some(0), "{parent}");
    }
}
