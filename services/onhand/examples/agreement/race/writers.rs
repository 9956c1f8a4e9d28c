//! What adds units to a shop while buyers buy: onhand, and the two ways in which integrations usually do it.

use std::time::{Duration, Instant};

use anyhow::ensure;
use serde_json::{Value, json};
use testkit::fake_shop::{FakeShop, FakeShopOptions};
use values::ProductId;

use super::sales::Sales;
use super::{HEARD_EVERY, PUSH_EVERY};
use crate::running::Onhand;

const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// An integration that calls the shop's REST interface.
#[derive(Debug)]
pub(crate) struct Writer<'a> {
    pub(crate) shop: &'a FakeShop,
    pub(crate) product: ProductId,
    /// What the shop showed before.
    pub(crate) first: i64,
    client: reqwest::Client,
}

impl<'a> Writer<'a> {
    pub(crate) fn new(shop: &'a FakeShop, product: ProductId, first: i64) -> anyhow::Result<Self> {
        let client = reqwest::Client::builder().no_proxy().timeout(ANSWER_WITHIN).build()?;
        Ok(Self { shop, product, first, client })
    }

    /// Writes what it knows, a unit more each time until `units` are added: what came in less the sales that it heard of.
    /// Gives what it added.
    pub(crate) async fn absolute(&self, sales: &Sales, units: i64) -> anyhow::Result<i64> {
        let (started, mut added) = (Instant::now(), 0);
        while !sales.is_over() {
            added = (added + 1).min(units);
            self.write(self.first + added - sales.units_before(heard(started))).await?;
            tokio::time::sleep(PUSH_EVERY).await;
        }
        Ok(added)
    }

    /// Reads what the shop shows, and writes it with a unit more, until `units` are added. Gives what it added.
    pub(crate) async fn read_and_write(&self, sales: &Sales, units: i64) -> anyhow::Result<i64> {
        let mut added = 0;
        while !sales.is_over() && added < units {
            let shown = self.call(reqwest::Method::GET, None).await?;
            let shown = shown["stock_quantity"].as_i64().unwrap_or_default();
            self.write(shown + 1).await?;
            added += 1;
            tokio::time::sleep(PUSH_EVERY).await;
        }
        Ok(added)
    }

    /// One absolute write.
    pub(crate) async fn write(&self, quantity: i64) -> anyhow::Result<()> {
        self.call(reqwest::Method::PUT, Some(json!({ "stock_quantity": quantity }))).await?;
        Ok(())
    }

    async fn call(&self, method: reqwest::Method, body: Option<Value>) -> anyhow::Result<Value> {
        let url = format!("{}/wp-json/wc/v3/products/{}", self.shop.url(), self.product);
        let mut request = self.client.request(method, url);
        request = request.basic_auth(FakeShopOptions::KEY, Some(FakeShopOptions::SECRET));
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await?;
        ensure!(answer.status().is_success(), "the shop answered {}", answer.status());
        Ok(answer.json().await?)
    }
}

/// Sales are told of together, now and then: the moment up to which they are known.
fn heard(started: Instant) -> Instant {
    let rounds = started.elapsed().as_millis() / HEARD_EVERY.as_millis();
    started + HEARD_EVERY * u32::try_from(rounds).unwrap_or(u32::MAX)
}

/// Units come in at the warehouse one by one, until `units` did; what onhand makes of it is its business. Gives how many.
pub(crate) async fn through_onhand(
    onhand: &Onhand,
    sku: &str,
    sales: &Sales,
    units: i64,
) -> anyhow::Result<i64> {
    let mut added = 0;
    while !sales.is_over() && added < units {
        onhand.receive(&[(sku.to_owned(), 1)]).await?;
        added += 1;
        tokio::time::sleep(PUSH_EVERY).await;
    }
    Ok(added)
}
