//! Shipments, and what shops are told of them.

use store::{ReportPart, ReportState, ReportWanted, Shipment, ShipmentId, ShippedLine, Shop, Store};
use values::{LineId, OrderId, ShopId, Timestamp};

use crate::database::Database;
use crate::world::{receive_tagged, simple};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

fn id(order: i64, number: u32) -> ShipmentId {
    ShipmentId { shop: ShopId::new(3).unwrap(), order: OrderId::new(order).unwrap(), number }
}

fn shipment(order: i64, revision: u64) -> Shipment {
    Shipment {
        id: id(order, 0),
        at: at(5),
        actor: "packer".to_owned(),
        carrier: Some("DHL".to_owned()),
        tracking: Some("00340".to_owned()),
        tracking_url: Some("https://dhl.example/00340".to_owned()),
        lines: vec![ShippedLine {
            line: LineId::new(1).unwrap(),
            sku: "TEE, \"red\"".parse().unwrap(),
            quantity: "1.5".parse().unwrap(),
        }],
        complete: true,
        status: Some("completed".to_owned()),
        note: Some("Sent".to_owned()),
        revision,
        trace: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()),
    }
}

async fn add(store: &Store, new: &Shipment) -> anyhow::Result<ShipmentId> {
    let mut tx = store.begin_inventory().await?;
    tx.load_orders(&[(new.id.shop, new.id.order)]).await?;
    let added = tx.add_shipment(new).await?;
    tx.commit().await?;
    Ok(added)
}

pub(crate) async fn shipments_are_numbered_by_order<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let first = shipment(7, 1);
    let second = Shipment {
        carrier: None,
        tracking: None,
        tracking_url: None,
        lines: Vec::new(),
        complete: false,
        status: None,
        note: None,
        trace: None,
        ..shipment(7, 0)
    };
    assert_eq!(add(&store, &first).await?, id(7, 1));
    assert_eq!(add(&store, &second).await?, id(7, 2));
    assert_eq!(add(&store, &first.clone()).await?.number, 3);
    assert_eq!(add(&store, &shipment(8, 1)).await?, id(8, 1));
    let found = store.shipments(first.id.shop, first.id.order).await?;
    let expected = [
        Shipment { id: id(7, 1), ..first.clone() },
        Shipment { id: id(7, 2), ..second },
        Shipment { id: id(7, 3), ..first },
    ];
    assert_eq!(found, expected);
    Ok(())
}

pub(crate) async fn a_shipment_is_published_until_it_was<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    add(&store, &shipment(7, 1)).await?;
    add(&store, &shipment(7, 0)).await?;
    add(&store, &shipment(8, 1)).await?;
    let waiting = async |after| {
        let found = store.shipments_to_publish(after, 10).await?;
        anyhow::Ok(found.into_iter().map(|found| (found.id, found.revision)).collect::<Vec<_>>())
    };
    assert_eq!(waiting(None).await?, [(id(7, 1), 1), (id(8, 1), 1)], "what nobody is told of is not");
    assert_eq!(waiting(Some(id(7, 1))).await?, [(id(8, 1), 1)]);
    assert!(store.report_shipment_again(id(7, 1)).await?);
    store.shipments_published(&[(id(7, 1), 1), (id(8, 1), 1)]).await?;
    assert_eq!(waiting(None).await?, [(id(7, 1), 2)], "it is to be told again since");
    store.shipments_published(&[(id(7, 1), 2)]).await?;
    store.shipments_published(&[(id(7, 1), 1)]).await?;
    assert_eq!(waiting(None).await?, []);
    assert!(!store.report_shipment_again(id(7, 2)).await?, "there is nothing to tell of it");
    assert!(!store.report_shipment_again(id(9, 1)).await?);
    Ok(())
}

pub(crate) async fn what_a_shop_is_told_round_trips<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let shop = id(7, 1).shop;
    let wanted = |order, revision, status: Option<&str>, note: Option<&str>| ReportWanted {
        id: id(order, 1),
        revision,
        status: status.map(str::to_owned),
        note: note.map(str::to_owned),
    };
    let asked = [
        wanted(7, 1, Some("completed"), Some("Sent")),
        wanted(8, 1, None, Some("Sent")),
        wanted(7, 1, Some("completed"), Some("Sent")),
    ];
    store.take_reports(&asked, at(10)).await?;
    store.take_reports(&asked, at(99)).await?;
    assert_eq!(store.next_report(shop).await?, Some(at(10)), "told twice is told once");
    assert_eq!(store.reports_due(shop, at(9), 10).await?, []);
    let due = store.reports_due(shop, at(10), 10).await?;
    assert_eq!(due.iter().map(|row| row.id).collect::<Vec<_>>(), [id(7, 1), id(8, 1)]);
    let mut row = due[0].clone();
    let part = |text: &str, state| Some(ReportPart { text: text.to_owned(), state });
    assert_eq!(row.status, part("completed", ReportState::Waiting));
    assert_eq!((due[1].status.clone(), due[1].note.clone()), (None, part("Sent", ReportState::Waiting)));

    row.status = part("completed", ReportState::GivenUp);
    row.note = part("Sent", ReportState::Done);
    row.note_id = Some(41);
    row.intent = Some((at(11), "lane".to_owned()));
    row.problem = Some("no".to_owned());
    row.tries = 3;
    row.due_at = None;
    assert!(store.save_report(&row).await?);
    assert!(!store.save_report(&row).await?, "somebody has changed it since");
    let found = store.reports(shop, row.id.order).await?;
    row.version = found[0].version;
    assert_eq!(found, [row.clone()]);
    assert_eq!(store.reports_given_up(None, 10).await?, [row.clone()]);
    assert_eq!(store.reports_given_up(Some(row.id), 10).await?, []);
    assert_eq!(store.next_report(shop).await?, Some(at(10)), "of the other order");

    // Told again, what the shop has stays so, and what was given up is tried.
    store.take_reports(&[wanted(7, 2, Some("completed"), Some("Sent"))], at(20)).await?;
    let again = store.reports(shop, row.id.order).await?.remove(0);
    assert_eq!(again.status, part("completed", ReportState::Waiting));
    assert_eq!(again.note, part("Sent", ReportState::Done));
    assert_eq!((again.tries, again.problem.clone(), again.due_at), (0, None, Some(at(20))));
    assert_eq!(again.intent, row.intent, "what may have been written is still to be looked for");
    assert!(!store.save_report(&row).await?);
    assert_eq!(store.reports_given_up(None, 10).await?, []);
    Ok(())
}

