//! `onhand alerts`: what people should know of, and that they took note of it.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::api::Api;
use crate::failure::Failure;
use crate::screen::{Screen, Table, as_text, rows, text};

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Alerts {
    #[command(subcommand)]
    what: Option<What>,
    /// Only those of this shop.
    shop: Option<String>,
    /// Also those that are over; they are kept for 90 days.
    #[arg(long)]
    all: bool,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Notes that somebody looks after an alert; it stays open until what it tells of is not so any more.
    Ack {
        /// Its number.
        id: u64,
    },
    /// Sends a test by each way that is set up, and says whether it was taken.
    Test,
}

impl Alerts {
    pub(crate) async fn run(self, api: &Api, screen: Screen) -> Result<(), Failure> {
        match self.what {
            None => list(api, screen, self.shop, self.all).await,
            Some(What::Ack { id }) => {
                let answer = api.post(&["alerts", &id.to_string(), "acknowledge"], &json!({})).await?;
                screen.show(&answer, |screen| {
                    screen.line(format!("{id} acknowledged by {}", text(&answer, "acknowledged_by")))
                })
            }
            Some(What::Test) => test(api, screen).await,
        }
    }
}

async fn list(api: &Api, screen: Screen, shop: Option<String>, all: bool) -> Result<(), Failure> {
    let mut query = vec![("all", all.to_string())];
    query.extend(shop.map(|shop| ("shop", shop)));
    let items = api.list(&["alerts"], &query, None).await?;
    screen.show(&json!({ "items": items }), |screen| {
        let mut table = Table::new(&[">ID", "SEVERITY", "KIND", "SHOP", "ABOUT", "SINCE", ">TIMES", "STATE"]);
        for item in &items {
            let about = item.get("sku").filter(|sku| !sku.is_null()).or_else(|| item.get("subject"));
            let [id, severity, kind, shop, since, times] =
                ["id", "severity", "kind", "shop", "first_seen", "count"].map(|name| text(item, name));
            table.row([id, severity, kind, shop, as_text(about), since, times, state(item)]);
        }
        screen.table(&table, if all { "there were no alerts" } else { "there are no alerts" })?;
        for item in &items {
            screen.line(format!("\n{}: {}", text(item, "id"), text(item, "what")))?;
        }
        Ok(())
    })
}

async fn test(api: &Api, screen: Screen) -> Result<(), Failure> {
    let answer = api.post(&["alerts", "test"], &json!({})).await?;
    let channels = rows(&answer, "channels");
    let failed: Vec<&Value> = channels.iter().filter(|tried| !is_null(tried, "failure")).collect();
    screen.show(&answer, |screen| {
        for tried in channels {
            let channel = text(tried, "channel");
            if is_null(tried, "failure") {
                screen.line(format!("{channel}: taken"))?;
            } else {
                screen.line(format!("{channel}: not taken: {}", text(tried, "failure")))?;
            }
        }
        Ok(())
    })?;
    match (channels.len(), failed.len()) {
        (0, _) => Err(Failure::NobodyIsTold),
        (_, 0) => Ok(()),
        (_, count) => Err(Failure::NotTold { count }),
    }
}

fn is_null(value: &Value, name: &str) -> bool {
    value.get(name).is_none_or(Value::is_null)
}

/// Whether it is over, or somebody looks after it.
fn state(alert: &Value) -> String {
    let given = |name| alert.get(name).filter(|value| !value.is_null()).map(|value| as_text(Some(value)));
    match (given("resolved_at"), given("acknowledged_by")) {
        (Some(at), _) => format!("over since {at}"),
        (None, Some(by)) => format!("acknowledged by {by}"),
        (None, None) => "open".to_owned(),
    }
}
