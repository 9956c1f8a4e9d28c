//! `onhand order ship`: what an order reserves leaves, and its shop is told.

use clap::Args;
use reqwest::Method;
use serde_json::{Map, Value, json};
use values::Quantity;

use crate::api::Api;
use crate::failure::Failure;
use crate::screen::{Screen, rows, text};

#[derive(Debug, Args)]
pub(crate) struct Ship {
    /// The shop's name.
    shop: String,
    /// The order's number.
    id: u64,
    /// How much of a line, as in `3:2`; again for each line. Without any: all that is left.
    #[arg(long, value_name = "LINE:QUANTITY", value_parser = parse_line)]
    line: Vec<(i64, Quantity)>,
    /// Who carries it.
    #[arg(long, value_name = "NAME")]
    carrier: Option<String>,
    /// Its number there.
    #[arg(long, value_name = "NUMBER")]
    tracking: Option<String>,
    /// Where it can be followed.
    #[arg(long, value_name = "URL")]
    tracking_url: Option<String>,
    /// A text of your own that makes this happen once however often it is asked for.
    #[arg(long, value_name = "TEXT")]
    key: Option<String>,
}

impl Ship {
    pub(crate) async fn run(self, api: &Api, screen: Screen) -> Result<(), Failure> {
        let body = self.body();
        let id = self.id.to_string();
        let path = ["orders", &self.shop, &id, "shipments"];
        let make = || Ok(api.request(Method::POST, &path).json(&body));
        let shipment = api.once(self.key.as_deref(), make).await?;
        screen.show(&shipment, |screen| {
            let number = text(&shipment, "number");
            let whole = shipment.get("complete") == Some(&Value::Bool(true));
            let left = if whole { "nothing is left to ship" } else { "not all of it" };
            screen.line(format!("shipment {number} of order {id} of {}: {left}", self.shop))?;
            show(screen, &shipment)
        })
    }

    fn body(&self) -> Value {
        let mut body = Map::new();
        let said =
            [("carrier", &self.carrier), ("tracking", &self.tracking), ("tracking_url", &self.tracking_url)];
        for (name, text) in said {
            if let Some(text) = text {
                body.insert(name.to_owned(), text.as_str().into());
            }
        }
        let line =
            |(line, quantity): &(i64, Quantity)| json!({ "line": line, "quantity": quantity.to_string() });
        body.insert("lines".to_owned(), self.line.iter().map(line).collect::<Vec<_>>().into());
        body.into()
    }
}

/// What left, and how far the shop was told of it.
pub(super) fn show(screen: Screen, shipment: &Value) -> Result<(), Failure> {
    let lines: Vec<String> = rows(shipment, "lines")
        .iter()
        .map(|line| format!("{} {}", text(line, "quantity"), text(line, "sku")))
        .collect();
    screen.line(format!(
        "  {} by {}: {}",
        text(shipment, "at"),
        text(shipment, "actor"),
        lines.join(", ")
    ))?;
    let ways =
        [("carrier", "carrier"), ("tracking", "tracking number"), ("tracking_url", "to be followed at")];
    for (name, label) in ways {
        if shipment.get(name).is_some_and(|value| !value.is_null()) {
            screen.line(format!("  {label} {}", text(shipment, name)))?;
        }
    }
    for (name, label) in [("status", "the order's status in the shop"), ("note", "note to the customer")] {
        let Some(told) = shipment.get(name).filter(|told| !told.is_null()) else { continue };
        let state = match text(told, "state").as_str() {
            "waiting" => "to be told".to_owned(),
            "done" => "done".to_owned(),
            "given_up" => "given up".to_owned(),
            other => other.to_owned(),
        };
        screen.line(format!("  {label}: {} ({state})", text(told, "text")))?;
    }
    if shipment.get("problem").is_some_and(|problem| !problem.is_null()) {
        screen.line(format!("  the shop could not be told: {}", text(shipment, "problem")))?;
    }
    Ok(())
}

fn parse_line(given: &str) -> Result<(i64, Quantity), String> {
    let wrong = || format!("{given} is not LINE:QUANTITY; it looks like 3:2, see `onhand order show`");
    let (line, quantity) = given.split_once(':').ok_or_else(wrong)?;
    Ok((line.parse().map_err(|_| wrong())?, quantity.parse().map_err(|_| wrong())?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_a_number_and_a_quantity() {
        assert_eq!(parse_line("3:2"), Ok((3, Quantity::from_units(2))));
        assert_eq!(parse_line("3:0.5").map(|(_, quantity)| quantity.to_string()), Ok("0.5".to_owned()));
        for wrong in ["", "3", "3:", ":2", "a:2", "3:b"] {
            assert!(parse_line(wrong).is_err(), "{wrong}");
        }
    }
}
