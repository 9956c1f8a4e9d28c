//! Work that waits: recompute and resolve marks, expiry, re-reads, dead messages, approvals.

use store::ParkedCause;
use store::{Changed, Changes, Decided, Incomplete, NewDead, OperationKey, OperationRecord};
use values::{LineFault, Timestamp};

use crate::batch::apply_in;
use crate::database::Database;
use crate::world::{
    NOW, observe, order, order_id, product, recompute, seen, settings, simple, sku, snapshot, stock, units,
};

fn later(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(NOW.seconds() + seconds)
}

pub(crate) async fn a_changed_shop_marks_its_skus<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let (shop, main) = simple(&store).await?;
    let mut changed = settings(main);
    changed.buffer = units(2);
    assert_eq!(store.change_shop(shop.id, &changed).await?, Changed::Done);
    assert_eq!(store.waiting().await?.recompute_count, 2);
    assert_eq!(store.check().await?, [], "what waits to be recomputed is known to be old");
    let mut tx = store.begin_inventory().await?;
    assert_eq!(tx.take_recompute(1).await?, [sku("A")]);
    assert!(!tx.take_recompute_of(&sku("A")).await?);
    assert!(tx.take_recompute_of(&sku("B")).await?);
    assert_eq!(tx.take_recompute(9).await?, []);
    drop(tx);
    assert_eq!(store.waiting().await?.recompute_count, 2, "a mark goes with the level it stands for");
    // A dropped transaction lets go of its marks a moment later; until then others pass over them.
    for _ in 0..1_000 {
        recompute(&store).await?;
        if store.waiting().await?.recompute_count == 0 {
            break;
        }
    }
    assert_eq!(store.waiting().await?.recompute_count, 0);
    assert_eq!(store.stocks_of_shop(shop.id, None, 9).await?[0].level, units(8));
    assert_eq!(store.check().await?, []);
    Ok(())
}

pub(crate) async fn a_mapped_listing_marks_its_orders<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let (shop, _) = simple(&store).await?;
    for number in 1..=5 {
        order(&store, shop.id, snapshot(number, "processing", 10, &[product(7)])).await?;
    }
    assert_eq!(store.waiting().await?.parked_count, 5);
    observe(&store, &[seen(shop.id, product(7), Some(7), None)]).await?;
    let mut tx = store.begin_inventory().await?;
    for expected in [vec![1, 2], vec![3, 4], vec![5], vec![]] {
        let orders = tx.take_resolvable(2).await?;
        let numbers: Vec<_> = orders.iter().map(|(_, order)| order.get()).collect();
        assert_eq!(numbers, expected, "in bounded steps, each once, though they stay without SKU");
    }
    tx.commit().await?;
    // With a SKU they are looked at again.
    store.map_stock(stock(shop.id, 7), &sku("New"), NOW).await?;
    let mut tx = store.begin_inventory().await?;
    assert_eq!(tx.take_resolvable(10).await?.len(), 5);
    Ok(())
}

pub(crate) async fn expired_orders_are_found<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let (shop, _) = simple(&store).await?;
    let mut tx = store.begin_inventory().await?;
    apply_in(&mut tx, &[(shop.id, snapshot(1, "pending", 10, &[product(1)]))], NOW).await?;
    let mut rows = tx.load_orders(&[(shop.id, order_id(1))]).await?;
    rows[0].expires_at = Some(later(60));
    tx.save(&Changes { orders: &rows, now: NOW, ..Changes::default() }).await?;
    assert_eq!(tx.expired_orders(later(59), 9).await?, []);
    assert_eq!(tx.expired_orders(later(60), 9).await?, [(shop.id, order_id(1))]);
    rows[0].expires_at = None;
    tx.save(&Changes { orders: &rows, now: NOW, ..Changes::default() }).await?;
    assert_eq!(tx.expired_orders(later(60), 9).await?, []);
    Ok(())
}

