//! Warehouses, shops, secrets, tokens.

use std::time::Duration;

use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};
use store::{
    Changed, Class, Cursor, CursorKind, Error, NewShop, OpenOrders, Scope, SecretError, ShopAdded,
    ShopRemoved, ShopSecrets, ShopSettings, ShopState, SignIn, StillHeld, Store, TokenRevoked, Wanted,
    WarehouseAdded, WarehouseKind, WebhookDoor, Wish,
};
use values::{ShopId, Timestamp, WarehouseId};

use crate::database::Database;
use crate::world::{NOW, new_shop, secrets, settings, shop, units, warehouse};

pub(crate) async fn warehouses_have_unique_names<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    warehouse(&store, "main").await?;
    let again = store.add_warehouse("main", WarehouseKind::Mirrored, NOW).await?;
    assert_eq!(again, WarehouseAdded::NameTaken);
    store.add_warehouse("erp", WarehouseKind::Mirrored, NOW).await?;
    let all = store.warehouses().await?;
    let shown: Vec<_> = all.iter().map(|warehouse| (warehouse.name.as_str(), warehouse.kind)).collect();
    assert_eq!(shown, [("main", WarehouseKind::HubOwned), ("erp", WarehouseKind::Mirrored)]);
    Ok(())
}

pub(crate) async fn a_shop_comes_back_as_it_was_added<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let (first, second) = (warehouse(&store, "first").await?, warehouse(&store, "second").await?);
    let mut new = new_shop("shop", first);
    new.settings.routing = ledger::Routing::new([second, first]).unwrap();
    new.settings.statuses = new.settings.statuses.with("packing", ledger::StatusRule::Reserve);
    new.settings.buffer = units(3);
    new.settings.private_allowed = true;
    new.settings.sign_in = SignIn::Query;
    new.settings.orphaned = store::Orphaned::Release;
    new.settings.drift = push::DriftPolicy::Adopt;
    let expected = new.settings.clone();
    let ShopAdded::Added { shop, webhook_token, returned: false } = store.add_shop(new, NOW).await? else {
        panic!("not added");
    };
    assert_eq!(shop.settings, expected);
    assert_eq!(shop.state, ShopState::Connecting);
    assert_eq!(store.shops(None).await?, std::slice::from_ref(&shop));
    assert_eq!(store.activate_shop(shop.id).await?, Changed::Done);
    assert_eq!(store.shops(Some(&[shop.id])).await?.first().map(|shop| shop.state), Some(ShopState::Active));
    let token = webhook_token.expose_secret();
    assert_eq!(token.len(), 43, "256 bits");
    assert_eq!(store.shop_of_webhook(token).await?, Some(shop.id));
    assert_eq!(store.shop_of_webhook("guessed").await?, None);
    let stored = store.webhook_token(shop.id).await?.unwrap();
    assert_eq!(stored.expose_secret(), token);
    let changed = ShopSettings {
        sign_in: SignIn::Header,
        private_allowed: false,
        orphaned: store::Orphaned::Keep,
        drift: push::DriftPolicy::Alert,
        ..expected
    };
    assert_eq!(store.change_shop(shop.id, &changed).await?, Changed::Done);
    assert_eq!(store.shops(None).await?.first().map(|shop| &shop.settings), Some(&changed));
    Ok(())
}

pub(crate) async fn names_and_warehouses_of_shops_are_checked<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let main = warehouse(&store, "main").await?;
    let nowhere = WarehouseId::new(99).unwrap();
    let added = store.add_shop(new_shop("shop", nowhere), NOW).await?;
    assert!(matches!(added, ShopAdded::UnknownWarehouse(unknown) if unknown == nowhere));
    let shop = shop(&store, "shop", main).await?;
    assert!(matches!(store.add_shop(new_shop("shop", main), NOW).await?, ShopAdded::NameTaken));
    let changed = store.change_shop(shop.id, &settings(nowhere)).await?;
    assert_eq!(changed, Changed::UnknownWarehouse(nowhere));
    assert_eq!(store.shops(None).await?, [shop], "nothing was changed");
    assert_eq!(store.change_shop(ShopId::new(99).unwrap(), &settings(main)).await?, Changed::Unknown);
    Ok(())
}

pub(crate) async fn a_removed_shop_gives_its_name_and_secrets_up<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let main = warehouse(&store, "main").await?;
    let removed = shop(&store, "shop", main).await?;
    let token = store.webhook_token(removed.id).await?.unwrap();
    let nothing = ShopRemoved::Removed(StillHeld::default());
    assert_eq!(store.remove_shop(removed.id, OpenOrders::Keep, NOW).await?, nothing);
    assert_eq!(store.remove_shop(removed.id, OpenOrders::Keep, NOW).await?, ShopRemoved::Unknown);
    assert!(store.shop_secrets(removed.id).await?.is_none());
    assert_eq!(store.shop_of_webhook(token.expose_secret()).await?, None);
    let url = "https://elsewhere.example".to_owned();
    let elsewhere = NewShop { settings: ShopSettings { url, ..settings(main) }, ..new_shop("shop", main) };
    let ShopAdded::Added { shop: next, returned: false, .. } = store.add_shop(elsewhere, NOW).await? else {
        anyhow::bail!("the name is free")
    };
    assert_ne!(next.id, removed.id);
    Ok(())
}

