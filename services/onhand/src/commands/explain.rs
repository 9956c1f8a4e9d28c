//! `onhand explain`: the sum behind a number, line by line.

use clap::Args;
use serde_json::Value;

use crate::api::Api;
use crate::commands::drift::{what_is_done, whose};
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
        screen.show(&answer, |screen| show(screen, &self.sku, self.shop.as_deref(), &answer))
    }
}

fn show(screen: Screen, sku: &str, shop: Option<&str>, answer: &Value) -> Result<(), Failure> {
    screen.line(sku)?;
    for warehouse in rows(answer, "warehouses") {
        show_warehouse(screen, warehouse)?;
    }
    show_holds(screen, answer, shop)?;
    for shop in rows(answer, "shops") {
        show_shop(screen, shop)?;
    }
    Ok(())
}

/// What the movements of each kind come to, and the balance they make.
fn show_warehouse(screen: Screen, warehouse: &Value) -> Result<(), Failure> {
    let name = text(warehouse, "warehouse");
    screen.line(format!("\nin {name}"))?;
    let mut table = Table::new(&["", ">COUNT", ">ON HAND", ">RESERVED"]);
    for sum in rows(warehouse, "movements") {
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
    screen.line(format!("available {} = on hand − reserved", text(warehouse, "available")))?;
    if warehouse.get("adds_up") == Some(&Value::Bool(false)) {
        screen.line("the movements do not add up to the balance: run `onhand check`")?;
    }
    Ok(())
}

fn show_holds(screen: Screen, answer: &Value, only: Option<&str>) -> Result<(), Failure> {
    let holds = rows(answer, "holds");
    match answer.get("hold_count").and_then(Value::as_u64) {
        Some(0) => return screen.line("\nheld by no open order"),
        Some(1) => screen.line("\nheld by one open order line")?,
        _ => screen.line(format!("\nheld by {} open order lines", text(answer, "hold_count")))?,
    }
    if let Some(shop) = only {
        screen.line(format!("  those of {shop}:"))?;
    }
    let mut table = Table::new(&["SHOP", ">ORDER", "STATUS", ">LINE", "HOLDS"]);
    for hold in holds {
        let parts: Vec<String> = rows(hold, "holds")
            .iter()
            .map(|part| format!("{} in {}", text(part, "quantity"), text(part, "warehouse")))
            .collect();
        table.row([
            text(hold, "shop"),
            text(hold, "order"),
            text(hold, "status"),
            text(hold, "line"),
            parts.join(", "),
        ]);
    }
    screen.table(&table, "  none")
}

/// A difference that a comparison found, in words.
fn found(drift: &Value) -> String {
    let (class, action) = (text(drift, "class"), text(drift, "action"));
    let (whose, done) = (whose(&class), what_is_done(&action));
    let at = text(drift, "at");
    let why = drift.get("why").and_then(Value::as_str).map_or_else(String::new, |why| format!(" ({why})"));
    let decided = drift.get("decided").filter(|decided| !decided.is_null());
    let decided = decided.map_or_else(String::new, |decided| {
        let [decision, by, at] = ["decision", "by", "at"].map(|name| text(decided, name));
        format!("; {by} decided to {decision} it at {at}")
    });
    if drift.get("difference").is_none_or(Value::is_null) {
        return format!("  compared at {at}: {whose}; {done}{why}{decided}");
    }
    let apart = quantity::of(drift, "difference");
    let (apart, than) = if apart.is_negative() { (-apart, "less") } else { (apart, "more") };
    format!("  compared at {at}: it showed {apart} {than} than it should: {whose}; {done}{why}{decided}")
}

/// What the shop should show and why, and what it was told and answered.
fn show_shop(screen: Screen, shop: &Value) -> Result<(), Failure> {
    screen.line(format!("\nat {}, product {}", text(shop, "shop"), text(shop, "stock")))?;
    let mut table = Table::new(&["", ">"]);
    let sum = |table: &mut Table, label: &str, name: &str| {
        if shop.get(name).is_some_and(|value| !value.is_null()) {
            table.row([label.to_owned(), text(shop, name)]);
        }
    };
    sum(&mut table, &format!("  available in {}", text(shop, "warehouses")), "available");
    sum(&mut table, "  − buffer", "buffer");
    sum(&mut table, "  = level, never shown below 0", "level");
    sum(&mut table, "  + ordered there, not yet taken by the shop", "untaken");
    let withheld = quantity::of(shop, "withheld");
    if withheld.is_negative() {
        table.row(["  + left in: somebody put it into the shop".to_owned(), (-withheld).to_string()]);
    } else {
        sum(&mut table, "  − withheld: somebody took it out of the shop", "withheld");
    }
    sum(&mut table, "  = should show", "goal");
    sum(&mut table, "  shows, if every order is known", "shows");
    screen.table(&table, "")?;
    match shop.get("opening").and_then(Value::as_str) {
        Some("opened") => screen.line("  opened the SKU with what it showed when it was connected")?,
        Some("left_alone") => {
            screen.line("  the SKU had stock already when it was connected; what it showed was not added")?;
        }
        Some("awaited") => screen.line("  opens the SKU with what it shows, once that is proven")?,
        _ => {}
    }
    for told in rows(shop, "attempts") {
        let change = quantity::signed(quantity::of(told, "change"));
        screen.line(format!(
            "  told {change} at {}; it answered: {}",
            text(told, "at"),
            text(told, "answer")
        ))?;
    }
    for drift in rows(shop, "drifts") {
        screen.line(found(drift))?;
    }
    if shop.get("compared_at").is_some_and(|at| !at.is_null()) {
        let shown = text(shop, "compared_shown");
        screen.line(format!("  compared at {}: it showed {shown}", text(shop, "compared_at")))?;
    }
    let unsettled = rows(shop, "unsettled");
    if unsettled.is_empty() {
        return screen.line("  settled");
    }
    for reason in unsettled {
        screen.line(format!("  not settled: {}", crate::screen::as_text(Some(reason))))?;
    }
    Ok(())
}
