//! A whole onhand in a process of its own, over a directory of its own, and calls of its API.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::fake_shop::{FakeShop, FakeShopOptions};
use testkit::servers::free_ports;
use tokio::time::{Instant, sleep};
use uuid::Uuid;
use values::Quantity;

/// Where all goods are.
pub(crate) const WAREHOUSE: &str = "main";
/// Operations of one call, as the API allows.
const OPERATIONS_A_CALL: usize = 1_000;
const ANSWER_WITHIN: Duration = Duration::from_mins(1);
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(200);

/// A running `onhand up`. It ends with this.
#[derive(Debug)]
pub(crate) struct Onhand {
    child: Child,
    url: String,
    token: String,
    client: Client,
    folder: TempDir,
}

impl Onhand {
    /// Starts with these settings beside the defaults; shops reach it where it listens.
    pub(crate) async fn start(settings: &[(&str, &str)]) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let port = free_ports(1).first().copied().context("one was asked for")?;
        let address = format!("127.0.0.1:{port}");
        let url = format!("http://{address}");
        let log = std::fs::File::create(folder.path().join("log"))?;
        let mut child = Command::new(beside_examples("onhand")?)
            .env_clear()
            .env("HOME", folder.path())
            .env("ONHAND_DATA_DIR", folder.path().join("data"))
            .env("ONHAND_PUBLIC_URL", &url)
            .env("ONHAND_PROCESS_LOG_LEVEL", "warn")
            .envs(settings.iter().copied())
            .args(["up", "--listen", &address])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()?;
        let stdout = child.stdout.take().context("it was asked for")?;
        let mut said = String::new();
        BufReader::new(stdout).read_line(&mut said)?;
        let token = folder.path().join("data/admin.token");
        let client = Client::builder().no_proxy().timeout(ANSWER_WITHIN).build()?;
        let mut this = Self { child, url, token: String::new(), client, folder };
        ensure!(said.contains("is up at"), "onhand does not start: {said}{}", this.log());
        std::fs::read_to_string(token)?.trim().clone_into(&mut this.token);
        this.post(&["warehouses"], &json!({ "name": WAREHOUSE })).await?;
        Ok(this)
    }

    /// What it logged.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    pub(crate) async fn get(&self, path: &[&str]) -> anyhow::Result<Value> {
        self.call(Method::GET, path, &[], None).await
    }

    /// One page of a list.
    pub(crate) async fn page(&self, path: &[&str], query: &[(&str, String)]) -> anyhow::Result<Value> {
        self.call(Method::GET, path, query, None).await
    }

    pub(crate) async fn post(&self, path: &[&str], body: &Value) -> anyhow::Result<Value> {
        self.call(Method::POST, path, &[], Some(body)).await
    }

    async fn call(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, String)],
        body: Option<&Value>,
    ) -> anyhow::Result<Value> {
        let text = self.text(method, path, query, body).await?;
        serde_json::from_str(&text).with_context(|| format!("{}: {text}", path.join("/")))
    }

    async fn text(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, String)],
        body: Option<&Value>,
    ) -> anyhow::Result<String> {
        let url = format!("{}/api/v1/{}", self.url, path.join("/"));
        let key = Uuid::new_v4().to_string();
        let mut request = self.client.request(method, &url).bearer_auth(&self.token).query(query);
        request = request.header("Idempotency-Key", key);
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.with_context(|| self.log())?;
        let (status, text) = (answer.status(), answer.text().await?);
        ensure!(status.is_success(), "{url}: {status} {text}");
        Ok(text)
    }

    /// What is left to sell of every SKU in the one warehouse.
    pub(crate) async fn available(&self) -> anyhow::Result<BTreeMap<String, i64>> {
        let export = self.text(Method::GET, &["stock", "export"], &[], None).await?;
        let rows = export.lines().skip(1).map(|row| {
            let mut cells = row.split(',');
            let (sku, available) = (cells.next()?, cells.nth(3)?);
            Some((sku.to_owned(), available.parse::<Quantity>().ok()?.whole_units()?))
        });
        rows.collect::<Option<_>>().context("the export of stock is not understood")
    }

    /// Units come in.
    pub(crate) async fn receive(&self, goods: &[(String, i64)]) -> anyhow::Result<()> {
        for some in goods.chunks(OPERATIONS_A_CALL) {
            let rows = some.iter().map(|(sku, units)| {
                json!({ "kind": "receive", "sku": sku, "warehouse": WAREHOUSE, "quantity": units.to_string() })
            });
            let operations: Vec<Value> = rows.collect();
            self.post(&["operations"], &json!({ "operations": operations })).await?;
        }
        Ok(())
    }

    /// Adds a shop that brings no stock of its own, and keeps so many units of each good back from it.
    pub(crate) async fn add_shop(&self, name: &str, shop: &FakeShop, buffer: i64) -> anyhow::Result<Value> {
        let body = json!({
            "name": name,
            "url": shop.url(),
            "consumer_key": FakeShopOptions::KEY,
            "consumer_secret": FakeShopOptions::SECRET,
            "warehouses": [WAREHOUSE],
            "buffer": buffer.to_string(),
            "opening": "none",
            "private_addresses": true,
        });
        self.post(&["shops"], &body).await
    }

    /// How a number came about.
    pub(crate) async fn explain(&self, sku: &str) -> anyhow::Result<Explained> {
        Ok(Explained(self.get(&["explain", sku]).await?))
    }

    /// Waits until every shop of these SKUs is known with proof.
    pub(crate) async fn proven(&self, skus: &[String], shops: usize, within: Duration) -> anyhow::Result<()> {
        let deadline = Instant::now() + within;
        for sku in skus {
            while !self.explain(sku).await.is_ok_and(|explained| explained.is_proven(shops)) {
                ensure!(Instant::now() < deadline, "{sku} is not proven within {within:?}\n{}", self.log());
                sleep(LOOK_EVERY).await;
            }
        }
        Ok(())
    }
}

