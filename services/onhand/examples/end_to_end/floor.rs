//! The least that an order from one shop to the other can take: two messages confirmed, two rows committed, one call, each
//! measured alone and one after the other.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use serde_json::json;
use testkit::fake_shop::{FakeShop, FakeShopOptions};
use testkit::servers::postgres::Session;

use crate::installation::Installation;

const QUEUE: &str = "floor";
const BODY_BYTES: usize = 500;
/// How often each is done.
const TIMES: usize = 300;

/// What the floor is made of.
#[derive(Debug)]
pub(crate) struct Floor {
    _connection: Connection,
    channel: Channel,
    session: Session,
    client: reqwest::Client,
    url: String,
    product: i64,
}

impl Floor {
    /// Of the installation's own servers, and a shop like its shops. Blocks for a moment.
    pub(crate) async fn of(
        installation: &Installation,
        shop: &FakeShop,
        product: i64,
    ) -> anyhow::Result<Self> {
        let connection =
            Connection::connect(&installation.broker_url, ConnectionProperties::default()).await?;
        let channel = connection.create_channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        let mut arguments = FieldTable::default();
        arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
        let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        channel.queue_declare(QUEUE.into(), options, arguments).await?;
        let mut session = installation.database.session()?;
        session
            .run("CREATE TABLE IF NOT EXISTS public.floor (id BIGSERIAL PRIMARY KEY, body TEXT NOT NULL)")?;
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build()?;
        let url = format!("{}/wp-json/wc/v3/products/batch", shop.url());
        Ok(Self { _connection: connection, channel, session, client, url, product })
    }

    /// Half of the times it takes less.
    pub(crate) async fn measure(&mut self) -> anyhow::Result<Duration> {
        let mut confirms = Vec::with_capacity(TIMES);
        for _ in 0..TIMES {
            let began = Instant::now();
            self.confirm().await?;
            confirms.push(began.elapsed());
        }
        let mut commits = Vec::with_capacity(TIMES);
        for _ in 0..TIMES {
            let began = Instant::now();
            self.session.run("INSERT INTO public.floor (body) VALUES (repeat('x', 500))")?;
            commits.push(began.elapsed());
        }
        let mut calls = Vec::with_capacity(TIMES);
        for _ in 0..TIMES {
            let began = Instant::now();
            self.call().await?;
            calls.push(began.elapsed());
        }
        let (confirm, commit, call) = (median(confirms)?, median(commits)?, median(calls)?);
        println!("floor: a confirm {confirm:?}, a commit {commit:?}, a call {call:?}");
        Ok(2 * confirm + 2 * commit + call)
    }

    async fn confirm(&self) -> anyhow::Result<()> {
        let options = BasicPublishOptions { mandatory: true, immediate: false };
        let (body, properties) = ([0; BODY_BYTES], BasicProperties::default().with_delivery_mode(2));
        let sent = self.channel.basic_publish("".into(), QUEUE.into(), options, &body, properties).await?;
        ensure!(sent.await?.is_ack(), "not confirmed");
        Ok(())
    }

    /// Changes nothing, in a batch of one.
    async fn call(&self) -> anyhow::Result<()> {
        let body = json!({ "update": [{ "id": self.product, "inventory_delta": 0 }] });
        let request = self.client.post(&self.url).json(&body);
        let request = request.basic_auth(FakeShopOptions::KEY, Some(FakeShopOptions::SECRET));
        let answer = request.send().await?;
        ensure!(answer.status().is_success(), "the shop answered {}", answer.status());
        answer.bytes().await?;
        Ok(())
    }
}

pub(crate) fn median(mut took: Vec<Duration>) -> anyhow::Result<Duration> {
    took.sort_unstable();
    took.get(took.len() / 2).copied().context("nothing was measured")
}
