//! The commands, each in its own file; here each finds its way there.

pub(crate) mod alerts;
pub(crate) mod approve;
mod check;
pub(crate) mod doctor;
pub(crate) mod drift;
pub(crate) mod explain;
pub(crate) mod export;
pub(crate) mod movements;
pub(crate) mod order;
pub(crate) mod parked;
pub(crate) mod reconcile;
mod restored;
pub(crate) mod shop;
pub(crate) mod stock;
pub(crate) mod token;
pub(crate) mod warehouse;

use crate::api::Api;
use crate::arguments::{Arguments, Command};
use crate::connection::Connection;
use crate::failure::Failure;
use crate::screen::Screen;

/// Does what the command line asks for.
pub async fn run(arguments: Arguments) -> Result<(), Failure> {
    let Arguments { global, command } = arguments;
    let screen = Screen { json: global.json };
    let api = || Connection::find(&global).and_then(|connection| Api::new(&connection));
    match command {
        Command::Demo(demo) => demo.run(screen).await,
        Command::Up(up) => up.run(&global).await,
        Command::Serve(serve) => serve.run().await,
        Command::Migrate(migrate) => migrate.run(screen).await,
        Command::Warehouse(warehouse) => warehouse.run(&api()?, screen).await,
        Command::Shop(shop) => shop.run(&api()?, screen).await,
        Command::Doctor(doctor) => doctor.run(&api()?, screen).await,
        Command::Stock(stock) => stock.run(&api()?, screen).await,
        Command::Order(order) => order.run(&api()?, screen).await,
        Command::Drift(drift) => drift.run(&api()?, screen).await,
        Command::Explain(explain) => explain.run(&api()?, screen).await,
        Command::Export(export) => export.run(&api()?, screen).await,
        Command::Movements(movements) => movements.run(&api()?, screen).await,
        Command::Parked(parked) => parked.run(&api()?, screen).await,
        Command::Alerts(alerts) => alerts.run(&api()?, screen).await,
        Command::Reconcile(reconcile) => reconcile.run(&api()?, screen).await,
        Command::Approve(approve) => approve.run(&api()?, screen).await,
        Command::Check => check::run(&api()?, screen).await,
        Command::Restored => restored::run(&global, screen).await,
        Command::Token(token) => token.run(&api()?, screen).await,
    }
}
