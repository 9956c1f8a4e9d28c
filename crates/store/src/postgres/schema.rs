//! The schema: brought up to date by a step of its own, and looked at by every service that opens the database.

use sqlx::ConnectOptions;
use sqlx::migrate::{Migrate, MigrateError, Migration, MigrationType, Migrator};
use sqlx::postgres::PgConnection;
use sqlx::{Connection, SqlSafeStr};

use super::PostgresOptions;
use crate::error::{Class, Error, failed};

/// Longest that a migration waits for a lock, in milliseconds: for another that migrates, or for those who use the table.
const LOCK_WAIT_MS_MAX: &str = "60000";
const SCHEMA: &str = "onhand";
const TABLE: &str = "onhand.migrations";
/// Name and text of each, in their order: the first is number 1. Never edit one that was released: add another. First what is
/// added, a release later what is taken away; what older programs cannot do without raises `oldest` of `onhand.contract`.
const MIGRATIONS: &[(&str, &str)] = &[
    ("registry", include_str!("../../migrations/postgres/0001_registry.sql")),
    ("inventory", include_str!("../../migrations/postgres/0002_inventory.sql")),
    ("egress", include_str!("../../migrations/postgres/0003_egress.sql")),
    ("ingress", include_str!("../../migrations/postgres/0004_ingress.sql")),
    ("shards", include_str!("../../migrations/postgres/0005_shards.sql")),
    ("shard count", include_str!("../../migrations/postgres/0006_shard_count.sql")),
    ("push traces", include_str!("../../migrations/postgres/0007_push_traces.sql")),
    ("dead letters", include_str!("../../migrations/postgres/0008_dead_letters.sql")),
    ("waiting lines", include_str!("../../migrations/postgres/0009_waiting_lines.sql")),
    ("webhooks", include_str!("../../migrations/postgres/0010_webhooks.sql")),
    ("grants", include_str!("../../migrations/postgres/0011_grants.sql")),
    ("orphaned", include_str!("../../migrations/postgres/0012_orphaned.sql")),
    ("mapping version", include_str!("../../migrations/postgres/0013_mapping_version.sql")),
    ("reading calls", include_str!("../../migrations/postgres/0014_reading_calls.sql")),
    ("drift", include_str!("../../migrations/postgres/0015_drift.sql")),
    ("alerts", include_str!("../../migrations/postgres/0016_alerts.sql")),
    ("shipments", include_str!("../../migrations/postgres/0017_shipments.sql")),
    ("mapping", include_str!("../../migrations/postgres/0018_mapping.sql")),
    ("reconcile", include_str!("../../migrations/postgres/0019_reconcile.sql")),
    ("telling", include_str!("../../migrations/postgres/0020_telling.sql")),
];

/// Brings the schema up to date. Two that do so at once wait for each other; who uses the database meanwhile goes on.
pub async fn migrate_postgres(options: &PostgresOptions) -> Result<(), Error> {
    let connect =
        options.connect()?.options([("lock_timeout", LOCK_WAIT_MS_MAX), ("statement_timeout", "0")]);
    let mut connection = connect.connect().await.map_err(failed("open the database"))?;
    let migrated = migrations().run_direct(None, &mut connection, false).await;
    let unlocked = match &migrated {
        Ok(()) => Ok(()),
        // The lock goes with the connection.
        Err(_) => connection.unlock().await,
    };
    let closed = connection.close().await;
    migrated.and(unlocked).map_err(not_migrated)?;
    closed.map_err(failed("close the database"))
}

fn not_migrated(error: MigrateError) -> Error {
    let (MigrateError::Execute(cause) | MigrateError::ExecuteMigration(cause, _)) = error else {
        return Error::Migration { source: Box::new(error) };
    };
    match failed("migrate")(cause) {
        busy if busy.class() == Class::Retry => busy,
        other => Error::Migration { source: Box::new(other) },
    }
}

/// Newer migrations do not matter unless they say so: they only add.
pub(super) async fn check(connection: &mut PgConnection) -> Result<(), Error> {
    let needed = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    let doing = "look at the schema";
    let there: bool = sqlx::query_scalar("SELECT to_regclass('onhand.migrations') IS NOT NULL")
        .fetch_one(&mut *connection)
        .await
        .map_err(failed(doing))?;
    let (found, known_count): (i64, i64) = if there {
        sqlx::query_as(
            "SELECT coalesce(max(version), 0), count(*) FILTER (WHERE version <= $1)
               FROM onhand.migrations WHERE success",
        )
        .bind(needed)
        .fetch_one(&mut *connection)
        .await
        .map_err(failed(doing))?
    } else {
        (0, 0)
    };
    if known_count < needed {
        return Err(Error::Schema { found, needed, remedy: "run `onhand migrate`" });
    }
    let oldest: i64 = sqlx::query_scalar("SELECT oldest FROM onhand.contract")
        .fetch_one(&mut *connection)
        .await
        .map_err(failed(doing))?;
    if oldest > needed {
        return Err(Error::Schema { found, needed, remedy: "run a newer version of onhand" });
    }
    Ok(())
}

fn migrations() -> Migrator {
    let migration = |(version, (description, sql)): (i64, &(&'static str, &'static str))| {
        Migration::new(version, (*description).into(), MigrationType::Simple, (*sql).into_sql_str(), false)
    };
    let mut migrator = Migrator::with_migrations((1..).zip(MIGRATIONS).map(migration).collect());
    migrator.create_schema(SCHEMA);
    migrator.dangerous_set_table_name(TABLE);
    // Those of a newer version stay as they are.
    migrator.set_ignore_missing(true);
    migrator
}