pub(crate) async fn rereads_are_asked_for_once_in_a_while<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let (shop, _) = simple(&store).await?;
    let key = (shop.id, order_id(1));
    let mut tx = store.begin_inventory().await?;
    let mut rows = tx.load_orders(&[key]).await?;
    rows[0].order.reread = true;
    tx.save(&Changes { orders: &rows, now: NOW, ..Changes::default() }).await?;
    assert_eq!(tx.rereads_to_ask(NOW, later(-60), 9).await?, [key]);
    assert_eq!(tx.rereads_to_ask(later(1), later(-59), 9).await?, [], "it was just asked for");
    assert_eq!(tx.rereads_to_ask(later(60), NOW, 9).await?, [key], "no answer came");
    rows[0].order.reread = false;
    tx.save(&Changes { orders: &rows, now: NOW, ..Changes::default() }).await?;
    assert_eq!(tx.rereads_to_ask(later(999), later(999), 9).await?, []);
    tx.commit().await?;
    assert_eq!(store.waiting().await?.reread_count, 0);
    Ok(())
}

pub(crate) async fn incomplete_shops_are_marked_and_cleared<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let (shop, _) = simple(&store).await?;
    let mark = |order| Incomplete { shop: shop.id, order, reason: "unreadable".to_owned(), at: NOW };
    let marks = [mark(Some(order_id(1))), mark(Some(order_id(1))), mark(None)];
    let mut tx = store.begin_inventory().await?;
    assert!(tx.incomplete_shops(&[shop.id]).await?.is_empty());
    tx.save(&Changes { incomplete: &marks, now: NOW, ..Changes::default() }).await?;
    assert!(tx.incomplete_shops(&[shop.id]).await?.contains(&shop.id));
    tx.clear_incomplete(&[(shop.id, Some(order_id(1)))]).await?;
    assert_eq!(tx.incomplete_shops(&[shop.id]).await?.len(), 1, "an order nobody knows is still missing");
    tx.clear_incomplete(&[(shop.id, None)]).await?;
    assert!(tx.incomplete_shops(&[shop.id]).await?.is_empty());
    Ok(())
}

pub(crate) async fn dead_messages_can_be_taken<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let (shop, _) = simple(&store).await?;
    let dead = NewDead {
        identity: Some("message/1".to_owned()),
        queue: Some("inventory.orders.v1.1.0".to_owned()),
        shop: Some(shop.id),
        leaves_incomplete: true,
        kind: "order_observed.v1".to_owned(),
        trace: Some(*b"sixteen bytes id"),
        payload: vec![0, 159, 146, 150],
        reason: "future_version".to_owned(),
        attempts: 3,
        at: NOW,
    };
    let mut tx = store.begin_inventory().await?;
    tx.save(&Changes { dead: std::slice::from_ref(&dead), now: NOW, ..Changes::default() }).await?;
    assert_eq!(tx.incomplete_shops(&[shop.id]).await?.len(), 1);
    tx.commit().await?;
    let listed = store.dead_messages(0, 9).await?;
    assert_eq!(listed[0].message, dead);
    let mut tx = store.begin_inventory().await?;
    assert_eq!(tx.take_dead(listed[0].id).await?.map(|taken| taken.message), Some(dead));
    assert_eq!(tx.take_dead(listed[0].id).await?, None);
    assert!(tx.incomplete_shops(&[shop.id]).await?.is_empty());
    Ok(())
}

/// A level or a wish that was given up says nothing of orders.
pub(crate) async fn a_dead_message_of_no_fact_makes_nothing_incomplete<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let (shop, _) = simple(&store).await?;
    let level = |shop| NewDead {
        identity: None,
        queue: Some("egress.levels.v1.1.0".to_owned()),
        shop,
        leaves_incomplete: false,
        kind: "level.changed.v1".to_owned(),
        trace: None,
        payload: vec![1],
        reason: "cannot-be-stored".to_owned(),
        attempts: 4,
        at: NOW,
    };
    let mut tx = store.begin_inventory().await?;
    tx.save(&Changes { dead: &[level(Some(shop.id)), level(None)], now: NOW, ..Changes::default() }).await?;
    assert!(tx.incomplete_shops(&[shop.id]).await?.is_empty());
    tx.commit().await?;
    assert_eq!(store.dead_messages(0, 9).await?.len(), 2, "somebody sees them all the same");
    Ok(())
}

