//! `onhand stock`: what there is, and moving it.

pub(crate) mod export;
pub(crate) mod import;

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use values::Quantity;

use super::warehouse::named_or_only;
use crate::api::Api;
use crate::failure::Failure;
use crate::quantity;
use crate::screen::{Screen, Table, rows, text};

/// SKUs asked for in one call; more would make the address too long.
const SKUS_A_CALL: usize = 50;

#[derive(Debug, Subcommand)]
pub(crate) enum Stock {
    /// What there is of the SKUs, or of all.
    Get {
        /// Which; all if none is named.
        skus: Vec<String>,
        /// At most this many.
        #[arg(long, value_name = "ROWS")]
        limit: Option<usize>,
    },
    /// Goods came in.
    Receive(Move),
    /// Corrects what is on hand by a difference.
    Adjust {
        #[command(flatten)]
        adjusted: Move,
        /// Why; it is kept with the movement.
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Moves stock from one warehouse to another.
    Transfer {
        /// Which SKU.
        sku: String,
        /// How much.
        #[arg(value_parser = quantity::parse)]
        quantity: Quantity,
        /// From this warehouse.
        #[arg(long, value_name = "WAREHOUSE")]
        from: String,
        /// To this warehouse.
        #[arg(long, value_name = "WAREHOUSE")]
        to: String,
        #[command(flatten)]
        key: Key,
    },
    /// Sets what is on hand to what was counted.
    Count(Move),
    /// Receives or counts the lines of a CSV file; all of them or none.
    Import(import::Import),
    /// Writes all stock as CSV.
    Export(export::Export),
}

/// A quantity of one SKU in one warehouse.
#[derive(Debug, Args)]
pub(crate) struct Move {
    /// Which SKU.
    sku: String,
    /// How much.
    #[arg(value_parser = quantity::parse, allow_hyphen_values = true)]
    quantity: Quantity,
    /// Where; needs not be said if there is only one.
    #[arg(long, short, value_name = "WAREHOUSE")]
    warehouse: Option<String>,
    #[command(flatten)]
    key: Key,
}

#[derive(Debug, Args)]
pub(crate) struct Key {
    /// A text of your own that makes this operation happen once however often it is asked for.
    #[arg(long, value_name = "TEXT")]
    key: Option<String>,
}

impl Stock {
    pub(crate) async fn run(self, api: &Api, screen: Screen) -> Result<(), Failure> {
        match self {
            Self::Get { skus, limit } => get(api, screen, &skus, limit).await,
            Self::Receive(moved) => operate_in_one(api, screen, "receive", moved, None).await,
            Self::Adjust { adjusted, reason } => {
                operate_in_one(api, screen, "adjust", adjusted, Some(reason)).await
            }
            Self::Count(counted) => operate_in_one(api, screen, "count", counted, None).await,
            Self::Transfer { sku, quantity, from, to, key } => {
                let quantity = quantity.to_string();
                let operation = json!({ "kind": "transfer", "sku": sku, "warehouse": from, "to": to, "quantity": quantity });
                operate(api, screen, operation, &sku, &key).await
            }
            Self::Import(import) => import.run(api, screen).await,
            Self::Export(export) => export.run(api).await,
        }
    }
}

async fn operate_in_one(
    api: &Api,
    screen: Screen,
    kind: &str,
    moved: Move,
    reason: Option<String>,
) -> Result<(), Failure> {
    let warehouse = named_or_only(api, moved.warehouse).await?;
    let quantity = moved.quantity.to_string();
    let mut operation =
        json!({ "kind": kind, "sku": moved.sku, "warehouse": warehouse, "quantity": quantity });
    if let (Some(reason), Some(fields)) = (reason, operation.as_object_mut()) {
        fields.insert("reason".to_owned(), reason.into());
    }
    operate(api, screen, operation, &moved.sku, &moved.key).await
}

/// Does it, and shows what there is then.
async fn operate(api: &Api, screen: Screen, operation: Value, sku: &str, key: &Key) -> Result<(), Failure> {
    let answer = api.operate(&json!({ "operations": [operation] }), key.key.as_deref()).await?;
    if screen.json {
        return screen.value(&answer);
    }
    get(api, screen, &[sku.to_owned()], None).await
}

async fn get(api: &Api, screen: Screen, skus: &[String], limit: Option<usize>) -> Result<(), Failure> {
    let mut items = Vec::new();
    for some in skus.chunks(SKUS_A_CALL) {
        let query: Vec<(&str, String)> = some.iter().map(|sku| ("sku", sku.clone())).collect();
        items.extend(api.list(&["stock"], &query, limit).await?);
    }
    if skus.is_empty() {
        items = api.list(&["stock"], &[], limit).await?;
    }
    screen.show(&json!({ "items": items }), |screen| {
        let mut table =
            Table::new(&["SKU", "WAREHOUSE", ">ON HAND", ">RESERVED", ">AVAILABLE", "SHOPS SHOULD SHOW"]);
        for item in &items {
            stock_rows(&mut table, item);
        }
        if items.is_empty() && !skus.is_empty() { Ok(()) } else { screen.table(&table, "nothing in stock") }
    })?;
    let missing = skus.iter().find(|sku| !items.iter().any(|item| text(item, "sku") == **sku));
    match missing {
        Some(sku) => Err(Failure::NotThere { what: "SKU", name: sku.clone(), list: "`onhand stock get`" }),
        None => Ok(()),
    }
}

/// One row a warehouse; what shops should show beside the first.
fn stock_rows(table: &mut Table, item: &Value) {
    let mut shops: String = rows(item, "shops")
        .iter()
        .map(|shop| format!("{} {}", text(shop, "shop"), text(shop, "level")))
        .collect::<Vec<_>>()
        .join(", ");
    let mut sku = text(item, "sku");
    let warehouses = rows(item, "warehouses");
    if warehouses.is_empty() {
        table.row([sku.as_str(), "-", "0", "0", "0", &shops]);
    }
    for warehouse in warehouses {
        let [name, on_hand, reserved, available] =
            ["warehouse", "on_hand", "reserved", "available"].map(|name| text(warehouse, name));
        table.row([std::mem::take(&mut sku), name, on_hand, reserved, available, std::mem::take(&mut shops)]);
    }
}
