//! The checks of what a process of the distributed form opened: database, broker, spool. The services have their own.

use std::sync::Arc;

use bus::Bus;
use process::health::Health;
use process::{Stage, Tasks};
use store::Store;

pub(super) fn database(store: &Arc<Store>, tasks: &Tasks, health: &Health) {
    let (store, stop) = (Arc::clone(store), tasks.stopping(Stage::Intake));
    let look = health.check("database").watch(stop, move || {
        let store = Arc::clone(&store);
        async move { store.ping().await.map_err(|error| database_why(&error).to_owned()) }
    });
    tasks.spawn_in(Stage::Intake, "check of the database", look);
}

/// The page is public: no text of the database itself.
fn database_why(error: &store::Error) -> &'static str {
    match error {
        store::Error::Busy { .. } => "cannot be reached, or is busy",
        _ => "cannot be used; the log says why",
    }
}

pub(super) fn broker(bus: &Bus, tasks: &Tasks, health: &Health) {
    let (bus, stop) = (bus.clone(), tasks.stopping(Stage::Intake));
    let look = health.check("broker").watch(stop, move || {
        let reached = bus.reachable().map_err(|_may_hold_addresses| {
            "cannot be reached, or takes nothing now; the log says why".to_owned()
        });
        std::future::ready(reached)
    });
    tasks.spawn_in(Stage::Intake, "check of the broker", look);
}

pub(super) fn spool(bus: &Bus, tasks: &Tasks, health: &Health) {
    let (bus, stop) = (bus.clone(), tasks.stopping(Stage::Intake));
    let look = health.check("spool").watch(stop, move || {
        let bus = bus.clone();
        async move {
            let probed = bus.probe().await;
            probed.map_err(|_may_hold_paths| {
                "takes nothing now: its disk is full, or failed; the log says more".to_owned()
            })
        }
    });
    tasks.spawn_in(Stage::Intake, "check of the spool", look);
}
