//! The checks of what the process itself opened, database and spool; the services have their own.

use std::sync::Arc;

use bus::{Bus, BusError};
use process::health::Health;
use process::{Stage, Tasks};
use spool::SpoolError;
use store::Store;

/// Looks at them until the intake stops.
pub(super) fn spawn(store: &Arc<Store>, bus: &Bus, tasks: &Tasks, health: &Health) {
    let (store, stop) = (Arc::clone(store), tasks.stopping(Stage::Intake));
    let database = health.check("database").watch(stop, move || {
        let store = Arc::clone(&store);
        async move { store.ping().await.map_err(|error| database_why(&error)) }
    });
    tasks.spawn_in(Stage::Intake, "check of the database", database);
    let (bus, stop) = (bus.clone(), tasks.stopping(Stage::Intake));
    let spool = health.check("spool").watch(stop, move || {
        let bus = bus.clone();
        async move { bus.probe().await.map_err(|error| spool_why(&error)) }
    });
    tasks.spawn_in(Stage::Intake, "check of the spool", spool);
}

/// The page is public: no text of the database itself.
fn database_why(error: &store::Error) -> String {
    match error {
        store::Error::Busy { .. } => {
            "is busy: something else keeps it from being written, a copy of it perhaps".to_owned()
        }
        _ => "cannot be used; look at its disk and permissions".to_owned(),
    }
}

fn spool_why(error: &BusError) -> String {
    let BusError::Spool(error) = error else { return "cannot be looked into; the log says why".to_owned() };
    match error {
        SpoolError::Full { bytes, max } => format!(
            "is full: it holds {bytes} bytes of at most {max}; find out why inventory or egress does not work it off"
        ),
        SpoolError::DiskFull => "cannot grow: the disk is full; make room".to_owned(),
        SpoolError::Abandoned { .. } => {
            "was given up after an I/O error; look after the disk, then start the process again".to_owned()
        }
        _ => "cannot be looked into; start the process again".to_owned(),
    }
}

#[cfg(test)]
mod tests;
