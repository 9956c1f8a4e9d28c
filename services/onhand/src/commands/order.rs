//! `onhand order`: an order as onhand knows it, and letting go of one its shop has lost.

use clap::Subcommand;
use serde_json::{Value, json};

use crate::api::Api;
use crate::failure::Failure;
use crate::screen::{Screen, Table, rows, text};

#[derive(Debug, Subcommand)]
pub(crate) enum Order {
    /// An order with its lines: what the shop took and what onhand holds.
    Show {
        /// The shop's name.
        shop: String,
        /// The order's number.
        id: u64,
    },
    /// Lets go of what an order holds that its shop no longer knows.
    Release {
        /// The shop's name.
        shop: String,
        /// The order's number.
        id: u64,
    },
}

impl Order {
    pub(crate) async fn run(self, api: &Api, screen: Screen) -> Result<(), Failure> {
        match self {
            Self::Show { shop, id } => {
                let order = api.get(&["orders", &shop, &id.to_string()], &[]).await?;
                screen.show(&order, |screen| show(screen, &shop, id, &order))
            }
            Self::Release { shop, id } => {
                let answer = api.post(&["orders", &shop, &id.to_string(), "release"], &json!({})).await?;
                screen.show(&answer, |screen| screen.line(format!("order {id} of {shop} released")))
            }
        }
    }
}

fn show(screen: Screen, shop: &str, id: u64, order: &Value) -> Result<(), Failure> {
    screen.line(format!("order {id} of {shop}: {}", text(order, "status")))?;
    let known = [
        ("modified_at", "last changed there"),
        ("origin", "known by a"),
        ("unconfirmed_since", "to be confirmed by a read, since"),
        ("expires_at", "reserved until"),
    ];
    for (name, label) in known {
        if order.get(name).is_some_and(|value| !value.is_null()) {
            screen.line(format!("  {label} {}", text(order, name)))?;
        }
    }
    let marks = [
        ("reread", "to be read again"),
        ("gone", "the shop no longer knows it"),
        ("expired", "its reservation has expired"),
        ("predates", "older than the connection of the shop"),
    ];
    for (name, label) in marks {
        if order.get(name) == Some(&Value::Bool(true)) {
            screen.line(format!("  {label}"))?;
        }
    }
    let mut table = Table::new(&[">LINE", "SKU", ">QUANTITY", ">TAKEN", ">HELD", "FROM"]);
    for line in rows(order, "lines") {
        let from: Vec<String> = rows(line, "holds")
            .iter()
            .map(|hold| format!("{} {}", text(hold, "quantity"), text(hold, "warehouse")))
            .collect();
        let sku = match line.get("sku") {
            _ if line.get("parked") == Some(&Value::Bool(true)) => "(parked)".to_owned(),
            Some(Value::String(_)) => text(line, "sku"),
            _ => "(unmanaged)".to_owned(),
        };
        let [number, quantity, taken, held] =
            ["line", "quantity", "taken", "held"].map(|name| text(line, name));
        table.row([number, sku, quantity, taken, held, from.join(", ")]);
    }
    screen.table(&table, "it has no lines")
}
