//! The table of a shop, what is like a code, and what is told of a catalogue.

use ledger::{Listings, Routing};
use store::{ListingOutcome, ListingRow, ShopSettings, Stocked, Store, TableEntry, TableOutcome};
use values::{ListingId, ListingKind, ReadNumber, ShopId};

use crate::database::Database;
use crate::world::{
    NOW, holder, observe, order, product, receive, recompute, seen, sell, shop, sku, snapshot, variation,
    warehouse,
};

fn entry(listing: ListingId, code: Option<&str>) -> TableEntry {
    TableEntry { listing, sku: code.map(sku), is_kept: true }
}

async fn map(store: &Store, shop: ShopId, entries: &[TableEntry]) -> anyhow::Result<Vec<TableOutcome>> {
    let mut tx = store.begin_inventory().await?;
    let outcomes = tx.map_listings(shop, entries, NOW).await?;
    tx.commit().await?;
    Ok(outcomes)
}

/// Holder and SKU of every stock of a shop that is in service.
async fn mapped(store: &Store, shop: ShopId) -> anyhow::Result<Vec<(i64, Option<String>)>> {
    let rows = store.stocks_of_shop(shop, None, 100).await?;
    let rows = rows.into_iter().filter(|row| !row.removed);
    Ok(rows.map(|row| (row.id.holder.get(), row.sku.map(|sku| sku.to_string()))).collect())
}

fn changed(stock: Option<i64>, before: Option<&str>, now: Option<&str>) -> TableOutcome {
    TableOutcome::Changed { stock: stock.map(holder), before: before.map(sku), now: now.map(sku) }
}

pub(crate) async fn a_table_says_what_a_listing_is<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let main = warehouse(&store, "main").await?;
    let shop = shop(&store, "shop", main).await?.id;
    sell(&store, shop, &["A", "B"]).await?;
    observe(&store, &[seen(shop, product(3), Some(3), None)]).await?;
    let entries = [entry(product(1), Some("B")), entry(product(2), Some("A")), entry(product(3), Some("C"))];
    let outcomes = [
        changed(Some(1), Some("A"), Some("B")),
        changed(Some(2), Some("B"), Some("A")),
        changed(Some(3), None, Some("C")),
    ];
    assert_eq!(map(&store, shop, &entries).await?, outcomes, "two change places");
    let swapped = [(1, Some("B".into())), (2, Some("A".into())), (3, Some("C".into()))];
    assert_eq!(mapped(&store, shop).await?, swapped);
    assert_eq!(map(&store, shop, &entries).await?, vec![TableOutcome::Unchanged; 3]);
    // What the shop says does not matter to what a person said.
    let again =
        [(1, "A"), (2, "B"), (3, "X")].map(|(id, code)| seen(shop, product(id), Some(id), Some(code)));
    observe(&store, &again).await?;
    assert_eq!(mapped(&store, shop).await?, swapped);
    // Not managed for a while.
    observe(&store, &[seen(shop, product(3), None, None)]).await?;
    observe(&store, &[seen(shop, product(3), Some(3), Some("Z"))]).await?;
    assert_eq!(mapped(&store, shop).await?, swapped);
    store.check().await?;
    Ok(())
}

pub(crate) async fn a_table_with_a_wrong_entry_changes_nothing<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let main = warehouse(&store, "main").await?;
    let shop = shop(&store, "shop", main).await?.id;
    sell(&store, shop, &["A", "B"]).await?;
    observe(
        &store,
        &[seen(shop, product(5), Some(5), Some("P")), seen(shop, variation(5, 50), Some(5), None)],
    )
    .await?;
    let before = mapped(&store, shop).await?;
    for (wrong, outcome) in [
        (entry(product(2), Some("P")), TableOutcome::SkuTaken { by: holder(5) }),
        (entry(product(9), Some("Y")), TableOutcome::UnknownListing),
        (entry(variation(5, 50), Some("Y")), TableOutcome::SharesStock { holder: holder(5) }),
    ] {
        let outcomes = map(&store, shop, &[entry(product(1), Some("X")), wrong]).await?;
        assert_eq!(outcomes, [changed(Some(1), Some("A"), Some("X")), outcome]);
        assert_eq!(mapped(&store, shop).await?, before, "nothing of it is done");
    }
    let same = map(&store, shop, &[entry(variation(5, 50), Some("P"))]).await?;
    assert_eq!(same, [TableOutcome::Unchanged], "it is what its product is");
    Ok(())
}

