//! `onhand reconcile`: compares the live shop with the ledger, and says what was found and done.

use std::io::Write;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::api::Api;
use crate::failure::Failure;
use crate::progress::Progress;
use crate::screen::{Screen, Table, as_text, rows, text};
use crate::{cells, quantity, span};

const POLL_PAUSE: Duration = Duration::from_millis(250);
/// Between the end of a comparison's own time and the end of its wait.
const GRACE: Duration = Duration::from_mins(1);
/// Runs that are listed.
const RUNS_LISTED: usize = 50;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, arg_required_else_help = true)]
pub(crate) struct Reconcile {
    #[command(subcommand)]
    other: Option<Other>,
    #[command(flatten)]
    compare: Compare,
}

#[derive(Debug, Subcommand)]
enum Other {
    /// Comparisons of a shop, the latest first.
    List {
        /// The shop.
        shop: String,
    },
    /// What a comparison found.
    Show {
        /// Its number.
        id: i64,
        /// Print the stocks as CSV.
        #[arg(long, conflicts_with = "json")]
        csv: bool,
    },
}

#[derive(Debug, Args)]
struct Compare {
    /// The shop.
    #[arg(required = true)]
    shop: Option<String>,
    /// Compare and change nothing: neither the shop, nor the ledger, nor what onhand knows of the shop.
    #[arg(long)]
    dry_run: bool,
    /// Only this SKU; may be given many times.
    #[arg(long, value_name = "SKU")]
    sku: Vec<String>,
    /// What is not decided by then is left unsettled.
    #[arg(long, value_name = "SPAN", default_value = "1h", value_parser = span::parse)]
    timeout: Duration,
    /// Print the stocks as CSV.
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    /// Do not wait for the end; `onhand reconcile show` tells what was found.
    #[arg(long)]
    no_wait: bool,
}

impl Reconcile {
    pub(crate) async fn run(self, api: &Api, screen: Screen) -> Result<(), Failure> {
        match self.other {
            Some(Other::List { shop }) => list(api, screen, &shop).await,
            Some(Other::Show { id, csv }) => {
                let run = api.get(&["reconciliations", &id.to_string()], &[]).await?;
                show(api, screen, &run, csv).await
            }
            None => self.compare.run(api, screen).await,
        }
    }
}

impl Compare {
    async fn run(self, api: &Api, screen: Screen) -> Result<(), Failure> {
        let shop = self.shop.unwrap_or_default();
        let mut body = json!({ "dry_run": self.dry_run, "timeout_seconds": self.timeout.as_secs() });
        if let Some(fields) = body.as_object_mut().filter(|_| !self.sku.is_empty()) {
            fields.insert("skus".to_owned(), self.sku.into());
        }
        let started = api.post(&["shops", &shop, "reconcile"], &body).await?;
        let id = as_text(started.get("id"));
        if self.no_wait {
            return screen.show(&started, |screen| {
                screen.line(format!(
                    "comparison {id} has begun; `onhand reconcile show {id}` tells what it found"
                ))
            });
        }
        let ended = ended(api, &id, self.timeout + GRACE).await?;
        show(api, screen, &ended, self.csv).await?;
        verdict(&ended)
    }
}

/// Waits until the comparison has ended; as it is then.
async fn ended(api: &Api, id: &str, wait_max: Duration) -> Result<Value, Failure> {
    let progress = Progress::counting("comparing");
    let deadline = Instant::now() + wait_max;
    loop {
        let run = api.get(&["reconciliations", id], &[]).await?;
        if matches!(run.get("state").and_then(Value::as_str), Some("done" | "failed")) {
            return Ok(run);
        }
        if Instant::now() > deadline {
            return Err(Failure::ComparisonSlow { id: id.to_owned() });
        }
        let number = |name| run.get(name).and_then(Value::as_u64).unwrap_or(0);
        progress.show("comparing", number("decided"), number("decided") + number("left"));
        tokio::time::sleep(POLL_PAUSE).await;
    }
}

/// What the exit code says of a comparison that has ended.
fn verdict(run: &Value) -> Result<(), Failure> {
    let number = |name| run.get(name).and_then(Value::as_u64).unwrap_or(0);
    let shop = text(run, "shop");
    if text(run, "state") == "failed" {
        return Err(Failure::ComparisonFailed { shop, cause: text(run, "failure") });
    }
    match (number("drifted"), number("unsettled")) {
        (0, 0) => Ok(()),
        (0, count) => Err(Failure::Undecided { shop, count }),
        (count, _) => Err(Failure::Drifted { shop, count }),
    }
}

async fn list(api: &Api, screen: Screen, shop: &str) -> Result<(), Failure> {
    let items = api.list(&["shops", shop, "reconciliations"], &[], Some(RUNS_LISTED)).await?;
    screen.show(&json!({ "items": items }), |screen| {
        let head = ["ID", "BEGUN", "STATE", "WHY", ">DECIDED", ">AGREED", ">DRIFT", ">UNSETTLED", ">CALLS"];
        let mut table = Table::new(&head);
        for item in &items {
            let dry = item.get("dry_run") == Some(&Value::Bool(true));
            let cause = if dry { "dry run".to_owned() } else { text(item, "cause") };
            let [id, begun, state] = ["id", "created_at", "state"].map(|name| text(item, name));
            let counts = ["decided", "agreed", "drifted", "unsettled", "calls"].map(|name| text(item, name));
            table.row([id, begun, state, cause].into_iter().chain(counts));
        }
        screen.table(&table, "it was never compared; `onhand reconcile SHOP` does it now")
    })
}