pub(crate) async fn what_shops_were_told_is_forgotten_in_time<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let wanted = |order| ReportWanted {
        id: id(order, 1),
        revision: 1,
        status: Some("completed".to_owned()),
        note: Some("Sent".to_owned()),
    };
    let shop = id(1, 1).shop;
    for (order, second) in [(1, 10), (2, 10), (3, 10), (4, 20), (5, 10)] {
        store.take_reports(&[wanted(order)], at(second)).await?;
    }
    let end = async |order: i64, state| -> anyhow::Result<()> {
        let mut row = store.reports(shop, id(order, 1).order).await?.remove(0);
        row.status.as_mut().unwrap().state = ReportState::Done;
        row.note.as_mut().unwrap().state = state;
        row.due_at = None;
        assert!(store.save_report(&row).await?);
        Ok(())
    };
    end(1, ReportState::Done).await?;
    end(2, ReportState::GivenUp).await?;
    end(4, ReportState::Done).await?;
    end(5, ReportState::Done).await?;
    assert_eq!(store.prune_reports(at(10), 9).await?, 0);
    assert_eq!((store.prune_reports(at(20), 1).await?, store.prune_reports(at(20), 9).await?), (1, 1));
    let mut left = Vec::new();
    for order in 1..=5 {
        left.extend(store.reports(shop, id(order, 1).order).await?.into_iter().map(|row| row.id.order.get()));
    }
    assert_eq!(left, [2, 3, 4], "given up, yet to be told, and told lately");
    Ok(())
}

pub(crate) async fn after_a_restore_a_note_is_looked_for_first<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let wanted = |order, note: Option<&str>| ReportWanted {
        id: id(order, 1),
        revision: 1,
        status: Some("completed".to_owned()),
        note: note.map(str::to_owned),
    };
    store.take_reports(&[wanted(7, Some("Sent")), wanted(8, None)], at(10)).await?;
    let shop = id(7, 1).shop;
    let read = store.reports(shop, id(7, 1).order).await?.remove(0);
    store.begin_epoch(at(50), std::time::Duration::ZERO, std::time::Duration::ZERO).await?;
    let row = store.reports(shop, id(7, 1).order).await?.remove(0);
    assert_eq!(row.intent.as_ref().map(|(begun, _)| *begun), Some(at(50)));
    assert!(!store.save_report(&read).await?, "what was read before is not saved over it");
    let without = store.reports(shop, id(8, 1).order).await?.remove(0);
    assert_eq!(without.intent, None);
    Ok(())
}

pub(crate) async fn tags_go_with_the_movements_of_their_time<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let (Shop { id: shop, .. }, warehouse) = simple(&store).await?;
    let mut settings = store.shops(Some(&[shop])).await?.remove(0).settings;
    assert!(settings.tags.is_empty());
    let tag_set = async || anyhow::Ok(store.shops(Some(&[shop])).await?.remove(0).tag_set);
    settings.tags.set("cost-centre", "4711")?;
    settings.shipping.partly = Some("partly-shipped".to_owned());
    settings.shipping.shipped = None;
    settings.shipping.note = false;
    store.change_shop(shop, &settings).await?;
    let first = tag_set().await?.unwrap();
    assert_eq!(first.tags, settings.tags);
    assert_eq!(store.shops(Some(&[shop])).await?.remove(0).settings, settings);
    settings.tags.set("cost-centre", "4712")?;
    store.change_shop(shop, &settings).await?;
    let second = tag_set().await?.unwrap();
    assert_ne!(first.id, second.id);
    settings.tags.set("cost-centre", "4711")?;
    store.change_shop(shop, &settings).await?;
    assert_eq!(tag_set().await?.unwrap(), first, "the same tags are the same set");
    settings.tags.remove("cost-centre");
    store.change_shop(shop, &settings).await?;
    assert_eq!(tag_set().await?, None);

    for tags in [Some(first), None, Some(second)] {
        let mut tx = store.begin_inventory().await?;
        receive_tagged(&mut tx, "TAGGED", warehouse, 1, tags).await?;
        tx.commit().await?;
    }
    let posted = store.movements(&"TAGGED".parse()?, 0, 10).await?;
    let tags: Vec<Option<String>> = posted
        .iter()
        .map(|posted| {
            let tags = posted.posting.tags.as_ref()?;
            tags.tags.iter().map(|(key, value)| format!("{key}={value}")).next()
        })
        .collect();
    assert_eq!(tags, [Some("cost-centre=4711".to_owned()), None, Some("cost-centre=4712".to_owned())]);
    Ok(())
}
