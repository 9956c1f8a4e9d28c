//! Entries of the catalogue that a webhook or a gap in the catalogue told of are read by themselves.

use proto::{ListingObserved, Message, Wanted};
use store::{TaskKind, TaskState};
use testkit::shop::{Change, NewProduct};
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