pub(crate) async fn what_nobody_says_any_more_goes_by_its_code<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let main = warehouse(&store, "main").await?;
    let shop = shop(&store, "shop", main).await?.id;
    observe(&store, &[seen(shop, product(1), Some(1), Some("A")), seen(shop, product(2), Some(2), None)])
        .await?;
    map(&store, shop, &[entry(product(1), Some("X")), entry(product(2), Some("Y"))]).await?;
    let cleared = map(&store, shop, &[entry(product(1), None), entry(product(2), None)]).await?;
    assert_eq!(cleared, [changed(Some(1), Some("X"), Some("A")), changed(None, Some("Y"), None)]);
    assert_eq!(mapped(&store, shop).await?, [(1, Some("A".to_owned()))]);
    let unpublished = store.levels_to_publish(store::ShopFilter::All, None, 9).await?.levels;
    let removed = |level: &store::Unpublished| level.stock.removed && level.stock.id.holder == holder(2);
    assert!(unpublished.iter().any(removed), "egress is told that it is ours no longer");
    observe(&store, &[seen(shop, product(2), Some(2), None)]).await?;
    assert_eq!(mapped(&store, shop).await?.len(), 1, "reading it again brings nothing back");
    observe(&store, &[seen(shop, product(2), Some(2), Some("B"))]).await?;
    assert_eq!(mapped(&store, shop).await?[1], (2, Some("B".to_owned())), "a code does");
    let nothing = map(&store, shop, &[entry(product(1), None)]).await?;
    assert_eq!(nothing, [TableOutcome::Unchanged]);
    Ok(())
}

pub(crate) async fn what_keeps_no_quantity_may_be_said_to_be_a_sku<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let main = warehouse(&store, "main").await?;
    let shop = shop(&store, "shop", main).await?.id;
    observe(&store, &[seen(shop, product(1), None, None)]).await?;
    order(&store, shop, snapshot(1, "processing", 10, &[product(1)])).await?;
    let said = map(&store, shop, &[entry(product(1), Some("A"))]).await?;
    assert_eq!(said, [changed(None, None, Some("A"))]);
    let mut tx = store.begin_inventory().await?;
    assert_eq!(
        tx.take_resolvable(10).await?,
        [(shop, crate::world::order_id(1))],
        "its lines wait no longer"
    );
    let book = tx.resolve_listings(&[(shop, product(1))], &[], &[]).await?;
    let resolved = book.of(shop).resolve(product(1)).unwrap();
    assert_eq!((resolved.stock, resolved.sku), (None, Some(sku("A"))));
    drop(tx);
    let back = seen(shop, product(1), Some(1), Some("Z"));
    assert_eq!(observe(&store, &[back]).await?, [ListingOutcome::Mapped]);
    assert_eq!(mapped(&store, shop).await?, [(1, Some("A".to_owned()))], "as it was said to be");
    Ok(())
}

pub(crate) async fn a_code_that_differs_in_case_and_blanks_is_matched_if_alone<D: Database>()
-> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let main = warehouse(&store, "main").await?;
    let north = shop(&store, "north", main).await?.id;
    let south = shop(&store, "south", main).await?.id;
    sell(&store, north, &["TEE-RED", "MUG", "Mug", "CAP"]).await?;
    let codes = [(1, "tee-red"), (2, "MUG"), (3, "m u g"), (4, "cap"), (5, "Cap ")];
    let entries = codes.map(|(id, code)| seen(south, product(id), Some(id), Some(code)));
    observe(&store, &entries[..3]).await?;
    let expected = [(1, "TEE-RED"), (2, "MUG"), (3, "m u g")].map(|(id, code)| (id, Some(code.to_owned())));
    assert_eq!(mapped(&store, south).await?, expected, "two are like the last, so it is neither");
    observe(&store, &entries[3..]).await?;
    let last = mapped(&store, south).await?.split_off(3);
    let itself = [(4, Some("cap".to_owned())), (5, Some("Cap".to_owned()))];
    assert_eq!(last, itself, "two that are like it are not, whichever comes first");
    assert_eq!(observe(&store, &entries[..1]).await?, [ListingOutcome::Unchanged], "it is no other name");
    map(&store, south, &[entry(product(1), Some("X"))]).await?;
    let cleared = map(&store, south, &[entry(product(1), None)]).await?;
    assert_eq!(cleared, [changed(Some(1), Some("X"), Some("TEE-RED"))], "it is matched as it was at first");
    Ok(())
}

