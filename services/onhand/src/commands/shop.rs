//! `onhand shop`: connected shops, and whether their connection works.

mod access;
mod add;
mod counts;
mod mapping;
mod preview;
mod set;
pub(crate) mod task;

use std::time::Duration;

use clap::Subcommand;
use serde_json::{Value, json};

use crate::api::Api;
use crate::failure::Failure;
use crate::screen::{Screen, Table, as_text, text};
use crate::span;

#[derive(Debug, Subcommand)]
pub(crate) enum Shop {
    /// Connects a shop: reads its catalogue and orders, and says what to enter in its webhooks.
    Add(Box<add::Add>),
    /// All shops.
    List,
    /// One shop: its settings, how it takes pushes, what is blocked.
    Show {
        /// Its name.
        name: String,
    },
    /// Changes how a shop is called, believed and supplied; what is not given stays.
    Set(Box<set::Set>),
    /// Which SKUs its products are.
    #[command(subcommand)]
    Mapping(mapping::Mapping),
    /// Says in plain words whether the shop can be used, and what is in the way.
    Test {
        /// Its name.
        name: String,
    },
    /// What there was in the shop and in onhand, day by day.
    Counts(counts::Counts),
    /// Compares every stock of the shop with onhand, with proof.
    Sync {
        /// Its name.
        name: String,
        /// A shop that does not answer is waited for so long.
        #[arg(long, value_name = "SPAN", default_value = "2m", value_parser = span::parse)]
        timeout: Duration,
    },
    /// Publishes what every stock of the shop should show once more, after a broker has lost messages.
    Republish {
        /// Its name.
        name: String,
    },
    /// Takes the shop out of service and deletes our webhooks in it; what it sold stays in the ledger.
    Remove {
        /// Its name.
        name: String,
        /// Let go what its open orders hold. Without this they keep it: goods that were paid are still to be sent.
        #[arg(long)]
        release: bool,
        /// Do it.
        #[arg(long)]
        yes: bool,
    },
}

impl Shop {
    pub(crate) async fn run(self, api: &Api, screen: Screen) -> Result<(), Failure> {
        match self {
            Self::Add(add) => add.run(api, screen).await,
            Self::List => list(api, screen).await,
            Self::Show { name } => {
                let mut shop = api.get(&["shops", &name], &[]).await?;
                let unmapped = api.list(&["shops", &name, "unmapped"], &[], None).await?;
                if let Some(fields) = shop.as_object_mut() {
                    fields.insert("unmapped".to_owned(), unmapped.into());
                    if let Some(path) = fields.get("webhook_url").and_then(Value::as_str) {
                        fields.insert("webhook_url".to_owned(), api.webhook_address(path).into());
                    }
                }
                screen.show(&shop, |screen| show(screen, &shop))
            }
            Self::Set(set) => set.run(api, screen).await,
            Self::Counts(counts) => counts.run(api, screen).await,
            Self::Mapping(mapping) => mapping.run(api, screen).await,
            Self::Test { name } => {
                let started = api.post(&["shops", &name, "test"], &json!({})).await?;
                let task = task::ended(api, &started, &name, task::AWAY_MAX).await?;
                screen.show(&task, |screen| {
                    task::report(screen, &task)?;
                    if task::is_done(&task) {
                        screen.line(format!("shop {name} can be used"))
                    } else {
                        Ok(())
                    }
                })?;
                if task::is_done(&task) {
                    Ok(())
                } else if task::works(&task) {
                    Err(task::failed(&task, &name))
                } else {
                    Err(Failure::ShopUnusable { shop: name })
                }
            }
            Self::Sync { name, timeout } => {
                let started = api.post(&["shops", &name, "sync"], &json!({})).await?;
                let task = task::wait_at_most(api, &started, &name, timeout).await?;
                screen.show(&task, |screen| {
                    task::report(screen, &task)?;
                    screen.line(format!("{name}: every stock is on its way to be compared"))
                })
            }
            Self::Republish { name } => {
                let answer = api.post(&["shops", &name, "republish"], &json!({})).await?;
                screen.show(&answer, |screen| {
                    screen.line(format!("{name}: levels on their way again: {}", text(&answer, "stocks")))
                })
            }
            Self::Remove { name, release, yes } => {
                if !yes {
                    return Err(Failure::NotConfirmed { name });
                }
                let orders = if release { "release" } else { "keep" };
                let answer = api.delete(&["shops", &name], &[("orders", orders.to_owned())]).await?;
                screen.show(&answer, |screen| removed(screen, &name, release, &answer))
            }
        }
    }
}

