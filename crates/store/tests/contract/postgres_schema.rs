//! Who may open a PostgreSQL database, and what its schema refuses by itself.

use store::{Class, Error, PostgresOptions, SecretKey, Store};
use testkit::servers::postgres;

use crate::database::{Database, Postgres};

async fn empty() -> postgres::Database {
    postgres::Postgres::shared().database("nothing", |_| async {}).await
}

fn options(database: &postgres::Database) -> PostgresOptions {
    PostgresOptions::new(database.url().into())
}

async fn open(options: &PostgresOptions) -> Result<Store, Error> {
    Store::open_postgres(options, SecretKey::from_bytes([1; 32])).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_is_migrated_before_it_is_opened() {
    let database = empty().await;
    let options = options(&database);
    let refused = open(&options).await.unwrap_err();
    assert_eq!(refused.class(), Class::Fatal);
    let refused = refused.to_string();
    assert!(
        refused.starts_with("the database has migrations up to 0, this program needs ")
            && refused.ends_with("; run `onhand migrate`"),
        "{refused}"
    );
    // Every replica may try at once, and again.
    let migrated = tokio::join!(
        store::migrate_postgres(&options),
        store::migrate_postgres(&options),
        store::migrate_postgres(&options),
    );
    migrated.0.unwrap();
    migrated.1.unwrap();
    migrated.2.unwrap();
    open(&options).await.unwrap().ping().await.unwrap();
    // One migration is missing: the program is newer than the database.
    database
        .run("DELETE FROM onhand.migrations WHERE version = (SELECT max(version) FROM onhand.migrations)");
    let refused = open(&options).await.unwrap_err();
    assert!(
        matches!(refused, Error::Schema { found, needed, .. } if found >= 1 && needed == found + 1),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_newer_schema_is_used_until_it_says_that_it_cannot_be() {
    let database = Postgres::fresh().await.unwrap();
    let newer = "INSERT INTO onhand.migrations (version, description, success, checksum, execution_time)
                 VALUES (999, 'from the future', true, '', 0)";
    database.ask(newer);
    database.open().await.unwrap().ping().await.unwrap();
    store::migrate_postgres(&database.options()).await.unwrap();
    assert_eq!(database.ask("SELECT max(version) FROM onhand.migrations"), ["999"], "it stays");
    database.ask("UPDATE onhand.contract SET oldest = 999");
    let refused = open(&database.options()).await.unwrap_err();
    let refused = refused.to_string();
    assert!(
        refused.starts_with("the database has migrations up to 999, this program needs ")
            && refused.ends_with("; run a newer version of onhand"),
        "{refused}"
    );
}

#[tokio::test]
async fn movements_stay_whatever_is_tried() {
    let database = Postgres::fresh().await.unwrap();
    let movement = "INSERT INTO inventory.movements
                        (sku_id, number, warehouse, kind, on_hand_delta, reserved_delta, on_hand, reserved, at)
                    VALUES (1, 1, 1, 'receipt', 1, 0, 1, 0, 0)";
    database.ask(movement);
    let attempts = [
        ("UPDATE inventory.movements SET on_hand = 2", "append-only"),
        ("DELETE FROM inventory.movements", "append-only"),
        ("TRUNCATE inventory.movements", "append-only"),
        ("TRUNCATE inventory.movements_0", "append-only"),
        (movement, "duplicate key"),
    ];
    for (sql, why) in attempts {
        let refused = database.try_ask(sql).unwrap_err().to_string();
        assert!(refused.contains(why), "{sql}: {refused}");
    }
    assert_eq!(database.ask("SELECT on_hand FROM inventory.movements"), ["1"]);
}

#[tokio::test]
async fn an_address_that_does_not_answer_may_be_tried_again() {
    let port = testkit::servers::free_ports(1)[0];
    let away = PostgresOptions::new(format!("postgres://onhand:hunter2@127.0.0.1:{port}/onhand").into());
    let refused = open(&away).await.unwrap_err();
    assert_eq!(refused.class(), Class::Retry, "{refused:?}");
    let migrated = store::migrate_postgres(&away).await.unwrap_err();
    assert_eq!(migrated.class(), Class::Retry, "{migrated:?}");
    let wrong = PostgresOptions::new("postgres://onhand:hunter2@127.0.0.1:port/onhand".to_owned().into());
    let refused = open(&wrong).await.unwrap_err();
    assert_eq!(refused.class(), Class::Fatal);
    for printed in [format!("{refused:?}"), format!("{away:?}"), format!("{wrong:?}")] {
        assert!(!printed.contains("hunter2"), "{printed}");
    }
}