pub(crate) async fn a_dead_message_is_kept_once<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let (shop, _) = simple(&store).await?;
    let dead = |identity: Option<&str>| NewDead {
        identity: identity.map(str::to_owned),
        queue: None,
        shop: None,
        leaves_incomplete: true,
        kind: "unreadable".to_owned(),
        trace: None,
        payload: Vec::new(),
        reason: "unreadable-envelope".to_owned(),
        attempts: 0,
        at: NOW,
    };
    let all = [dead(Some("q/1")), dead(Some("q/1")), dead(None), dead(None), dead(Some("q/2"))];
    let mut tx = store.begin_inventory().await?;
    tx.save(&Changes { dead: &all, now: NOW, ..Changes::default() }).await?;
    tx.save(&Changes { dead: &all[..1], now: NOW, ..Changes::default() }).await?;
    tx.commit().await?;
    let kept = store.dead_messages(0, 9).await?;
    let identities: Vec<_> = kept.iter().map(|dead| dead.message.identity.as_deref()).collect();
    assert_eq!(identities, [Some("q/1"), None, None, Some("q/2")]);
    let mut tx = store.begin_inventory().await?;
    assert!(tx.incomplete_shops(&[shop.id]).await?.contains(&shop.id), "it may have been this shop's");
    for dead in kept {
        tx.take_dead(dead.id).await?;
    }
    assert!(tx.incomplete_shops(&[shop.id]).await?.is_empty());
    Ok(())
}

pub(crate) async fn approvals_are_decided_once<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let mut tx = store.begin_inventory().await?;
    let number = tx.add_approval("zeroing", "400 of 500 SKUs", b"payload", NOW).await?;
    tx.commit().await?;
    assert_eq!(store.approvals_waiting(9).await?.len(), 1);
    let yes = Decided { actor: "ann".to_owned(), approved: true, at: NOW };
    let no = Decided { actor: "bob".to_owned(), approved: false, at: NOW };
    let mut tx = store.begin_inventory().await?;
    let decided = tx.decide_approval(number, &yes).await?.unwrap();
    assert_eq!((decided.payload.as_slice(), decided.decided), (b"payload".as_slice(), Some(yes)));
    assert_eq!(tx.decide_approval(number, &no).await?, None);
    tx.commit().await?;
    assert_eq!(store.approvals_waiting(9).await?, []);
    Ok(())
}

pub(crate) async fn operation_keys_are_forgotten<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let record = |number: i64| OperationRecord {
        key: OperationKey { actor: "till".to_owned(), key: number.to_string() },
        digest: [0; 16],
        outcome: String::new(),
        at: later(number),
    };
    let records: Vec<_> = (1..=5).map(record).collect();
    let mut tx = store.begin_inventory().await?;
    tx.save(&Changes { operations: &records, now: NOW, ..Changes::default() }).await?;
    assert_eq!(tx.prune_operations(later(4), 2).await?, 2, "in bounded steps");
    assert_eq!(tx.prune_operations(later(4), 2).await?, 1);
    assert_eq!(tx.prune_operations(later(4), 2).await?, 0);
    Ok(())
}

pub(crate) async fn orphans_and_parked_lines_are_listed<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let (shop, _) = simple(&store).await?;
    order(&store, shop.id, snapshot(1, "processing", 10, &[product(1), product(2)])).await?;
    order(&store, shop.id, snapshot(2, "processing", 10, &[product(8), product(1), product(9)])).await?;
    let number = values::ReadNumber::new(5);
    let gone = ledger::Snapshot::gone(order_id(1), number, NOW);
    order(&store, shop.id, gone).await?;
    let orphans = store.orphaned(None, 9).await?;
    assert_eq!(orphans.len(), 1);
    assert_eq!((orphans[0].order, orphans[0].reserved), (order_id(1), units(2)));
    let first = store.parked(None, 1).await?;
    let second = store.parked(Some((shop.id, first[0].order, first[0].line)), 9).await?;
    let listings: Vec<_> = first.iter().chain(&second).map(|line| line.listing).collect();
    assert_eq!(listings, [Some(product(8)), Some(product(9))]);
    let waiting = store.waiting().await?;
    assert_eq!((waiting.parked_count, waiting.orphaned_count), (2, 1));
    Ok(())
}

