//! `onhand movements`: every entry of the ledger for one SKU.

use clap::Args;
use serde_json::{Value, json};

use crate::api::Api;
use crate::failure::Failure;
use crate::quantity;
use crate::screen::{Screen, Table, text};

#[derive(Debug, Args)]
pub(crate) struct Movements {
    /// Which.
    sku: String,
    /// Only those after this number.
    #[arg(long, value_name = "NUMBER")]
    after: Option<u64>,
    /// At most this many.
    #[arg(long, value_name = "ROWS")]
    limit: Option<usize>,
}

impl Movements {
    pub(crate) async fn run(self, api: &Api, screen: Screen) -> Result<(), Failure> {
        let mut query = vec![("sku", self.sku.clone())];
        query.extend(self.after.map(|after| ("after", after.to_string())));
        let items = api.list(&["movements"], &query, self.limit).await?;
        screen.show(&json!({ "items": items }), |screen| {
            let head = [
                ">NO",
                "AT",
                "WAREHOUSE",
                "KIND",
                ">Δ ON HAND",
                ">Δ RESERVED",
                ">ON HAND",
                ">RESERVED",
                "CAUSE",
            ];
            let mut table = Table::new(&head);
            for item in &items {
                let number = text(item, "number");
                let (at, warehouse, kind) = (text(item, "at"), text(item, "warehouse"), text(item, "kind"));
                let on_hand = quantity::signed(quantity::of(item, "on_hand_change"));
                let reserved = quantity::signed(quantity::of(item, "reserved_change"));
                let after = (text(item, "on_hand"), text(item, "reserved"));
                table.row([number, at, warehouse, kind, on_hand, reserved, after.0, after.1, cause(item)]);
            }
            screen.table(&table, "no movements")
        })
    }
}

/// Who or what moved it, in a few words.
fn cause(item: &Value) -> String {
    let mut words = Vec::new();
    if item.get("order").is_some_and(|order| !order.is_null()) {
        words.push(format!("order {} of {}", text(item, "order"), text(item, "shop")));
    }
    for name in ["actor", "reason"] {
        if let Some(said) = item.get(name).and_then(Value::as_str) {
            words.push(crate::screen::printable(said));
        }
    }
    for (key, value) in item.get("tags").and_then(Value::as_object).into_iter().flatten() {
        words.push(format!("{key}={}", crate::screen::as_text(Some(value))));
    }
    words.join(", ")
}
