//! What is done about a difference that somebody made in the shop, as the shop wants it.

use proto::{Adoption, Settled, Word};
use push::{DriftAction, DriftClass, DriftPolicy};
use testkit::fake_shop::FakeShop;
use testkit::shop::Change;
use values::{HolderId, ReadNumber, Timestamp};

use crate::world::{Level, World, act, fake_shop, product, shows, units};

/// A stock that shows 10 as it should, of a shop with that policy.
async fn at_ten(world: &mut World, fake: &FakeShop, policy: DriftPolicy) -> Level {
    let shop = world.shop_with(fake, policy).await;
    let level = world.level(shop, product(fake, 10), 10, 10);
    world.publish(std::slice::from_ref(&level)).await;
    world.at_rest(&level).await;
    level
}

/// Somebody sets it by hand, and it is compared.
async fn set(world: &mut World, fake: &FakeShop, level: &Level, quantity: i64) -> Level {
    act(fake, Change::SetStock { holder: level.stock.holder, quantity });
    let found = Level { settle: Some(world.proof(quantity, 0)), ..level.then(level.quantity) };
    world.publish(std::slice::from_ref(&found)).await;
    world.known(&found).await;
    found
}

async fn kept(world: &World, level: &Level) -> Vec<(DriftClass, DriftAction, Option<String>)> {
    let kept = world.store.drifts_of(&[level.stock]).await.unwrap();
    kept.into_iter().map(|drift| (drift.class, drift.action, drift.why)).collect()
}

/// Receipts reach the shop on top of what it shows: one more, so that whatever else was to be pushed would be seen.
async fn one_more(world: &World, fake: &FakeShop, level: &Level, quantity: i64, expected: i64) {
    let holder: HolderId = level.stock.holder;
    world.publish(std::slice::from_ref(&level.then(quantity))).await;
    world.until("the receipt is shown", async || shows(fake, holder) == Some(expected)).await;
    world.at_rest(&level.then(quantity)).await;
}

#[tokio::test]
async fn what_people_set_stays_where_the_shop_wants_that() {
    let (fake, mut world) = (fake_shop().await, World::new().await);
    let level = at_ten(&mut world, &fake, DriftPolicy::Withhold).await;
    let raised = set(&mut world, &fake, &level, 13).await;
    assert_eq!(kept(&world, &level).await, [(DriftClass::EditUp, DriftAction::Withheld, None)]);
    one_more(&world, &fake, &raised, 11, 14).await;
    assert_eq!(fake.counts().calls_total(), 1);
    assert_eq!(world.edits(), []);
    world.stop().await;
}

#[tokio::test]
async fn nothing_is_done_where_a_person_is_to_decide() {
    let (fake, mut world) = (fake_shop().await, World::new().await);
    let level = at_ten(&mut world, &fake, DriftPolicy::Alert).await;
    let lowered = set(&mut world, &fake, &level, 6).await;
    assert_eq!(kept(&world, &level).await, [(DriftClass::EditDown, DriftAction::Alerted, None)]);
    one_more(&world, &fake, &lowered, 11, 7).await;
    // We pushed now, so what is found next may be our own; it is left all the same.
    let ours = set(&mut world, &fake, &lowered.then(11), 9).await;
    let found = (DriftClass::LostUpdate, DriftAction::Alerted, None);
    assert_eq!(kept(&world, &level).await.first(), Some(&found));
    one_more(&world, &fake, &ours, 12, 10).await;
    assert_eq!(fake.counts().calls_total(), 2);
    world.stop().await;
}

#[tokio::test]
async fn an_edit_is_the_ledgers_to_take_over() {
    let (fake, mut world) = (fake_shop().await, World::new().await);
    let level = at_ten(&mut world, &fake, DriftPolicy::Adopt).await;
    let raised = set(&mut world, &fake, &level, 13).await;
    world.until("the ledger is asked", async || world.edits().len() == 1).await;
    let edit = world.edits().remove(0);
    assert_eq!((edit.stock, edit.difference), (level.stock, units(3)));
    assert_eq!(kept(&world, &level).await, [(DriftClass::EditUp, DriftAction::Adopting, None)]);
    // It does not answer for long, so it is asked the same again.
    world.pass_deadline();
    world.until("it is asked again", async || world.edits().len() >= 2).await;
    assert!(world.edits().iter().all(|again| *again == edit));
    let adoption = Some(Adoption { number: edit.number, refused: None });
    let adopted = Level { adoption, ..raised.then(13) };
    world.publish(&[adopted.clone(), adopted.clone()]).await;
    let done = [(DriftClass::EditUp, DriftAction::Adopted, None)];
    world.until("that is noted", async || kept(&world, &level).await == done).await;
    one_more(&world, &fake, &adopted, 14, 14).await;
    assert_eq!(fake.counts().calls_total(), 1, "nothing but the receipt was pushed");
    world.stop().await;
}