impl Drop for Onhand {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// What onhand says of a SKU.
#[derive(Debug)]
pub(crate) struct Explained(Value);

impl Explained {
    fn shops(&self) -> &[Value] {
        self.0["shops"].as_array().map_or(&[], Vec::as_slice)
    }

    fn is_proven(&self, shops: usize) -> bool {
        self.shops().len() == shops && self.shops().iter().all(|shop| !shop["shows"].is_null())
    }

    /// What is left to sell, over all warehouses.
    pub(crate) fn available(&self) -> Option<i64> {
        let mut rows = self.0["warehouses"].as_array()?.iter();
        rows.try_fold(0, |sum, row| Some(sum + units(&row["available"])?))
    }

    /// Every shop was told all there is to tell, and has answered.
    pub(crate) fn is_told(&self) -> bool {
        self.shops().iter().all(|shop| {
            let (goal, shows) = (units(&shop["goal"]), units(&shop["shows"]));
            goal.is_some() && goal == shows
        })
    }

    /// A change was told to its shop, whatever came of it.
    pub(crate) fn is_tried(&self) -> bool {
        self.shops().iter().all(|shop| shop["attempts"].as_array().is_some_and(|tries| !tries.is_empty()))
    }

    /// Nothing is open, not even a comparison.
    pub(crate) fn is_settled(&self) -> bool {
        self.shops().iter().all(|shop| shop["unsettled"].as_array().is_some_and(Vec::is_empty))
    }
}

fn units(amount: &Value) -> Option<i64> {
    amount.as_str()?.parse::<Quantity>().ok()?.whole_units()
}

/// A program of the same build.
fn beside_examples(name: &str) -> anyhow::Result<PathBuf> {
    let this = std::env::current_exe()?;
    let program = this.parent().and_then(std::path::Path::parent).map(|folder| folder.join(name));
    let program = program.filter(|program| program.exists());
    program.with_context(|| format!("build {name} first, in the same profile"))
}
