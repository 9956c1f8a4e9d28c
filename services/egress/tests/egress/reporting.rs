//! Telling shops of shipments: once, whatever happens to the answers and to the process.

use connector::PaceConfig;
use onhand_egress::Settings;
use proto::{Envelope, Message, NoteText, ShipmentMade, StatusText};
use store::{ReportRow, ReportState};
use testkit::fake_shop::{FakeShop, Fault, FaultKind};
use testkit::shop::{Change, NewLine, NewOrder, Status};
use uuid::Uuid;
use values::{OrderId, ProductId, Revision, ShopId};

use crate::world::{Level, PATIENT, World, fake_shop, product, variations};

use ReportState::{Done, GivenUp};

const NOTE: &str = "Your order has been shipped with DHL, tracking number 00340.";
const WRITE_NOTE: &str = "POST orders/{id}/notes";
const SET_STATUS: &str = "PUT orders/{id}";

/// A shop in service with a paid order.
async fn paid(world: &World, fake: &FakeShop) -> (ShopId, OrderId) {
    let shop = world.shop(fake).await;
    let order = order(fake).await;
    fake.take_counts();
    (shop, order)
}

fn made(shop: ShopId, order: OrderId) -> ShipmentMade {
    ShipmentMade {
        shop,
        order,
        number: 1,
        revision: Revision::new(1),
        status: Some(StatusText::clipped("completed")),
        note: Some(NoteText::clipped(NOTE)),
    }
}

/// Paid for in a shop that may be in service or not.
async fn order(fake: &FakeShop) -> OrderId {
    let product = ProductId::new(product(fake, 10).get()).unwrap();
    let new = NewOrder::by_checkout(Status::Processing, vec![NewLine::of(product, 2)]);
    fake.act(Change::CreateOrder(new)).await.unwrap().order.unwrap()
}

async fn publish(world: &World, made: &ShipmentMade) {
    let envelope = Envelope::seal(&Message::from(made.clone()), Uuid::now_v7(), world.now(), "inventory");
    for answer in world.bus.publisher().publish(&[envelope.unwrap()]).await {
        answer.unwrap();
    }
}

async fn row(world: &World, made: &ShipmentMade) -> Option<ReportRow> {
    let rows = world.store.reports(made.shop, made.order).await.unwrap();
    rows.into_iter().find(|row| row.id.number == made.number)
}

async fn ended(world: &World, made: &ShipmentMade, expected: [ReportState; 2]) -> ReportRow {
    let revision = made.revision.get();
    world
        .until("it is told", async || {
            let row = row(world, made).await;
            row.is_some_and(|row| row.revision >= revision && row.due_at.is_none())
        })
        .await;
    let row = row(world, made).await.unwrap();
    let states = [&row.status, &row.note].map(|part| part.as_ref().map_or(Done, |part| part.state));
    assert_eq!(states, expected, "{row:?}");
    row
}

fn status(fake: &FakeShop, order: OrderId) -> Status {
    fake.with_model(|model, _| model.order(order)).unwrap().status
}

#[tokio::test]
async fn the_order_gets_its_status_and_the_customer_a_note_once() {
    let (fake, mut world) = (fake_shop().await, World::new().await);
    let (shop, order) = paid(&world, &fake).await;
    let made = made(shop, order);
    publish(&world, &made).await;
    publish(&world, &made).await;
    ended(&world, &made, [Done, Done]).await;
    assert_eq!(
        (status(&fake, order), fake.customer_notes(order)),
        (Status::Completed, vec![NOTE.to_owned()])
    );
    let counts = fake.counts();
    assert_eq!((counts.calls_of(SET_STATUS), counts.calls_of(WRITE_NOTE)), (1, 1), "{counts:?}");
    assert_eq!(counts.calls_total(), 3, "and one look at the order");

    // A process that starts anew has nothing to do.
    world.stop().await;
    world.start();
    publish(&world, &made).await;
    let later = ShipmentMade { number: 2, note: None, ..made.clone() };
    publish(&world, &later).await;
    ended(&world, &later, [Done, Done]).await;
    let counts = fake.counts();
    assert_eq!(counts.calls_total(), 4, "a status the shop has is not set: {counts:?}");
    world.stop().await;
}

#[tokio::test]
async fn answers_that_get_lost_make_no_second_note() {
    for (fault, written) in [
        (FaultKind::ErrorAfter, 1),
        (FaultKind::CutAfter, 1),
        (FaultKind::TruncatedJson, 1),
        (FaultKind::CutBefore, 2),
        (FaultKind::Html, 2),
    ] {
        let (fake, world) = (fake_shop().await, World::new().await);
        let (shop, order) = paid(&world, &fake).await;
        fake.fault(Fault::next(WRITE_NOTE, fault.clone()));
        fake.fault(Fault::next(SET_STATUS, fault.clone()));
        let made = made(shop, order);
        publish(&world, &made).await;
        world
            .until("the note is in doubt", async || {
                row(&world, &made).await.is_some_and(|row| row.intent.is_some() && row.problem.is_some())
            })
            .await;
        world.pass_deadline();
        ended(&world, &made, [Done, Done]).await;
        assert_eq!(fake.customer_notes(order), [NOTE], "{fault:?}");
        assert_eq!(status(&fake, order), Status::Completed, "{fault:?}");
        assert_eq!(fake.counts().calls_of(WRITE_NOTE), written, "{fault:?}");
        world.stop().await;
    }
}

