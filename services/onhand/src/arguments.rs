//! The command line: what can be asked, as clap parses it.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::commands::{
    alerts, approve, doctor, drift, explain, export, movements, order, parked, reconcile, shop, stock, token,
    warehouse,
};
use crate::failure::EXIT_CODES_HELP;
use crate::{demo, distributed, up};

const REACHING: &str = "Reaching onhand";

/// Keeps stock in agreement between shops and warehouses.
#[derive(Debug, Parser)]
#[command(name = "onhand", version, after_help = EXIT_CODES_HELP, arg_required_else_help = true)]
pub struct Arguments {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Flags of every command.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// Print data as JSON.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Where onhand listens [environment: `ONHAND_URL`; default: `http://127.0.0.1:8017`].
    #[arg(long, global = true, value_name = "URL", help_heading = REACHING)]
    pub(crate) server: Option<String>,
    /// File with the token to show; `-` is standard input [environment: `ONHAND_TOKEN`].
    #[arg(long, global = true, value_name = "FILE", help_heading = REACHING)]
    pub(crate) token_file: Option<PathBuf>,
    /// Where `onhand up` keeps everything [environment: `ONHAND_DATA_DIR`; default: `~/.local/share/onhand`].
    #[arg(long, global = true, value_name = "DIR", help_heading = REACHING)]
    pub(crate) data_dir: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Shows onhand at work between fake shops, and proves that nothing is lost.
    Demo(demo::Demo),
    /// Runs onhand: webhooks, API and everything behind them in this one process.
    Up(up::Up),
    /// Runs one service of onhand over PostgreSQL and RabbitMQ; all it is told is in the environment.
    Serve(distributed::Serve),
    /// Prepares database and broker for `onhand serve`: before the first start, for a new version, for another `ONHAND_SHARDS`.
    Migrate(distributed::Migrate),
    /// Warehouses.
    #[command(subcommand)]
    Warehouse(warehouse::Warehouse),
    /// Shops and their connections.
    #[command(subcommand)]
    Shop(shop::Shop),
    /// What of a shop's products is not kept in agreement, why, and what to do.
    Doctor(doctor::Doctor),
    /// What there is, and moving it.
    #[command(subcommand)]
    Stock(stock::Stock),
    /// Orders as onhand knows them.
    #[command(subcommand)]
    Order(order::Order),
    /// Where shops showed something else than they should have, whose doing that is, and what is done about it.
    #[command(subcommand)]
    Drift(drift::Drift),
    /// Why a number is what it is, line by line.
    Explain(explain::Explain),
    /// The ledger of one SKU.
    Movements(movements::Movements),
    /// All movements, or all orders, for bookkeeping: as CSV, or as a JSON object a line.
    #[command(subcommand)]
    Export(export::Export),
    /// What waits for somebody: lines without SKU, messages given up.
    #[command(subcommand)]
    Parked(parked::Parked),
    /// What people should know of and do something about.
    Alerts(alerts::Alerts),
    /// Compares what a shop shows with the ledger, and puts right what the shop's policy allows.
    ///
    /// Exit code 0: all agree; 3: there were differences; 4: there were none, but some stocks could not be decided.
    Reconcile(reconcile::Reconcile),
    /// Lists what waits for consent, or gives it.
    Approve(approve::Approve),
    /// Checks the ledger against itself; exit code 1 and the broken rows if it is not sound.
    Check,
    /// Makes a data directory that was restored from a backup fit to go on with; onhand must not be running.
    ///
    /// Shops were pushed to and have sold since the backup was made. This begins a new epoch in the database: nothing is
    /// pushed until each stock was compared with proof, and everything since the backup is read again. A spool that lies
    /// there is put aside, since it belongs to another life. Run it once after the files were copied and before `onhand
    /// up`; running it again does no harm.
    Restored,
    /// Tokens of the API.
    #[command(subcommand)]
    Token(token::Token),
}
