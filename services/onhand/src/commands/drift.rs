//! `onhand drift`: where shops showed something else than they should have.

use clap::{Args, Subcommand};
use jiff::{SignedDuration, Span, SpanRelativeTo, Timestamp};
use reqwest::Method;
use serde_json::{Value, json};

use crate::api::Api;
use crate::failure::Failure;
use crate::quantity;
use crate::screen::{Screen, Table, text};

#[derive(Debug, Subcommand)]
pub(crate) enum Drift {
    /// Differences that comparisons found, the newest first; the last 20 of each stock are kept.
    List(List),
    /// Decide about a difference that was left as it was set: once, whatever the shop's policy.
    Decide(Decide),
}

#[derive(Debug, Args)]
pub(crate) struct Decide {
    /// The shop's name.
    shop: String,
    /// The SKU; or the number of its stock in the shop, if no SKU of the shop is written like that.
    #[arg(value_name = "SKU|STOCK")]
    stock: String,
    /// correct: the shop is told the difference. adopt: the ledger takes it over. leave: it stays so, and is no alert any more.
    #[arg(value_parser = ["correct", "adopt", "leave"])]
    decision: String,
    /// Where the ledger takes it over, for a shop that sells from several warehouses.
    #[arg(short, long, value_name = "NAME")]
    warehouse: Option<String>,
    /// Why, for those who look at the movements.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// A text of your own that makes this happen once however often it is asked for.
    #[arg(long, value_name = "TEXT")]
    key: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct List {
    /// Only of this shop.
    shop: Option<String>,
    /// Only those found since then: a time like 2026-05-01T12:00:00Z, or so long ago, like 24h or 7d.
    #[arg(long, value_name = "TIME", value_parser = since)]
    since: Option<Timestamp>,
    /// At most this many.
    #[arg(long, value_name = "ROWS")]
    limit: Option<usize>,
}

impl Drift {
    pub(crate) async fn run(self, api: &Api, screen: Screen) -> Result<(), Failure> {
        match self {
            Self::List(list) => list.run(api, screen).await,
            Self::Decide(decide) => decide.run(api, screen).await,
        }
    }
}

impl Decide {
    async fn run(self, api: &Api, screen: Screen) -> Result<(), Failure> {
        let body = json!({
            "shop": self.shop, "stock": self.stock, "decision": self.decision, "warehouse": self.warehouse,
            "reason": self.reason,
        });
        let make = || Ok(api.request(Method::POST, &["drifts", "decide"]).json(&body));
        let decided = api.once(self.key.as_deref(), make).await?;
        screen.show(&decided, |screen| {
            let kept = quantity::of(&decided, "quantity");
            let (what, how_much) =
                if kept.is_negative() { ("left in", kept.abs()) } else { ("kept out of", kept) };
            let done = match self.decision.as_str() {
                "correct" => format!("{how_much} were {what} the shop; it is told the difference"),
                "adopt" => {
                    let warehouse = text(&decided, "warehouse");
                    format!("{how_much} were {what} the shop; the ledger took it over in {warehouse}")
                }
                _ => format!("{how_much} stay {what} the shop"),
            };
            screen.line(format!("{} of {}: {done}", self.stock, self.shop))
        })
    }
}

impl List {
    async fn run(self, api: &Api, screen: Screen) -> Result<(), Failure> {
        let mut query = Vec::new();
        query.extend(self.shop.map(|shop| ("shop", shop)));
        query.extend(self.since.map(|since| ("since", since.to_string())));
        let items = api.list(&["drifts"], &query, self.limit).await?;
        screen.show(&json!({ "items": items }), |screen| {
            let head = ["FOUND", "SHOP", "SKU", ">STOCK", ">EXPECTED", ">SHOWN", ">Δ", "CLASS", "ACTION"];
            let mut table = Table::new(&head);
            for item in &items {
                let [at, shop, sku, stock] = ["at", "shop", "sku", "stock"].map(|name| text(item, name));
                let [expected, shown, class] = ["expected", "shown", "class"].map(|name| text(item, name));
                table.row([at, shop, sku, stock, expected, shown, apart(item), class, action(item)]);
            }
            screen.table(&table, "no differences were found")?;
            if items.is_empty() {
                return Ok(());
            }
            screen.line(
                "what each means: `onhand explain SKU`; what is withheld or alerted: `onhand drift decide SHOP SKU \
                 correct|adopt|leave`",
            )
        })
    }
}

fn apart(drift: &Value) -> String {
    match drift.get("difference") {
        Some(Value::String(_)) => quantity::signed(quantity::of(drift, "difference")),
        _ => "-".to_owned(),
    }
}

/// What is done about it, why the ledger did not take it over, if it was to, and what somebody decided since.
pub(crate) fn action(drift: &Value) -> String {
    let done = match drift.get("why").and_then(Value::as_str) {
        Some(why) => format!("{} ({why})", text(drift, "action")),
        None => text(drift, "action"),
    };
    match drift.get("decided").filter(|decided| !decided.is_null()) {
        Some(decided) => format!("{done}, then {} by {}", text(decided, "decision"), text(decided, "by")),
        None => done,
    }
}

/// Whose a difference is, in words.
pub(crate) fn whose(class: &str) -> &str {
    match class {
        "lost_update" => "we pushed in that time: a sale fell into a call, or somebody changed it as well",
        "doubtful_call" => "a push was never answered, and it was not certain whether it arrived",
        "edit_up" => "somebody raised it in the shop",
        "edit_down" => "somebody lowered it in the shop",
        "bulk_edit" => "an import or a program changed it in the shop",
        "unmanaged" => "the shop keeps no quantity there: turn on `Manage stock` for it",
        "unsettled" => "it could not be compared with proof for long; what it showed is not certain",
        other => other,
    }
}

/// What is done about a difference, in words.
pub(crate) fn what_is_done(action: &str) -> &str {
    match action {
        "corrected" => "the shop is told the difference",
        "withheld" => "it stays as it was set",
        "adopting" => "the ledger is asked to take it over",
        "adopted" => "the ledger took it over",
        "alerted" => "nothing is done until somebody decides (`onhand drift decide`)",
        "none" => "nothing is to be done",
        other => other,
    }
}

pub(crate) fn since(text: &str) -> Result<Timestamp, String> {
    if let Ok(at) = text.parse() {
        return Ok(at);
    }
    let wanted = || format!("{text:?} is neither a time like 2026-05-01T12:00:00Z nor a span like 24h or 7d");
    let span: Span = text.parse().map_err(|_| wanted())?;
    let ago = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| wanted())?;
    let now = process::clock::now();
    let now = Timestamp::from_microsecond(now.micros()).map_err(|_| wanted())?;
    now.checked_sub(SignedDuration::from_nanos_i128(ago.as_nanos().abs())).map_err(|_| wanted())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_is_a_time_or_how_long_ago() {
        assert_eq!(since("2026-05-01T12:00:00Z").unwrap().as_second(), 1_777_636_800);
        let now = process::clock::now().seconds();
        for (span, seconds) in [("24h", 86_400), ("7d", 604_800), ("90m", 5_400)] {
            let at = since(span).unwrap().as_second();
            assert!((now - seconds - 5..=now - seconds + 5).contains(&at), "{span}: {at}");
        }
        for wrong in ["", "yesterday", "5"] {
            assert!(since(wrong).is_err(), "{wrong}");
        }
    }
}