/// Egress dies after the shop has written the note, or before, and before its answer is stored.
#[tokio::test]
async fn a_crash_between_call_and_answer_makes_no_second_note() {
    for (fault, written, calls) in [(FaultKind::HangAfter, 1, 1), (FaultKind::HangBefore, 0, 2)] {
        let (fake, mut world) = (fake_shop().await, World::new().await);
        let (shop, order) = paid(&world, &fake).await;
        fake.fault(Fault::next(WRITE_NOTE, fault.clone()));
        let made = made(shop, order);
        publish(&world, &made).await;
        world.until("the call is made", async || fake.counts().faults == 1).await;
        world.until("the shop has done it", async || fake.customer_notes(order).len() == written).await;
        assert!(row(&world, &made).await.unwrap().intent.is_some(), "journaled before the call");
        world.kill().await;
        world.start();
        let before = fake.counts().calls_total();
        world.pass_deadline();
        ended(&world, &made, [Done, Done]).await;
        assert_eq!(fake.customer_notes(order), [NOTE], "{fault:?}");
        let counts = fake.counts();
        assert_eq!(counts.calls_of(WRITE_NOTE), calls, "{fault:?}: {counts:?}");
        assert!(counts.calls_total() > before, "it was looked for");
        world.stop().await;
    }
}

#[tokio::test]
async fn an_order_that_was_cancelled_is_left_alone_and_can_be_told_of_again() {
    let (fake, world) = (fake_shop().await, World::new().await);
    let (shop, order) = paid(&world, &fake).await;
    fake.act(Change::SetStatus { order, status: Status::Cancelled }).await.unwrap();
    let made = made(shop, order);
    publish(&world, &made).await;
    let row = ended(&world, &made, [GivenUp, GivenUp]).await;
    assert!(row.problem.unwrap().contains("cancelled"));
    assert_eq!((status(&fake, order), fake.customer_notes(order)), (Status::Cancelled, vec![]));
    assert_eq!(fake.counts().calls_of(SET_STATUS), 0);

    fake.act(Change::SetStatus { order, status: Status::Processing }).await.unwrap();
    let again = ShipmentMade { revision: Revision::new(2), ..made };
    publish(&world, &again).await;
    ended(&world, &again, [Done, Done]).await;
    assert_eq!(
        (status(&fake, order), fake.customer_notes(order)),
        (Status::Completed, vec![NOTE.to_owned()])
    );
    world.stop().await;
}

#[tokio::test]
async fn a_status_the_shop_does_not_have_keeps_no_note_back() {
    let (fake, world) = (fake_shop().await, World::new().await);
    let (shop, order) = paid(&world, &fake).await;
    let made = ShipmentMade { status: Some(StatusText::clipped("no-such-status")), ..made(shop, order) };
    publish(&world, &made).await;
    ended(&world, &made, [GivenUp, Done]).await;
    assert_eq!(
        (status(&fake, order), fake.customer_notes(order)),
        (Status::Processing, vec![NOTE.to_owned()])
    );
    let gone = ShipmentMade { order: OrderId::new(999_999).unwrap(), ..made };
    publish(&world, &gone).await;
    let row = ended(&world, &gone, [GivenUp, GivenUp]).await;
    assert!(row.problem.unwrap().contains("no longer has the order"));
    world.stop().await;
}

/// A shop that takes one call at a time: whatever there is more of, the other is not kept waiting until that is done.
#[tokio::test]
async fn pushes_and_reports_take_turns() {
    const EACH: usize = 5;
    let settings = Settings::for_testing();
    let settings = Settings { pace: PaceConfig { max: 1, ..settings.pace }, ..settings };
    let (fake, mut world) = (fake_shop().await, World::with(settings, PATIENT).await);
    let shop = world.shop_to_be(&fake.url()).await;
    // Each product's variation is a call of its own, and so is each note.
    let mut levels = Vec::new();
    for _ in 0..EACH {
        let (parent, holders) = variations(&fake, 1, 10);
        let level = world.level(shop, holders[0], 10, 7);
        levels.push(Level { parent: Some(parent), ..level });
    }
    let mut shipments = Vec::new();
    for _ in 0..EACH {
        shipments.push(ShipmentMade { status: None, ..made(shop, order(&fake).await) });
    }
    world.publish(&levels).await;
    for made in &shipments {
        publish(&world, made).await;
    }
    for level in &levels {
        world.known(level).await;
    }
    for made in &shipments {
        world.until("the shipment is known", async || row(&world, made).await.is_some()).await;
    }
    fake.take_counts();
    world.activate(shop).await;
    for level in &levels {
        world.at_rest(level).await;
    }
    for made in &shipments {
        ended(&world, made, [Done, Done]).await;
    }
    let calls = fake.counts().in_order;
    assert_eq!(calls.len(), 2 * EACH, "{calls:?}");
    assert!(calls.windows(2).all(|two| two[0] != two[1]), "{calls:?}");
    world.stop().await;
}
