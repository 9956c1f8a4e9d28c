//! Grants that shops are asked for.

use secrecy::{ExposeSecret, SecretString};
use store::{Grant, GrantEnd};
use values::Timestamp;

use crate::database::Database;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

pub(crate) async fn a_state_is_repeated_once_and_in_time<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let content = SecretString::from("what was said");
    let (first, state) = store.create_grant("berlin", &content, at(1), at(100), at(0)).await?;
    let (second, other) = store.create_grant("vienna", &content, at(1), at(100), at(0)).await?;
    assert_ne!((first, state.expose_secret()), (second, other.expose_secret()));
    assert!(store.take_grant("guessed", at(2)).await?.is_none());
    assert!(store.take_grant(state.expose_secret(), at(100)).await?.is_none(), "it has expired");
    let (one, two) = tokio::join!(
        store.take_grant(state.expose_secret(), at(99)),
        store.take_grant(state.expose_secret(), at(99)),
    );
    let taken: Vec<_> = [one?, two?].into_iter().flatten().collect();
    assert_eq!(taken.len(), 1, "the second finds it taken");
    assert_eq!((taken[0].id, taken[0].content.expose_secret()), (first, "what was said"));
    assert!(store.take_grant(other.expose_secret(), at(99)).await?.is_some(), "they do not touch each other");
    Ok(())
}

pub(crate) async fn what_came_of_a_grant_is_told<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let content = SecretString::from("{}");
    let (id, state) = store.create_grant("berlin", &content, at(1), at(100), at(0)).await?;
    let waiting = Grant { id, name: "berlin".to_owned(), expires_at: at(100), taken_at: None, ended: None };
    assert_eq!(store.grant(id).await?, Some(waiting.clone()));
    store.take_grant(state.expose_secret(), at(5)).await?;
    let end = GrantEnd::Failed { why: "the name is taken".to_owned() };
    store.end_grant(id, &end).await?;
    let failed = Grant { taken_at: Some(at(5)), ended: Some(end), ..waiting };
    assert_eq!(store.grant(id).await?, Some(failed));
    let (next, _) = store.create_grant("vienna", &content, at(200), at(300), at(101)).await?;
    assert_eq!(store.grant(id).await?, None, "it is forgotten some time after its end");
    store.end_grant(next, &GrantEnd::Connected { task: 7 }).await?;
    assert_eq!(store.grant(next).await?.unwrap().ended, Some(GrantEnd::Connected { task: 7 }));
    Ok(())
}
