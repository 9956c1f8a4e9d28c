//! Webhooks kept in shops, and what is wrong with shops.

use store::{CONDITION_CHARS_MAX, ConditionKind, KeptWebhook};
use values::{ShopId, Timestamp};

use crate::database::Database;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

fn shop() -> ShopId {
    ShopId::new(1).unwrap()
}

fn kept(topic: &str) -> KeptWebhook {
    KeptWebhook { topic: topic.to_owned(), webhook: None, mark: None, made_at: None, delivered_at: None }
}

pub(crate) async fn kept_webhooks_round_trip<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    store.note_delivery(shop(), "order.updated", at(5)).await?;
    store.note_delivery(shop(), "order.updated", at(4)).await?;
    let updated = KeptWebhook { delivered_at: Some(at(5)), ..kept("order.updated") };
    let found = store.kept_webhooks(shop()).await?;
    assert_eq!(found, std::slice::from_ref(&updated), "an older one changes nothing");
    store.keep_webhook(shop(), "order.updated", 8, Some("mark"), at(6)).await?;
    store.keep_webhook(shop(), "order.created", 7, None, at(6)).await?;
    let created = KeptWebhook { webhook: Some(7), made_at: Some(at(6)), ..kept("order.created") };
    let made =
        KeptWebhook { webhook: Some(8), mark: Some("mark".to_owned()), made_at: Some(at(6)), ..updated };
    assert_eq!(store.kept_webhooks(shop()).await?, [created.clone(), made.clone()]);
    store.note_delivery(shop(), "order.updated", at(9)).await?;
    let made = KeptWebhook { delivered_at: Some(at(9)), ..made };
    assert_eq!(store.kept_webhooks(shop()).await?, [created, made]);
    Ok(())
}

pub(crate) async fn a_condition_has_a_beginning_and_an_end<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let kind = ConditionKind::WebhooksRedirected;
    assert!(!store.clear_condition(shop(), kind, at(1)).await?);
    assert!(store.raise_condition(shop(), kind, "first", at(2)).await?);
    assert!(!store.raise_condition(shop(), kind, &"ż".repeat(2_000), at(3)).await?);
    let found = store.conditions(shop()).await?;
    assert_eq!(
        (found[0].kind, found[0].since, found[0].seen_at, found[0].cleared_at),
        (kind, at(2), at(3), None)
    );
    assert_eq!(found[0].what.chars().count(), CONDITION_CHARS_MAX);
    assert!(store.clear_condition(shop(), kind, at(4)).await?);
    assert!(!store.clear_condition(shop(), kind, at(5)).await?);
    let found = store.conditions(shop()).await?;
    assert_eq!((found[0].since, found[0].cleared_at), (at(2), Some(at(4))), "what was is still told");
    assert!(store.raise_condition(shop(), kind, "again", at(6)).await?);
    let found = store.conditions(shop()).await?;
    assert_eq!((found[0].what.as_str(), found[0].since, found[0].cleared_at), ("again", at(6), None));
    Ok(())
}

pub(crate) async fn conditions_and_webhooks_are_of_one_shop<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let other = ShopId::new(2).unwrap();
    store.raise_condition(shop(), ConditionKind::WebhooksSilent, "silent", at(1)).await?;
    store.raise_condition(shop(), ConditionKind::WebhookAddress, "address", at(1)).await?;
    store.keep_webhook(shop(), "order.created", 7, None, at(1)).await?;
    assert_eq!(store.conditions(other).await?, []);
    assert_eq!(store.kept_webhooks(other).await?, []);
    assert!(!store.clear_condition(other, ConditionKind::WebhooksSilent, at(2)).await?);
    let kinds: Vec<_> = store.conditions(shop()).await?.iter().map(|found| found.kind).collect();
    assert_eq!(kinds, [ConditionKind::WebhookAddress, ConditionKind::WebhooksSilent]);
    Ok(())
}