pub(crate) async fn every_webhook_address_is_listed<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let main = warehouse(&store, "main").await?;
    let (read, new) = (shop(&store, "read", main).await?, shop(&store, "new", main).await?);
    let removed = shop(&store, "removed", main).await?;
    store.remove_shop(removed.id, OpenOrders::Keep, NOW).await?;
    let lease = store.lease_reader(read.id, "reader", NOW, Duration::from_mins(1)).await?.unwrap();
    let cursor = Cursor { shop_time: NOW, hub_time: NOW, page: 1 };
    store.save_cursor(new.id, CursorKind::Catalogue, cursor, lease.fence).await?;
    store.save_cursor(read.id, CursorKind::Orders, cursor, lease.fence).await?;
    let rotated = ShopSecrets { webhook_secret_previous: Some("before".into()), ..secrets("second") };
    store.set_shop_secrets(new.id, &rotated).await?;

    let doors = store.webhook_doors().await?;
    let shown: Vec<_> = doors.iter().map(|door| (door.shop, door.is_read)).collect();
    assert_eq!(shown, [(read.id, true), (new.id, false)]);
    for door in &doors {
        let token = store.webhook_token(door.shop).await?.unwrap();
        let hash: [u8; 32] = Sha256::digest(token.expose_secret().as_bytes()).into();
        assert_eq!(door.token_hash, hash);
        let secrets = store.shop_secrets(door.shop).await?.unwrap();
        assert_eq!(door.secret.expose_secret(), secrets.webhook_secret.expose_secret());
    }
    let previous = |door: &WebhookDoor| door.secret_previous.as_ref().map(|it| it.expose_secret().to_owned());
    assert_eq!(doors.iter().map(previous).collect::<Vec<_>>(), [None, Some("before".to_owned())]);
    Ok(())
}

pub(crate) async fn a_store_that_is_away_is_busy_until_it_is_there<D: Database>() -> anyhow::Result<()> {
    let (database, store) = (D::fresh().await?, Store::away());
    let refused = store.warehouses().await.unwrap_err();
    assert_eq!(refused.class(), Class::Retry, "{refused}");
    assert!(store.begin_egress().await.is_err());
    store.becomes(database.open().await?);
    warehouse(&store, "main").await?;
    store.becomes(D::fresh().await?.open().await?);
    assert_eq!(store.warehouses().await?.len(), 1, "it stays what it is");
    Ok(())
}

pub(crate) async fn a_removed_shop_comes_back_as_itself<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let main = warehouse(&store, "main").await?;
    let first = shop(&store, "first", main).await?;
    let token = store.webhook_token(first.id).await?.unwrap();
    let lease = store.lease_reader(first.id, "reader", NOW, Duration::from_mins(1)).await?.unwrap();
    let cursor = Cursor { shop_time: NOW, hub_time: NOW, page: 1 };
    store.save_cursor(first.id, CursorKind::Orders, cursor, lease.fence).await?;
    let again = |name: &str, url: &str| NewShop {
        settings: ShopSettings { url: url.to_owned(), buffer: units(3), ..settings(main) },
        secrets: secrets("second"),
        ..new_shop(name, main)
    };

    let taken = store.add_shop(again("second", "http://FIRST.example/"), NOW).await?;
    assert!(matches!(&taken, ShopAdded::AddressTaken(by) if by == "first"), "{taken:?}");
    let taken = store.add_shop(again("first", "https://first.example"), NOW).await?;
    assert!(matches!(taken, ShopAdded::NameTaken), "{taken:?}");
    shop(&store, "other", main).await?;
    store.remove_shop(first.id, OpenOrders::Keep, NOW).await?;
    let taken = store.add_shop(again("other", "https://first.example"), NOW).await?;
    assert!(matches!(taken, ShopAdded::NameTaken), "{taken:?}");

    let added = store.add_shop(again("second", "http://FIRST.example/"), NOW).await?;
    let ShopAdded::Added { shop: back, webhook_token, returned: true } = added else {
        anyhow::bail!("{added:?}")
    };
    assert_eq!((back.id, back.name.as_str(), back.state), (first.id, "second", ShopState::Connecting));
    assert_eq!(back.settings, first.settings, "they are changed next");
    assert_eq!(store.shops(None).await?.len(), 2);
    assert_eq!(store.shop_of_webhook(token.expose_secret()).await?, None, "the old address is void");
    assert_eq!(store.shop_of_webhook(webhook_token.expose_secret()).await?, Some(first.id));
    let sealed = store.shop_secrets(first.id).await?.unwrap();
    assert_eq!(sealed.consumer_key.expose_secret(), "ck_second");
    assert_eq!(store.cursor(first.id, CursorKind::Orders).await?, None, "it is read from the start");
    let wishes: Vec<Wish> = store.wishes(9).await?.into_iter().map(|(wish, _)| wish).collect();
    assert_eq!(wishes, [Wish { shop: first.id, what: Wanted::Audit }]);
    Ok(())
}

