//! `onhand shop counts`: what there was in a shop and in onhand, day by day.

use clap::Args;
use serde_json::{Value, json};

use crate::api::Api;
use crate::failure::Failure;
use crate::screen::{Screen, Table, rows, text};

#[derive(Debug, Args)]
pub(crate) struct Counts {
    /// Its name.
    name: String,
    /// So many days, the latest first.
    #[arg(long, value_name = "DAYS", default_value_t = 14)]
    days: usize,
}

impl Counts {
    pub(super) async fn run(self, api: &Api, screen: Screen) -> Result<(), Failure> {
        let items = api.list(&["shops", &self.name, "counts"], &[], Some(self.days)).await?;
        screen.show(&json!({ "items": items }), |screen| {
            let head = [
                "DAY",
                ">SHOP STOCKS",
                ">SHOP SUM",
                ">STOCKS",
                ">EXPECTED",
                ">LEFT TO SELL",
                "ORDERS shop/known",
            ];
            let mut table = Table::new(&head);
            for item in &items {
                let cells = ["day", "shop_stocks", "shop_sum", "stocks", "expected", "level"];
                let cells = cells.map(|name| text(item, name));
                table.row(cells.into_iter().chain([orders(item)]));
            }
            screen.table(&table, "nothing was counted yet; it is once a day")
        })
    }
}

/// `processing 12/12, completed 40/38`.
fn orders(item: &Value) -> String {
    let rows = rows(item, "orders").iter();
    let row = |row: &Value| format!("{} {}/{}", text(row, "status"), text(row, "shop"), text(row, "known"));
    rows.map(row).collect::<Vec<_>>().join(", ")
}
