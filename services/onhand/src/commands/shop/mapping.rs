//! `onhand shop mapping`: which SKU the products of a shop are, where their codes do not say it.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use crate::api::Api;
use crate::commands::parked::parse_listing;
use crate::commands::stock::{export, import};
use crate::failure::Failure;
use crate::screen::{Screen, Table, as_text, rows, text};

/// Taking a whole table in.
const IMPORT_TIMEOUT: Duration = Duration::from_mins(5);

#[derive(Debug, Subcommand)]
pub(crate) enum Mapping {
    /// Every product and variation of a shop, the SKU it is, and how that is known.
    List {
        /// The shop's name.
        shop: String,
    },
    /// The same as CSV, to be edited and imported.
    Export {
        /// The shop's name.
        shop: String,
        #[command(flatten)]
        to: export::Output,
    },
    /// Takes in an edited table, all of it or nothing: lines whose SKU is another now are what they say, lines without a SKU
    /// are taken out of the table; what is not in the file stays as it is. Parked order lines are applied.
    Import(Import),
    /// Says which SKU a product or variation is, whatever its code; parked order lines of it are applied.
    Set {
        /// The shop's name.
        shop: String,
        /// What it sells, as `onhand doctor` shows it.
        #[arg(value_name = "PRODUCT[/VARIATION]")]
        listing: String,
        /// The SKU it is.
        sku: String,
    },
    /// Says nothing more of a product or variation: it goes by its code again.
    Clear {
        /// The shop's name.
        shop: String,
        /// What it sells.
        #[arg(value_name = "PRODUCT[/VARIATION]")]
        listing: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Import {
    /// The shop's name.
    shop: String,
    /// A line names the columns: product, sku and, where there are any, variation; separated by `;`, `,` or tab. `-` is
    /// standard input.
    file: PathBuf,
    /// Say what would be done, and do nothing.
    #[arg(long)]
    dry_run: bool,
}

impl Mapping {
    pub(super) async fn run(self, api: &Api, screen: Screen) -> Result<(), Failure> {
        match self {
            Self::List { shop } => list(api, screen, &shop).await,
            Self::Export { shop, to } => {
                to.save(api, api.request(Method::GET, &["shops", &shop, "mappings", "export"])).await
            }
            Self::Import(import) => import.run(api, screen).await,
            Self::Set { shop, listing, sku } => set(api, screen, &shop, &listing, Some(&sku)).await,
            Self::Clear { shop, listing } => set(api, screen, &shop, &listing, None).await,
        }
    }
}

async fn list(api: &Api, screen: Screen, shop: &str) -> Result<(), Failure> {
    let items = api.list(&["shops", shop, "mappings"], &[], None).await?;
    screen.show(&json!({ "items": items }), |screen| {
        let mut table = Table::new(&["PRODUCT", "SKU", "MATCHED", "SKU IN SHOP", "NAME"]);
        for item in &items {
            let product = match item.get("variation").filter(|variation| !variation.is_null()) {
                Some(variation) => format!("{}/{variation}", text(item, "product")),
                None => text(item, "product"),
            };
            let [sku, matched, code, name] = ["sku", "matched", "code", "name"].map(|name| text(item, name));
            table.row([product, sku, matched.replace('_', " "), code, name]);
        }
        screen.table(&table, "nothing of its catalogue was read yet")
    })
}

async fn set(api: &Api, screen: Screen, shop: &str, listing: &str, sku: Option<&str>) -> Result<(), Failure> {
    let (product, variation) = parse_listing(listing)?;
    let body = json!({ "product": product, "variation": variation, "sku": sku });
    let answer = api.post(&["shops", shop, "mappings"], &body).await?;
    screen.show(&answer, |screen| match (sku, answer.get("sku").and_then(Value::as_str)) {
        (Some(_), Some(now)) => screen.line(format!("{listing} of {shop} is {now} now")),
        (_, Some(now)) => screen.line(format!("nothing is said of {listing} of {shop} any more; it is {now} by its code")),
        (_, None) => screen.line(format!(
            "nothing is said of {listing} of {shop} any more; nobody knows which SKU it is, so its stock is not told"
        )),
    })
}

impl Import {
    async fn run(self, api: &Api, screen: Screen) -> Result<(), Failure> {
        let file = import::read_whole(&self.file)?;
        let request = api
            .request(Method::POST, &["shops", &self.shop, "mappings", "import"])
            .query(&[("dry_run", self.dry_run.to_string())])
            .header(reqwest::header::CONTENT_TYPE, "text/csv")
            .timeout(IMPORT_TIMEOUT)
            .body(file);
        let report = match api.call(request).await {
            Err(Failure::Answered { rows, .. }) if !rows.is_empty() => import::refusal(&rows),
            answer => answer?,
        };
        screen.show(&report, |screen| self.show(screen, &report))?;
        match report.get("refused").and_then(Value::as_u64) {
            Some(0) => Ok(()),
            count => Err(Failure::ImportRefused { count: count.unwrap_or_default() }),
        }
    }

    fn show(&self, screen: Screen, report: &Value) -> Result<(), Failure> {
        let mut table = Table::new(&[">LINE", "WHAT IS WRONG"]);
        for problem in rows(report, "problems") {
            table.row([text(problem, "line"), text(problem, "problem")]);
        }
        if report.get("refused").and_then(Value::as_u64) != Some(0) {
            return screen.table(&table, "some lines cannot be imported");
        }
        if !rows(report, "new_skus").is_empty() {
            screen
                .line(format!("SKUs that onhand had never heard of: {}", as_text(report.get("new_skus"))))?;
        }
        let (lines, changed) = (text(report, "lines"), text(report, "changed"));
        if self.dry_run {
            return screen
                .line(format!("{lines} lines could be imported, {changed} of them would change something"));
        }
        screen.line(format!("{lines} lines imported, {changed} of them changed something"))
    }
}