async fn show(api: &Api, screen: Screen, run: &Value, csv: bool) -> Result<(), Failure> {
    let id = as_text(run.get("id"));
    let stocks = api.list(&["reconciliations", &id, "stocks"], &[], None).await?;
    if csv {
        return as_csv(&stocks);
    }
    let mut whole = run.clone();
    if let Some(fields) = whole.as_object_mut() {
        fields.insert("stocks".to_owned(), stocks.clone().into());
    }
    screen.show(&whole, |screen| {
        let others: Vec<&Value> = stocks.iter().filter(|stock| text(stock, "class") != "agreed").collect();
        if !others.is_empty() {
            let mut table = Table::new(&FIELDS.map(|(_, head)| head));
            for stock in others {
                table.row(FIELDS.map(|(name, _)| cell(stock, name)));
            }
            screen.table(&table, "")?;
        }
        for total in rows(run, "totals") {
            let class = text(total, "class");
            let said =
                meaning(&class, &text(total, "action"), run.get("dry_run") == Some(&Value::Bool(true)));
            screen.line(format!("{:>7} {class}: {said}", text(total, "stocks")))?;
        }
        screen.line(format!(
            "comparison {id} of {} is {}: {} stocks decided in {} reads ({} calls)",
            text(run, "shop"),
            text(run, "state"),
            text(run, "decided"),
            text(run, "reads"),
            text(run, "calls"),
        ))
    })
}

/// The columns, as fields of an answer and as they are headed.
const FIELDS: [(&str, &str); 8] = [
    ("sku", "SKU"),
    ("product", ">PRODUCT"),
    ("variation", ">VARIATION"),
    ("expected", ">EXPECTED"),
    ("shown", ">SHOWN"),
    ("difference", ">DIFFERENCE"),
    ("class", "CLASS"),
    ("action", "ACTION"),
];

fn cell(stock: &Value, name: &str) -> String {
    if name == "difference" && stock.get(name).is_some_and(Value::is_string) {
        return quantity::signed(quantity::of(stock, name));
    }
    text(stock, name)
}

fn as_csv(stocks: &[Value]) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    let failed = |source| Failure::Output { source };
    let head: Vec<&str> = FIELDS.iter().map(|(name, _)| *name).collect();
    writeln!(out, "{}", head.join(",")).map_err(failed)?;
    for stock in stocks {
        let cells = FIELDS.map(|(name, _)| match stock.get(name) {
            None | Some(Value::Null) => String::new(),
            // Numbers may begin with a minus; SKUs come from shops.
            given if name == "sku" => cells::text(&as_text(given)),
            given => cells::quoted(&as_text(given)),
        });
        writeln!(out, "{}", cells.join(",")).map_err(failed)?;
    }
    out.flush().map_err(failed)
}

/// What it means that stocks are of a class, and what was done.
fn meaning(class: &str, action: &str, dry_run: bool) -> String {
    let is = match class {
        "agreed" => return "the shop shows what it should".to_owned(),
        "first_look" => {
            return "nothing was known of them before; what they show would be taken as it is".to_owned();
        }
        "unsettled" => {
            return "nothing could be proven in time, since orders or pushes touched them; compare them again".to_owned();
        }
        "unmapped" => {
            return "without SKU, so onhand knows nothing of them; `onhand shop show` lists them".to_owned();
        }
        "unmanaged" => {
            return "the shop keeps no quantity for them; turn on `Manage stock?` there".to_owned();
        }
        "gone" => return "the shop does not know them any more".to_owned(),
        "unusable" => return "what the shop shows is no quantity".to_owned(),
        "lost_update" => "a sale fell into a change that onhand made, or somebody edited just then",
        "doubtful_call" => "a change that onhand made was never answered",
        "edit_up" => "somebody raised them in the shop",
        "edit_down" => "somebody lowered them in the shop",
        "bulk_edit" => "an import or a program changed them in the shop",
        other => other,
    };
    let done = match (action, dry_run) {
        ("corrected", false) => "; corrected",
        ("corrected", true) => "; would be corrected",
        ("withheld", false) => "; left as they were set",
        ("withheld", true) => "; would be left as they were set",
        ("adopting" | "adopted", false) => "; taken over into the ledger",
        ("adopting" | "adopted", true) => "; would be taken over into the ledger",
        ("alerted", _) => "; nothing is changed, somebody should look",
        _ => "",
    };
    format!("{is}{done}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_code_tells_differences_from_what_is_open() {
        let run = |state: &str, drifted: u64, unsettled: u64| json!({ "shop": "s", "state": state, "failure": "f", "drifted": drifted, "unsettled": unsettled });
        assert!(verdict(&run("done", 0, 0)).is_ok());
        assert!(matches!(verdict(&run("done", 2, 3)), Err(Failure::Drifted { count: 2, .. })));
        assert!(matches!(verdict(&run("done", 0, 3)), Err(Failure::Undecided { count: 3, .. })));
        assert!(matches!(verdict(&run("failed", 2, 3)), Err(Failure::ComparisonFailed { .. })));
    }

    #[test]
    fn a_dry_run_says_what_would_be_done() {
        assert!(meaning("edit_up", "corrected", true).ends_with("would be corrected"));
        assert!(meaning("edit_up", "corrected", false).ends_with("; corrected"));
        assert!(!meaning("agreed", "none", false).is_empty());
    }
}