pub(crate) async fn secrets_are_unreadable_under_another_key<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open_with(1).await?;
    let main = warehouse(&store, "main").await?;
    let id = shop(&store, "shop", main).await?.id;
    let stored = store.shop_secrets(id).await?.unwrap();
    assert_eq!(stored.consumer_secret.expose_secret(), "cs_first");
    assert_eq!(format!("{stored:?}"), "ShopSecrets { .. }");
    store.close().await;
    let other = database.open_with(2).await?;
    let refused = other.shop_secrets(id).await;
    assert!(matches!(refused, Err(Error::Secret { source: SecretError::OtherKey, .. })), "{refused:?}");
    Ok(())
}

pub(crate) async fn secrets_can_be_rotated<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let main = warehouse(&store, "main").await?;
    let id = shop(&store, "shop", main).await?.id;
    let mut next = secrets("second");
    next.webhook_secret_previous = Some("ws_first".into());
    assert_eq!(store.set_shop_secrets(id, &next).await?, Changed::Done);
    let stored = store.shop_secrets(id).await?.unwrap();
    assert_eq!(stored.webhook_secret.expose_secret(), "ws_second");
    assert_eq!(stored.webhook_secret_previous.unwrap().expose_secret(), "ws_first");
    store.set_shop_secrets(id, &secrets("second")).await?;
    assert!(store.shop_secrets(id).await?.unwrap().webhook_secret_previous.is_none());
    assert!(store.webhook_token(id).await?.is_some(), "the webhook address stays");
    Ok(())
}

pub(crate) async fn tokens_are_known_by_their_hash_only<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let (token, text) = store.create_token("till", Scope::Operate, NOW).await?;
    let used = store.use_token(text.expose_secret(), NOW).await?.unwrap();
    assert_eq!((used.id, used.scope, used.used_at), (token.id, Scope::Operate, Some(NOW)));
    let soon = Timestamp::from_seconds(NOW.seconds() + 30);
    assert_eq!(store.use_token(text.expose_secret(), soon).await?.unwrap().used_at, Some(NOW));
    let later = Timestamp::from_seconds(NOW.seconds() + 60);
    assert_eq!(store.use_token(text.expose_secret(), later).await?.unwrap().used_at, Some(later));
    assert_eq!(store.use_token("onhand_guess", NOW).await?, None);
    assert_eq!(store.revoke_token(token.id, false, NOW).await?, TokenRevoked::Done);
    assert_eq!(store.revoke_token(token.id, true, NOW).await?, TokenRevoked::Unknown);
    assert_eq!(store.use_token(text.expose_secret(), NOW).await?, None);
    assert_eq!(store.tokens().await?.len(), 1);
    Ok(())
}

pub(crate) async fn the_last_administrator_is_kept_unless_that_is_meant<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let mut ids = Vec::new();
    for (name, scope) in [("one", Scope::Admin), ("two", Scope::Admin), ("till", Scope::Operate)] {
        ids.push(store.create_token(name, scope, NOW).await?.0.id);
    }
    let revoke = async |id, even_the_last| store.revoke_token(id, even_the_last, NOW).await;
    // Each would leave the other.
    let (one, two) = tokio::join!(revoke(ids[0], false), revoke(ids[1], false));
    let mut both = [one?, two?];
    both.sort_by_key(|revoked| *revoked != TokenRevoked::Done);
    assert_eq!(both, [TokenRevoked::Done, TokenRevoked::LastAdministrator]);
    assert_eq!(revoke(ids[2], false).await?, TokenRevoked::Done, "it administers nothing");
    let last = store.tokens().await?.into_iter().find(|token| token.revoked_at.is_none()).unwrap();
    assert_eq!(revoke(last.id, false).await?, TokenRevoked::LastAdministrator);
    assert_eq!(revoke(last.id, true).await?, TokenRevoked::Done);
    Ok(())
}

pub(crate) async fn opening_twice_changes_nothing<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let main = warehouse(&store, "main").await?;
    let added = shop(&store, "shop", main).await?;
    store.close().await;
    let store = database.open().await?;
    assert_eq!(store.shops(None).await?, std::slice::from_ref(&added));
    // While it is open, too.
    assert_eq!(database.open().await?.shops(None).await?, [added]);
    Ok(())
}