/// Read in one go or one after the other: the listing whose code a SKU is has it.
pub(crate) async fn an_exact_code_wins_whatever_is_read_first<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let main = warehouse(&store, "main").await?;
    let north = shop(&store, "north", main).await?.id;
    sell(&store, north, &["TEE 1", "TEE 2", "TEE 3", "TEE 4"]).await?;
    // One is only like it, the other is it.
    let of = |shop, like: &str, exact: &str| {
        [(1, like), (2, exact)].map(|(id, code)| seen(shop, product(id), Some(id), Some(code)))
    };
    let named =
        |rows: &[(i64, &str)]| rows.iter().map(|(id, code)| (*id, Some((*code).to_owned()))).collect();
    let both = |like, exact| -> Vec<(i64, Option<String>)> { named(&[(1, like), (2, exact)]) };
    let displaced = ListingOutcome::Displaced { other: holder(1) };

    let together = shop(&store, "together", main).await?.id;
    let entries = of(together, "tee1", "TEE 1");
    assert_eq!(observe(&store, &entries).await?, vec![ListingOutcome::Mapped; 2]);
    assert_eq!(mapped(&store, together).await?, both("tee1", "TEE 1"));

    let apart = shop(&store, "apart", main).await?.id;
    let [like, exact] = of(apart, "tee2", "TEE 2");
    assert_eq!(observe(&store, std::slice::from_ref(&like)).await?, [ListingOutcome::Mapped]);
    assert_eq!(mapped(&store, apart).await?, [(1, Some("TEE 2".to_owned()))], "it is alone as yet");
    let before = store.stocks_of_shop(apart, None, 1).await?.remove(0).epoch;
    assert_eq!(observe(&store, std::slice::from_ref(&exact)).await?, std::slice::from_ref(&displaced));
    assert_eq!(mapped(&store, apart).await?, both("tee2", "TEE 2"));
    let row = store.stocks_of_shop(apart, None, 1).await?.remove(0);
    assert!(row.epoch > before && row.settle.is_none(), "nothing of before is proof of what it is now");
    assert_eq!(observe(&store, &[like, exact]).await?, vec![ListingOutcome::Unchanged; 2]);
    let rows = store.listings_of_shop(apart, None, 9).await?;
    assert_eq!(rows[0].like, Some(sku("TEE 2")), "the doctor tells of it");

    // What a person said stays.
    let said = shop(&store, "said", main).await?.id;
    let [like, exact] = of(said, "tee3", "TEE 3");
    observe(&store, &[like]).await?;
    map(&store, said, &[entry(product(1), Some("TEE 3"))]).await?;
    let taken = ListingOutcome::SkuTaken { by: holder(1) };
    assert_eq!(observe(&store, &[exact]).await?, [taken]);

    // Its own code is another's, because somebody said so: nothing is told to it.
    let lost = shop(&store, "lost", main).await?.id;
    let [like, exact] = of(lost, "tee4", "TEE 4");
    observe(&store, &[like, seen(lost, product(3), Some(3), None)]).await?;
    map(&store, lost, &[entry(product(3), Some("tee4"))]).await?;
    assert_eq!(observe(&store, &[exact]).await?, [displaced]);
    let left: Vec<(i64, Option<String>)> = named(&[(2, "TEE 4"), (3, "tee4")]);
    assert_eq!(mapped(&store, lost).await?, left);
    recompute(&store).await?;
    store.check().await?;
    Ok(())
}

