//! `onhand explain`: the sum behind a number, line by line.

use clap::Args;
use serde_json::Value;

use super::order;
use crate::api::Api;
use crate::failure::Failure;
use crate::quantity;
use crate::screen::{Screen, Table, rows, text};

#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// Which SKU.
    sku: String,
    /// Only for this shop.
    #[arg(long, value_name = "SHOP")]
    shop: Option<String>,
}

impl Explain {
    pub(crate) async fn run(self, api: &Api, screen: Screen) -> Result<(), Failure> {
        let query: Vec<(&str, String)> = self.shop.iter().map(|shop| ("shop", shop.clone())).collect();
        let answer = api.get(&["explain", &self.sku], &query).await?;
        screen.show(&answer, |screen| show(screen, &self.sku, &answer))
    }
}

fn show(screen: Screen, sku: &str, answer: &Value) -> Result<(), Failure> {
    screen.line(sku)?;
    for warehouse in rows(answer, "warehouses") {
        show_warehouse(screen, answer, warehouse)?;
    }
    show_holds(screen, answer)?;
    for shop in rows(answer, "shops") {
        show_shop(screen, shop)?;
    }
    Ok(())
}

/// What the movements of each kind come to, and the balance they make.
fn show_warehouse(screen: Screen, answer: &Value, warehouse: &Value) -> Result<(), Failure> {
    let name = text(warehouse, "warehouse");
    screen.line(format!("\nin {name}"))?;
    let mut table = Table::new(&["", ">COUNT", ">ON HAND", ">RESERVED"]);
    let sums = rows(warehouse, "movements")
        .iter()
        .chain(rows(answer, "movements").iter().filter(|sum| text(sum, "warehouse") == name));
    for sum in sums {
        let on_hand = quantity::signed(quantity::of(sum, "on_hand"));
        let reserved = quantity::signed(quantity::of(sum, "reserved"));
        table.row([text(sum, "kind"), text(sum, "count"), on_hand, reserved]);
    }
    table.row([
        "= balance".to_owned(),
        String::new(),
        text(warehouse, "on_hand"),
        text(warehouse, "reserved"),
    ]);
    screen.table(&table, "nothing")?;
    screen.line(format!("available {} = on hand − reserved", text(warehouse, "available")))
}

fn show_holds(screen: Screen, answer: &Value) -> Result<(), Failure> {
    let holds = rows(answer, "holds");
    screen.line(format!("\nheld by {} open order lines", text(answer, "hold_count")))?;
    if holds.is_empty() {
        return Ok(());
    }
    let mut table = Table::new(&["SHOP", ">ORDER", "STATUS", ">LINE", "HOLDS"]);
    for hold in holds {
        let parts: Vec<String> = rows(hold, "holds")
            .iter()
            .map(|part| format!("{} in {}", text(part, "quantity"), text(part, "warehouse")))
            .collect();
        let number = hold.get("order").map(order::number).unwrap_or_default();
        table.row([text(hold, "shop"), number, text(hold, "status"), text(hold, "line"), parts.join(", ")]);
    }
    screen.table(&table, "")
}

/// What the shop should show and why, and what it was told and answered.
fn show_shop(screen: Screen, shop: &Value) -> Result<(), Failure> {
    screen.line(format!("\nat {}: should show {}", text(shop, "shop"), text(shop, "level")))?;
    let mut table = Table::new(&["", ""]);
    for (name, value) in shop.as_object().into_iter().flatten() {
        if !matches!(name.as_str(), "shop" | "level") && !value.is_null() {
            table.row([format!("  {}", name.replace('_', " ")), crate::screen::as_text(Some(value))]);
        }
    }
    screen.table(&table, "")
}