async fn list(api: &Api, screen: Screen) -> Result<(), Failure> {
    let items = api.list(&["shops"], &[], None).await?;
    screen.show(&json!({ "items": items }), |screen| {
        let mut table = Table::new(&["NAME", "STATE", "URL", "WAREHOUSES", ">BUFFER"]);
        for item in &items {
            table.row(["name", "state", "url", "warehouses", "buffer"].map(|name| text(item, name)));
        }
        screen.table(
            &table,
            "no shops yet; connect one with `onhand shop add NAME --url … --consumer-key-file …`",
        )
    })
}

/// What its open orders hold, and what to do about it.
fn removed(screen: Screen, name: &str, release: bool, answer: &Value) -> Result<(), Failure> {
    screen.line(format!("shop {name} removed"))?;
    let deleted = text(answer, "webhooks_deleted");
    if deleted != "0" {
        screen.line(format!("deleted {deleted} webhooks of onhand in the shop"))?;
    }
    if answer.get("webhooks_left").is_some_and(Value::is_string) {
        screen.line(format!(
            "webhooks of onhand may be left in the shop ({}): delete there those whose delivery URL has /webhooks/ of this \
             onhand (WooCommerce, Settings, Advanced, Webhooks); what they deliver is refused from now on",
            text(answer, "webhooks_left")
        ))?;
    }
    let (count, reserved) = (text(answer, "order_count"), text(answer, "reserved"));
    if count == "0" {
        return screen.line("it had no open orders");
    }
    if release {
        return screen.line(format!("let go what its {count} open orders held: {reserved} units"));
    }
    screen.line(format!(
        "its {count} open orders keep {reserved} units, for their goods are still to be sent; `onhand parked list` \
         lists them, `onhand order release {name} ORDER` lets one go"
    ))
}

/// What people look for.
const FIRST_SHOWN: [&str; 4] = ["name", "state", "url", "warehouses"];

/// Every field as a line; lists of objects below as tables of their own.
fn show(screen: Screen, shop: &Value) -> Result<(), Failure> {
    let fields_of = shop.as_object();
    let first = FIRST_SHOWN.iter().filter_map(|name| fields_of?.get_key_value(*name));
    let others = fields_of.into_iter().flatten().filter(|(name, _)| !FIRST_SHOWN.contains(&name.as_str()));
    for (name, value) in first.chain(others) {
        let label = name.replace('_', " ");
        match value {
            Value::Array(items) if items.iter().any(Value::is_object) => {
                screen.line(format!("{label}:"))?;
                for item in items {
                    screen.line(format!("  {}", fields(item)))?;
                }
            }
            Value::Object(_) => screen.line(format!("{label:20} {}", fields(value)))?,
            Value::Null => {}
            Value::Array(items) if items.is_empty() => {}
            plain => screen.line(format!("{label:20} {}", as_text(Some(plain))))?,
        }
    }
    Ok(())
}

/// An object in one line.
fn fields(value: &Value) -> String {
    let Some(object) = value.as_object() else {
        return as_text(Some(value));
    };
    let given = object.iter().filter(|(_, value)| !value.is_null());
    let parts = given.map(|(name, value)| format!("{} {}", name.replace('_', " "), as_text(Some(value))));
    parts.collect::<Vec<_>>().join(", ")
}