/// An exported table that is imported again says nothing new.
pub(crate) async fn what_is_so_anyway_is_not_written_down<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let main = warehouse(&store, "main").await?;
    let shop = shop(&store, "shop", main).await?.id;
    sell(&store, shop, &["A"]).await?;
    observe(&store, &[seen(shop, product(2), None, Some("B"))]).await?;
    let entries = [(1, "A"), (2, "B")].map(|(id, code)| TableEntry {
        listing: product(id),
        sku: Some(sku(code)),
        is_kept: false,
    });
    assert_eq!(map(&store, shop, &entries).await?, vec![TableOutcome::Unchanged; 2]);
    let rows = store.listings_of_shop(shop, None, 9).await?;
    assert!(rows.iter().all(|row| row.mapped.is_none()));
    let kept = entries.map(|entry| TableEntry { is_kept: true, ..entry });
    let same = |code| changed(None, Some(code), Some(code));
    assert_eq!(map(&store, shop, &kept).await?, [same("A"), changed(None, None, Some("B"))]);
    let rows = store.listings_of_shop(shop, None, 9).await?;
    assert_eq!(rows.iter().filter(|row| row.mapped.is_some()).count(), 2);
    Ok(())
}

pub(crate) async fn a_listing_without_a_code_is_the_sku_of_its_name_if_asked_for<D: Database>()
-> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let main = warehouse(&store, "main").await?;
    for code in ["A", "B", "C", "D"] {
        receive(&store, code, main, 1).await?;
    }
    let names = [("A", "Red tee"), ("B", "Mug"), ("C", "mug "), ("D", "Cap"), ("E", "Nobody knows it")];
    store.name_skus(&names.map(|(code, name)| (sku(code), name.to_owned()))).await?;
    let shop = shop(&store, "shop", main).await?.id;
    let nameless = |id: i64, name: &str| store::ListingSeen {
        name: name.to_owned(),
        ..seen(shop, product(id), Some(id), None)
    };
    let entries = [
        nameless(1, " RED tee"),
        nameless(2, "Mug"),
        nameless(3, "cap"),
        nameless(4, "Cap"),
        nameless(5, ""),
    ];
    observe(&store, &entries).await?;
    assert!(!store.matches_names(shop).await?);
    assert!(mapped(&store, shop).await?.iter().all(|(_, sku)| sku.is_none()), "nobody asked for it");
    assert_eq!(store.set_matches_names(shop, true).await?, store::Changed::Done);
    assert!(store.matches_names(shop).await?);
    observe(&store, &entries).await?;
    let expected = [(1, Some("A".to_owned())), (2, None), (3, None), (4, None), (5, None)];
    assert_eq!(mapped(&store, shop).await?, expected, "two of a name on either side are none");
    let row = store.listings_of_shop(shop, None, 1).await?.remove(0);
    assert!(row.named_alike && row.stocked == Stocked::Here);
    Ok(())
}

pub(crate) async fn a_hint_that_differs_is_told<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let main = warehouse(&store, "main").await?;
    let shop = shop(&store, "shop", main).await?.id;
    sell(&store, shop, &["A"]).await?;
    let mut hint = seen(shop, product(1), Some(1), Some("A"));
    hint.number = ReadNumber::ZERO;
    assert_eq!(observe(&store, std::slice::from_ref(&hint)).await?, [ListingOutcome::Older]);
    hint.sku = Some(sku("B"));
    assert_eq!(observe(&store, std::slice::from_ref(&hint)).await?, [ListingOutcome::Hinted]);
    assert_eq!(mapped(&store, shop).await?, [(1, Some("A".to_owned()))], "a hint changes nothing");
    Ok(())
}

