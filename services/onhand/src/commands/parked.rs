//! `onhand parked`: what could not be applied and waits for somebody.

use clap::Subcommand;
use serde_json::{Value, json};

use crate::api::Api;
use crate::failure::Failure;
use crate::screen::{Screen, Table, text};

#[derive(Debug, Subcommand)]
pub(crate) enum Parked {
    /// Order lines that are not counted, orders their shops have lost, messages that were given up.
    List,
    /// One message that was given up.
    Show {
        /// Its number.
        id: i64,
    },
    /// Maps what a shop sells to a SKU by hand; parked lines are applied.
    Map {
        /// The shop's name.
        shop: String,
        /// What it sells, as `onhand parked list` shows it.
        #[arg(value_name = "PRODUCT[:VARIATION]")]
        listing: String,
        /// The SKU it is.
        sku: String,
    },
    /// Applies a message again, or hands it to the service once more that gave it up.
    Replay {
        /// Its number.
        id: i64,
    },
    /// Gives a message up for good.
    Discard {
        /// Its number.
        id: i64,
    },
}

impl Parked {
    pub(crate) async fn run(self, api: &Api, screen: Screen) -> Result<(), Failure> {
        match self {
            Self::List => list(api, screen).await,
            Self::Show { id } => show(api, screen, id).await,
            Self::Map { shop, listing, sku } => {
                let (product, variation) = parse_listing(&listing)?;
                let body = json!({ "shop": shop, "product": product, "variation": variation, "sku": sku });
                let answer = api.post(&["parked", "map"], &body).await?;
                screen.show(&answer, |screen| screen.line(format!("{listing} of {shop} is {sku} now")))
            }
            Self::Replay { id } => {
                let answer = api.post(&["dead", &id.to_string(), "replay"], &json!({})).await?;
                screen.show(&answer, |screen| {
                    screen.line(format!("message {id} is applied, or with its service again"))
                })
            }
            Self::Discard { id } => {
                let answer = api.post(&["dead", &id.to_string(), "discard"], &json!({})).await?;
                screen.show(&answer, |screen| screen.line(format!("message {id} is gone")))
            }
        }
    }
}

async fn list(api: &Api, screen: Screen) -> Result<(), Failure> {
    let lines = api.list(&["parked"], &[], None).await?;
    let orphans = api.list(&["orphans"], &[], None).await?;
    let dead = api.list(&["dead"], &[], None).await?;
    let all = json!({ "lines": lines, "orphans": orphans, "messages": dead });
    screen.show(&all, |screen| {
        let mut table = Table::new(&["SHOP", ">ORDER", ">LINE", "PRODUCT", ">QUANTITY", "WHY"]);
        for line in &lines {
            let quantity = text(line, "quantity");
            let [shop, order, number] = ["shop", "order", "line"].map(|name| text(line, name));
            table.row([shop, order, number, listing(line), quantity, why(&text(line, "cause"))]);
        }
        screen.table(&table, "no lines are parked")?;
        let nameless: Vec<&Value> = lines.iter().filter(|line| text(line, "cause") == "no_sku").collect();
        if !nameless.is_empty() {
            screen.line("map them with `onhand parked map SHOP PRODUCT SKU`")?;
            if nameless.iter().any(|line| line.get("stock").is_none_or(Value::is_null)) {
                screen.line(
                    "products without a stock in their shop can be mapped once `Manage stock?` is on there and the catalogue was read (`onhand shop sync SHOP`)",
                )?;
            }
        }
        if !orphans.is_empty() {
            screen.line("")?;
            let mut table = Table::new(&["SHOP", ">ORDER", "STATUS", ">RESERVES", "WHY"]);
            for orphan in &orphans {
                let why = match text(orphan, "cause").as_str() {
                    "shop_removed" => "its shop was removed".to_owned(),
                    "gone" => "its shop no longer knows it".to_owned(),
                    other => other.to_owned(),
                };
                let [shop, order, status, reserved] =
                    ["shop", "order", "status", "reserved"].map(|name| text(orphan, name));
                table.row([shop, order, status, reserved, why]);
            }
            screen.table(&table, "")?;
            screen.line("nobody else ends what they hold; let go with `onhand order release SHOP ORDER`")?;
        }
        if dead.is_empty() {
            return screen.line("no messages were given up");
        }
        screen.line("")?;
        let mut table = Table::new(&[">ID", "SHOP", "KIND", "QUEUE", "SINCE", "WHY"]);
        for message in &dead {
            table.row(["id", "shop", "kind", "queue", "at", "reason"].map(|name| text(message, name)));
        }
        screen.table(&table, "")?;
        screen.line(
            "try one again with `onhand parked replay ID`, or give it up with `onhand parked discard ID`",
        )
    })
}

async fn show(api: &Api, screen: Screen, id: i64) -> Result<(), Failure> {
    let dead = api.list(&["dead"], &[], None).await?;
    let wanted = dead.iter().find(|message| message.get("id").and_then(Value::as_i64) == Some(id));
    let message = wanted.ok_or_else(|| Failure::NotThere {
        what: "message",
        name: id.to_string(),
        list: "`onhand parked list`",
    })?;
    screen.show(message, |screen| {
        for (name, value) in message.as_object().into_iter().flatten() {
            screen.line(format!("{name:12} {}", crate::screen::as_text(Some(value))))?;
        }
        Ok(())
    })
}

/// Why a line is not counted, in plain words.
fn why(cause: &str) -> String {
    let words = match cause {
        "no_sku" => "its SKU is not known",
        "no_product" => "it names no product",
        "quantity_negative" => "less than nothing is sold, as when goods come back",
        "quantity_too_fine" => "its quantity is finer than a thousandth",
        "quantity_unreadable" => "its quantity cannot be read",
        "taken_unreadable" => "what the shop took for it cannot be read",
        "restocked_unreadable" => "what was put back for it cannot be read",
        "product_unreadable" => "its product cannot be read",
        _ => "it cannot be read",
    };
    words.to_owned()
}

/// Product and variation of a parked line, as `map` takes them.
fn listing(line: &Value) -> String {
    match line.get("variation").filter(|variation| !variation.is_null()) {
        Some(variation) => format!("{}:{variation}", text(line, "product")),
        None => text(line, "product"),
    }
}

pub(crate) fn parse_listing(text: &str) -> Result<(i64, Option<i64>), Failure> {
    let wrong = |_| Failure::Listing { text: text.to_owned() };
    match text.split_once([':', '/']) {
        Some((product, variation)) => {
            Ok((product.parse().map_err(wrong)?, Some(variation.parse().map_err(wrong)?)))
        }
        None => Ok((text.parse().map_err(wrong)?, None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_is_a_product_or_a_variation_of_one() {
        assert_eq!(parse_listing("12").unwrap(), (12, None));
        assert_eq!(parse_listing("12:34").unwrap(), (12, Some(34)));
        assert_eq!(parse_listing("12/34").unwrap(), (12, Some(34)));
        for wrong in ["", "tee", "12:", ":34"] {
            assert!(matches!(parse_listing(wrong), Err(Failure::Listing { .. })), "{wrong}");
        }
    }
}