#[tokio::test]
async fn an_edit_that_the_ledger_refuses_is_corrected() {
    let (fake, mut world) = (fake_shop().await, World::new().await);
    let level = at_ten(&mut world, &fake, DriftPolicy::Adopt).await;
    let raised = set(&mut world, &fake, &level, 13).await;
    world.until("the ledger is asked", async || !world.edits().is_empty()).await;
    let number = world.edits().remove(0).number;
    let refused = Some(Word::clipped("buffer"));
    let answer = |number, refused| Level { adoption: Some(Adoption { number, refused }), ..raised.then(10) };
    // An answer to an earlier question is none to this.
    let earlier = answer(ReadNumber::new(number.get() - 1), None);
    world.publish(std::slice::from_ref(&earlier)).await;
    world.known(&earlier).await;
    assert_eq!(kept(&world, &level).await, [(DriftClass::EditUp, DriftAction::Adopting, None)]);
    let answer = Level { revision: earlier.revision + 1, ..answer(number, refused) };
    world.publish(std::slice::from_ref(&answer)).await;
    world.until("it is lowered", async || shows(&fake, level.stock.holder) == Some(10)).await;
    let done = [(DriftClass::EditUp, DriftAction::Corrected, Some("buffer".to_owned()))];
    assert_eq!(kept(&world, &level).await, done);
    world.stop().await;
}

#[tokio::test]
async fn an_edit_that_holds_no_more_is_given_up_and_says_why() {
    let answer =
        |number, refused: Option<&str>| Some(Adoption { number, refused: refused.map(Word::clipped) });
    let none = |why: &str| (DriftClass::EditUp, DriftAction::None, Some(why.to_owned()));
    let adopted = (DriftClass::EditUp, DriftAction::Adopted, None);
    // Gone or mapped anew; undecided, refused, and taken over before.
    for (removed, decided, expected) in [
        (true, None, none("removed")),
        (false, None, none("new_levels")),
        (true, Some(Some("buffer")), none("buffer")),
        (false, Some(None), adopted),
    ] {
        let (fake, mut world) = (fake_shop().await, World::new().await);
        let level = at_ten(&mut world, &fake, DriftPolicy::Adopt).await;
        let raised = set(&mut world, &fake, &level, 13).await;
        let found = world.row(level.stock).await.push.adopting().unwrap();
        let adoption = decided.and_then(|refused| answer(found.number, refused));
        let over = Level { removed, adoption, ..raised.then(10) };
        let over =
            if removed { over } else { Level { epoch: raised.epoch + 1, revision: 1, settle: None, ..over } };
        world.publish(&[over.clone(), over.clone()]).await;
        world.known(&over).await;
        assert_eq!(kept(&world, &level).await, [expected]);
        assert_eq!(world.row(level.stock).await.push.base.and_then(|base| base.adopting), None);
        assert_eq!(shows(&fake, level.stock.holder), Some(13), "nothing is pushed for what is not known");
        world.stop().await;
    }
}

#[tokio::test]
async fn what_is_known_of_a_stock_goes_when_the_ledger_has_answered() {
    let (fake, mut world) = (fake_shop().await, World::new().await);
    let level = at_ten(&mut world, &fake, DriftPolicy::Adopt).await;
    let raised = set(&mut world, &fake, &level, 13).await;
    let number = world.row(level.stock).await.push.adopting().unwrap().number;
    let settle = Some(Settled { shown: None, ..world.proof(0, 0) });
    let unmanaged = Level { settle, ..raised.then(10) };
    world.publish(std::slice::from_ref(&unmanaged)).await;
    world.known(&unmanaged).await;
    assert_eq!(kept(&world, &level).await, [(DriftClass::EditUp, DriftAction::Adopting, None)]);
    assert_eq!(world.row(level.stock).await.blocked, None);
    let adoption = Some(Adoption { number, refused: None });
    let adopted = Level { adoption, ..unmanaged.then(13) };
    world.publish(std::slice::from_ref(&adopted)).await;
    world.known(&adopted).await;
    let found =
        [(DriftClass::Unmanaged, DriftAction::None, None), (DriftClass::EditUp, DriftAction::Adopted, None)];
    assert_eq!(kept(&world, &level).await, found);
    assert_eq!(
        world.row(level.stock).await.push.base,
        None,
        "what it showed says nothing once it is managed again"
    );
    world.stop().await;
}

#[tokio::test]
async fn an_import_is_told_by_the_date_of_the_product() {
    let (fake, mut world) = (fake_shop().await, World::new().await);
    let shop = world.shop_with(&fake, DriftPolicy::Correct).await;
    let dated =
        |settle: Settled, second| Settled { modified_at: Some(Timestamp::from_seconds(second)), ..settle };
    let mut level = world.level(shop, product(&fake, 10), 10, 10);
    level.settle = level.settle.map(|settle| dated(settle, 5));
    world.publish(std::slice::from_ref(&level)).await;
    world.at_rest(&level).await;
    act(&fake, Change::SetStockSilently { holder: level.stock.holder, quantity: 8 });
    let found = Level { settle: Some(dated(world.proof(8, 0), 5)), ..level.then(10) };
    world.publish(std::slice::from_ref(&found)).await;
    world.known(&found).await;
    assert_eq!(kept(&world, &level).await, [(DriftClass::BulkEdit, DriftAction::Withheld, None)]);
    world.stop().await;
}
