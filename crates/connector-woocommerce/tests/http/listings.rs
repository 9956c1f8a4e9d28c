//! Single entries of the catalogue against the fake shop: what is there, in the trash and gone, and keeping a quantity.

use connector::{ListingFact, ListingSet, ListingShown, ManageStock, Managed, ReadListings};
use onhand_connector_woocommerce::Client;
use testkit::fake_shop::{FakeShop, FakeShopOptions};
use testkit::shop::{Change, NewLine, NewOrder, NewProduct, NewVariation, ProductEdit, Status};
use values::{HolderId, ListingId, ProductId, Quantity, VariationId};

use crate::shop::{SHORT, access};

async fn shop() -> (FakeShop, Client) {
    let options = FakeShopOptions { delivery_period: None, ..FakeShopOptions::default() };
    let shop = FakeShop::start(options).await.unwrap();
    let mut access = access(&shop.url());
    access.consumer_key = FakeShopOptions::KEY.into();
    access.consumer_secret = FakeShopOptions::SECRET.into();
    let client = Client::with_timeouts(access, SHORT).unwrap();
    (shop, client)
}

fn product(id: ProductId) -> ListingId {
    ListingId { product: id, variation: None }
}

fn variation(product: ProductId, id: VariationId) -> ListingId {
    ListingId { product, variation: Some(id) }
}

fn there(shown: &ListingShown) -> &ListingFact {
    match shown {
        ListingShown::There(fact) => fact,
        other => panic!("it is there: {other:?}"),
    }
}

#[tokio::test]
async fn what_is_there_in_the_trash_and_gone_is_told_apart() {
    let (shop, client) = shop().await;
    let sku = |text: &str| Some(text.parse().unwrap());
    let (here, trashed, gone, parent) = shop.with_model(|model, now| {
        let mut simple = |code| model.add_product(NewProduct::simple(sku(code), 3), now);
        let (here, trashed, gone) = (simple("A"), simple("B"), simple("C"));
        (here, trashed, gone, model.add_product(NewProduct::variable(sku("P"), Some(9)), now))
    });
    let (own, shared, lost) = shop.with_model(|model, now| {
        let own = model.add_variation(parent, NewVariation::with_stock(sku("P-1"), 4), now);
        let shared = model.add_variation(parent, NewVariation::at_parent(None), now);
        (own, shared, model.add_variation(parent, NewVariation::with_stock(sku("P-3"), 4), now))
    });
    shop.act(Change::TrashProduct(trashed.into())).await.unwrap();
    shop.act(Change::DeleteProduct(gone.into())).await.unwrap();
    shop.act(Change::DeleteProduct(lost.into())).await.unwrap();
    shop.take_counts();
    let asked = async |parent, ids: &[HolderId], set| {
        let reply = client.listings(parent, ids, set).await.unwrap();
        assert_eq!(reply.calls, 1, "each call is let through by itself");
        reply.value
    };
    let products = [here.into(), trashed.into(), gone.into()];
    let live = asked(None, &products, ListingSet::Live).await;
    let fact = there(&live[0]);
    assert_eq!((fact.listing, fact.status.as_str()), (product(here), "publish"));
    assert_eq!(live[1..], [ListingShown::Missing, ListingShown::Missing]);
    let dead = asked(None, &products[1..], ListingSet::Trash).await;
    assert_eq!(there(&dead[0]).status, "trash");
    assert_eq!(dead[1], ListingShown::Missing);
    let variations = [own.into(), shared.into(), lost.into()];
    let live = asked(Some(parent), &variations, ListingSet::Live).await;
    let fact = there(&live[0]);
    assert_eq!((fact.listing, fact.holder), (variation(parent, own), Some(HolderId::from(own))));
    assert_eq!(there(&live[1]).holder, Some(HolderId::from(parent)));
    assert_eq!(live[2], ListingShown::Missing);
    let nothing = [HolderId::new(4_712).unwrap()];
    let orphans = asked(ProductId::new(4_711), &nothing, ListingSet::Live).await;
    assert_eq!(orphans, [ListingShown::Gone], "in no set, so the trash need not be asked");
    assert_eq!(shop.counts().calls_total(), 4);
}

#[tokio::test]
async fn what_is_to_keep_a_quantity_starts_with_nothing() {
    let (shop, client) = shop().await;
    let sku = |text: &str| Some(text.parse().unwrap());
    let (simple, parent) = shop.with_model(|model, now| {
        let simple = model.add_product(NewProduct::unmanaged(sku("A")), now);
        (simple, model.add_product(NewProduct::variable(sku("P"), None), now))
    });
    let variation = shop.with_model(|model, now| {
        model.add_variation(
            parent,
            NewVariation { stock: None, ..NewVariation::with_stock(sku("V"), 0) },
            now,
        )
    });
    let nothing = HolderId::new(4_711).unwrap();
    let done = client.manage_stock(None, &[simple.into(), nothing, variation.into()]).await.unwrap().value;
    let Managed::Done(fact) = &done[0] else { panic!("{:?}", done[0]) };
    assert_eq!((fact.holder, fact.shown), (Some(simple.into()), Some(Quantity::ZERO)));
    assert!(matches!(&done[1], Managed::Refused(why) if why.contains("invalid_id")), "{:?}", done[1]);
    assert!(
        matches!(&done[2], Managed::Refused(_)),
        "a variation is reached by its parent only: {:?}",
        done[2]
    );
    let done = client.manage_stock(Some(parent), &[variation.into()]).await.unwrap().value;
    assert!(matches!(&done[0], Managed::Done(fact) if fact.shown == Some(Quantity::ZERO)), "{done:?}");
    let stock = |holder: HolderId| shop.with_model(|model, _| model.stock(holder));
    assert_eq!((stock(simple.into()), stock(variation.into())), (Some(0), Some(0)));
}

/// Between the read that shows it unmanaged and the call, somebody manages it and a unit is sold.
#[tokio::test]
async fn what_keeps_a_quantity_by_then_keeps_it() {
    let (shop, client) = shop().await;
    let item = shop.with_model(|model, now| model.add_product(NewProduct::unmanaged("A".parse().ok()), now));
    let shown = client.listings(None, &[item.into()], ListingSet::Live).await.unwrap().value;
    assert_eq!(there(&shown[0]).holder, None);
    let edit = ProductEdit { manage: Some(true), stock: Some(5), ..ProductEdit::default() };
    shop.act(Change::SaveProduct { holder: item.into(), edit }).await.unwrap();
    let order = NewOrder::by_rest(Status::Processing, vec![NewLine::of(item, 2)]);
    shop.act(Change::CreateOrder(order)).await.unwrap();
    let done = client.manage_stock(None, &[item.into()]).await.unwrap().value;
    assert!(
        matches!(&done[0], Managed::Done(fact) if fact.shown == Some(Quantity::from_units(3))),
        "{done:?}"
    );
    assert_eq!(shop.with_model(|model, _| model.stock(item.into())), Some(3));
}
