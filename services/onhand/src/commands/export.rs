//! `onhand export`: everything there is of movements or orders, for bookkeeping.

use clap::{Args, Subcommand};
use jiff::Timestamp;
use reqwest::Method;

use crate::api::Api;
use crate::commands::drift::since;
use crate::commands::stock::export::Output;
use crate::failure::Failure;
use crate::screen::Screen;

#[derive(Debug, Subcommand)]
pub(crate) enum Export {
    /// Every entry of the ledger of every SKU, with the tags that its shop had then.
    Movements(What),
    /// Every line of every order, with the tags that its shop has now.
    Orders(What),
}

#[derive(Debug, Args)]
pub(crate) struct What {
    /// Only of this shop.
    #[arg(long, value_name = "NAME")]
    shop: Option<String>,
    /// Only what is not older: a time like 2026-05-01T00:00:00Z, or so long ago, like 24h or 31d.
    #[arg(long, value_name = "TIME", value_parser = since)]
    since: Option<Timestamp>,
    /// Only what is older.
    #[arg(long, value_name = "TIME", value_parser = since)]
    until: Option<Timestamp>,
    /// csv, or jsonl: a JSON object a line (as with --json).
    #[arg(long, value_name = "FORMAT", value_parser = ["csv", "jsonl"])]
    format: Option<String>,
    #[command(flatten)]
    to: Output,
}

impl Export {
    pub(crate) async fn run(self, api: &Api, screen: Screen) -> Result<(), Failure> {
        let (name, what) = match self {
            Self::Movements(what) => ("movements", what),
            Self::Orders(what) => ("orders", what),
        };
        let format = what.format.unwrap_or_else(|| if screen.json { "jsonl" } else { "csv" }.to_owned());
        let mut query = vec![("format", format)];
        query.extend(what.shop.map(|shop| ("shop", shop)));
        query.extend(what.since.map(|since| ("since", since.to_string())));
        query.extend(what.until.map(|until| ("until", until.to_string())));
        what.to.save(api, api.request(Method::GET, &["export", name]).query(&query)).await
    }
}