/// An order of one unit that its shop took nothing for.
fn untaken(number: i64) -> ledger::Snapshot {
    let mut snapshot = snapshot(number, "processing", 10, &[product(7)]);
    snapshot.lines.iter_mut().for_each(|line| line.taken = None);
    snapshot
}

pub(crate) async fn a_line_without_stock_waits_for_nobody<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let (shop, _) = simple(&store).await?;
    order(&store, shop.id, untaken(1)).await?;
    assert_eq!(store.waiting().await?.parked_count, 1, "nobody knows of its product");
    observe(&store, &[seen(shop.id, product(7), None, None)]).await?;
    let mut tx = store.begin_inventory().await?;
    assert_eq!(tx.take_resolvable(9).await?, [(shop.id, order_id(1))], "the catalogue says what it is");
    tx.commit().await?;
    let later = ledger::Snapshot { modified_at: Some(Timestamp::from_seconds(20)), ..untaken(1) };
    order(&store, shop.id, later).await?;
    order(&store, shop.id, untaken(2)).await?;
    assert_eq!(store.waiting().await?.parked_count, 0);
    assert_eq!(store.parked(None, 9).await?, []);
    assert!(store.order(shop.id, order_id(2)).await?.unwrap().order.lines[0].unmanaged);
    // A stock of its own makes its orders worth a look.
    observe(&store, &[seen(shop.id, product(7), Some(7), Some("Seven"))]).await?;
    let mut tx = store.begin_inventory().await?;
    assert_eq!(tx.take_resolvable(9).await?, [(shop.id, order_id(1)), (shop.id, order_id(2))]);
    Ok(())
}

pub(crate) async fn a_code_that_becomes_known_finds_its_orders<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let (shop, main) = simple(&store).await?;
    for number in 1..=3 {
        let mut coded = untaken(number);
        coded.lines.iter_mut().for_each(|line| line.sku = Some(sku("Later")));
        order(&store, shop.id, coded).await?;
    }
    let mut tx = store.begin_inventory().await?;
    assert_eq!(tx.take_resolvable(9).await?, [], "no such SKU yet");
    drop(tx);
    crate::world::receive(&store, "Later", main, 4).await?;
    let mut tx = store.begin_inventory().await?;
    assert_eq!(tx.take_resolvable(2).await?.len(), 2, "in bounded steps");
    assert_eq!(tx.take_resolvable(9).await?.len(), 3, "until they are resolved");
    Ok(())
}

pub(crate) async fn a_line_that_cannot_be_read_is_listed_with_its_cause<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let (shop, _) = simple(&store).await?;
    let mut snapshot = snapshot(1, "processing", 10, &[product(1), product(2), product(7)]);
    snapshot.lines[0].fault = Some(LineFault::TooFine);
    order(&store, shop.id, snapshot.clone()).await?;
    snapshot.lines[0].fault = None;
    snapshot.lines[0].listing = None;
    order(&store, shop.id, ledger::Snapshot { order: order_id(2), ..snapshot }).await?;
    let parked = store.parked(None, 9).await?;
    let causes: Vec<_> = parked.iter().map(|line| (line.order.get(), line.cause)).collect();
    let faulty = ParkedCause::Faulty(LineFault::TooFine);
    let expected =
        [(1, faulty), (1, ParkedCause::NoSku), (2, ParkedCause::NoProduct), (2, ParkedCause::NoSku)];
    assert_eq!(causes, expected);
    assert_eq!(store.waiting().await?.parked_count, 4);
    Ok(())
}