pub(crate) async fn what_is_to_be_read_again_is_named_with_what_is_known<D: Database>() -> anyhow::Result<()>
{
    let database = D::fresh().await?;
    let store = database.open().await?;
    let main = warehouse(&store, "main").await?;
    let shop = shop(&store, "shop", main).await?.id;
    observe(&store, &[seen(shop, product(1), Some(1), Some("A")), seen(shop, variation(2, 20), None, None)])
        .await?;
    let wanted = |id| (shop, holder(id));
    store.want_listings(&[wanted(1), wanted(20), wanted(9)]).await?;
    store.want_listings(&[wanted(20)]).await?;
    assert_eq!(store.shops_to_read(NOW).await?, [shop]);
    let due = store.listings_wanted(shop, 10).await?;
    let known = |id: i64| due.iter().find(|due| due.id == holder(id)).and_then(|due| due.known.clone());
    assert_eq!(known(1).map(|known| (known.listing, known.sku)), Some((product(1), Some(sku("A")))));
    assert_eq!(known(20).map(|known| known.listing), Some(variation(2, 20)));
    assert_eq!((known(9), due.len()), (None, 3), "it is nothing of the catalogue");
    store.want_listings(&[wanted(1)]).await?;
    store.listings_done(shop, &due).await?;
    let left = store.listings_wanted(shop, 10).await?;
    assert_eq!(left.iter().map(|left| left.id).collect::<Vec<_>>(), [holder(1)], "asked for again meanwhile");
    store.listings_done(shop, &left).await?;
    assert_eq!(store.shops_to_read(NOW).await?, []);

    let mut gone = seen(shop, product(1), None, Some("A"));
    assert_eq!(store.listings_there(shop, None, 10).await?, [product(1), variation(2, 20)]);
    store::STATUS_GONE.clone_into(&mut gone.status);
    observe(&store, &[gone]).await?;
    assert_eq!(store.listings_there(shop, None, 10).await?, [variation(2, 20)]);
    Ok(())
}

pub(crate) async fn a_catalogue_is_told_with_how_it_stands<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let main = warehouse(&store, "main").await?;
    let north = shop(&store, "north", main).await?.id;
    sell(&store, north, &["A", "a"]).await?;
    let south = shop(&store, "south", main).await?.id;
    let mut entries = [
        seen(south, product(1), Some(1), Some("A")),
        seen(south, product(2), Some(2), Some("A")),
        seen(south, product(5), Some(5), Some("P")),
        seen(south, variation(5, 50), Some(5), Some("V")),
        seen(south, product(6), None, None),
    ];
    entries[2].kind = Some(ListingKind::Parent);
    observe(&store, &entries).await?;
    map(&store, south, &[entry(product(6), Some("S"))]).await?;
    recompute(&store).await?;
    receive(&store, "S", main, 3).await?;
    let rows = store.listings_of_shop(south, None, 100).await?;
    let told = |row: &ListingRow| {
        let sku = row.sku.as_ref().map(ToString::to_string);
        (row.listing.to_string(), sku, row.owner.map(values::HolderId::get), row.stocked)
    };
    let a = || Some("A".to_owned());
    let p = || Some("P".to_owned());
    let expected = [
        ("1".to_owned(), a(), Some(1), Stocked::Nowhere),
        ("2".to_owned(), None, Some(1), Stocked::Nowhere),
        ("5".to_owned(), p(), Some(5), Stocked::Nowhere),
        ("5/50".to_owned(), p(), None, Stocked::Nowhere),
        ("6".to_owned(), None, None, Stocked::Here),
    ];
    assert_eq!(rows.iter().map(told).collect::<Vec<_>>(), expected);
    assert_eq!(rows[0].like, Some(sku("a")));
    assert_eq!((rows[2].kind, rows[2].is_parent, rows[2].shared_by), (Some(ListingKind::Parent), true, 1));
    assert_eq!((rows[4].mapped.clone(), rows[4].like.clone()), (Some(sku("S")), None));
    let rest = store.listings_of_shop(south, Some(rows[2].listing), 100).await?;
    assert_eq!(rest, rows[3..]);
    let other = warehouse(&store, "other").await?;
    receive(&store, "P", other, 3).await?;
    let rows = store.listings_of_shop(south, None, 100).await?;
    assert_eq!(rows[2].stocked, Stocked::Elsewhere, "the shop sells nothing from there");
    assert!(rows[4].can_be_managed());
    let settings = ShopSettings::new("https://south.example".to_owned(), Routing::new([other]).unwrap());
    store.change_shop(south, &settings).await?;
    let rows = store.listings_of_shop(south, None, 100).await?;
    assert_eq!((rows[2].stocked, rows[4].stocked), (Stocked::Here, Stocked::Elsewhere));
    assert!(!rows[4].can_be_managed(), "there is none of it to be told");
    Ok(())
}
