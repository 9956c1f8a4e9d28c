//! Persistence behind one contract, the same on every backend: registry, orders, ledger, levels, pushes, cursors.
//!
//! On SQLite and on PostgreSQL. SQL stays in each backend's own module; what is public knows no backend, and every backend passes the
//! same tests (`tests/contract`).
//!
//! * A call either did all it was to do, durably, or nothing; [`Error::class`] says what can be done then.
//! * A batch loads and writes every kind of row in one statement, however many rows there are.
//! * What is read back is checked: a row that cannot be is [`Error::Damaged`], not a strange value.
//! * Secrets are sealed under a [`SecretKey`], bound to their shop and field; of tokens only hashes are stored.
#![warn(missing_docs)]

mod alerts;
mod batch;
mod check;
mod decisions;
mod egress;
mod error;
mod findings;
mod grant;
mod ingress;
mod inventory;
mod loaded;
mod mapping;
mod postgres;
mod reading;
mod reconcile;
mod registry;
mod report;
mod rows;
mod secret;
mod shards;
mod shipments;
mod sqlite;
mod store;
mod tags;
mod webhooks;

pub use alerts::{
    ALERT_CHARS_MAX, ALERTS_AT_WORK_MAX, Alert, AlertChanges, AlertFilter, AlertKey, AlertKind, Channel,
    NOTICE_FAILURE_CHARS_MAX, NewNotice, News, Notice, Severity, ShopWaiting,
};
pub use batch::InventoryTx;
pub use check::{BROKEN_MAX, Broken};
pub use decisions::{DECISION_REASON_CHARS_MAX, DECISIONS_KEPT, Decision, DecisionRow};
pub use egress::{
    ATTEMPTS_KEPT, DRIFTS_KEPT, DriftDecided, DriftKey, DriftRow, DueShop, DueStock, EgressTx, PushCounts,
    PushNotes, PushRow, SeenPush, SettleWish, ShopLane, TRACES_KEPT, Told,
};
pub use error::{Class, Error};
pub use grant::{Grant, GrantEnd, TakenGrant};
pub use ingress::{Cursor, CursorKind, Fenced, Lease, ReadNumbers, SettleHold, SettleJob, SettleWanted};
pub use inventory::{
    Adoption, Approval, Changes, DeadMessage, Decided, Incomplete, KeyState, ListingBook, ListingOutcome,
    ListingSeen, MapOutcome, NewDead, OperationKey, OperationRecord, OrderRow, Outbox, Posted, Posting,
    Settled, ShopFilter, ShopListings, StockOpening, StockRow, TableEntry, TableOutcome, Unpublished, Wanted,
    Wish,
};
pub use postgres::{PostgresOptions, migrate_postgres};
pub use push::{DriftAction, DriftClass, DriftPolicy};
pub use reading::{
    BreakerWord, CallsMade, CallsOfKind, FAILURE_CHARS_MAX, KnownListing, ListingReread, OPEN_TASKS_MAX,
    Reading, Reread, TASK_PHASE_CHARS_MAX, TASK_REPORT_BYTES_MAX, Task, TaskKind, TaskProgress, TaskState,
};
pub use reconcile::{
    AGREED, Answer, Comparison, DayCount, HubCount, NewRun, RUN_CHOSEN_MAX, RUN_FAILURE_CHARS_MAX, Run,
    RunAdded, RunAnswer, RunCause, RunJob, RunLeft, RunRead, RunState, RunStock, RunTotal, RunVerdict,
    Schedule, ScheduleError, Scheduled, StockSum,
};
pub use registry::{
    ApiToken, Changed, Connector, EpochBegun, NewShop, OpenOrders, Opening, Orphaned, PollSettings,
    ROUTING_MAX, Scope, Shop, ShopAdded, ShopRemoved, ShopSecrets, ShopSettings, ShopState, SignIn,
    StillHeld, TokenRevoked, Warehouse, WarehouseAdded, WarehouseKind, WebhookDoor, same_address,
};
pub use report::{
    Explanation, ListingRow, MovementPlace, MovementSum, OpenHold, Openings, Orphan, OrphanCause,
    PAGE_ROWS_MAX, ParkedCause, ParkedLine, STATUS_GONE, STATUS_TRASH, SkuStock, Stocked, UnmappedCause,
    UnmappedStock, Waiting,
};
pub use secret::{SECRET_KEY_BYTES, SecretError, SecretKey};
pub use shards::{CLOCKS_DIFFER_MAX, ShardLease, Share};
pub use shipments::{
    REPORT_PROBLEM_CHARS_MAX, REPORTS_KEPT, ReportPart, ReportRow, ReportState, ReportWanted, Shipment,
    ShipmentId, ShippedLine, Shipping,
};
pub use sqlite::SqliteOptions;
pub use store::Store;
pub use tags::{TAG_KEY_CHARS_MAX, TAG_VALUE_CHARS_MAX, TAGS_MAX, TagError, TagSet, Tags};
pub use webhooks::{CONDITION_CHARS_MAX, Condition, ConditionKind, KeptWebhook};
