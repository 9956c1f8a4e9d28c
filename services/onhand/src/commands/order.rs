//! `onhand order`: an order as onhand knows it, shipping it, and letting go of one its shop has lost.

mod ship;

use clap::Subcommand;
use serde_json::{Value, json};
use values::Quantity;

use crate::api::Api;
use crate::failure::Failure;
use crate::quantity;
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
    /// Ships what an order reserves; the shop is told, and the customer.
    Ship(ship::Ship),
    /// Tells a shop again of a shipment that was given up.
    Retry {
        /// The shop's name.
        shop: String,
        /// The order's number.
        id: u64,
        /// Which shipment of it; every one that was given up, unless told.
        #[arg(long, value_name = "NUMBER")]
        shipment: Option<u32>,
    },
    /// Shipments that shops could not be told of, and why.
    Untold,
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
            Self::Ship(ship) => ship.run(api, screen).await,
            Self::Retry { shop, id, shipment } => retry(api, screen, &shop, id, shipment).await,
            Self::Untold => untold(api, screen).await,
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
    let mut table = Table::new(&[">LINE", "SKU", ">QUANTITY", ">TAKEN", ">HELD", ">SHIPPED", "FROM"]);
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
        let shipped: Quantity = rows(line, "holds").iter().map(|hold| quantity::of(hold, "shipped")).sum();
        table.row([number, sku, quantity, taken, held, shipped.to_string(), from.join(", ")]);
    }
    screen.table(&table, "it has no lines")?;
    for shipment in rows(order, "shipments") {
        screen.line(format!("shipment {}", text(shipment, "number")))?;
        ship::show(screen, shipment)?;
    }
    Ok(())
}

/// One shipment, or all of the order that were given up.
async fn retry(api: &Api, screen: Screen, shop: &str, id: u64, shipment: Option<u32>) -> Result<(), Failure> {
    let order = id.to_string();
    let numbers: Vec<String> = if let Some(number) = shipment {
        vec![number.to_string()]
    } else {
        let untold = api.list(&["shipments", "untold"], &[], None).await?;
        let of_order = |item: &&Value| text(item, "shop") == shop && text(item, "order") == order;
        untold.iter().filter(of_order).map(|item| text(item, "shipment")).collect()
    };
    let mut answers = Vec::with_capacity(numbers.len());
    for number in &numbers {
        answers.push(api.post(&["orders", shop, &order, "shipments", number, "retry"], &json!({})).await?);
    }
    screen.show(&json!({ "items": answers }), |screen| match numbers.as_slice() {
        [] => screen.line(format!("no shipment of order {id} of {shop} was given up")),
        numbers => {
            screen.line(format!("{shop} is told again of shipment {} of order {id}", numbers.join(", ")))
        }
    })
}

async fn untold(api: &Api, screen: Screen) -> Result<(), Failure> {
    let items = api.list(&["shipments", "untold"], &[], None).await?;
    screen.show(&json!({ "items": items }), |screen| {
        let mut table = Table::new(&["SHOP", ">ORDER", ">SHIPMENT", "WHY"]);
        for item in &items {
            table.row(["shop", "order", "shipment", "problem"].map(|name| text(item, name)));
        }
        screen.table(&table, "shops were told of every shipment, or will be")?;
        if items.is_empty() {
            return Ok(());
        }
        screen.line("tell a shop again with `onhand order retry SHOP ORDER --shipment NUMBER`")
    })
}
