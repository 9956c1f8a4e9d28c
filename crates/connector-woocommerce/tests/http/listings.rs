//! Single entries of the catalogue against the fake shop: what is there, in the trash and gone, and keeping a quantity.

use connector::{ListingFact, ListingShown, ManageStock, Managed, ReadListings};
use onhand_connector_woocommerce::Client;
use testkit::fake_shop::{FakeShop, FakeShopOptions};
use testkit::shop::{Change, NewProduct, NewVariation};
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
    let nothing = ProductId::new(4_711).unwrap();
    let wanted = [
        variation(parent, own),
        product(here),
        product(trashed),
        product(gone),
        variation(parent, shared),
        variation(parent, lost),
        variation(nothing, VariationId::new(4_712).unwrap()),
    ];
    let shown = client.listings(&wanted).await.unwrap().value;
    let fact = there(&shown[0]);
    assert_eq!((fact.listing, fact.holder), (wanted[0], Some(HolderId::from(own))));
    assert_eq!((there(&shown[1]).status.as_str(), there(&shown[2]).status.as_str()), ("publish", "trash"));
    assert_eq!(there(&shown[4]).holder, Some(HolderId::from(parent)));
    for place in [3, 5, 6] {
        assert_eq!(shown[place], ListingShown::Gone, "{:?}", wanted[place]);
    }
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
