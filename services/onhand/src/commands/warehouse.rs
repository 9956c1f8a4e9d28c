//! `onhand warehouse`: where stock physically is.

use clap::Subcommand;
use serde_json::json;

use crate::api::Api;
use crate::failure::Failure;
use crate::screen::{Screen, Table, text};

#[derive(Debug, Subcommand)]
pub(crate) enum Warehouse {
    /// Adds a warehouse.
    Add {
        /// Its name.
        name: String,
    },
    /// All warehouses.
    List,
}

impl Warehouse {
    pub(crate) async fn run(self, api: &Api, screen: Screen) -> Result<(), Failure> {
        match self {
            Self::Add { name } => {
                let added = api.post(&["warehouses"], &json!({ "name": name })).await?;
                screen.show(&added, |screen| screen.line(format!("warehouse {} added", text(&added, "name"))))
            }
            Self::List => {
                let items = api.list(&["warehouses"], &[], None).await?;
                screen.show(&json!({ "items": items }), |screen| {
                    let mut table = Table::new(&["NAME", "KIND", "ADDED"]);
                    for item in &items {
                        table.row([text(item, "name"), text(item, "kind"), text(item, "created_at")]);
                    }
                    screen.table(&table, "no warehouses yet; add one with `onhand warehouse add NAME`")
                })
            }
        }
    }
}

/// The warehouse asked for, or the only one there is.
pub(super) async fn named_or_only(api: &Api, name: Option<String>) -> Result<String, Failure> {
    if let Some(name) = name {
        return Ok(name);
    }
    let items = api.list(&["warehouses"], &[], None).await?;
    let mut names: Vec<String> = items.iter().map(|item| text(item, "name")).collect();
    match names.as_slice() {
        [_] => Ok(names.remove(0)),
        _ => Err(Failure::WhichWarehouse { names }),
    }
}
